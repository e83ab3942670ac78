"""Model cards: what a bundle or a checkpoint is, how it was trained and how to verify it, as Markdown."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict

from qsr_edge.bundle.manifest import DepthEntry, Manifest, ParityEntry, QualityEntry
from qsr_edge.graph.cost import is_tiled
from qsr_edge.nn.checkpoint import Checkpoint

# Settings that a reader looks for first, in this order; the others follow by name.
_FIRST_SETTINGS = ("scale", "bits", "profile", "iterations", "batch", "learning_rate", "seed")


def _text(value: object) -> str:
    """A JSON value within a table's cell."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(f"{_text(key)} = {_text(entry)}" for key, entry in sorted(value.items()))
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(_text(entry) for entry in value)
    if isinstance(value, int):
        return f"{value:,}" if abs(value) >= 10_000 else str(value)
    # Text from outside must not end the cell, nor become a tag or a line.
    plain = " ".join(str(value).split())
    for special in "\\|<>`*[]":
        plain = plain.replace(special, f"\\{special}")
    return plain


def _table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    lines = [f"| {' | '.join(header)} |", f"|{'---|' * len(header)}"]
    lines += [f"| {' | '.join(_text(cell) for cell in row)} |" for row in rows]
    return lines


def _quality_columns(quality: Iterable[Sequence[QualityEntry]]) -> list[str]:
    """Names of all data sets, in order of appearance."""
    return list(dict.fromkeys(entry.dataset for entries in quality for entry in entries))


def _quality_cells(entries: Sequence[QualityEntry], datasets: Sequence[str]) -> list[str]:
    by_name = {entry.dataset: entry for entry in entries}
    return [f"{by_name[name].psnr_db:.2f} / {by_name[name].ssim:.4f}" if name in by_name else "–" for name in datasets]


def _stages(provenance: Mapping[str, object]) -> list[Mapping[str, object]]:
    """Each training run on the way to the network, the first one first."""
    stages: list[Mapping[str, object]] = []
    stage: object = provenance
    while isinstance(stage, Mapping):
        stages.append(stage)
        stage = stage.get("start")
    return stages[::-1]


def _training(provenance: Mapping[str, object]) -> list[str]:
    lines = ["## Training", ""]
    stages = _stages(provenance)
    if not any(stages):
        return [*lines, "Not recorded.", ""]
    if len(stages) > 1:
        lines += [f"In {len(stages)} stages; each starts from the network that the one before it ended with.", ""]
    for number, stage in enumerate(stages, start=1):
        recipe = stage.get("recipe")
        settings = dict(recipe) if isinstance(recipe, Mapping) else {}
        first = [key for key in _FIRST_SETTINGS if key in settings]
        names = [*first, *sorted(settings.keys() - set(first) - {"name"})]
        facts = {key: value for key, value in stage.items() if key not in ("recipe", "start", "quality", "calibration")}
        lines += [f"### {number}. {_text(settings.get('name', 'without a recipe'))}", ""]
        rows = [(key.replace("_", " "), facts[key]) for key in sorted(facts)]
        rows += [(name.replace("_", " "), settings[name]) for name in names]
        lines += [*_table(("Setting", "Value"), rows), ""]
    return lines


def _calibration(provenance: Mapping[str, object]) -> list[str]:
    """What becoming integer cost, for networks whose body alone was quantized by training."""
    found = provenance.get("calibration")
    depths = found.get("depths") if isinstance(found, Mapping) else None
    if not (isinstance(found, Mapping) and isinstance(depths, Sequence)):
        return []
    lines = [
        "## From the trained network to integers",
        "",
        f"Mean PSNR in dB on luma, on {_text(found.get('measured_images'))} images; step sizes were "
        f"calibrated on {_text(found.get('images'))} others.",
        "",
    ]
    entries = [entry for entry in depths if isinstance(entry, Mapping) and isinstance(entry.get("psnr_db"), Mapping)]
    stages = list(dict.fromkeys(stage for entry in entries for stage in entry["psnr_db"]))
    header = ["Depth", *(str(stage).replace("_", " ") for stage in stages)]
    rows = [(entry.get("depth"), *(_decibels(entry["psnr_db"].get(stage)) for stage in stages)) for entry in entries]
    return [*lines, *_table(header, rows), ""]


def _decibels(value: object) -> object:
    return f"{value:.3f}" if isinstance(value, float) else value


def _costs(manifest: Manifest) -> list[str]:
    datasets = _quality_columns(entry.quality for entry in manifest.depths)
    header = ["Depth", *datasets, "MACs per pixel", "BOPs per pixel", "Peak activations", "Halo", "File", "Bytes"]
    rows = [
        (
            entry.depth,
            *_quality_cells(entry.quality, datasets),
            entry.macs_per_pixel,
            entry.bops_per_pixel,
            f"{entry.peak_activation_bytes_per_pixel} B per pixel",
            _halo(entry),
            f"{entry.file}, signature {entry.signature}" if entry.signature else entry.file,
            manifest.model_bytes(entry.file),
        )
        for entry in manifest.depths
    ]
    lines = ["## Depths", ""]
    if datasets:
        lines += ["PSNR in dB and SSIM of the deployed integer graph, on luma (BT.601), borders cropped.", ""]
    return [*lines, "Costs are per pixel of the input.", "", *_table(header, rows), ""]


def _halo(entry: DepthEntry) -> str:
    if entry.grid:
        return f"{entry.grid.halo_px} px, tiles at multiples of {entry.grid.step_px} px"
    return f"{entry.halo_px} px" if is_tiled(entry.halo_px) else "the whole picture"


def _parity(manifest: Manifest) -> list[str]:
    lines = ["## Parity", ""]
    if not manifest.parity:
        return [*lines, "Not verified at conversion.", ""]
    lines += [f"Bytes of output of {_text(manifest.runtime)} that differ from the golden interpreter's.", ""]
    header = ["Kernels", "Depth", "Images", "Bytes compared", "Mismatching bytes"]
    rows: list[tuple[object, ...]] = [
        (entry.kernels, entry.depth, entry.images, entry.bytes_compared, entry.mismatching_bytes)
        for entry in manifest.parity
    ]
    if any(entry.max_difference is not None for entry in manifest.parity):
        header += ["Largest, in levels", "Mean, in levels", "PSNR lost on a photo"]
        rows = [(*row, *_difference_cells(entry)) for row, entry in zip(rows, manifest.parity, strict=True)]
    return [*lines, *_table(header, rows), ""]


def _difference_cells(entry: ParityEntry) -> tuple[object, ...]:
    mean = None if entry.mean_difference is None else f"{entry.mean_difference:.3f}"
    cost = None if entry.psnr_cost_db is None else f"{entry.psnr_cost_db:.3f} dB"
    return entry.max_difference, mean, cost


def _verification(manifest: Manifest) -> list[str]:
    golden = manifest.golden
    if manifest.deployment and not manifest.deployment.byte_exact:
        return ["## Verifying it", "", "This flavour need not compute the integer graph's bytes: measure its PSNR.", ""]
    return [
        "## Verifying it",
        "",
        f"A device that computes what was measured here turns the golden input, {golden.height_px} rows of "
        f"{golden.width_px} RGB pixels of noise with seed {golden.seed}, into output with this sha256:",
        "",
        *_table(("Depth", "sha256 of the output"), ((entry.depth, entry.golden_sha256) for entry in manifest.depths)),
        "",
        "Byte n of the input (rows first, then columns, then R, G, B) is `z >> 56` of, modulo 2^64:",
        "",
        "```text",
        "z = seed + (n + 1) * 0x9E3779B97F4A7C15",
        "z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9",
        "z = (z ^ (z >> 27)) * 0x94D049BB133111EB",
        "z = z ^ (z >> 31)",
        "```",
        "",
        "On this machine, run in the folder of the bundle:",
        "",
        "```python",
        "from pathlib import Path",
        "",
        "from qsr_edge.conversion.registry import find_backend",
        "from qsr_edge.bundle.golden import golden_image, image_sha256",
        "from qsr_edge.bundle.reader import open_bundle",
        "",
        'with open_bundle(Path(".")) as bundle:',
        "    backend, golden = find_backend(bundle.manifest.target), bundle.manifest.golden",
        "    image = golden_image(golden.seed, golden.height_px, golden.width_px)",
        "    for entry in bundle.manifest.depths:",
        "        runner = backend.open_model(bundle.model_path(entry.depth), depth=entry.depth)",
        "        same = image_sha256(runner.run(image)) == entry.golden_sha256",
        '        print(entry.depth, "same bytes" if same else "OTHER BYTES")',
        "```",
        "",
    ]


def _input_sizes(manifest: Manifest) -> str:
    if manifest.input_size_px is None:
        return "any size"
    sizes = (manifest.input_size_px, *(manifest.more_sizes_px or ()))
    return f"{', '.join(f'{height} × {width}' for height, width in sizes)} pixels (height × width)"


def _arithmetic(manifest: Manifest) -> str:
    if manifest.deployment is None:
        return "with integer arithmetic only"
    if manifest.deployment.byte_exact:
        return "that computes integers, held in float32, without rounding"
    return "with weights and activations of 8 bits or less and float16 between them"


def _deployment_facts(manifest: Manifest) -> list[tuple[str, str]]:
    deployment = manifest.deployment
    if deployment is None:
        return []
    return [
        ("Flavour", deployment.flavor),
        ("Made for", deployment.compute_units),
        ("Oldest systems", deployment.minimum_os),
        ("Same bytes as the integer graph", "yes" if deployment.byte_exact else "no, see Parity"),
    ]


def _bit_widths(manifest: Manifest) -> str:
    if manifest.activation_bits is None:
        return f"{manifest.bits} bits, weights and activations"
    return f"{manifest.bits} bits, weights; {manifest.activation_bits} bits, activations"


def model_card(manifest: Manifest) -> str:
    """The model card of a bundle, Markdown; the same for the same manifest."""
    facts = [
        ("Upscaling", f"×{manifest.scale}"),
        ("Bit width of the body", _bit_widths(manifest)),
        ("Requantization", manifest.profile.value),
        ("Target", f"{manifest.target} ({manifest.runtime})"),
        ("Storage", manifest.storage.value),
        ("Files", manifest.pack.value),
        ("Input", _input_sizes(manifest)),
        *_deployment_facts(manifest),
        ("Licence", manifest.licence),
    ]
    lines = [
        f"# {_text(manifest.name)}",
        "",
        f"A super-resolution network {_arithmetic(manifest)}: an RGB image of 8 bits goes in, one "
        f"{manifest.scale} times as high and wide comes out. Each depth is a network of its own: the deeper, "
        "the better and the slower.",
        "",
        *_table(("", ""), facts),
        "",
        *_costs(manifest),
        *_parity(manifest),
        *_calibration(manifest.provenance),
        *_training(manifest.provenance),
        *_verification(manifest),
    ]
    return "\n".join(lines)


def checkpoint_card(
    checkpoint: Checkpoint, quality: Mapping[int, Sequence[QualityEntry]], *, name: str, licence: str
) -> str:
    """The model card of a bare checkpoint, Markdown.

    Args:
        checkpoint: the network.
        quality: what was measured, by depth.
        name: what the checkpoint is called.
        licence: of the weights, an SPDX expression.
    """
    config = checkpoint.config
    parameters = sum(array.size for array in checkpoint.tensors.values())
    facts = [
        *((key.replace("_", " "), value) for key, value in asdict(config).items() if key != "bits"),
        ("bits", config.bits or "float"),
        ("parameters", parameters),
        ("licence", licence),
    ]
    lines = [f"# {_text(name)}", "", f"A checkpoint of a super-resolution network, ×{config.scale}.", ""]
    lines += [*_table(("", ""), facts), ""]
    datasets = _quality_columns(quality.values())
    if datasets:
        rows = [(depth, *_quality_cells(quality[depth], datasets)) for depth in sorted(quality)]
        lines += ["## Quality", "", "PSNR in dB and SSIM on luma (BT.601), borders cropped.", ""]
        lines += [*_table(("Depth", *datasets), rows), ""]
    return "\n".join([*lines, *_training(checkpoint.provenance)])
