"""Quality against latency: which figures may stand on one axis, and which variants nothing else beats."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from qsr_edge.bench.result import VariantResult
from qsr_edge.report.run import Run


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A variant with what it costs and what it gives.

    Attributes:
        variant: what was measured.
        latency_us: median of the steady state.
        psnr_db: of the panel's basis.
        pareto: whether no other variant of the panel is at least as fast and as good, and better in one of them.
    """

    variant: VariantResult
    latency_us: int
    psnr_db: float
    pareto: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """Variants whose latency and quality are comparable: same scale factor, same input size, same pictures.

    Attributes:
        run: whose variants these are.
        basis: of which pictures the PSNR is a mean, for people.
        measured: whether it was computed from this run's pictures, not taken from the bundle.
        scale, height_px, width_px: shared by the variants.
        points: by latency.
    """

    run: Run
    basis: str
    measured: bool
    scale: int
    height_px: int
    width_px: int
    points: tuple[Point, ...]

    @property
    def front(self) -> tuple[Point, ...]:
        """The Pareto front, by latency."""
        return tuple(point for point in self.points if point.pareto)


def mean_psnr_db(variant: VariantResult, images: Sequence[str] | None = None) -> float | None:
    """Mean over images (all that have one, or those named); None if one of them is missing or there is none."""
    values = {image.image: image.psnr_db for image in variant.images if image.psnr_db is not None}
    wanted = list(values) if images is None else list(images)
    if not wanted or any(name not in values for name in wanted):
        return None
    return fmean(values[name] for name in wanted)


def panels(run: Run) -> tuple[Panel, ...]:
    """A run's variants in as few panels as comparability allows.

    This run's own pictures come first: where variants have the same ones. Otherwise a data set that the manifests of
    all variants recorded. What fits neither goes into panels of its own.
    """
    groups: dict[tuple[int, int, int], list[VariantResult]] = {}
    for variant in run.measured:
        groups.setdefault((variant.scale, variant.height_px, variant.width_px), []).append(variant)
    found = []
    for shape, variants in groups.items():
        for (basis, measured), quality in _bases(run, variants):
            found.append(_panel(run, shape, basis, measured, quality))
    return tuple(found)


Quality = list[tuple[VariantResult, float]]


def _bases(run: Run, variants: Sequence[VariantResult]) -> list[tuple[tuple[str, bool], Quality]]:
    by_images: dict[tuple[str, ...], Quality] = {}
    for variant in variants:
        names = tuple(sorted(image.image for image in variant.images if image.psnr_db is not None))
        psnr_db = mean_psnr_db(variant)
        if psnr_db is not None:
            by_images.setdefault(names, []).append((variant, psnr_db))
    datasets: dict[str, Quality] = {}
    for variant in variants:
        for dataset, recorded_db in {entry.dataset: entry.psnr_db for entry in variant.recorded}.items():
            if recorded_db is not None:
                datasets.setdefault(dataset, []).append((variant, recorded_db))
    # The bases that cover most variants first, this run's own pictures before recorded data sets.
    candidates = [((_named(names), True), quality) for names, quality in by_images.items()]
    candidates += [((name, False), quality) for name, quality in datasets.items()]
    candidates.sort(key=lambda entry: (-len(entry[1]), not entry[0][1]))
    chosen, covered = [], set[str]()
    for basis, quality in candidates:
        if any(variant.label not in covered for variant, _ in quality):
            chosen.append((basis, quality))
            covered |= {variant.label for variant, _ in quality}
    return chosen


def _named(images: Sequence[str]) -> str:
    if len(images) == 1:
        return f"the image {images[0]}"
    return f"{len(images)} images ({', '.join(images)})" if len(images) <= 4 else f"{len(images)} images"


def _panel(run: Run, shape: tuple[int, int, int], basis: str, measured: bool, quality: Quality) -> Panel:
    figures = [(variant, variant.latency.p50_us, psnr_db) for variant, psnr_db in quality if variant.latency]
    points = [
        Point(
            variant=variant,
            latency_us=us,
            psnr_db=db,
            pareto=not any(
                other_us <= us and other_db >= db and (other_us < us or other_db > db)
                for _, other_us, other_db in figures
            ),
        )
        for variant, us, db in figures
    ]
    scale, height_px, width_px = shape
    return Panel(
        run=run,
        basis=basis,
        measured=measured,
        scale=scale,
        height_px=height_px,
        width_px=width_px,
        points=tuple(sorted(points, key=lambda point: (point.latency_us, -point.psnr_db))),
    )
