"""Writes the vectors that every implementation of the phone's logic must reproduce, from the Python reference.

    python tests/vectors/make.py [FOLDER]

- ``selector/*.jsonl``: first ``{"policy", "table"}``; then ``[sample, state, reasons]``, each from the state before,
  the first from none. ``sample`` and ``state`` are objects without what is None. ``"restart"`` alone: the state goes
  through JSON and back.
- ``tracker.jsonl``: ``{"table"}``, then ``[depth, pixels, latency_us, ratio_milli]``.
- ``tiles.jsonl``: ``[[height, width], tile, halo, grid, [window height, window width], rows, columns]``; rows and
  columns are lists of ``[window start, window stop, core start, core stop]``, and tiles are their product, row by row.
- ``manifests.jsonl``: ``{"accept", "why", "text"}``, or ``"base64"`` for what is not UTF-8.
- ``pictures.jsonl``: ``{"why", "size": [height, width], "argb"}``, pixels of four bytes A, R, G, B in base64.
  ``"seen"`` are the colours that the network is shown, three bytes a pixel. ``"upscaled"``, if there, is the output of
  :class:`Sharpener` with ``"scale"``, ``"halo"`` and ``"grid"``, in tiles of ``"tile"``.
"""

import base64
import hashlib
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qsr_edge.bundle.layout import Pack, Storage
from qsr_edge.bundle.manifest import (
    DepthEntry,
    FileEntry,
    GoldenInput,
    Manifest,
    ParityEntry,
    QualityEntry,
    dump_manifest,
    parse_manifest,
)
from qsr_edge.codec import Decoder, encode
from qsr_edge.data.picture import Picture
from qsr_edge.errors import BundleError, PolicyError
from qsr_edge.graph.cost import TileGrid
from qsr_edge.quant.arithmetic import Profile
from qsr_edge.runtime.tiler import plan_spans, window_size_px
from qsr_edge.runtime.transparency import bled_colours
from qsr_edge.runtime.upscale import upscale_picture
from qsr_edge.selector import (
    LatencyEntry,
    LatencyTable,
    Policy,
    Rule,
    Sample,
    State,
    default_policy,
    estimated_table,
    step,
)
from qsr_edge.selector.latency import LatencyTracker, observe, predicted_us

SAMPLES_PER_TRACE = 800
TILED_IMAGES = 1000
DAMAGED_MANIFESTS = 230
MACS = {2: 41_284, 4: 78_212, 8: 152_068}
PIXELS = 320 * 180


def _line(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False) + "\n"


def random_policy(random: Random, depths: tuple[int, ...]) -> Policy:
    """Any policy that the reader takes, sensible or not."""

    def maybe(low: int, high: int) -> int | None:
        return random.randint(low, high) if random.random() < 0.35 else None

    rules = []
    for i in range(random.randint(0, 7)):
        conditions: dict[str, Any] = {
            "thermal_status_at_least": maybe(1, 6),
            "headroom_milli_at_least": maybe(1, 1500),
            "battery_percent_below": maybe(1, 100),
            "charging": random.choice([None, None, True, False]),
            "power_save": random.choice([None, None, None, True, False]),
        }
        if all(value is None for value in conditions.values()):
            conditions["thermal_status_at_least"] = 3
        rule = Rule(
            name=f"rule-{i}", max_depth=random.choice(depths), unknown_counts=random.random() < 0.3, **conditions
        )
        rules.append(rule)
    return Policy(
        initial_depth=random.choice(depths),
        dwell_ms=random.choice([0, 1, 1000, 5000, 10_000]),
        max_gap_ms=random.choice([0, 500, 3000, 100_000]),
        latency_margin_milli=random.choice([0, 150, 999]),
        headroom_margin_milli=random.choice([0, 50, 2000]),
        battery_margin_percent=random.choice([0, 3, 100]),
        rules=tuple(rules),
    )


def adversarial_sample(random: Random, policy: Policy, table: LatencyTable, previous: Sample | None) -> Sample:
    """Values at, beside and far from thresholds; sensors that come and go; a clock that jumps both ways."""

    def near(values: list[int], low: int, high: int) -> int | None:
        if random.random() < 0.12:
            return None
        value = random.choice([*values, low, high]) + random.choice([-1, 0, 0, 1])
        return min(max(value, low), high)

    time = 0 if previous is None else previous.time_ms
    time += random.choice([0, 1, 100, 500, 500, 999, 1000, 1000, 1000, 1001, 3000, 3001, 9_999, 60_000, -1, -5000])
    headroom = [rule.headroom_milli_at_least or 950 for rule in policy.rules]
    battery = [rule.battery_percent_below or 50 for rule in policy.rules]
    pixels = random.choice([1, 999, PIXELS, PIXELS, PIXELS, 1 << 27])
    ratio = random.choice([None, None, None, 10, 999, 1000, 1000, 1001, 1500, 4000, 100_000, 1 << 40])
    exact = predicted_us(table, random.choice(table.depths), pixels, min(max(ratio or 1000, 10), 100_000))
    budget = random.choice([None, None, 1, 16_667, 33_333, exact, max(1, exact - 1), exact * 1000 // 850 + 1])
    flags = [None, True, False]
    weights = [1, 4, 4]
    sample = Sample(
        time_ms=time,
        pixels=pixels,
        budget_us=None if budget is None else min(budget, 1 << 40),
        latency_ratio_milli=ratio,
        battery_percent=near(
            [value + margin for value in battery for margin in (0, policy.battery_margin_percent)], 0, 100
        ),
        charging=random.choices(flags, weights)[0],
        power_save=random.choices(flags, [1, 2, 8])[0],
        thermal_status=random.choice([None, 0, 0, 0, 0, 1, 1, 2, 2, 3, 4, 5, 6]),
        headroom_milli=near(
            [value - margin for value in headroom for margin in (0, policy.headroom_margin_milli)], 0, 10_000
        ),
    )
    if previous is not None and random.random() < 0.45:  # long enough alike for a dwell to end
        sample = replace(previous, time_ms=previous.time_ms + random.choice([500, 1000, 1000, 3000]))
    return sample


def realistic_samples(random: Random) -> Iterator[Sample]:
    """A phone that warms up, throttles and cools, while its battery goes down; readings are noisy, some are missing."""
    skin, battery, time, load = 30.0, random.uniform(15, 100), 0, 1.0
    charging = False
    while True:
        time += random.choice([990, 1000, 1000, 1000, 1010])
        if random.random() < 0.01:
            load = random.choice([0.2, 0.6, 1.0, 1.4])
        if random.random() < 0.003:
            charging = not charging
        skin += (28 + 16 * load - skin) / 90
        battery = min(100.0, max(0.0, battery + (0.08 if charging else -0.03 * load)))
        felt = skin + random.gauss(0, 0.4)
        status = sum(felt >= threshold for threshold in (39, 43, 45, 47, 52, 55))
        headroom = None if random.random() < 0.02 else max(0, round(1000 * (1 - (45 - felt) / 30)))
        ratio = max(10, round(random.gauss(1400 + 60 * max(0, felt - 40), 60)))
        yield Sample(
            time_ms=time,
            pixels=PIXELS,
            budget_us=33_333,
            latency_ratio_milli=None if random.random() < 0.1 else ratio,
            battery_percent=int(battery),
            charging=charging,
            power_save=battery < 12 and not charging,
            thermal_status=status,
            headroom_milli=headroom,
        )


def selector_trace(name: str) -> str:
    """A trace by its name: kind and seed."""
    kind, _, seed = name.partition("-")
    random = Random(f"{kind} {seed}")
    depths = random.choice([(2, 4, 8), (2, 4, 8), (1, 2), (8, 16, 32), (4,), (1, 2, 3, 5, 8)])
    if kind == "realistic":
        depths = (2, 4, 8)
    table = estimated_table({depth: MACS.get(depth, 19_000 * depth) for depth in depths})
    if kind == "random":
        table = LatencyTable(
            source="random",
            entries=tuple(
                LatencyEntry(depth=depth, us_per_megapixel=value)
                for depth, value in zip(depths, sorted(random.randint(1, 10**9) for _ in depths), strict=True)
            ),
        )
    policy = random_policy(random, depths) if kind == "random" else default_policy(depths)
    lines = [_line({"policy": encode(policy), "table": encode(table)})]
    realistic = realistic_samples(random)
    state: State | None = None
    sample: Sample | None = None
    for _ in range(SAMPLES_PER_TRACE):
        if state is not None and random.random() < 0.01:
            lines.append(_line("restart"))
            state = Decoder(error=PolicyError).decode(State, json.loads(json.dumps(encode(state))), "state")
        sample = next(realistic) if kind == "realistic" else adversarial_sample(random, policy, table, sample)
        decision = step(policy, table, state, sample)
        state = decision.state
        lines.append(_line([encode(sample), encode(state), list(decision.reasons)]))
    return "".join(lines)


TRACES = (
    *(f"realistic-{seed}" for seed in range(4)),
    *(f"default-{seed}" for seed in range(4)),
    *(f"random-{seed}" for seed in range(8)),
)


def tracker_trace() -> str:
    """Observations, outliers among them, at changing depths."""
    random = Random("tracker")
    table = estimated_table(MACS)
    lines = [_line({"table": encode(table)})]
    tracker = LatencyTracker()
    depth = 4
    for _ in range(1000):
        if random.random() < 0.1:
            depth = random.choice(table.depths)
        pixels = random.choice([1, 57, PIXELS, 1 << 27])
        latency = int(predicted_us(table, depth, pixels, 1000) * random.choice([0, 0.001, 0.7, 1, 1.1, 3, 1000]))
        tracker = observe(tracker, table, depth=depth, pixels=pixels, latency_us=latency)
        lines.append(_line([depth, pixels, latency, tracker.ratio_milli]))
    return "".join(lines)


def tiles() -> str:
    """Plans of random images, with windows as the tiler chooses them."""
    random = Random("tiles")
    lines = []
    for _ in range(TILED_IMAGES):
        halo, tile = random.choice([0, 1, 6, 10, 18, 34]), random.choice([1, 7, 16, 64, 384])
        grid = random.choice([1, 1, 4, 8])
        if grid > 1:
            halo *= grid // 2
        longest = min(4000, 40 * tile)
        size = [random.randint(1, random.choice([5, 40, longest])) for _ in range(2)]
        window = [window_size_px(side, tile_px=tile, halo_px=halo, grid_px=grid) for side in size]
        axes = [
            [[*span.window, *span.core] for span in plan_spans(side, window_px=length, halo_px=halo, grid_px=grid)]
            for side, length in zip(size, window, strict=True)
        ]
        lines.append(_line([size, tile, halo, grid, window, *axes]))
    return "".join(lines)


def whole_manifest() -> Manifest:
    """A manifest with every optional key."""
    depths = (2, 4)
    files = tuple(
        FileEntry(path=path, sha256=hashlib.sha256(path.encode()).hexdigest(), bytes=1000 + len(path))
        for path in (
            "MODEL_CARD.md",
            "net-d2.tflite",
            "net-d4.mlpackage/Data/model.mlmodel",
            "net-d4.mlpackage/Manifest.json",
        )
    )
    entries = tuple(
        DepthEntry(
            depth=depth,
            file=file,
            macs_per_pixel=MACS[depth],
            bops_per_pixel=16 * MACS[depth],
            peak_activation_bytes_per_pixel=102,
            halo_px=2 + 2 * depth,
            golden_sha256=hashlib.sha256(bytes([depth])).hexdigest(),
            signature="main" if depth == 4 else None,
            grid=TileGrid(step_px=8, halo_px=12) if depth == 2 else None,
            quality=(QualityEntry(dataset="Set5", psnr_db=36.79, ssim=0.955, images=5),),
        )
        for depth, file in zip(depths, ("net-d2.tflite", "net-d4.mlpackage"), strict=True)
    )
    return Manifest(
        name="net",
        target="tflite",
        storage=Storage.FAST,
        pack=Pack.PER_DEPTH,
        profile=Profile.PORTABLE,
        bits=4,
        scale=2,
        runtime="any 1.0",
        licence="Apache-2.0",
        input_size_px=(48, 64),
        more_sizes_px=((24, 40),),
        selector=default_policy(depths),
        latency=estimated_table({depth: MACS[depth] for depth in depths}),
        depths=entries,
        golden=GoldenInput(seed=2023, height_px=48, width_px=64),
        parity=(ParityEntry(kernels="xnnpack", depth=2, images=5, bytes_compared=10, mismatching_bytes=0),),
        provenance={"text": "é 漢字 \u2028", "number": 1e-3, "list": [None, True, {"a": []}]},
        files=files,
    )


def _sealed(table: dict[str, Any]) -> bytes:
    table.pop("manifest_sha256", None)
    body = (json.dumps(table, indent=2, ensure_ascii=False) + "\n").encode()
    return b"{\n" + f'  "manifest_sha256": "{hashlib.sha256(body).hexdigest()}",\n'.encode() + body.removeprefix(b"{\n")


def _places(value: object, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every key and index below a JSON value."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, entry in items:
        yield (*path, key)
        yield from _places(entry, (*path, key))


def _changed(random: Random, table: dict[str, Any]) -> str:
    """Change one value somewhere; what was changed, in words."""
    place = random.choice([p for p in _places(table) if p[0] != "provenance"])
    holder: Any = table
    for key in place[:-1]:
        holder = holder[key]
    old = holder[place[-1]]
    where = ".".join(map(str, place))
    kind = random.choice(["remove", "replace", "replace", "replace"])
    if kind == "remove":
        del holder[place[-1]]
        return f"{where} removed"
    choices: list[Any] = [None, True, "", "x", -1, 0, 1, 3, 1.5, 1.0, 2**53, 10**30, [], {}, "../up", "a//b", "a" * 300]
    if isinstance(old, int) and not isinstance(old, bool):
        choices += [old + 1, -old, float(old), str(old)]
    if isinstance(old, str):
        choices += [old.upper(), old + "\n", "/" + old, old + "/", old[:-1]]
    if isinstance(old, list):
        choices += [old * 2, old[::-1], old[:1]]
    holder[place[-1]] = random.choice(choices)
    return f"{where} = {holder[place[-1]]!r}"[:120]


def manifests() -> str:
    """Whole and damaged manifests, with the reference's verdict."""
    random = Random("manifests")
    whole = dump_manifest(whole_manifest())
    minimal = dump_manifest(
        replace(whole_manifest(), input_size_px=None, more_sizes_px=None, selector=None, latency=None, parity=())
    )
    cases: list[tuple[str, bytes]] = [("whole", whole), ("without optional keys", minimal)]

    def case(why: str, change: Callable[[dict[str, Any]], None]) -> None:
        table = json.loads(whole)
        change(table)
        cases.append((why, _sealed(table)))

    nothing = {"name": "a", "max_depth": 2, "unknown_counts": False}
    case("unchanged, sealed anew", lambda t: None)
    case("a later minor version with keys of its own", lambda t: t.update(schema_version="1.7", later={"a": [1]}))
    case("the next major version", lambda t: t.update(schema_version="2.0"))
    case("keys that are not known, deep inside", lambda t: t["depths"][0].update(later=1))
    case("a path that leaves the bundle", lambda t: t["files"][0].update(path="../evil"))
    case("an absolute path", lambda t: t["files"][0].update(path="/etc/passwd"))
    case("the manifest's own path", lambda t: t["files"][0].update(path="Manifest.JSON"))
    case("a path twice but for case", lambda t: t["files"][0].update(path="NET-d2.tflite"))
    case("a file within a file", lambda t: t["files"][0].update(path="net-d2.tflite/card"))
    case("a halo that does not fit its grid", lambda t: t["depths"][0]["grid"].update(halo_px=10))
    case("a grid that does not divide the input", lambda t: t["depths"][0]["grid"].update(step_px=12))
    case("a policy for another depth", lambda t: t["selector"].update(initial_depth=8))
    case("a latency table for another depth", lambda t: t["latency"]["entries"].pop())
    case("a reserved rule name", lambda t: t["selector"]["rules"][0].update(name="latency"))
    case(
        "a rule without condition",
        lambda t: t["selector"]["rules"].append(nothing),
    )
    case("two rules of one name", lambda t: t["selector"]["rules"].append(t["selector"]["rules"][0]))
    case("a golden input of another size", lambda t: t["golden"].update(height_px=47))
    case("parity for another depth", lambda t: t["parity"][0].update(depth=8))
    case("activations of 8 bits", lambda t: t.update(activation_bits=8))
    case("activations of 6 bits", lambda t: t.update(activation_bits=6))
    case("activations of no bits", lambda t: t.update(activation_bits=None))
    cases += [
        ("empty", b""),
        ("no object", b"[]"),
        ("Windows line ends", whole.replace(b"\n", b"\r\n")),
        ("a byte-order mark", b"\xef\xbb\xbf" + whole),
        ("not UTF-8", whole.replace("漢".encode(), b"\xe6\xbc")),
        ("edited after sealing", whole.replace(b'"scale": 2', b'"scale": 4')),
        ("a key twice", whole.replace(b'  "scale": 2', b'  "scale": 2,\n  "scale": 2')),
        ("text after the end", whole + b"x"),
        ("NaN", _sealed(json.loads(whole)).replace(b"36.79", b"NaN", 1)),
    ]
    while len(cases) < DAMAGED_MANIFESTS:
        if random.random() < 0.75:
            table = json.loads(whole)
            why = _changed(random, table)
            cases.append((why, _sealed(table)))
        else:
            content = bytearray(whole)
            position = random.randrange(len(content))
            if random.random() < 0.5:
                cases.append((f"cut after {position} bytes", bytes(content[:position])))
            else:
                content[position] ^= 1 << random.randrange(8)
                cases.append((f"a bit of byte {position} flipped", bytes(content)))
    lines = []
    for why, content in cases:
        try:
            parse_manifest(content, "m")
            accept = True
        except BundleError:
            accept = False
        entry: dict[str, Any] = {"accept": accept, "why": why}
        try:
            entry["text"] = content.decode()
        except UnicodeDecodeError:
            entry["base64"] = base64.b64encode(content).decode()
        lines.append(_line(entry))
    return "".join(lines)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sharpener:
    """A network that is easily written in every language; zero padding, a pixel of receptive field, and a tint.

    Each of the ``scale`` x ``scale`` output pixels of a pixel v is v plus a share of 4 v minus its four neighbours.
    """

    scale: int

    def run(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """(H, W, 3) -> (rH, rW, 3)."""
        levels = image.astype(np.int64)
        around = np.pad(levels, ((1, 1), (1, 1), (0, 0)))
        detail = 4 * levels - around[:-2, 1:-1] - around[2:, 1:-1] - around[1:-1, :-2] - around[1:-1, 2:]
        height, width, channels = image.shape
        upscaled = np.empty((height * self.scale, width * self.scale, channels), np.uint8)
        for y in range(self.scale):
            for x in range(self.scale):
                for channel in range(channels):
                    share = 1 + (y * self.scale + x + channel) % 3
                    level = levels[:, :, channel] + (detail[:, :, channel] * share >> 4) + channel - 1
                    upscaled[y :: self.scale, x :: self.scale, channel] = level.clip(0, 255)
        return upscaled


def _alphas(random: Random, height: int, width: int) -> dict[str, NDArray[np.uint8]]:
    """Kinds of transparency, computed in integers alone."""
    y, x = np.mgrid[0:height, 0:width]
    distance = (y - height * 2 // 5) ** 2 + (x - width * 4 // 9) ** 2
    radius = max(1, height // 3)
    noise = bytes(random.choices([0, 0, 1, 90, 200, 255], k=height * width))
    dots = np.zeros((height, width), np.uint8)
    dots[height // 3, width // 2], dots[-1, 0] = 1, 255
    return {
        "opaque": np.full((height, width), 255, np.uint8),
        "a soft disc": (255 * (radius**2 - distance) // radius).clip(0, 255).astype(np.uint8),
        "a shadow": (255 * radius**2 // (radius**2 + distance)).astype(np.uint8),
        "a hard edge": np.where(x + y > (height + width) // 2, 255, 0).astype(np.uint8),
        "noise": np.frombuffer(noise, np.uint8).reshape(height, width),
        "two dots": dots,
        "nothing to see": np.zeros((height, width), np.uint8),
        "half transparent": np.full((height, width), 128, np.uint8),
    }


def pictures() -> str:
    """Pictures with every kind of alpha, in colour and grey, of sizes that a pyramid and a grid do not divide."""
    random = Random("pictures")
    lines = []

    def case(why: str, colour: NDArray[np.uint8], alpha: NDArray[np.uint8], **network: int) -> None:
        height, width = alpha.shape
        seen = bled_colours(colour, alpha)
        entry: dict[str, Any] = {"why": why, "size": [height, width]}
        entry["argb"] = _base64(np.dstack([alpha, colour]))
        entry["seen"] = _base64(seen)
        if network:
            upscaled = upscale_picture(
                Sharpener(scale=network["scale"]),
                Picture(rgb=colour, alpha=None if (alpha == 255).all() else alpha, grey=False),
                scale=network["scale"],
                halo_px=network["halo"],
                grid_px=network["grid"],
                tile_px=network["tile"],
            )
            opacity = np.full(upscaled.rgb.shape[:2], 255, np.uint8) if upscaled.alpha is None else upscaled.alpha
            entry |= network | {"upscaled": _base64(np.dstack([opacity, upscaled.rgb]))}
        lines.append(_line(entry))

    networks = [
        {"scale": 2, "halo": 1, "grid": 1, "tile": 7},
        {"scale": 3, "halo": 1, "grid": 1, "tile": 5},
        {"scale": 4, "halo": 4, "grid": 4, "tile": 4},
        {"scale": 2, "halo": 4, "grid": 8, "tile": 100},
    ]
    for index, (height, width) in enumerate([(1, 1), (1, 9), (13, 17), (18, 11), (9, 2), (16, 16)]):
        noise = np.frombuffer(random.randbytes(height * width * 3), np.uint8).reshape(height, width, 3)
        for number, (kind, alpha) in enumerate(_alphas(random, height, width).items()):
            network = networks[(index + number) % len(networks)]
            grey = np.repeat(noise[:, :, :1], 3, axis=2)
            on_magenta = np.where(alpha[:, :, np.newaxis] == 0, np.array([255, 0, 255], np.uint8), grey)
            for name, colour in {"colour": noise, "grey": grey, "grey on hidden magenta": on_magenta}.items():
                if index == 2 or (index + number + len(name)) % 3 == 0:
                    case(f"{name}, {kind}", colour, alpha, **network)
    height, width = 83, 121
    smooth = np.add.outer(np.arange(height) * 2, np.arange(width))[:, :, np.newaxis] * np.array([1, 2, 3]) % 256
    for kind, alpha in _alphas(random, height, width).items():
        if kind in ("a soft disc", "noise", "two dots"):
            case(f"large, {kind}", smooth.astype(np.uint8), alpha)
    return "".join(lines)


def _base64(samples: NDArray[np.uint8]) -> str:
    return base64.b64encode(np.ascontiguousarray(samples).tobytes()).decode()


def vectors() -> dict[str, str]:
    """Every file's text, by its path."""
    return {
        **{f"selector/{name}.jsonl": selector_trace(name) for name in TRACES},
        "tracker.jsonl": tracker_trace(),
        "tiles.jsonl": tiles(),
        "manifests.jsonl": manifests(),
        "pictures.jsonl": pictures(),
    }


def main() -> None:
    """Write them."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
    for name, text in vectors().items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8", newline="\n")
        print(f"{name}: {text.count(chr(10)):,} lines, {len(text.encode()):,} bytes")


if __name__ == "__main__":
    main()
