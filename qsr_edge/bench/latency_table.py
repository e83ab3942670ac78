"""Measured latencies into a bundle, where its selector uses them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from qsr_edge.bench.protocol.log import Record
from qsr_edge.bench.result import RunResult
from qsr_edge.bundle.reader import open_bundle
from qsr_edge.bundle.writer import write_bundle
from qsr_edge.errors import BenchError
from qsr_edge.selector.latency import LatencyEntry, LatencyTable, ceil_div


def update_bundles(result: RunResult) -> list[str]:
    """Write a run's latencies (p90) into its bundles; the paths that were written.

    Raises:
        BenchError: if not every depth of a bundle was measured under one family of kernels, or the run is invalid.
        QsrError: if a bundle is gone or cannot be written.
    """
    if result.invalid:
        raise BenchError(f"the run is invalid ({result.invalid[0]}), so the bundle's latency table stays; measure anew")
    paths = dict.fromkeys(entry["bundle"] for entry in result.header["variants"])
    tables = [(path, _table(path, result)) for path in paths]
    for path, table in tables:
        with open_bundle(Path(path)) as bundle:
            contents = {entry.path: (bundle.root / entry.path).read_bytes() for entry in bundle.manifest.files}
            write_bundle(Path(path), replace(bundle.manifest, latency=table, files=()), contents, force=True)
    return list(paths)


def check_update(header: Record) -> None:
    """Refuse a run that cannot give its bundles a table, before any time is spent on it.

    Raises:
        BenchError: as :func:`update_bundles`.
        QsrError: likewise.
    """
    for path in dict.fromkeys(entry["bundle"] for entry in header["variants"]):
        _check_whole(path, [entry for entry in header["variants"] if entry["bundle"] == path])


def _check_whole(path: str, entries: Sequence[Mapping[str, Any]]) -> None:
    with open_bundle(Path(path)) as bundle:
        offered = {entry.depth for entry in bundle.manifest.depths}
    if len({entry["kernels"] for entry in entries}) != 1 or {entry["depth"] for entry in entries} != offered:
        raise BenchError(
            f"{path}: a latency table needs every depth ({', '.join(map(str, sorted(offered)))}) under one family of "
            "kernels; leave --depth and --kernels out, or --update-bundle"
        )


def _table(path: str, result: RunResult) -> LatencyTable:
    by_label = {variant.label: variant for variant in result.variants}
    own = [entry for entry in result.header["variants"] if entry["bundle"] == path and entry["label"] in by_label]
    _check_whole(path, own)
    measured = {entry["depth"]: entry for entry in own}
    entries, slowest = [], 1
    for depth, entry in sorted(measured.items()):
        pixels = entry["height_px"] * entry["width_px"]
        # Deeper is never faster but for noise.
        slowest = max(slowest, ceil_div(by_label[entry["label"]].latency.p90_us * 1_000_000, pixels))
        entries.append(LatencyEntry(depth=depth, us_per_megapixel=slowest))
    device, threads = result.header["device"], result.header["job"]["threads"]
    simulator = "a SIMULATOR: " if device.get("simulator") else ""
    size = f"{own[0]['width_px']}x{own[0]['height_px']}"
    source = (
        f"p90 on {simulator}{device['name']}, {device['processor']}, {own[0]['kernels']}, {threads} threads, {size}"
    )
    return LatencyTable(source=source[:200], entries=tuple(entries))
