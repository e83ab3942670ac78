"""Runs of ``qsr-edge bench`` on a simulated device of whatever kind."""

from collections.abc import Callable
from pathlib import Path

import pytest

from qsr_edge.bench.device import Device
from qsr_edge.bench.protocol.log import read_log
from qsr_edge.bench.protocol.records import End
from qsr_edge.bench.run import measure_run
from qsr_edge.errors import BenchError


def end_then_resume(folder: Path, device: Device, mend: Callable[[], object], words: str) -> None:
    """A run ends with ``words`` and keeps what it had; after ``mend`` it goes on to its end."""
    with pytest.raises(BenchError, match=words):
        measure_run(folder, device)
    kept = read_log(folder)
    assert isinstance(kept[-1], End)
    assert kept[-1].complete is False
    mend()
    measure_run(folder, device)
    assert read_log(folder)[: len(kept)] == kept
