"""``qsr-edge demo``: the main job on a bundled checkpoint and photo."""

from pathlib import Path

import click
import numpy as np
from rich.console import Console

from qsr_edge.assets import demo_photo
from qsr_edge.cli.convert import show_conversion
from qsr_edge.conversion.backend import ConvertOptions
from qsr_edge.conversion.checkpoint import load_checkpoint
from qsr_edge.conversion.convert import convert_checkpoint, model_metadata
from qsr_edge.conversion.registry import find_backend
from qsr_edge.data.bicubic import resize_bicubic
from qsr_edge.data.images import Picture, read_picture, write_picture
from qsr_edge.errors import BackendError, OutputExistsError
from qsr_edge.metrics import psnr_y, ssim_y
from qsr_edge.runtime.upscale import upscale_picture
from qsr_edge.zoo import WEIGHTS_AUTHOR, WEIGHTS_LICENCE

TARGET = "tflite"
"""What `make demo` installs; runs everywhere, and takes images of any size."""
COMPARISON = "compare.png"
"""The picture to look at; a folder that has it is an earlier demo's, and may be written again."""


@click.command("demo")
@click.option(
    "--output",
    "-o",
    type=click.Path(path_type=Path, readable=False),
    default=Path("demo"),
    show_default=True,
    help="Folder to write.",
)
@click.option("--scale", type=int, default=2, show_default=True, help="Upscaling factor of the bundled network.")
def command(output: Path, scale: int) -> None:
    """Convert the bundled checkpoint to a TFLite model, upscale a reduced photo with it, and compare with bicubic."""
    console = Console()
    checkpoint = load_checkpoint(None, scale=scale, bits=None)
    if checkpoint.config.bits is None:
        raise BackendError("the bundled checkpoint is not quantized; reinstall qsr-edge")
    if output.exists() and not ((output / COMPARISON).is_file() or (output.is_dir() and not any(output.iterdir()))):
        raise OutputExistsError(f"{output}: exists and is no earlier demo; choose another --output")
    backend = find_backend(TARGET)
    output.mkdir(parents=True, exist_ok=True)
    metadata = model_metadata(checkpoint, backend, author=WEIGHTS_AUTHOR, licence=WEIGHTS_LICENCE)
    bundle = output / f"{metadata.name}-{TARGET}"
    photo = read_picture(demo_photo()).rgb
    console.print(f"[bold]1. converting[/] the bundled {metadata.name} to a {backend.capabilities.model_kind}")
    conversion = convert_checkpoint(
        checkpoint, backend, ConvertOptions(metadata=metadata), bundle, natural=photo, force=bundle.exists()
    )
    show_conversion(console, conversion, bundle)

    console.print("[bold]2. upscaling[/] a photo that was reduced first, so that the truth is known")
    truth = photo[: photo.shape[0] // scale * scale, : photo.shape[1] // scale * scale]
    small = resize_bicubic(truth, 1 / scale)
    deepest = conversion.manifest.depths[-1]
    runner = backend.open_model(bundle / deepest.file, depth=deepest.depth)
    picture = Picture(rgb=small, alpha=None, grey=False)
    network = upscale_picture(runner, picture, scale=scale, halo_px=deepest.halo_px).rgb
    bicubic = resize_bicubic(small, scale)
    nearest = np.repeat(np.repeat(small, scale, axis=0), scale, axis=1)
    images = {"input": small, "bicubic": bicubic, "upscaled": network, "truth": truth}
    for stem, image in images.items():
        write_picture(output / f"{stem}.png", Picture(rgb=image, alpha=None, grey=False), overwrite=True)
    top, left = truth.shape[0] // 3, truth.shape[1] // 3
    crop = np.s_[top : top + 160, left : left + 160]
    sheet = np.concatenate(
        [np.kron(image[crop], np.ones((2, 2, 1), np.uint8)) for image in (nearest, bicubic, network, truth)], 1
    )
    write_picture(output / COMPARISON, Picture(rgb=sheet, alpha=None, grey=False), overwrite=True)

    quality = {
        stem: (psnr_y(images[stem], truth, border_px=scale), ssim_y(images[stem], truth, border_px=scale))
        for stem in ("bicubic", "upscaled")
    }
    for stem, (psnr_db, ssim) in quality.items():
        console.print(f"   {stem:9s} {psnr_db:6.2f} dB PSNR  {ssim:.4f} SSIM")
    gain_db = quality["upscaled"][0] - quality["bicubic"][0]
    verdict = "better" if gain_db > 0 else "worse"
    console.print(
        f"   {abs(gain_db):.2f} dB {verdict} than bicubic on this photo, depth {deepest.depth}, "
        f"{small.shape[1]}x{small.shape[0]} input"
    )
    console.print("[bold]3. look at[/]")
    console.print(f"   {output / COMPARISON}  (input, bicubic, qsr-edge, truth)", soft_wrap=True, markup=False)
    console.print(f"   {output / 'upscaled.png'}", soft_wrap=True, markup=False)
