"""Folders as a run of the bench leaves them (docs/device-protocol.md), with figures that are made up and say so.

Devices are called "Test ..." wherever a figure could be mistaken for a measured one.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from qsr_edge.data.bicubic import resize_bicubic
from qsr_edge.metrics import psnr_y, ssim_y
from tests.support.paths import PHOTO

PIXEL: dict[str, Any] = {
    "kind": "android", "id": "0A1B2C3D", "name": "Test Pixel", "processor": "Test SoC G9", "system": "Android 16",
    "cores": 8, "simulator": False, "memory_mb": 12288,
}  # fmt: skip
GALAXY = PIXEL | {"id": "R5CX", "name": "Test Galaxy", "processor": "Test SoC S8", "system": "Android 15"}
SIMULATOR = PIXEL | {"id": "emulator-1", "name": "Stand-in phone", "processor": "x86-64", "simulator": True}
HOST = {"kind": "host", "id": "host", "name": "Test workstation", "processor": "x86-64", "system": "Linux",
        "cores": 2, "simulator": False}  # fmt: skip
BEGAN_MS = 1_764_000_000_000
PSNR_DB = {2: (36.22, 36.74, 36.99), 4: (36.79, 37.16, 37.32), 8: (36.98, 37.28, 37.42)}
DEPTHS = (2, 4, 8)
AGENT_KINDS = ("agent", "condition", "start", "placement", "warm-up", "steady", "sustained", "event", "error")


def variant(target: str = "tflite", bits: int = 4, depth: int = 8, **more: Any) -> dict[str, Any]:
    """An entry of the header's variants."""
    return {
        "label": f"net-x2-w{bits}a{bits}-{target} d{depth} xnnpack",
        "bundle": f"/bundles/net-x2-w{bits}a{bits}-{target}",
        "name": f"net-x2-w{bits}a{bits}",
        "target": target,
        "depth": depth,
        "kernels": "xnnpack",
        "runtime": {"tflite": "LiteRT 2.3.0", "executorch": "ExecuTorch 1.5.1"}.get(target, target),
        "bits": bits,
        "scale": 2,
        "height_px": 180,
        "width_px": 320,
        "model_bytes": 20_000 + 18_600 * depth * (bits if target == "executorch" else 8) // 8,
        "macs_per_pixel": 4000 + 18_509 * depth,
        "quality": [{"dataset": "Set5", "psnr_db": PSNR_DB[bits][DEPTHS.index(depth)], "ssim": 0.95, "images": 5}]
        if bits in PSNR_DB and depth in DEPTHS
        else [],
    } | more


def variants(targets: Sequence[str] = ("tflite",), bits: Sequence[int] = (4,)) -> tuple[dict[str, Any], ...]:
    """Every depth of every target and bit width."""
    return tuple(variant(target, width, depth) for target in targets for width in bits for depth in DEPTHS)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a run's folder is to hold.

    Attributes:
        speed: factor on every latency.
        noise: relative spread of latencies.
        sustained_minutes: 0 for none.
        hot: whether thermal status and temperature rise in the sustained phase, and latencies with them.
        images: by name, the original.
        golden: by label; True elsewhere.
        extra: records before the end.
    """

    run: str = "20261124-2135-test"
    device: Mapping[str, Any] = field(default_factory=lambda: PIXEL)
    variants: Sequence[Mapping[str, Any]] = field(default_factory=variants)
    speed: float = 1.0
    noise: float = 0.04
    rounds: int = 24
    round_ms: int = 500
    sustained_minutes: int = 0
    hot: bool = False
    on_mains: bool = False
    images: Mapping[str, NDArray[np.uint8]] = field(default_factory=dict)
    with_originals: bool = True
    golden: Mapping[str, bool | None] = field(default_factory=dict)
    memory: bool = True
    extra: Sequence[Mapping[str, Any]] = ()
    complete: bool = True
    seed: int = 1


def photo(height_px: int = 160, width_px: int = 240) -> NDArray[np.uint8]:
    """(H, W, 3) uint8: the middle of the bundled photo."""
    with Image.open(PHOTO) as image:
        whole = np.asarray(image.convert("RGB"))
    top, left = (whole.shape[0] - height_px) // 2, (whole.shape[1] - width_px) // 2
    return np.ascontiguousarray(whole[top : top + height_px, left : left + width_px])


def typical_us(entry: Mapping[str, Any]) -> float:
    """A made-up latency."""
    base = 4_000 + 6_100 * entry["depth"] * (0.75 + 0.05 * (entry["bits"] or 32))
    return base * (1.25 if entry["target"] == "executorch" else 1.0)


def write_run(folder: Path, plan: Plan) -> Path:
    """Write the folder and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    writer = _Writer(plan)
    writer.header()
    writer.add("part", part=1, reason="new run")
    writer.add("agent", protocol=1, run=plan.run, part=1, agent="qsr-edge-bench 0.1.0", runtime="LiteRT 2.3.0")
    writer.start()
    _pictures(folder, plan, writer)
    writer.steady()
    writer.sustained()
    for record in plan.extra:
        writer.add(**{"kind": "event", **record})
    writer.add("end", complete=plan.complete, **({} if plan.complete else {"reason": "interrupted"}))
    lines = [json.dumps(record, ensure_ascii=False) for record in writer.records]
    (folder / "results.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


class _Writer:
    def __init__(self, plan: Plan):
        self.plan = plan
        self.records: list[dict[str, Any]] = []
        self.rng = np.random.default_rng(plan.seed)
        self.clock_ms = 0

    def add(self, kind: str, **values: Any) -> None:
        clocks = {"time_ms": BEGAN_MS + self.clock_ms, "elapsed_ms": self.clock_ms}
        if kind in AGENT_KINDS:
            clocks["received_ms"] = BEGAN_MS + self.clock_ms + 40
        self.records.append({"kind": kind, **clocks, **values})

    def header(self) -> None:
        plan = self.plan
        images = [{"name": name, "height_px": 0, "width_px": 0} for name in plan.images]
        job = {
            "queries": 1024,
            "steady_ms": 60_000,
            "sustained_ms": 60_000 * plan.sustained_minutes,
            "gate": {"max_thermal_status": 0, "max_temperature_mc": 35_000, "max_wait_ms": 600_000},
            "threads": 1,
        }
        self.add("run", schema=2, run=plan.run, version="0.1.0", device=dict(plan.device), job=job,
                 variants=[dict(entry) for entry in plan.variants], images=images)  # fmt: skip

    def latencies(self, entry: Mapping[str, Any], duration_ms: float, slowdown: float = 1.0) -> list[int]:
        typical = typical_us(entry) * self.plan.speed * slowdown
        typical *= 1 + self.rng.normal(0, self.plan.noise / 3)  # rounds differ among themselves, too
        count = max(1, round(1000 * duration_ms / typical))
        values = typical * self.rng.lognormal(0, self.plan.noise, count)
        values[self.rng.random(count) < 0.01] *= 1.6  # what else the device does
        return [round(value) for value in values]

    def condition(self, warmth: float = 0.0, variant: str | None = None, drained: float = 0.0) -> None:
        power = {} if self.plan.on_mains else {"current_ua": -900_000, "voltage_mv": 3900}
        self.add(
            "condition",
            source="agent",
            condition={
                "thermal_status": min(3, int(warmth * 4)),
                "temperature_mc": round(31_000 + 14_000 * warmth),
                "battery_percent": round(80 - drained),
                "plugged_in": self.plan.on_mains,
                "power_save": False,
                **power,
            },
            **({} if variant is None else {"variant": variant}),
        )

    def start(self) -> None:
        for entry in self.plan.variants:
            label = entry["label"]
            us = round(typical_us(entry) * self.plan.speed)
            golden = self.plan.golden.get(label, True)
            self.clock_ms += 300
            self.add("start", variant=label, load_us=9_000 + us // 5, first_us=2 * us, golden_equal=golden,
                     golden_sha256="0" * 64)  # fmt: skip
            fallback = {"DEPTH_TO_SPACE": 1} if entry["target"] == "tflite" else {}
            self.add("placement", variant=label, delegate="XNNPACK", delegated_ops=4 + 3 * entry["depth"],
                     fallback=fallback, source="runtime")  # fmt: skip
            self.add("warm-up", variant=label, latencies_us=[us, us])

    def steady(self) -> None:
        for _ in range(self.plan.rounds):
            self.condition()
            for entry in self.plan.variants:
                values = self.latencies(entry, self.plan.round_ms)
                self.clock_ms += sum(values) // 1000
                memory = {"peak_bytes": 60_000_000 + 40 * entry["model_bytes"]} if self.plan.memory else {}
                cpu = {"cpu_us": [round(0.98 * value) for value in values]} if self.plan.memory else {}
                self.add("steady", variant=entry["label"], latencies_us=values, **cpu, **memory)

    def sustained(self) -> None:
        total_ms = 60_000 * self.plan.sustained_minutes
        for entry in self.plan.variants if total_ms else ():
            since_ms, next_condition_ms = 0, 0
            while since_ms < total_ms:
                warmth = min(1.0, since_ms / total_ms * 1.1) if self.plan.hot else 0.1
                if since_ms >= next_condition_ms:
                    self.condition(warmth, entry["label"], drained=4 * since_ms / total_ms)
                    next_condition_ms += 10_000
                slowdown = 1 + 0.45 * max(0.0, warmth - 0.45)
                values = self.latencies(entry, 5000, slowdown)
                since_ms += sum(values) // 1000
                self.clock_ms += sum(values) // 1000
                self.add("sustained", variant=entry["label"], since_ms=since_ms, latencies_us=values)
            self.condition(warmth, entry["label"], drained=4)
            if self.plan.hot:
                self.add("event", event="thermal", thermal_status=3)


def _pictures(folder: Path, plan: Plan, writer: _Writer) -> None:
    for name, original in plan.images.items():
        place = folder / "images" / name
        place.mkdir(parents=True)
        small = resize_bicubic(original, 0.5)
        blurred = resize_bicubic(small, 2)
        Image.fromarray(small).save(place / "input.png")
        if plan.with_originals:
            Image.fromarray(original).save(place / "original.png")
        for index, entry in enumerate(plan.variants):
            # A stand-in for an upscaled picture: the deeper, the nearer to the original.
            share = 0.25 + 0.06 * entry["depth"]
            output = np.rint(blurred + share * (original.astype(float) - blurred)).astype(np.uint8)
            Image.fromarray(output).save(place / f"{index}.png")
            values: dict[str, Any] = {"equal": True, "picture": f"images/{name}/{index}.png"}
            if plan.with_originals:
                values["psnr_db"] = psnr_y(output, original, border_px=2)
                values["ssim"] = ssim_y(output, original, border_px=2)
            writer.add("quality", variant=entry["label"], image=name, **values)
