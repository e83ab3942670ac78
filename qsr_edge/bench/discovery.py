"""What a search for devices is told and what it finds; each kind of device searches in its own folder."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from qsr_edge.bench.device import Device, Runner
from qsr_edge.errors import BenchError

DEFAULT_WAIT_S = 120.0
DEFAULT_POLL_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Invitation:
    """Where a browser is to go.

    Attributes:
        address: to open, its secret included.
        exposed: what others can reach meanwhile, in a sentence or two; empty if that is nobody.
    """

    address: str
    exposed: str


def _nobody(invitation: Invitation) -> None:
    """Whoever asks for a browser in a program tells its user by ``DeviceOptions.invite``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceOptions:
    """How devices are reached.

    Attributes:
        adb: the program; None for that of ``ANDROID_HOME`` or the PATH.
        wait_for_device_s: how long a device that vanished is waited for.
        keep_files: whether pushed files stay on the device for the next run.
        runner: what runs the models on a phone.
        runner_binary: of a runner that is not the app.
        poll_s: how often results are asked for.
        lan: whether a browser elsewhere on the local network may come, not one of this machine alone.
        port: where a browser is waited for; 0 for any that is free.
        invite: told where a browser is to go, when one is waited for.
    """

    adb: Path | None = None
    wait_for_device_s: float = DEFAULT_WAIT_S
    keep_files: bool = False
    runner: Runner = Runner.APP
    runner_binary: Path | None = None
    poll_s: float = DEFAULT_POLL_S
    lan: bool = False
    port: int = 0
    invite: Callable[[Invitation], None] = _nobody

    def __post_init__(self) -> None:
        """Refuse a runner without its binary, and the reverse."""
        if (self.runner is not Runner.APP) != (self.runner_binary is not None):
            raise BenchError("--runner benchmark_model and executor_runner need --runner-binary PATH, and only they do")
        if self.runner_binary is not None and not self.runner_binary.is_file():
            raise BenchError(f"--runner-binary {self.runner_binary}: there is no such file")


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A device that was found.

    Attributes:
        kind: of it, as :class:`qsr_edge.bench.device.DeviceInfo` has it.
        id: what tells it from others.
        names: what it may be called by, besides its id: model, product...
        state: ``ready``, or why it is not.
        remedy: how it becomes ready; empty if it is.
        device: to measure on; None if it is not ready.
        on_demand: whether it comes only when it is waited for, by its name: a browser. So ``all`` does not mean it, and
            nothing is known of it before.
    """

    kind: str
    id: str
    names: tuple[str, ...]
    state: str
    remedy: str
    device: Device | None
    on_demand: bool = False

    def matches(self, query: str) -> bool:
        """Whether the query is a part of its id or of a name; cases and punctuation make no difference."""
        return any(_plain(query) in _plain(name) for name in (self.id, *self.names))

    def as_text(self) -> str:
        """One line for a list."""
        name = f" ({self.names[0]})" if self.names and self.names[0] else ""
        state = f", {self.state}: {self.remedy}" if self.device is None else ""
        return f"{self.id}{name}{state}"


def _plain(text: str) -> str:
    # adb writes "Pixel 8 Pro" as "Pixel_8_Pro", and "SM-G991B" as "SM_G991B".
    return re.sub(r"[^0-9a-z]+", "_", text.casefold())
