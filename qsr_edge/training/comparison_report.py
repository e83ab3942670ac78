"""What a comparison found: JSON for machines, Markdown to read, a plot to look at."""

import json
import math
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from qsr_edge.errors import TrainingError
from qsr_edge.extras import how_to_install
from qsr_edge.files import atomic_write
from qsr_edge.recipe.compare import CompareRecipe, Method
from qsr_edge.training.compare import Result

LABELS = {
    Method.MIN_MAX: "min-max, STE (DoReFa-like)",
    Method.LEARNED_CLIP: "learned clipping (PACT, PAMS)",
    Method.LSQ: "LSQ",
    Method.RLQ_WITHOUT_PHI: "RLQ without phi (LSQ + shift)",
    Method.RLQ_WITHOUT_SHIFT: "RLQ without shift (LSQ + phi)",
    Method.RLQ: "RLQ",
    Method.INTEGER_SCALED: "integer network, scaled",
    Method.INTEGER_PORTABLE: "integer network, portable",
    Method.NO_DISTILLATION: "integer network, portable, without distillation",
    Method.DEPTH_BIASES: "integer network, portable, a tail bias per depth",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One method at one bit width on one test set at one depth.

    Attributes:
        method: what was trained.
        bits: of body weights and activations.
        test_set: name of the test set.
        depth: residual blocks.
        psnr_db: by seed.
        mean_db: over the seeds.
        sd_db: sample standard deviation over the seeds; NaN for one seed.
        difference_db: mean over the seeds of this method minus the reference at the same seed.
        difference_sd_db: sample standard deviation of those differences.
    """

    method: Method
    bits: int
    test_set: str
    depth: int
    psnr_db: tuple[float, ...]
    mean_db: float
    sd_db: float
    difference_db: float
    difference_sd_db: float


def _spread(values: Sequence[float]) -> float:
    return statistics.stdev(values) if len(values) > 1 else math.nan


def rows(recipe: CompareRecipe, results: Sequence[Result]) -> list[Row]:
    """The table, by bit width, test set, depth and method."""
    values = {
        (result.method, result.bits, result.seed, test_set, int(depth)): db
        for result in results
        for test_set, depths in result.psnr_db.items()
        for depth, db in depths.items()
    }
    table = []
    for bits in recipe.bits:
        for test_set in results[0].psnr_db:
            for depth in recipe.depths:
                reference = [values[recipe.reference, bits, seed, test_set, depth] for seed in recipe.seeds]
                for method in recipe.methods:
                    psnr_db = [values[method, bits, seed, test_set, depth] for seed in recipe.seeds]
                    differences = [a - b for a, b in zip(psnr_db, reference, strict=True)]
                    table.append(
                        Row(
                            method=method,
                            bits=bits,
                            test_set=test_set,
                            depth=depth,
                            psnr_db=tuple(psnr_db),
                            mean_db=round(statistics.fmean(psnr_db), 4),
                            sd_db=round(_spread(psnr_db), 4),
                            difference_db=round(statistics.fmean(differences), 4),
                            difference_sd_db=round(_spread(differences), 4),
                        )
                    )
    return table


def settings(recipe: CompareRecipe, results: Sequence[Result]) -> dict[str, object]:
    """Everything that the runs share."""
    images = results[0].training_images
    first = next(recipe.runs()).recipe
    return {
        "network": f"{recipe.architecture.value}, {recipe.channels} channels, {recipe.blocks} blocks, depths "
        + ", ".join(map(str, recipe.depths)),
        "scale": recipe.scale,
        "start": recipe.start,
        "iterations": recipe.iterations,
        "epochs": round(recipe.iterations * recipe.batch / images, 1),
        "training_images": images,
        "batch": recipe.batch,
        "patch_px": recipe.patch_px,
        "learning_rate": recipe.learning_rate,
        "schedule": "cosine to 1 %",
        "optimizer": f"Adam, gradient norm clipped at {first.gradient_clip}",
        "ema_decay": first.ema_decay,
        "gradient_products": recipe.precision.value,
        "seeds": list(recipe.seeds),
    }


def _plus_minus(mean: float, spread: float, *, signed: bool = False) -> str:
    text = f"{mean:+.3f}" if signed else f"{mean:.3f}"
    return text if math.isnan(spread) else f"{text} ± {spread:.3f}"


def _statistic(seeds: int) -> str:
    return "of one seed" if seeds == 1 else f"mean ± sample standard deviation over {seeds} seeds"


def markdown(recipe: CompareRecipe, results: Sequence[Result]) -> str:
    """The comparison as Markdown."""
    table = rows(recipe, results)
    lines = [f"# {recipe.name}", "", "Every run shares these settings; the patches drawn depend on the seed alone.", ""]
    lines += ["| Setting | Value |", "|---|---|"]
    for key, value in settings(recipe, results).items():
        text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
        lines.append(f"| {key.replace('_', ' ')} | {text} |")
    lines += [
        "",
        f"PSNR on luma in dB, {_statistic(len(recipe.seeds))}; in brackets the "
        f"difference from {LABELS[recipe.reference]} at the same seed.",
    ]
    columns = list(dict.fromkeys((row.test_set, row.depth) for row in table))
    cells = {
        (row.bits, row.method, row.test_set, row.depth): f"{_plus_minus(row.mean_db, row.sd_db)} "
        f"({_plus_minus(row.difference_db, row.difference_sd_db, signed=True)})"
        for row in table
    }
    for bits in recipe.bits:
        titles = [f"{name}, depth {depth}" if len(recipe.depths) > 1 else name for name, depth in columns]
        lines += ["", f"## {bits} bits", "", f"| Method | {' | '.join(titles)} |", "|---" * (len(titles) + 1) + "|"]
        for method in recipe.methods:
            values = [cells[bits, method, *column] for column in columns]
            lines.append(f"| {LABELS[method]} | {' | '.join(values)} |")
    return "\n".join([*lines, ""])


def plot(recipe: CompareRecipe, results: Sequence[Result], path: Path) -> None:
    """A dot for every seed, a bar for the mean; one panel for each bit width and test set, deepest depth.

    Raises:
        TrainingError: if matplotlib is missing.
    """
    try:
        from matplotlib import rcParams
        from matplotlib.figure import Figure
    except ImportError as error:
        raise TrainingError(f"the plot needs matplotlib; {how_to_install('train')}") from error
    table = [row for row in rows(recipe, results) if row.depth == recipe.depths[-1]]
    test_sets = list(dict.fromkeys(row.test_set for row in table))
    figure = Figure(
        figsize=(1.5 + 3.6 * len(test_sets), (0.9 + 0.32 * len(recipe.methods)) * len(recipe.bits)),
        layout="constrained",
    )
    panels = figure.subplots(len(recipe.bits), len(test_sets), squeeze=False, sharey=True)
    for i, bits in enumerate(recipe.bits):
        for j, test_set in enumerate(test_sets):
            axes = panels[i][j]
            for y, method in enumerate(recipe.methods):
                row = next(r for r in table if (r.bits, r.test_set, r.method) == (bits, test_set, method))
                axes.plot(row.psnr_db, [y] * len(row.psnr_db), "o", color="tab:blue", alpha=0.5, markersize=5)
                axes.plot([row.mean_db] * 2, [y - 0.3, y + 0.3], color="black", linewidth=1.5)
            axes.set_yticks(range(len(recipe.methods)), [LABELS[method] for method in recipe.methods])
            axes.set_title(f"{test_set}, {bits} bits", fontsize=10)
            axes.grid(axis="x", alpha=0.3)
            axes.set_xlabel("PSNR on luma, dB")
    panels[0][0].invert_yaxis()  # the panels share it; the first method on top
    rcParams["svg.hashsalt"] = recipe.name  # the same file for the same figures
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)


def write_report(recipe: CompareRecipe, results: Sequence[Result], folder: Path) -> None:
    """Write ``compare.json``, ``compare.md`` and ``compare.svg``."""
    content = {
        "name": recipe.name,
        "settings": settings(recipe, results),
        "rows": [
            {key: None if value != value else value for key, value in asdict(row).items()}
            for row in rows(recipe, results)
        ],
        "runs": [asdict(result) for result in results],
    }
    atomic_write(folder / "compare.json", (json.dumps(content, indent=2) + "\n").encode())
    atomic_write(folder / "compare.md", markdown(recipe, results).encode())
    plot(recipe, results, folder / "compare.svg")
