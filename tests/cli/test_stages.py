"""The line that shows what a command is at."""

import io

from rich.console import Console

from qsr_edge.cli.stages import stages


def shown(*, terminal: bool) -> str:
    written = io.StringIO()
    console = Console(file=written, force_terminal=terminal, width=120, _environ={})
    with stages(console) as show:
        show("writing models", 0, 0)
        show("verifying depth 2 under xnnpack", 1, 4)
        show("verifying depth 4 under xnnpack", 2, 4)
    return written.getvalue()


def test_a_terminal_shows_the_stage_its_steps_and_the_time_left() -> None:
    text = shown(terminal=True)
    assert "verifying depth 4 under xnnpack" in text
    assert "2/4" in text
    assert "left:" in text


def test_elsewhere_nothing_is_written() -> None:
    assert shown(terminal=False) == ""
