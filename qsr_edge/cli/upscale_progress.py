"""How far a batch of pictures is: over all of them, with the time left."""

import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from PIL import Image
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

# What a picture counts whose size is not known beforehand.
_UNKNOWN_PX = 1_000_000


class BatchProgress:
    """A line on the terminal that measures the batch in pixels, as time grows with them; nothing elsewhere."""

    def __init__(self, sources: Sequence[Path]) -> None:
        """``sources``: the files, in the order in which they are begun."""
        console = Console(stderr=True)
        self._shown = console.is_terminal
        self._sources = sources
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:.0f} %"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not self._shown,
            # Lines of a pipe must not go to the terminal.
            redirect_stdout=sys.stdout.isatty(),
        )
        self._sizes_px = [_size_px(source) for source in sources] if self._shown else [_UNKNOWN_PX] * len(sources)
        self._task = self._bar.add_task("", total=sum(self._sizes_px) or 1)
        self._begun = 0
        self._name = ""
        self._before_px = 0

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def begin(self, source: Path) -> None:
        """A file is begun."""
        self._begun += 1
        count = f"{self._begun}/{len(self._sources)} " if len(self._sources) > 1 else ""
        self._name = f"{count}{source.name}"
        self._bar.update(self._task, description=self._name)

    def wait_for(self, network: str) -> None:
        """Show that the file that was begun waits for a network to be ready; until it advances."""
        self._bar.update(self._task, description=f"{self._name}: looking for {network}, or converting it")

    def advance(self, tile: int, tiles: int) -> None:
        """Show that ``tile`` of ``tiles`` are done of the file that was begun."""
        size_px = self._sizes_px[self._begun - 1]
        done_px = self._before_px + size_px * tile / tiles
        self._bar.update(self._task, completed=done_px, description=self._name)

    def end(self) -> None:
        """The file is done, or has failed."""
        self._before_px += self._sizes_px[self._begun - 1]
        self._bar.update(self._task, completed=self._before_px)


def _size_px(source: Path) -> int:
    """Pixels of a file by its header, frames of an animation not counted; a guess if that cannot be read."""
    with suppress(Exception), Image.open(source) as image:  # a header that cannot be read is told when the file is
        return max(1, image.width * image.height)
    return _UNKNOWN_PX
