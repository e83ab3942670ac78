"""What a command is at: its stage, and where steps can be counted how many are done and the time left."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from qsr_edge.conversion.parity import OnStage


@contextmanager
def stages(console: Console) -> Iterator[OnStage]:
    """A line on the terminal, gone at the end; nothing elsewhere.

    The time left is that of the steps, as fast as those before it; it is not told before two are done.
    """
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left:"),
        TimeRemainingColumn(),
    )
    # Steps may be minutes apart: the speed is that of all of them, not of the last half minute.
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal,
                  speed_estimate_period=3600) as progress:  # fmt: skip
        uncounted = progress.add_task("starting", total=None)
        counted = progress.add_task("", total=1, visible=False, start=False)

        def show(text: str, done: int, total: int) -> None:
            if not total:
                progress.update(uncounted, description=text)
                return
            if not progress.tasks[1].started:
                progress.update(uncounted, visible=False)
                progress.start_task(counted)
            progress.update(counted, description=text, completed=done, total=total, visible=True)

        yield show
