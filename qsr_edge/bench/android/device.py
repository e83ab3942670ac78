"""An Android phone by adb, as docs/device-protocol.md has it: its benchmark app measures, this side drives it."""

import re

from qsr_edge.bench.android.adb import AdbDevice
from qsr_edge.bench.android.claim import Claim
from qsr_edge.bench.android.device_files import DeviceFiles
from qsr_edge.bench.android.dumpsys import parse_condition
from qsr_edge.bench.android.link import Link
from qsr_edge.bench.android.part import AndroidPart, ResultsReader
from qsr_edge.bench.device import PartEnd, PartPlan, Sink
from qsr_edge.bench.device_kernels import app_kernels
from qsr_edge.bench.discovery import DEFAULT_POLL_S, DEFAULT_WAIT_S
from qsr_edge.bench.protocol.condition import Condition
from qsr_edge.bench.protocol.header import DeviceInfo
from qsr_edge.errors import BenchError

KIND = "android"

_PROPERTY = re.compile(r"\[(.*?)\]: \[(.*?)\]")
_EMULATED = {"ranchu", "goldfish", "cutf_cvm", "vbox86"}
_CPU_LIST = "/sys/devices/system/cpu/possible"


class AndroidDevice:
    """One phone.

    Args:
        device: as adb knows it.
        wait_s: how long it is waited for when it is gone.
        keep_files: whether pushed files stay on it for the next run.
        poll_s: how often results are asked for.
    """

    def __init__(
        self,
        device: AdbDevice,
        *,
        wait_s: float = DEFAULT_WAIT_S,
        keep_files: bool = False,
        poll_s: float = DEFAULT_POLL_S,
    ) -> None:
        self.adb = device
        self.wait_s = wait_s
        self.keep_files = keep_files
        self.poll_s = poll_s
        # A part whose phone is out of reach and may hold results.
        self._unread: AndroidPart | None = None
        # Whether an earlier part's results are there and were not fetched to their end.
        self._uncollected = False

    @property
    def id(self) -> str:
        """The serial, or what else adb calls it."""
        return self.adb.serial

    def describe(self) -> DeviceInfo:
        """What its properties say; raises ``AdbError`` if it cannot be reached."""
        self.adb.check_ready()
        properties = parse_properties(self.adb.run("getprop").decode(errors="replace"))
        cores = count_cores(self.adb.shell(f"cat {_CPU_LIST}").out.decode(errors="replace"))
        return describe_properties(self.id, properties, cores)

    def condition(self) -> Condition:
        """What its dumps say; raises ``AdbError`` if it cannot be reached."""
        battery = self.adb.shell("dumpsys battery").out.decode(errors="replace")
        thermal = self.adb.shell("dumpsys thermalservice").out.decode(errors="replace")
        return parse_condition(battery, thermal)

    def kernel_families(self, target: str) -> tuple[str, ...]:
        """Those of the app."""
        return app_kernels(target, KIND, f"{self.id}: Android's app")

    def run_part(self, plan: PartPlan, sink: Sink) -> PartEnd:
        """Measure one part by the app; see :class:`qsr_edge.bench.android.part.AndroidPart`."""
        part = AndroidPart(self.adb, plan, sink, wait_s=self.wait_s, poll_s=self.poll_s, read_condition=self.condition)
        self._unread = part
        try:
            end = part.run()
        except KeyboardInterrupt:
            if part.rescue():
                self._unread = None
            raise
        if not part.lost:
            self._unread = None
        return end

    def collect(self, run: str, part: int, received: int, sink: Sink) -> None:
        """Fetch what the part has measured and the log does not have."""
        if part < 1:
            return
        link = Link(self.adb, wait_s=self.wait_s, on_fault=sink.fault, on_status=sink.status)
        self._uncollected = True
        link.open()
        Claim(link, run).stop_app()
        ResultsReader(link, DeviceFiles(link, run), part, sink, skip=received).fetch()
        self._uncollected = False

    def clean(self, run: str) -> None:
        """Remove the run's folders, and the pushed files unless they are kept.

        After a part that ended out of reach, what it has measured is fetched first; without that, it stays.
        """
        part, self._unread = self._unread, None
        if self._uncollected or (part is not None and not part.rescue()):
            raise BenchError(f"{self.id}: its results and files stay on it; --resume fetches them and cleans up")
        link = Link(self.adb, wait_s=self.wait_s)
        DeviceFiles(link, run).remove(keep_files=self.keep_files, release=Claim(link, run).release)


def parse_properties(text: str) -> dict[str, str]:
    """What ``getprop`` lists; of what it does not list so, nothing."""
    return {match[1]: match[2] for line in text.splitlines() if (match := _PROPERTY.fullmatch(line.strip()))}


def count_cores(text: str) -> int:
    """How many a kernel's list such as ``0-3,5`` has; 0 for none that can be read."""
    count = 0
    for piece in text.strip().split(","):
        first, _, last = piece.partition("-")
        if not (first.isdecimal() and (last or first).isdecimal()) or len(piece) > 9:
            return 0
        count += int(last or first) - int(first) + 1
    return max(0, count)


def describe_properties(serial: str, properties: dict[str, str], cores: int) -> DeviceInfo:
    """What a phone is by its properties.

    It is a simulator if Android says that it runs in QEMU, or ``ro.qsr_edge.simulator`` is 1.
    """

    def first(*names: str) -> str:
        return next((properties[name].strip() for name in names if properties.get(name, "").strip()), "")

    maker, model = first("ro.product.manufacturer", "ro.product.brand"), first("ro.product.model")
    name = model if model.casefold().startswith(maker.casefold()) else f"{maker} {model}"
    # Android 12 brought ro.soc; before it, the platform stands for the processor.
    soc = f"{first('ro.soc.manufacturer')} {first('ro.soc.model')}".strip()
    flags = ("ro.boot.qemu", "ro.kernel.qemu", "ro.qsr_edge.simulator")
    hardware = first("ro.hardware", "ro.boot.hardware")
    release, level = first("ro.build.version.release"), first("ro.build.version.sdk")
    return DeviceInfo(
        kind=KIND,
        id=serial,
        name=name.strip() or serial,
        processor=soc or first("ro.board.platform", "ro.hardware", "ro.product.board") or "unknown",
        system=f"Android {release or '?'} (API {level or '?'})",
        cores=cores,
        simulator=any(properties.get(flag) == "1" for flag in flags) or hardware in _EMULATED,
        architecture=first("ro.product.cpu.abi"),
        build=first("ro.build.display.id") or None,
    )
