"""A connection to a phone that outlives its interruptions: what is asked is asked again once the phone is back."""

import time
from collections.abc import Callable
from typing import TypeVar

from qsr_edge.bench.android.adb import AdbDevice, AdbError, CommandError, ConnectionLostError, OfflineError
from qsr_edge.bench.device import DeviceLostError, Phase

T = TypeVar("T")
_LOOK_EVERY_S = 0.5
_BOOT_ID = "/proc/sys/kernel/random/boot_id"


class RebootedError(DeviceLostError):
    """The phone is there again, and has rebooted: nothing that ran on it runs any more."""


class Link:
    """One phone's connection during a run.

    Args:
        device: the phone.
        wait_s: how long it is waited for when it is gone.
        on_fault: told of each interruption, and of a reboot.
        on_status: told what is waited for.
    """

    def __init__(
        self,
        device: AdbDevice,
        *,
        wait_s: float,
        on_fault: Callable[[Phase, str], None] = lambda phase, message: None,
        on_status: Callable[[str], None] = lambda text: None,
    ) -> None:
        self.device = device
        self.phase = Phase.CONNECT
        self._wait_s = wait_s
        self._on_fault = on_fault
        self._on_status = on_status
        self._boot_id: str | None = None

    def keep(self, action: Callable[[], T]) -> T:
        """Do something that may be done twice, again after each interruption.

        Raises:
            RebootedError: once, if the phone came back from a reboot.
            ConnectionLostError: if it did not come back in time.
            AdbError: what ``action`` raises otherwise.
        """
        deadline: float | None = None
        while True:
            try:
                return action()
            except ConnectionLostError as error:
                now = time.monotonic()
                if deadline is None:
                    deadline = now + self._wait_s
                    self._on_fault(self.phase, str(error))
                elif now > deadline:
                    raise _lost(error, self._wait_s) from error
                else:
                    time.sleep(_LOOK_EVERY_S)
                self._await(deadline)

    def open(self) -> None:
        """Wait until the phone takes commands, and remember which boot of it this is; errors as :meth:`keep`."""
        self._boot_id = self.keep(self._read_boot_id)

    def _read_boot_id(self) -> str:
        self.device.check_ready()
        return self.device.run(f"cat {_BOOT_ID}").decode(errors="replace").strip()

    def _await(self, deadline: float) -> None:
        """Wait until the phone has booted and its user has unlocked it, at most until the deadline."""
        while True:
            try:
                boot_id = self._read_boot_id()
                if self.device.run("getprop sys.boot_completed").strip() != b"1":
                    raise OfflineError(f"{self.device.serial}: still booting")
                # The folder of the user's files is there once the phone was unlocked.
                self.device.run("ls -d /sdcard/")
                break
            except AdbError as error:
                left_s = deadline - time.monotonic()
                if left_s <= 0:
                    raise _lost(error, self._wait_s) from error
                advice = "unlock the phone" if isinstance(error, CommandError) else str(error)
                self._on_status(f"waiting for the phone, {left_s:.0f} s at most: {advice}")
                time.sleep(min(_LOOK_EVERY_S, left_s))
        known, self._boot_id = self._boot_id, boot_id
        if known is not None and known != boot_id:
            message = "the phone rebooted"
            self._on_fault(self.phase, message)
            raise RebootedError(message)


def _lost(error: AdbError, waited_s: float) -> ConnectionLostError:
    return ConnectionLostError(f"{error}; it did not come back within {waited_s:.0f} s (--wait-for-device)")
