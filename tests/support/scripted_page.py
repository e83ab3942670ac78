"""A page that stands for a browser: it speaks to `qsr-edge bench --device browser` by HTTP, and says what a test wants.

It measures nothing: its latencies are made up. Pictures and golden outputs are those of the runtime that is here.
"""

import hashlib
import http.client
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import numpy as np

from qsr_edge.bundle.reader import open_bundle
from qsr_edge.runtime.upscale import load_depth
from tests.support.waiting import PATIENCE_S

TOLD: dict[str, Any] = {
    "user_agent": "Mozilla/5.0 (X11; Linux x86_64; rv:150.0) Gecko/20100101 Firefox/150.0",
    "cores": 4,
    "isolated": False,
    "relaxed_simd": True,
    "timer_us": 1000,
    "condition": {"plugged_in": True},
}
LATENCY_US = 4000


class ScriptedPage:
    """One load of a page.

    Args:
        address: of the server, its token included.
        bundle: that is measured, as it lies here.
        name: of the page; another one is another load.
    """

    def __init__(self, address: str, bundle: Path, name: str = "page-1") -> None:
        parts = urlsplit(address)
        self._path = parts.path
        self._host, self._port = parts.hostname or "", parts.port or 0
        self._bundle = bundle
        self.name = name
        self.part = 0
        self.sent = 0
        self.work: dict[str, Any] = {}

    def post(self, name: str, body: bytes = b"", /, **query: object) -> tuple[int, dict[str, Any]]:
        """Status and table of an answer."""
        connection = http.client.HTTPConnection(self._host, self._port, timeout=PATIENCE_S)
        try:
            connection.request("POST", f"{self._path}{name}?{urlencode({'page': self.name, **query})}", body)
            response = connection.getresponse()
            content = response.read()
            return response.status, json.loads(content) if content.startswith(b"{") else {}
        finally:
            connection.close()

    def get(self, path: str) -> tuple[int, bytes]:
        """Status and content of a file below the address."""
        connection = http.client.HTTPConnection(self._host, self._port, timeout=PATIENCE_S)
        try:
            connection.request("GET", f"{self._path}{path}")
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def hello(self, **told: object) -> tuple[int, dict[str, Any]]:
        """Say that the page is there."""
        return self.post("hello", json.dumps({**TOLD, **told}).encode())

    def await_work(self) -> dict[str, Any]:
        """Ask until there is a part to be measured."""
        while True:
            status, answer = self.post("next", part=self.part)
            assert status == 200, answer
            if answer["do"] == "measure":
                self.work, self.part, self.sent = answer, answer["job"]["part"], 0
                return answer
            assert answer["do"] == "wait", answer

    def await_end(self) -> str:
        """Ask until the run is over; what the page is told then."""
        while True:
            status, answer = self.post("next", part=self.part)
            assert status == 200, answer
            if answer["do"] == "end":
                return str(answer["text"])

    def send(self, *records: Mapping[str, object] | bytes, first: int | None = None) -> tuple[int, dict[str, Any]]:
        """Send records as they are made up; their clocks are added."""
        lines = [
            record
            if isinstance(record, bytes)
            else json.dumps({"time_ms": 1000, "elapsed_ms": 1000, **record}).encode()
            for record in records
        ]
        begin = self.sent if first is None else first
        status, answer = self.post(
            "records", b"".join(line + b"\n" for line in lines), part=self.part, **{"from": begin}
        )
        self.sent = int(answer.get("have", self.sent))
        return status, answer

    def agent(self) -> dict[str, object]:
        """The first record of a part."""
        job = self.work["job"]
        return {"kind": "agent", "protocol": 1, "run": job["run"], "part": job["part"], "agent": "scripted page"}

    def start(self, index: int, **more: object) -> dict[str, object]:
        """A variant's start, with the golden hash that the page was told."""
        variant = self.work["job"]["variants"][index]
        models = self.work["bundles"][variant["bundle"]]["models"]
        sha256 = next(model["golden_sha256"] for model in models if model["depth"] == variant["depth"])
        return {
            "kind": "start",
            "variant": variant["label"],
            "load_us": 3000,
            "first_us": 5000,
            "golden_equal": True,
            "golden_sha256": sha256,
            **more,
        }

    def steady(self, index: int, count: int) -> dict[str, object]:
        """So many latencies of a variant."""
        return {
            "kind": "steady",
            "variant": self.work["job"]["variants"][index]["label"],
            "latencies_us": [LATENCY_US] * count,
        }

    def picture(self, index: int, image: int) -> tuple[str, bytes, dict[str, object]]:
        """Name and bytes of a picture that the page upscaled, and its record."""
        job = self.work["job"]
        variant, entry = job["variants"][index], job["images"][image]
        status, rgb = self.get(f"file?{urlencode({'name': entry['path']})}")
        assert status == 200
        content = self.upscaled(variant["depth"], entry, rgb)
        name = f"{index}-{entry['name']}.rgb"
        sha256 = hashlib.sha256(content).hexdigest()
        record = {"kind": "image", "variant": variant["label"], "image": entry["name"], "sha256": sha256,
                  "output": name, "latency_us": 9000}  # fmt: skip
        return name, content, record

    def upscaled(self, depth: int, entry: Mapping[str, Any], rgb: bytes) -> bytes:
        """What the bundle makes of a picture."""
        with open_bundle(self._bundle) as bundle:
            image = np.frombuffer(rgb, np.uint8).reshape(entry["height_px"], entry["width_px"], 3)
            return load_depth(bundle, depth=depth).upscale(image).tobytes()

    def measure(self, count: int) -> None:
        """All that a part asks for, with so many latencies of each variant."""
        job = self.work["job"]
        assert self.send(self.agent())[0] == 200
        for index, variant in enumerate(job["variants"]):
            assert self.send(self.start(index))[0] == 200
            for image, entry in enumerate(job["images"]):
                if entry["name"] not in variant["done"]["images"]:
                    name, content, record = self.picture(index, image)
                    assert self.post("output", content, part=self.part, name=name)[0] == 200
                    assert self.send(record)[0] == 200
        for index in range(len(job["variants"])):
            assert self.send(self.steady(index, count))[0] == 200
        assert self.send({"kind": "end", "complete": True})[0] == 200
