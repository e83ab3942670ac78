"""Whether the network is the better way: for alpha, for 16 bits per channel, and for wide-gamut colours.

    python benchmarks/picture_quality.py BUNDLE [--depth N] [--photos FOLDER]

Prints PSNR in dB against a truth that was made smaller by bicubic, larger is better:

- alpha: glyphs, thin lines, discs and soft shadows, drawn at four times the size; bicubic, the network alone, and what
  `upscale` does: the network where it differs from bicubic by more than its own noise.
- 16 bits: photos halved in 16 bits, which gives them true low bits, and gradients; bicubic of 16 bits, the network's 8
  bits alone, and what `upscale` does.
- colours: photos as Display P3; the network on P3's own codes, against converting to sRGB, upscaling and converting
  back, by the error in P3's codes.
"""

import argparse
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageDraw, ImageFilter, ImageFont

from qsr_edge.bundle.reader import open_bundle
from qsr_edge.data.bicubic import resize_bicubic
from qsr_edge.data.images import Picture, read_picture
from qsr_edge.runtime.upscale import LoadedDepth, load_depth
from tests.images.make import s15_fixed16, wide_profile

ASSET = Path(__file__).resolve().parents[1] / "qsr_edge" / "assets" / "coffee.png"
CANVAS_PX = (480, 160)
DRAWN_LARGER = 4
# SMPTE EG 432-1 primaries with D65, adapted to D50 by Bradford: the colorants of Apple's Display P3 profile.
P3_COLORANTS = ((0.51512, 0.24120, -0.00105), (0.29198, 0.69225, 0.04189), (0.15710, 0.06657, 0.78407))


def psnr(got: NDArray[np.generic], truth: NDArray[np.generic], peak: int) -> float:
    """In dB; 120 for no error at all."""
    error = np.mean((got.astype(np.float64) - truth.astype(np.float64)) ** 2)
    return 120.0 if error == 0 else float(10 * np.log10(peak**2 / error))


def alphas() -> dict[str, NDArray[np.uint8]]:
    """Alpha channels, drawn large and averaged."""
    width, height = (side * DRAWN_LARGER for side in CANVAS_PX)
    drawn: dict[str, Image.Image] = {}
    for size in (14, 24, 48):
        image = Image.new("L", (width, height))
        font = ImageFont.load_default(size * DRAWN_LARGER)
        for line in range(160 // size):
            ImageDraw.Draw(image).text((40, line * size * 5), "Hamburgefonstiv & 0123 QSR edge", fill=255, font=font)
        drawn[f"glyphs of {size} px"] = image
    image, rng = Image.new("L", (width, height)), np.random.default_rng(0)
    for _ in range(400):
        x, y, turn, length = rng.uniform((0, 0, 0, 80), (width, height, 2 * np.pi, 320))
        end = (x + length * np.cos(turn), y + length * np.sin(turn))
        ImageDraw.Draw(image).line((x, y, *end), fill=255, width=int(rng.integers(3, 9)))
    drawn["thin lines"] = image
    image = Image.new("L", (width, height))
    for index in range(6):
        left, top = 40 + 300 * index, 40 + 32 * index
        ImageDraw.Draw(image).ellipse((left, top, left + 240, top + 240), fill=255)
    drawn["discs"] = image
    for radius in (2, 8, 16):
        image = Image.new("L", (width, height))
        ImageDraw.Draw(image).rounded_rectangle((240, 120, 1600, 480), 80, fill=200)
        drawn[f"shadow blurred by {radius} px"] = image.filter(ImageFilter.GaussianBlur(radius * DRAWN_LARGER))
    return {name: np.asarray(image.resize(CANVAS_PX, Image.Resampling.BOX)) for name, image in drawn.items()}


def measure_alpha(model: LoadedDepth) -> None:
    """Print a row for each alpha channel."""
    print("\n| alpha | bicubic | network alone | upscale |\n|---|---|---|---|")
    for name, truth in alphas().items():
        small = resize_bicubic(truth, 1 / model.scale)
        colours = np.zeros((*small.shape, 3), np.uint8)
        made = model.upscale_picture(Picture(rgb=colours, alpha=small, grey=False)).alpha
        assert made is not None
        grey = Picture(rgb=np.repeat(small[:, :, np.newaxis], 3, axis=2), alpha=None, grey=True)
        alone = model.upscale_picture(grey).rgb[:, :, 0]
        row = [psnr(each, truth, 255) for each in (resize_bicubic(small, model.scale), alone, made)]
        print(f"| {name} | " + " | ".join(f"{value:.2f}" for value in row) + " |")


def deep_truths(photos: list[Path], scale: int) -> dict[str, NDArray[np.uint16]]:
    """(H, W, 3) uint16 with true low bits; sides are multiples of the scale."""
    truths = {}
    for path in photos:
        rgb = read_picture(path).rgb
        height, width = (side // (2 * scale) * (2 * scale) for side in rgb.shape[:2])
        blocks = rgb[:height, :width].reshape(height // 2, 2, width // 2, 2, 3).astype(np.float64)
        truths[path.stem] = np.rint(blocks.mean(axis=(1, 3)) * 257).astype(np.uint16)
    y, x = np.mgrid[0:256, 0:256]
    for name, slope in (("steep gradient", 40.0), ("flat gradient", 4.0)):
        planes = [20_000 + slope * x, 10_000 + 0.6 * slope * y, 30_000 + 0.2 * slope * (x + y)]
        truths[name] = np.rint(np.dstack(planes)).astype(np.uint16)
    return truths


def measure_deep(model: LoadedDepth, photos: list[Path]) -> None:
    """Print a row for the photos together and for each gradient."""
    rows: dict[str, list[list[float]]] = {}
    for name, truth in deep_truths(photos, model.scale).items():
        small = resize_bicubic(truth, 1 / model.scale)
        picture = Picture.from_16_bits(small)
        made = model.upscale_picture(picture).rgb_16()
        eight = model.upscale_picture(picture.with_8_bits()).rgb_16()
        row = [psnr(each, truth, 65_535) for each in (resize_bicubic(small, model.scale), eight, made)]
        rows.setdefault(name if "gradient" in name else f"{len(photos)} photos", []).append(row)
    print("\n| 16 bits | bicubic of 16 | network's 8 | upscale |\n|---|---|---|---|")
    for name, values in rows.items():
        print(f"| {name} | " + " | ".join(f"{value:.2f}" for value in np.mean(values, axis=0)) + " |")


def display_p3() -> bytes:
    """A profile with Display P3's colorants, made of the tests' own; the transfer curve is a gamma of 2.2."""
    profile = wide_profile()
    for mine, theirs in zip(P3_COLORANTS, wide_colorants(), strict=True):
        profile = profile.replace(s15_fixed16(theirs), s15_fixed16(mine))
    return profile


def wide_colorants() -> tuple[tuple[float, float, float], ...]:
    """The colorants in the tests' profile."""
    from tests.images.make import WIDE_BLUE, WIDE_GREEN, WIDE_RED

    return WIDE_RED, WIDE_GREEN, WIDE_BLUE


def converted(
    rgb: NDArray[np.uint8], source: ImageCms.ImageCmsProfile, target: ImageCms.ImageCmsProfile
) -> NDArray[np.uint8]:
    """(H, W, 3) from one profile to another."""
    intent = ImageCms.Intent.RELATIVE_COLORIMETRIC
    image = ImageCms.profileToProfile(Image.fromarray(rgb), source, target, renderingIntent=intent)
    assert image is not None
    return np.asarray(image)


def measure_colours(model: LoadedDepth, photos: list[Path]) -> None:
    """Print the mean over the photos, as they are and with colours that sRGB does not hold."""
    p3 = ImageCms.ImageCmsProfile(BytesIO(display_p3()))
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
    print("\n| Display P3 | own codes | by way of sRGB |\n|---|---|---|")
    for name in ("colours within sRGB", "colours of all of P3"):
        rows = []
        for path in photos:
            rgb = read_picture(path).rgb
            height, width = (side // model.scale * model.scale for side in rgb.shape[:2])
            rgb = np.ascontiguousarray(rgb[:height, :width])
            # The numbers of an sRGB photo, called P3, are colours up to the corners of P3.
            truth = converted(rgb, srgb, p3) if name == "colours within sRGB" else rgb
            small = resize_bicubic(truth, 1 / model.scale)
            there = model.upscale(converted(small, p3, srgb))
            rows.append([psnr(each, truth, 255) for each in (model.upscale(small), converted(there, srgb, p3))])
        print(f"| {name} | " + " | ".join(f"{value:.2f}" for value in np.mean(rows, axis=0)) + " |")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--depth", type=int, help="residual blocks; the deepest by default")
    parser.add_argument("--photos", type=Path, help="folder of photos; the bundled one by default")
    arguments = parser.parse_args()
    photos = sorted(arguments.photos.glob("*.png")) if arguments.photos else [ASSET]
    with open_bundle(arguments.bundle) as bundle:
        model = load_depth(bundle, depth=arguments.depth)
        print(f"{bundle.manifest.name}, depth {model.depth}")
        measure_alpha(model)
        measure_deep(model, photos)
        measure_colours(model, photos)


if __name__ == "__main__":
    main()
