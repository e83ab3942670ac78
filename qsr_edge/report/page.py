"""The page: one HTML file with everything in it, which loads nothing and runs nothing but its own script.

Texts of runs are untrusted. The template escapes everything; charts are serialized trees; a content security policy
names the hashes of the page's one style and one script, so that nothing else could run or load even so.
"""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from qsr_edge import __version__
from qsr_edge.bench.result import bits_name
from qsr_edge.report.charts import (
    bits_class,
    distribution_chart,
    marker,
    minutes_high_us,
    quality_chart,
    ratio_chart,
    target_shape,
    timeline_chart,
)
from qsr_edge.report.findings import Caveat, caveats, sentences, slowdown
from qsr_edge.report.pictures import BUDGET_BYTES, Comparable, Gallery, gather
from qsr_edge.report.quality import Panel, panels
from qsr_edge.report.regression import METHOD, Change, Comparison, Verdict
from qsr_edge.report.run import Run, headings
from qsr_edge.report.svg import Element, element, serialize
from qsr_edge.report.tables import (
    Table,
    change_table,
    environment_table,
    figures_table,
    minutes_table,
    panel_table,
    placement_table,
    quality_table,
    side_by_side_table,
    unmatched,
    verdict,
)

WIDE_PX, NARROW_PX = 960, 400
_HERE = Path(__file__).parent
GLOSSARY = (
    (
        "p50, p90, p99",
        "The median, and what 90 and 99 of 100 inferences did not exceed; measured values, not interpolated.",
    ),
    ("load, first", "Loading the model into a fresh process, and the first inference after it."),
    ("CPU", "Median CPU time of an inference, all threads together; above the median latency, several threads worked."),
    ("peak", "Most memory of the measuring process, its runtime included."),
    (
        "model, GMAC",
        "Size of the model with weights that it shares, and billions of multiply-accumulates of one inference at the "
        "timed size.",
    ),
    (
        "energy",
        "Mean battery power of the sustained phase times its mean latency: of the whole device, screen included.",
    ),
    ("golden bytes", "Whether the device computed the very bytes of the reference interpreter for a fixed input."),
    ("Pareto front", "The variants that no other one of the same chart beats in latency and quality at once."),
    ("thermal status", "Android's scale: 0 none, 1 light, 2 moderate, 3 severe, 4 critical, 5 emergency, 6 shutdown."),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """A chart for wide and for narrow screens."""

    wide: Markup
    narrow: Markup


@dataclass(frozen=True, slots=True, kw_only=True)
class PanelView:
    """A chart of quality against latency with its words and its table."""

    heading: str
    note: str
    chart: Drawn
    table: Table


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineView:
    """A sustained phase with its words and its table."""

    heading: str
    note: str
    chart: Markup
    table: Table


@dataclass(frozen=True, slots=True, kw_only=True)
class RunView:
    """What the page shows of a run."""

    heading: str
    caveats: tuple[Caveat, ...]
    sentences: tuple[str, ...]
    distribution: Drawn | None
    figures: Table
    placement: Table | None
    timelines: tuple[TimelineView, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparisonView:
    """What the page shows of a run against the baseline."""

    heading: str
    verdict: str
    cautions: tuple[str, ...]
    unmatched: list[str]
    chart: Drawn
    table: Table


def render_page(
    runs: Sequence[Run], comparisons: Sequence[Comparison] = (), *, picture_budget_bytes: int = BUDGET_BYTES
) -> str:
    """The page of one or more runs.

    Args:
        runs: in the order to show them.
        comparisons: of some of them with a baseline.
        picture_budget_bytes: of all pictures together.

    Raises:
        BenchError: if a run names a picture outside its folder.
    """
    names = headings(runs)
    found = [(name, panel) for run, name in zip(runs, names, strict=True) for panel in panels(run)]
    gallery = gather(runs, picture_budget_bytes)
    style, script = ((_HERE / name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    environment = Environment(
        loader=FileSystemLoader(_HERE), autoescape=True, undefined=StrictUndefined, keep_trailing_newline=True
    )
    views = [_run_view(run, name, several=len(runs) > 1) for run, name in zip(runs, names, strict=True)]
    context: dict[str, Any] = {
        "title": _title(runs),
        "version": __version__,
        "policy": _policy(style, script),
        "style": Markup(style),
        "script": Markup(script),
        "several": len(runs) > 1,
        "runs": views,
        "side_by_side": side_by_side_table(runs) if len(runs) > 1 else None,
        "comparisons": [_comparison_view(comparison) for comparison in comparisons],
        "regression_method": f"{METHOD}. Latencies within a round share the device's state, so single latencies are "
        "not resampled. An interval that holds 1 shows no difference; runs of different days differ by more than it "
        "tells.",
        "panels": [
            _panel_view(panel, name, [each for _, each in found], several=len(runs) > 1) for name, panel in found
        ],
        "legend": _legend([panel for _, panel in found]),
        "gallery": _gallery_view(gallery),
        "viewer_data": _viewer_data(gallery),
        "any_sustained": any(view.timelines for view in views),
        "environment": environment_table(runs),
        "quality_tables": [table for run in runs if (table := quality_table(run)) is not None],
        "glossary": GLOSSARY,
        "sources": [str(run.folder.name or run.folder) for run in runs],
        "sections": _sections(bool(comparisons)),
    }
    return environment.get_template("page.html.j2").render(context)


def _title(runs: Sequence[Run]) -> str:
    titles = list(dict.fromkeys(run.title for run in runs))
    if len(titles) > 3:
        return f"{len(titles)} devices"
    return titles[0] if len(titles) == 1 else f"{', '.join(titles[:-1])} and {titles[-1]}"


def _sections(compared: bool) -> list[tuple[str, str]]:
    sections = [("summary", "Summary"), ("quality", "Quality against latency"), ("pictures", "Pictures"),
                ("distribution", "Latency, size, memory"), ("sustained", "Sustained load"),
                ("environment", "Environment"), ("reading", "How to read this")]  # fmt: skip
    return [*sections[:1], ("baseline", "Against the baseline"), *sections[1:]] if compared else sections


def _policy(style: str, script: str) -> str:
    """A content security policy that allows this style, this script and inlined pictures, and nothing else."""

    def source(content: str) -> str:
        return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"

    return (
        f"default-src 'none'; img-src data:; style-src {source(style)}; script-src {source(script)}; base-uri 'none'; "
        "form-action 'none'"
    )


def _markup(node: Element) -> Markup:
    return Markup(serialize(node))


def _run_view(run: Run, heading: str, *, several: bool) -> RunView:
    high_us = minutes_high_us(run.variants)
    timelines = []
    for variant in run.variants:
        if variant.minutes:
            ratio = slowdown(variant)
            note = "" if ratio is None else f"last minute's median ×{ratio:.2f} of the first minute's"
            timelines.append(
                TimelineView(
                    heading=variant.label,
                    note=note,
                    chart=_markup(timeline_chart(variant, high_us)),
                    table=minutes_table(run, variant),
                )
            )
    drawn = None
    if run.measured:
        drawn = Drawn(
            wide=_markup(distribution_chart(run.measured, WIDE_PX)),
            narrow=_markup(distribution_chart(run.measured, NARROW_PX)),
        )
    return RunView(
        heading=heading,
        caveats=caveats(run),
        sentences=sentences(run, panels(run)),
        distribution=drawn,
        figures=figures_table(run),
        placement=placement_table(run),
        timelines=tuple(timelines),
    )


def _panel_view(panel: Panel, name: str, every: Sequence[Panel], *, several: bool) -> PanelView:
    # Only what is comparable shares axes.
    shared = [each for each in every if (each.scale, each.basis) == (panel.scale, panel.basis)]
    measured = "measured on this device's outputs" if panel.measured else "recorded in the bundle"
    return PanelView(
        heading=f"{name}, ×{panel.scale}" if several else f"×{panel.scale}",
        note=f"PSNR on {panel.basis}, {measured}; timed input {panel.width_px}×{panel.height_px}",
        chart=Drawn(
            wide=_markup(quality_chart(panel, shared, WIDE_PX)), narrow=_markup(quality_chart(panel, shared, NARROW_PX))
        ),
        table=panel_table(panel),
    )


def _legend(found: Sequence[Panel]) -> list[dict[str, object]]:
    """Colours are bit widths, shapes are targets; nothing where there is but one of both."""
    variants = [point.variant for panel in found for point in panel.points]
    bits = sorted({variant.bits for variant in variants}, key=lambda width: (width is None, width or 0))
    targets = sorted({variant.target for variant in variants})
    if len(bits) * len(targets) <= 1:
        return []

    def mark(shape: str, class_: str) -> Markup:
        drawn = marker(shape, 9, 9, class_)
        return _markup(element("svg", drawn, viewBox="0 0 18 18", aria_hidden="true"))

    entries: list[dict[str, object]] = []
    for width in bits:
        entries.append({"mark": mark("circle", f"marker {bits_class(width)}"), "name": bits_name(width)})
    if len(targets) > 1:
        entries += [
            {"mark": mark(target_shape(target), "marker hollow bits-other"), "name": target} for target in targets
        ]
    return entries


def _comparison_view(comparison: Comparison) -> ComparisonView:
    changes = [change for change in comparison.changes if change.ratio is not None]
    chart = Drawn(wide=_markup(ratio_chart(comparison, WIDE_PX)), narrow=_markup(ratio_chart(comparison, NARROW_PX)))
    run, baseline = comparison.run, comparison.baseline
    return ComparisonView(
        heading=f"{run.title} ({run.id}) against {baseline.title} ({baseline.id})",
        verdict=_told(changes),
        cautions=comparison.cautions,
        unmatched=unmatched(comparison),
        chart=chart,
        table=change_table(comparison),
    )


def _told(changes: Sequence[Change]) -> str:
    """The comparison in a sentence: how many, how much, and the worst by name."""
    slower, faster = (
        [change for change in changes if change.verdict is each] for each in (Verdict.SLOWER, Verdict.FASTER)
    )
    undecided = len(changes) - len(slower) - len(faster)
    told = f"Variants: {len(slower)} slower, {len(faster)} faster, {undecided} without a difference."
    if slower:
        worst = max(slower, key=lambda change: change.ratio or 0)
        told += f" Worst: {worst.label}, {verdict(worst)}."
    return told


def _note(image: Comparable) -> str:
    whole = f"{image.full_width_px}×{image.full_height_px}"
    if not image.cropped:
        small = f"{image.width_px // image.scale}×{image.height_px // image.scale}"
        return f"The whole image, {whole} pixels; the input is {small}."
    region = f"{image.width_px}×{image.height_px}"
    return (
        f"A region of {region} pixels of the {whole} image, from ({image.left_px}, {image.top_px}); "
        "it is the part with the most detail that keeps this page small. PSNR is of the whole image."
    )


def _gallery_view(gallery: Gallery) -> dict[str, object]:
    pictures = {picture.id: picture for picture in gallery.pictures}
    shown: set[str] = set()
    images = []
    for image in gallery.images:
        by_id: dict[str, list[str]] = {}
        groups = {version.group for version in image.versions if version.depth is not None}
        for version in image.versions:
            name = version.label if version.depth is None or len(groups) == 1 else f"{version.label} ({version.group})"
            by_id.setdefault(version.id, []).append(name)
        entries = []
        for identity, labels in by_id.items():
            picture = pictures[identity]
            uri = "" if identity in shown else picture.uri
            shown.add(identity)
            size = {"width_px": picture.width_px, "height_px": picture.height_px}
            entries.append({"id": identity, "uri": uri, "labels": labels, **size})
        images.append(
            {
                "name": image.name,
                "scale": image.scale,
                "scale_shown": len({each.scale for each in gallery.images}) > 1,
                "note": _note(image),
                "pictures": entries,
            }
        )
    return {"images": images, "problems": gallery.problems}


def _viewer_data(gallery: Gallery) -> list[dict[str, object]]:
    entries = []
    for image in gallery.images:
        depths = [(version.depth, -index) for index, version in enumerate(image.versions) if version.depth is not None]
        entries.append(
            {
                "name": image.name,
                "width_px": image.width_px,
                "height_px": image.height_px,
                "note": _note(image),
                # Bicubic against the deepest network: what there is to gain.
                "first_left": 1,
                "first_right": -max(depths)[1] if depths else 0,
                "versions": [
                    {"id": version.id, "label": version.label, "group": version.group, "psnr_db": version.psnr_db}
                    for version in image.versions
                ],
            }
        )
    return entries
