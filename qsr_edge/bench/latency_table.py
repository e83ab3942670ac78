"""Measured latencies into a bundle, where its selector uses them."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from qsr_edge.bench.protocol.header import RunHeader, Variant
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
    paths = dict.fromkeys(variant.bundle for variant in result.variants)
    tables = [(path, _table(path, result)) for path in paths]
    for path, table in tables:
        with open_bundle(Path(path)) as bundle:
            contents = {entry.path: (bundle.root / entry.path).read_bytes() for entry in bundle.manifest.files}
            write_bundle(Path(path), replace(bundle.manifest, latency=table, files=()), contents, force=True)
    return list(paths)


def check_update(header: RunHeader) -> None:
    """Refuse a run that cannot give its bundles a table, before any time is spent on it.

    Raises:
        BenchError: as :func:`update_bundles`.
        QsrError: likewise.
    """
    for path in dict.fromkeys(variant.bundle for variant in header.variants):
        _check_whole(path, [variant for variant in header.variants if variant.bundle == path])


def _check_whole(path: str, variants: Sequence[Variant]) -> None:
    with open_bundle(Path(path)) as bundle:
        offered = {entry.depth for entry in bundle.manifest.depths}
    kernels, depths = {variant.kernels for variant in variants}, {variant.depth for variant in variants}
    if len(kernels) != 1 or depths != offered:
        raise BenchError(
            f"{path}: a latency table needs every depth ({', '.join(map(str, sorted(offered)))}) under one family of "
            "kernels; leave --depth and --kernels out, or --update-bundle"
        )


def _table(path: str, result: RunResult) -> LatencyTable:
    own = [variant for variant in result.measured if variant.bundle == path]
    _check_whole(path, own)
    measured = {variant.depth: (variant, variant.latency) for variant in own if variant.latency is not None}
    entries, slowest = [], 1
    for depth, (variant, latency) in sorted(measured.items()):
        # Deeper is never faster but for noise.
        slowest = max(slowest, ceil_div(latency.p90_us * 1_000_000, variant.height_px * variant.width_px))
        entries.append(LatencyEntry(depth=depth, us_per_megapixel=slowest))
    device, first = result.device, own[0]
    simulator = "a SIMULATOR: " if device.simulator else ""
    source = (
        f"p90 on {simulator}{device.name}, {device.processor}, {first.kernels}, {result.header.job.threads} threads, "
        f"{first.width_px}x{first.height_px}"
    )
    return LatencyTable(source=source[:200], entries=tuple(entries))
