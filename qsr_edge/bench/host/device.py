"""This machine as a device."""

import os
import platform
from pathlib import Path

from qsr_edge.bench.device import PartEnd, PartPlan, Sink
from qsr_edge.bench.host.measurement import run_job
from qsr_edge.bench.protocol.condition import Condition
from qsr_edge.bench.protocol.header import DeviceInfo
from qsr_edge.bench.protocol.records import End, Image, Record
from qsr_edge.bench.sink_recorder import SinkRecorder
from qsr_edge.conversion.registry import find_backend
from qsr_edge.files import temporary_folder

KIND = "host"
_THERMAL = Path("/sys/class/thermal")
_POWER = Path("/sys/class/power_supply")
_CPU_INFO = Path("/proc/cpuinfo")


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None


def _integers(paths: list[Path]) -> list[int]:
    texts = [_read(path) or "" for path in paths]
    return [int(text) for text in texts if text.removeprefix("-").isdecimal()]


def host_condition() -> Condition:
    """The state of this machine, as far as the system tells it; the hottest zone stands for all."""
    temperatures = _integers(sorted(_THERMAL.glob("thermal_zone*/temp")))
    online = _integers(sorted(_POWER.glob("*/online")))
    # A worn battery may say more than it can.
    charge = [min(percent, 100) for percent in _integers(sorted(_POWER.glob("BAT*/capacity"))) if percent >= 0]
    frequencies = _integers(sorted(Path("/sys/devices/system/cpu").glob("cpu[0-9]*/cpufreq/scaling_cur_freq")))
    return Condition(
        temperature_mc=max(temperatures, default=None),
        battery_percent=charge[0] if charge else None,
        plugged_in=1 in online if online else None,
        load_milli=round(1000 * os.getloadavg()[0]),
        cpu_khz=tuple(frequencies) or None,
    )


class HostDevice:
    """This machine; all runtimes that are installed."""

    id = KIND

    def describe(self) -> DeviceInfo:
        """Processor, cores, system."""
        model = None
        for line in (_read(_CPU_INFO) or "").splitlines():
            if line.startswith(("model name", "Model")):
                model = line.partition(":")[2].strip()
                break
        return DeviceInfo(
            kind=KIND,
            id=self.id,
            name=platform.node() or "this machine",
            processor=model or platform.processor() or platform.machine(),
            architecture=platform.machine(),
            cores=os.cpu_count() or 0,
            system=f"{platform.system()} {platform.release()}",
            simulator=False,
            build=f"Python {platform.python_version()}",
        )

    def condition(self) -> Condition:
        """How it is now."""
        return host_condition()

    def kernel_families(self, target: str) -> tuple[str, ...]:
        """The installed runtime's families of kernels; raises ``BackendError`` naming the extra to install."""
        return find_backend(target).kernel_families()

    def run_part(self, plan: PartPlan, sink: Sink) -> PartEnd:
        """Measure in worker processes of this machine."""
        with temporary_folder("bench") as folder:
            job = plan.job(
                bundles={variant.bundle: variant.bundle for variant in plan.variants},
                images={image.name: image.path for image in plan.images},
                results=str(folder / "results.jsonl"),
                outputs=str(folder / "outputs"),
            )
            forwarder = _Forwarder(sink, Path(job.outputs))
            complete = run_job(job, forwarder, host_condition)
            return PartEnd(complete=complete, reason=forwarder.reason)

    def collect(self, run: str, part: int, received: int, sink: Sink) -> None:
        """Every record was handed on as it came."""

    def clean(self, run: str) -> None:
        """Nothing is left on this machine."""


class _Forwarder(SinkRecorder):
    """Hands an agent's records on at once, with the pictures that they name."""

    def __init__(self, sink: Sink, outputs: Path):
        super().__init__(sink)
        self._outputs = outputs
        self.reason = ""

    def write(self, record: Record) -> None:
        super().write(record)
        if isinstance(record, Image):
            path = self._outputs / record.output
            self._sink.output(record, path.read_bytes())
            path.unlink()
        if isinstance(record, End):
            self.reason = record.reason or ""
