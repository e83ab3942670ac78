"""Which files a batch of pictures is made of, and where each of them goes."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from qsr_edge.data.dataset import find_images
from qsr_edge.data.output_format import FORMATS, PNG, OutputFormat
from qsr_edge.errors import QsrError


class OutputChoice(StrEnum):
    """The format of a batch's outputs: each input's own, or one for all."""

    SAME = "same"
    PNG = "png"
    JPG = "jpg"
    WEBP = "webp"
    TIF = "tif"

    def suffix(self, source: Path) -> str:
        """The suffix of an output; what cannot be written in its own format becomes a PNG."""
        if self != OutputChoice.SAME:
            return f".{self}"
        suffix = source.suffix.lower()
        return suffix if suffix in FORMATS else PNG.suffix

    @property
    def of_stream(self) -> OutputFormat:
        """The format that is written to a stream, which has no name."""
        return PNG if self == OutputChoice.SAME else FORMATS[f".{self}"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A picture of a batch: its file, and its path within the folder that was named; ``a.png`` of its own."""

    path: Path
    within: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One picture of a batch.

    Attributes:
        source: its file.
        target: where the upscaled picture goes.
        refusal: why it cannot; empty if it can.
    """

    source: Path
    target: Path
    refusal: str = ""


def find_sources(inputs: Sequence[Path], *, recursive: bool, output: Path | None) -> tuple[Source, ...]:
    """The files of a batch, folders replaced by the pictures in them.

    Args:
        inputs: files and folders.
        recursive: whether folders within folders are searched.
        output: the folder for the outputs, whose pictures are no inputs though it may lie within an input.

    Raises:
        DatasetError: if a folder cannot be read, or holds no picture.
    """
    sources: list[Source] = []
    for path in dict.fromkeys(inputs):
        if not path.is_dir():
            sources.append(Source(path=path, within=Path(path.name)))
            continue
        inside = output is not None and output.resolve() != path.resolve()
        for file in find_images(path, recursive=recursive):
            if not (inside and output is not None and file.resolve().is_relative_to(output.resolve())):
                sources.append(Source(path=file, within=file.relative_to(path)))
    return tuple(sources)


def plan(sources: Sequence[Source], output: Path, scale: int, choice: OutputChoice) -> tuple[Job, ...]:
    """Where each picture of a batch goes: ``a/b.jpg`` to ``OUTPUT/a/b_x2.png``.

    Pictures that differ in their suffix alone get it into the name: ``b_jpg_x2.png``. Of several that still would
    become one file, all are refused, and the rest of the batch is not touched by it.
    """
    stems = Counter(_key(source.within.with_suffix(choice.suffix(source.path))) for source in sources)
    targets = []
    for source in sources:
        suffix = choice.suffix(source.path)
        stem = source.within.stem
        if stems[_key(source.within.with_suffix(suffix))] > 1:
            stem += source.within.suffix.lower().replace(".", "_")
        targets.append(output / source.within.parent / f"{stem}_x{scale}{suffix}")
    taken: dict[str, list[Path]] = {}
    for source, target in zip(sources, targets, strict=True):
        taken.setdefault(_key(target), []).append(source.path)
    jobs = []
    for source, target in zip(sources, targets, strict=True):
        rivals = [path for path in taken[_key(target)] if path != source.path]
        why = f"{rivals[0]} would become {target} as well; upscale them one by one" if rivals else ""
        jobs.append(Job(source=source.path, target=target, refusal=why))
    return tuple(jobs)


def _key(path: Path) -> str:
    """Equal for names that some file systems take for one."""
    return str(path).casefold()


def check_folder(output: Path, input_count: int, suffixes: Sequence[str]) -> None:
    """Refuse a name that cannot be meant as the folder of a batch.

    Raises:
        QsrError: if it is a file, or looks like the name of one picture.
    """
    if output.exists() and not output.is_dir():
        raise QsrError(f"{output}: is a file, but {input_count} inputs need a folder; choose another output")
    if not output.exists() and output.suffix.lower() in suffixes:
        raise QsrError(f"{output}: the name of one picture, for {input_count} inputs; name a folder")
