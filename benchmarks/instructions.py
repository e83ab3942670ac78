"""Instructions of one inference on AArch64, counted under qemu: our files and others in LiteRT, by processor features.

    apt-get install gcc qemu-user
    make aarch64-root peers-env
    .venv-peers/bin/python benchmarks/peers.py --data DIR --models MODELS
    .venv-peers/bin/python benchmarks/instructions.py --data DIR --models MODELS -o docs/results/instructions.md

No phone was at hand when this was written. Under emulation a time means nothing, but the instructions that a phone's
processor would execute are counted exactly, by a plug-in of qemu (count_instructions.c): the kernels are those that the
runtime picks for the processor's features. Each model runs twice in one thread and the second run is counted.
"""

import platform
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import click
from int8_ends import without_ends
from peer_models import CONTENDERS, REFERENCE, Contender, prepare
from peer_page import DEPTHS
from peer_runtimes import Runtime

from qsr_edge.errors import QsrError
from qsr_edge.files import atomic_write

SIZE_PX = (64, 64)
DEPTH = 8
LIMIT_S = 3600
"""After which an emulated run hangs."""
LITERT = tuple(
    each
    for each in CONTENDERS
    if each.runtime is Runtime.LITERT or (each.runtime is Runtime.OURS and each.target == "tflite")
)
INT8_ENDS = f"{REFERENCE.label}, int8 in and out"
"""The reference without the nodes that make codes of the picture's bytes and bytes of codes; see int8_ends.py."""
ROWS = (*(each.label for each in LITERT), INT8_ENDS)
_HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Processor:
    """What qemu is to emulate.

    Attributes:
        model: as qemu calls it.
        label: in the table.
        features: as /proc/cpuinfo lists them; the runtime asks the kernel, too, and takes what either knows of.
        part: of the processor, as Arm numbers them.
    """

    model: str
    label: str
    features: str
    part: str


_OLD = "fp asimd evtstrm aes pmull sha1 sha2 crc32 cpuid"
_DOT = "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp"
PROCESSORS = (
    Processor(model="cortex-a53", label="Cortex-A53: neither", features=_OLD, part="0xd03"),
    Processor(model="cortex-a76", label="Cortex-A76: dot products", features=_DOT, part="0xd0b"),
    Processor(model="neoverse-n1", label="Neoverse N1: dot products", features=_DOT, part="0xd0c"),
    # qemu's SME is left out, see docs/numerics.md.
    Processor(model="max,sme=off", label="qemu's max: dot and matrix products", features=f"{_DOT} i8mm", part="0xd0b"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """Instructions of one inference, and how many of them multiply four or more bytes per lane."""

    instructions: int
    products: int


def _emulator() -> str:
    emulator = shutil.which("qemu-aarch64")
    compiler = shutil.which("cc")
    if emulator is None or compiler is None:
        raise click.ClickException("qemu-aarch64 or a C compiler is missing; on Debian: apt-get install gcc qemu-user")
    offered = subprocess.run([emulator, "--help"], capture_output=True, text=True, check=True).stdout
    if "-plugin" not in offered:
        raise click.ClickException(f"{emulator} was built without plug-ins; take one that has the option -plugin")
    return emulator


def _emulated_root(root: Path, folder: Path, processor: Processor) -> Path:
    """The folder of ``make aarch64-root`` with another processor's /proc/cpuinfo."""
    folder.mkdir()
    for entry in root.resolve().iterdir():
        if entry.name != "proc":
            (folder / entry.name).symlink_to(entry)
    (folder / "proc").mkdir()
    facts = {
        "processor": "0",
        "Features": processor.features,
        "CPU implementer": "0x41",
        "CPU architecture": "8",
        "CPU variant": "0x3",
        "CPU part": processor.part,
        "CPU revision": "0",
    }
    (folder / "proc/cpuinfo").write_text("".join(f"{name}\t: {value}\n" for name, value in facts.items()))
    return folder


def count(processor: Processor, models: Sequence[Path], root: Path, emulator: str, plugin: Path) -> list[Counted]:
    """Run each model once in one emulated process.

    Args:
        processor: to emulate.
        models: .tflite files of any input size.
        root: folder of ``make aarch64-root``.
        emulator: qemu-aarch64 with plug-ins.
        plugin: count_instructions.c, compiled.

    Raises:
        click.ClickException: if the emulated process fails.
    """
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        counts = folder / "counts"
        emulated = _emulated_root(root, folder / "root", processor)
        command = [
            emulator, "-cpu", processor.model, "-plugin", f"{plugin},out={counts}", "-L", emulated,
            emulated / "usr/bin/python3.11", _HERE / "instructions_guest.py", *map(str, SIZE_PX), *models,
        ]  # fmt: skip
        environment = {"PYTHONPATH": str(emulated / "site"), "PATH": "/usr/bin"}
        run = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, env=environment, check=False)
        marks = [tuple(map(int, line.split())) for line in counts.read_text().splitlines()]
    if run.returncode != 0 or len(marks) != 2 * len(models):
        raise click.ClickException(f"{processor.model}: {len(marks)} marks, {run.returncode}: {run.stderr[-600:]}")
    return [
        Counted(instructions=end[0] - begin[0], products=end[1] - begin[1])
        for begin, end in zip(marks[::2], marks[1::2], strict=True)
    ]


def _page(name: str, counted: dict[str, dict[str, Counted]], qemu: str) -> str:
    height, width = SIZE_PX
    header = " | ".join(processor.label for processor in PROCESSORS)
    lines = [
        "# Instructions per inference on AArch64",
        "",
        "Written, after `apt-get install gcc qemu-user`, `make aarch64-root peers-env` and",
        "`.venv-peers/bin/python benchmarks/peers.py --data DIR --models MODELS`, by",
        f"`.venv-peers/bin/python benchmarks/instructions.py --data DIR --models MODELS -o docs/results/{name}`.",
        "",
        f"x2, depth {DEPTH}, a picture of {width}x{height}, one thread, the second run of each model. Every",
        "instruction that the emulated processor executes is counted, by a plug-in of qemu. **No phone.** A count",
        "is not a time: a phone may run several instructions at once, and waits for memory. It tells how much",
        "work the kernels are that LiteRT picks for a processor. Counted anew it is the same, but for some",
        "thousand instructions of Python. *int8 in and out* is a file without the two nodes that turn the picture's",
        "bytes into codes and back ([speed.md](speed.md)).",
        "",
        f"ai-edge-litert {version('ai-edge-litert')}, ai-edge-quantizer {version('ai-edge-quantizer')}, {qemu},",
        f"emulated on {platform.machine()}.",
        "",
        f"## Ratios to {REFERENCE.label}",
        "",
        "Below 1 is fewer.",
        "",
        f"| | {header} |",
        "|---" + "|--:" * len(PROCESSORS) + "|",
    ]
    for label in ROWS:
        ratios = (
            row[label].instructions / row[REFERENCE.label].instructions
            for row in (counted[processor.model] for processor in PROCESSORS)
        )
        lines.append(f"| {label} | {' | '.join(f'{ratio:.3f}' for ratio in ratios)} |")
    lines += [
        "",
        "## Millions of instructions",
        "",
        "In brackets those of them that multiply and add vectors of bytes: dot products (SDOT, USDOT) and matrix",
        "products (SMMLA).",
        "",
        f"| | {header} |",
        "|---" + "|--:" * len(PROCESSORS) + "|",
    ]
    for label in ROWS:
        cells = (counted[processor.model][label] for processor in PROCESSORS)
        texts = (f"{each.instructions / 1e6:.1f} ({each.products / 1e6:.1f})" for each in cells)
        lines.append(f"| {label} | {' | '.join(texts)} |")
    return "\n".join(lines) + "\n"


@click.command()
@click.option("--data", envvar="QSR_EDGE_DATA", required=True, type=click.Path(path_type=Path, exists=True),
              help="Folder with train, test/Set5 and test_lr/Set5/X2.")  # fmt: skip
@click.option("--models", required=True, type=click.Path(path_type=Path), help="As benchmarks/peers.py prepares it.")
@click.option("--root", default=Path(".aarch64-root"), type=click.Path(path_type=Path, exists=True),
              help="Folder of `make aarch64-root`.")  # fmt: skip
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="Page to write, .md.")
def main(data: Path, models: Path, root: Path, output: Path) -> None:
    """Count, and write the page."""
    emulator = _emulator()

    def model(contender: Contender) -> Path:
        prepare(contender, models, DEPTHS, data)
        return contender.file(models.resolve(), DEPTH)

    try:
        files = [model(contender) for contender in LITERT]
    except QsrError as error:
        raise click.ClickException(str(error)) from error
    counted = {}
    with tempfile.TemporaryDirectory() as temporary:
        plugin, cut = Path(temporary) / "count.so", Path(temporary) / "int8.tflite"
        cut.write_bytes(without_ends(REFERENCE.file(models, DEPTH).read_bytes()))
        subprocess.run(["cc", "-shared", "-fPIC", "-O2", _HERE / "count_instructions.c", "-o", plugin], check=True)
        for processor in PROCESSORS:
            found = count(processor, [*files, cut], root, emulator, plugin)
            counted[processor.model] = dict(zip(ROWS, found, strict=True))
            click.echo(f"{processor.label}: {found}", err=True)
    shown = subprocess.run([emulator, "--version"], capture_output=True, text=True, check=True).stdout
    qemu = " ".join(shown.split()[:3])
    atomic_write(output, _page(output.name, counted, qemu).encode())
    click.echo(f"wrote {output}")


if __name__ == "__main__":
    main()
