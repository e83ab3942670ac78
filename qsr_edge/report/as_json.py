"""Everything that the page tells as JSON, for programs; raw latencies stay in the runs."""

from collections.abc import Sequence
from dataclasses import asdict

from qsr_edge.bench.protocol.header import DeviceInfo
from qsr_edge.bench.result import VariantResult
from qsr_edge.report.findings import caveats
from qsr_edge.report.quality import Panel, panels
from qsr_edge.report.regression import METHOD, Comparison
from qsr_edge.report.run import Run

JSON_SCHEMA = 1


def as_json(runs: Sequence[Run], comparisons: Sequence[Comparison]) -> dict[str, object]:
    """Runs and comparisons as JSON values; the keys are those of :data:`JSON_SCHEMA`."""
    return {
        "schema": JSON_SCHEMA,
        "runs": [_run(run) for run in runs],
        "baseline": [
            {
                "run": str(comparison.run.folder),
                "baseline": str(comparison.baseline.folder),
                "method": METHOD,
                "cautions": comparison.cautions,
                "variants": [asdict(change) for change in comparison.changes],
            }
            for comparison in comparisons
        ],
    }


def _run(run: Run) -> dict[str, object]:
    header, job = run.header, run.header.job
    gate = None if job.gate is None else {
        "max_thermal_status": job.gate.max_thermal_status,
        "max_temperature_mc": job.gate.max_temperature_mc,
    }  # fmt: skip
    return {
        "folder": str(run.folder),
        "id": run.id,
        "version": header.version,
        "began_ms": header.time_ms,
        "device": _device(run.device),
        "agents": run.agents,
        "queries": job.queries,
        "steady_ms": job.steady_ms,
        "sustained_ms": job.sustained_ms,
        "threads": job.threads,
        "gate": gate,
        "variants": [_variant(variant) for variant in run.variants],
        "images": run.images,
        "parts": run.parts,
        "complete": run.complete,
        "reason": run.reason,
        "invalid": run.invalid,
        "faults": [{"phase": fault.phase, "message": fault.message} for fault in run.faults],
        "errors": run.errors,
        "thermal_statuses": run.thermal_statuses,
        "power_save": run.power_save,
        "load": run.load,
        "low_memory": run.low_memory,
        "averages": [asdict(average) for average in run.averages],
        "cooled": run.cooled,
        "caveats": [asdict(caveat) for caveat in caveats(run)],
        "quality": [_panel(panel) for panel in panels(run)],
    }


def _device(device: DeviceInfo) -> dict[str, object]:
    return {
        "kind": device.kind,
        "id": device.id,
        "name": device.name,
        "processor": device.processor,
        "system": device.system,
        "cores": device.cores,
        "simulator": device.simulator,
        "timer_us": device.timer_us,
        "details": device.details,
    }


def _variant(variant: VariantResult) -> dict[str, object]:
    return {
        "label": variant.label,
        "name": variant.name,
        "target": variant.target,
        "kernels": variant.kernels,
        "runtime": variant.runtime,
        "depth": variant.depth,
        "bits": variant.bits,
        "scale": variant.scale,
        "height_px": variant.height_px,
        "width_px": variant.width_px,
        "model_bytes": variant.model_bytes,
        "macs_per_pixel": variant.macs_per_pixel,
        "recorded": [{"dataset": entry.dataset, "psnr_db": entry.psnr_db} for entry in variant.recorded],
        "images": [asdict(image) for image in variant.images],
        "latency": None if variant.latency is None else asdict(variant.latency),
        "cpu_us": variant.cpu_us,
        "load_us": variant.load_us,
        "first_us": variant.first_us,
        "peak_bytes": variant.peak_bytes,
        "golden_equal": variant.golden_equal,
        "placement": None if variant.placement is None else asdict(variant.placement),
        "minutes": [asdict(minute) for minute in variant.minutes],
        "states": len(variant.states),
        "energy_mj": variant.energy_mj,
        "rounds": len(variant.rounds_us),
    }


def _panel(panel: Panel) -> dict[str, object]:
    return {
        "basis": panel.basis,
        "measured": panel.measured,
        "scale": panel.scale,
        "height_px": panel.height_px,
        "width_px": panel.width_px,
        "points": [
            {
                "variant": point.variant.label,
                "latency_us": point.latency_us,
                "psnr_db": point.psnr_db,
                "pareto": point.pareto,
            }
            for point in panel.points
        ],
    }
