"""The page's modules in Node: a fourth language that agrees with Python on plans, bytes, digests and pictures."""

import base64
import hashlib
import io
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from qsr_edge.bundle.golden import golden_image
from qsr_edge.conversion.resizable import ResizableModel, SizePlace
from tests.support.paths import REPOSITORY

ASSETS = REPOSITORY / "qsr_edge" / "web" / "assets"
SCRIPT = REPOSITORY / "tests" / "support" / "web_modules.mjs"
VECTORS = REPOSITORY / "tests" / "vectors"


@pytest.fixture(scope="module")
def node() -> str:
    found = shutil.which("node")
    if found is None:
        pytest.skip("no node: install it (Debian: apt-get install nodejs)")
    return found


def run(node: str, task: str, **job: object) -> Any:
    text = json.dumps({"task": task, "assets": str(ASSETS), **job})
    done = subprocess.run([node, SCRIPT], input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def lines(name: str) -> list[Any]:
    return [json.loads(line) for line in (VECTORS / name).read_text().splitlines()]


def encoded(array: NDArray[np.uint8] | bytes) -> str:
    return base64.b64encode(array if isinstance(array, bytes) else np.ascontiguousarray(array).tobytes()).decode()


def test_the_planner_agrees_on_every_vector(node: str) -> None:
    expected = lines("tiles.jsonl")
    assert len(expected) == 1000
    assert run(node, "plans", cases=[case[:4] for case in expected]) == expected


def test_the_planner_refuses_what_python_refuses(node: str) -> None:
    told = run(node, "refusals")
    assert all(message and message.startswith("cannot ") for message in told), told


def test_tiles_give_python_s_bytes(node: str) -> None:
    """Every opaque picture of the vectors, in colour and grey, on and off a grid, that Python upscaled."""
    cases, expected = [], []
    for entry in lines("pictures.jsonl"):
        if "upscaled" not in entry or not entry["why"].endswith("opaque"):
            continue
        height, width = entry["size"]
        argb = np.frombuffer(base64.b64decode(entry["argb"]), np.uint8).reshape(height, width, 4)
        rgb = argb[:, :, 1:]
        grey = bool((rgb == rgb[:, :, :1]).all())
        keys = ("scale", "halo", "grid", "tile")
        cases.append(
            {"rgb": encoded(rgb), "height": height, "width": width, "grey": grey, **{k: entry[k] for k in keys}}
        )
        upscaled = np.frombuffer(base64.b64decode(entry["upscaled"]), np.uint8).reshape(-1, 4)
        expected.append(encoded(upscaled[:, 1:]))
    assert len(cases) >= 5
    assert {case["grey"] for case in cases} == {True, False}
    found = run(node, "upscaled", cases=cases)
    assert [result["upscaled"] for result in found] == expected
    assert any(result["tiles"] > 1 for result in found)
    areas = [case["height"] * case["width"] * case["scale"] ** 2 for case in cases]
    assert [result["area"] for result in found] == areas


def test_a_signal_stops_between_two_tiles(node: str) -> None:
    assert run(node, "cancelled") == [True, 2]


def test_digests(node: str) -> None:
    contents = [np.random.bytes(size) for size in (0, 1, 3, 55, 56, 63, 64, 65, 119, 120, 1000, 100_003)]
    found = run(node, "digests", cases=[encoded(content) for content in contents])
    assert found == [hashlib.sha256(content).hexdigest() for content in contents]


def test_the_golden_input(node: str) -> None:
    cases = [[0, 1, 1], [2023, 48, 64], [2**53 - 1, 3, 5]]
    assert run(node, "golden", cases=cases) == [encoded(golden_image(*case)) for case in cases]


@pytest.mark.parametrize("bands", [[17], [1] * 17, [5, 11, 1]])
def test_png(node: str, bands: list[int]) -> None:
    smooth = np.add.outer(np.arange(17) * 3, np.arange(23) * 5)[:, :, np.newaxis] * np.array([1, 2, 3]) % 256
    image = np.where(np.arange(23)[:, np.newaxis] < 11, smooth, np.random.randint(0, 256, (17, 23, 3))).astype(np.uint8)
    content = base64.b64decode(run(node, "png", rgb=encoded(image), height=17, width=23, bands=bands))
    with Image.open(io.BytesIO(content)) as decoded:
        decoded.verify()
    with Image.open(io.BytesIO(content)) as decoded:
        assert decoded.mode == "RGB"
        assert np.array_equal(np.asarray(decoded), image)


def test_a_model_s_size(node: str, tmp_path: Path) -> None:
    places = (SizePlace(offset=4, factor=1), SizePlace(offset=16, factor=2))
    model = ResizableModel(content=bytes(range(32)), size_px=(1, 1), places=places)
    found = run(node, "sized", model=encoded(model.content), places=[[4, 1], [16, 2]], height=300, width=7)
    assert base64.b64decode(found) == model.sized(300, 7)


@pytest.mark.parametrize("factor", [1, 2, 3])
def test_what_is_shown_is_the_average_of_the_pixels(node: str, factor: int) -> None:
    image = np.random.randint(0, 256, (12, 18, 3)).astype(np.uint8)
    spans = [(top, left, 6, 9) for top in (0, 6) for left in (0, 9)]
    tiles = [
        {"top": t, "left": le, "height": h, "width": w, "rgb": encoded(image[t : t + h, le : le + w])}
        for t, le, h, w in spans
    ]
    shown = np.zeros((-(-12 // factor), -(-18 // factor), 3))
    for part in run(node, "reduced", tiles=tiles, factor=factor):
        pixels = np.frombuffer(base64.b64decode(part["rgba"]), np.uint8).reshape(-1, part["width"], 4)
        height, width = pixels.shape[:2]
        shown[part["top"] : part["top"] + height, part["left"] : part["left"] + width] = pixels[:, :, :3]
        assert (pixels[:, :, 3] == 255).all()
    inside = image[: 12 // factor * factor, : 18 // factor * factor].reshape(
        12 // factor, factor, 18 // factor, factor, 3
    )
    if factor == 2:
        # A block at the seam of two tiles, columns 8 and 9, is averaged over the part that it begins in.
        inside = inside[:, :, [0, 1, 2, 3, 5, 6, 7, 8]]
        shown = shown[:, [0, 1, 2, 3, 5, 6, 7, 8]]
    assert np.abs(shown - inside.mean(axis=(1, 3))).max() <= 0.51
