"""The page of benchmarks/peers.py: tables, what is ahead of ours, and a picture of PSNR over CPU time."""

import json
import math
import os
import platform
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from statistics import median

from peer_models import (
    CALIBRATION_PICTURES,
    CALIBRATION_SIDE_PX,
    CONTENDERS,
    PACKAGES,
    REFERENCE,
    Contender,
    network_macs,
)

from qsr_edge.files import atomic_write

CASES = ((8, (180, 320)), (8, (64, 64)), (2, (180, 320)), (2, (64, 64)))
"""Depth, and (height, width) of the picture; the largest is the first."""
DEPTHS = (2, 8)
THREADS = (1, 2)
PEAKS = ("XNNPACK", "oneDNN")
"""Whose multiplication of int8 matrices is measured beside the networks."""
CONFIDENCE = 0.95


def _processor() -> str:
    facts = dict.fromkeys(("model name", "flags"), "")
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() in facts:
            facts[name.strip()] = value.strip()
    wanted = ("avx2", "avx_vnni", "avx512_vnni", "amx_int8", "asimddp", "i8mm")
    return f"{facts['model name']} ({', '.join(name for name in wanted if name in facts['flags'].split())})"


@dataclass(slots=True, kw_only=True)
class Measured:
    """Everything that was measured.

    Attributes:
        machine: processor and what of it int8 networks use.
        cores: that the run might use.
        versions: of the packages.
        asked: for how many rounds, as options of the command.
        rounds: by ``<threads> <case>``: of each round, [wall ms, CPU ms] by label.
        memory_bytes: what the network at depth 8, 320x180 adds to the process's peak, by label, 1 thread.
        peak_macs: multiply-accumulates of one multiplication, by peak.
        psnr_db: on Set5, by label and depth.
        file_bytes: by label and depth.
    """

    machine: str = field(default_factory=_processor)
    cores: int = field(default_factory=lambda: os.cpu_count() or 1)
    versions: dict[str, str] = field(default_factory=lambda: {name: version(name) for name in PACKAGES})
    asked: str = ""
    rounds: dict[str, list[dict[str, list[float]]]] = field(default_factory=dict)
    memory_bytes: dict[str, int] = field(default_factory=dict)
    peak_macs: dict[str, int] = field(default_factory=dict)
    psnr_db: dict[str, dict[str, float]] = field(default_factory=dict)
    file_bytes: dict[str, dict[str, int]] = field(default_factory=dict)


def read_results(path: Path) -> Measured:
    """What an earlier run wrote beside its page."""
    return Measured(**json.loads(path.read_text(encoding="utf-8")))


def write_results(path: Path, measured: Measured) -> None:
    """All that was measured, as JSON."""
    atomic_write(path, json.dumps(asdict(measured)).encode() + b"\n")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio:
    """The median of ratios, and an interval that holds the true median with 95 % confidence."""

    middle: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.middle:.2f} ({self.low:.2f}-{self.high:.2f})"


def median_ratio(ratios: list[float]) -> Ratio:
    """By order statistics: the k-th smallest and largest, k from the binomial distribution; 6 ratios at least."""
    ordered, n = sorted(ratios), len(ratios)
    k, outside = 0, 2 * 0.5**n
    while outside <= 1 - CONFIDENCE:
        k += 1
        outside += 2 * math.comb(n, k) * 0.5**n
    return Ratio(middle=median(ordered), low=ordered[max(k - 1, 0)], high=ordered[min(n - k, n - 1)])


def ratio_to_reference(measured: Measured, label: str, threads: int, case: int, which: int) -> Ratio:
    """Of the wall clock (0) or CPU time (1)."""
    rounds = measured.rounds[f"{threads} {case}"]
    return median_ratio([times[label][which] / times[REFERENCE.label][which] for times in rounds])


def ratio_to_limit(measured: Measured, label: str, case: int, peak: str) -> Ratio:
    """CPU time, one thread, over what the network's multiply-accumulates take at the rate of a large matrix."""
    depth, (height, width) = CASES[case]
    work = network_macs(depth) * height * width / measured.peak_macs[peak]
    return median_ratio([times[label][1] / (work * times[peak][1]) for times in measured.rounds[f"1 {case}"]])


def _shown(measured: Measured) -> list[Contender]:
    return [each for each in CONTENDERS if each.label in measured.psnr_db]


def _case_name(case: int) -> str:
    depth, (height, width) = CASES[case]
    return f"depth {depth}, {width}x{height}"


def _times_table(measured: Measured, case: int) -> list[str]:
    lines = [
        f"### {_case_name(case)[0].upper()}{_case_name(case)[1:]}",
        "",
        "| | CPU ms | CPU time, 1 thread | wall clock | CPU time, 2 threads | wall clock |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    for contender in _shown(measured):
        label = contender.label
        cpu_ms = median(times[label][1] for times in measured.rounds[f"1 {case}"])
        cells = [
            str(ratio_to_reference(measured, label, threads, case, which)) for threads in THREADS for which in (1, 0)
        ]
        lines.append(f"| {label} | {cpu_ms:.2f} | {' | '.join(cells)} |")
    return [*lines, ""]


def _ahead(measured: Measured) -> list[str]:
    """Peers whose CPU time is less with confidence, and whether their PSNR is more."""
    lines = []
    for contender in _shown(measured):
        if contender.network:
            continue
        faster = []
        for case in range(len(CASES)):
            for threads in THREADS:
                ratio = ratio_to_reference(measured, contender.label, threads, case, 1)
                if ratio.high < 1:
                    faster.append(f"{_case_name(case)}, {threads} thread(s): {ratio.middle:.2f}")
        gains = {
            depth: measured.psnr_db[contender.label][str(depth)] - measured.psnr_db[REFERENCE.label][str(depth)]
            for depth in DEPTHS
        }
        psnr = ", ".join(f"{gain:+.2f} dB at depth {depth}" for depth, gain in gains.items())
        if faster:
            lines.append(
                f"- **{contender.label}** needs less CPU time ({'; '.join(faster)}); PSNR against ours: {psnr}."
            )
        elif min(gains.values()) > 0:
            lines.append(f"- **{contender.label}** is nearer to the original: {psnr}.")
    return lines or ["None, in CPU time or PSNR."]


def _picture(path: Path, measured: Measured) -> None:
    from matplotlib import rcParams
    from matplotlib.figure import Figure
    from matplotlib.ticker import NullFormatter, ScalarFormatter

    rcParams["svg.hashsalt"] = path.stem
    figure = Figure(figsize=(9, 9), layout="constrained")
    for axes, case in zip(figure.subplots(2, 1), (0, 2), strict=True):
        depth = CASES[case][0]
        points = [
            (ratio_to_reference(measured, each.label, 1, case, 1).middle, each) for each in _shown(measured)
        ]  # fmt: skip
        for place, (x, contender) in enumerate(sorted(points, key=lambda point: point[0])):
            y = measured.psnr_db[contender.label][str(depth)]
            colour = "tab:blue" if contender.network else "tab:orange"
            label = f"{place + 1}: {contender.label}"
            axes.plot(x, y, "o" if contender.network else "s", color=colour, label=label)
            # Neighbours in time stand apart in height.
            offset = (0, (8, 18, -14, -24)[place % 4])
            line = {"arrowstyle": "-", "linewidth": 0.4}
            axes.annotate(
                str(place + 1), (x, y), xytext=offset, textcoords="offset points", ha="center", arrowprops=line,
                fontsize=8,
            )  # fmt: skip
        axes.set(
            xscale="log", title=f"{_case_name(case)}: blue ours, orange peers",
            xlabel=f"CPU time, 1 thread, as a ratio to {REFERENCE.label}", ylabel="PSNR on Set5, dB",
        )  # fmt: skip
        axes.margins(y=0.15)
        axes.set_xticks([0.5, 1, 2, 4])
        axes.xaxis.set_major_formatter(ScalarFormatter())
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), fontsize=7)
    figure.savefig(path, metadata={"Date": None})


def write_page(path: Path, measured: Measured) -> None:
    """Write the page, the picture beside it and what was measured."""
    done = {threads: len(measured.rounds[f"{threads} 0"]) for threads in THREADS}
    lines = [
        "# Other runtimes and quantizers, side by side",
        "",
        "Written, after `make peers-env`, by",
        f"`.venv-peers/bin/python benchmarks/peers.py --data DIR -o docs/results/peers.md {measured.asked}`.",
        f"Rounds: {', '.join(f'{rounds} with {threads} thread(s)' for threads, rounds in done.items())}.",
        f"What was measured, round by round: [{path.stem}.json]({path.stem}.json).",
        "",
        f"- *Machine*: {platform.machine()}, {measured.machine},",
        f"  {measured.cores} cores. **No phone.**",
        f"- *Versions*: {', '.join(f'{name} {number}' for name, number in measured.versions.items())}.",
        "- *Peers* run the bundled float network `x2_fp32`, or what their own quantizers made of it from",
        f"  {CALIBRATION_PICTURES} pictures, {CALIBRATION_SIDE_PX} pixels a side. ai-edge-quantizer by default takes",
        "  a moving average of ranges; *careful* takes what all pictures need. The others have their defaults.",
        "- *ncnn* is here in float only: its tools for 8 bits are not in its Python package.",
        "- *Ours* are trained at their bit widths, from the same float network or others ([quality.md](quality.md)).",
        f"- *Ratios* are to **{REFERENCE.label}**, of one round each: median, and a 95 % interval of it. Below 1 is",
        "  faster. The more other work the machine has, the wider the interval; one that holds 1 tells no difference.",
        "- *Timed* is the runtime's own call. Peers are given float or int8 tensors; turning pictures into them is not",
        "  counted, which favours peers: ours take and give the picture's bytes.",
        "- Float is float32: OpenVINO and ncnn were told not to use 16 bits.",
        "",
        "## What is ahead of ours",
        "",
        *_ahead(measured),
        "",
        f"![PSNR over CPU time]({path.stem}.svg)",
        "",
        "## Quality, bytes and memory",
        "",
        "Memory is what the network adds to its process's peak at depth 8, 320x180, 1 thread; the runtime's own is not",
        "counted.",
        "",
        "| | Set5 PSNR, depths 2 / 8 | bytes, depths 2 / 8 | memory, MB |",
        "|---|--:|--:|--:|",
    ]
    absent = [each.label for each in CONTENDERS if each.label not in measured.psnr_db]
    for contender in _shown(measured):
        psnr = " / ".join(f"{value:.2f}" for _, value in sorted(measured.psnr_db[contender.label].items()))
        sizes = " / ".join(f"{value:,}" for _, value in sorted(measured.file_bytes[contender.label].items()))
        lines.append(f"| {contender.label} | {psnr} | {sizes} | {measured.memory_bytes[contender.label] / 1e6:.1f} |")
    if absent:
        lines += ["", f"Left out of this run: {'; '.join(absent)}."]
    lines += ["", "## Time", ""]
    for case in range(len(CASES)):
        lines += _times_table(measured, case)
    lines += [
        "## Against the machine's limit",
        "",
        "The limit is the rate at which a library multiplies int8 matrices of 768x768, measured in the same rounds:",
        "XNNPACK's through a fully connected layer of LiteRT, and oneDNN's through torch. Where the processor has AMX,",
        "one library may use its tiles and another not, and the convolutions of a library not where its matrices do.",
        "Ratios are CPU time over what the network's multiply-accumulates would take at that rate, 1 thread.",
        "",
        "| | " + " | ".join(f"{peak}, 10⁹ multiply-accumulates a second" for peak in PEAKS) + " |",
        "|---" * (len(PEAKS) + 1) + "|",
    ]
    for case in range(len(CASES)):
        rates = [
            f"{median(measured.peak_macs[peak] / times[peak][1] / 1e6 for times in measured.rounds[f'1 {case}']):.0f}"
            for peak in PEAKS
        ]
        lines.append(f"| measured between runs of {_case_name(case)} | {' | '.join(rates)} |")
    lines += ["", "| | against " + " | against ".join(PEAKS) + " |", "|---" * (len(PEAKS) + 1) + "|"]
    for case in range(len(CASES)):
        for contender in _shown(measured):
            if (contender.target == "tflite" and not contender.compact) or contender.label == "OpenVINO, int8":
                cells = [str(ratio_to_limit(measured, contender.label, case, peak)) for peak in PEAKS]
                lines.append(f"| {contender.label}, {_case_name(case)} | {' | '.join(cells)} |")
    _picture(path.with_suffix(".svg"), measured)
    atomic_write(path, ("\n".join(lines) + "\n").encode())
