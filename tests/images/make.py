"""Make the pictures beside this file from the bundled photo: ``python tests/images/make.py [FOLDER]``.

One picture for each kind of file that a reader of images meets. Pixels depend on nothing but this script and the photo
(for JPEG also on the encoder's version), so run it again only to add or change a picture.
"""

import struct
import sys
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms

HERE = Path(__file__).resolve().parent
PHOTO = HERE.parents[1] / "qsr_edge" / "assets" / "coffee.png"

# Colorants of Adobe RGB (1998), adapted to D50, and its gamma: clearly wider than sRGB, so ignoring the profile shows.
WIDE_RED = (0.60974, 0.31111, 0.01947)
WIDE_GREEN = (0.20528, 0.62567, 0.06087)
WIDE_BLUE = (0.14919, 0.06322, 0.74457)
WIDE_GAMMA = 2.19921875
D50 = (0.9642, 1.0, 0.8249)


def s15_fixed16(values: tuple[float, ...]) -> bytes:
    """Numbers as ICC's signed 15.16 fixed point, big-endian."""
    return b"".join(struct.pack(">i", round(value * 65536)) for value in values)


def wide_profile() -> bytes:
    """A minimal ICC version 2 display profile with three colorants and one gamma (ICC.1:2001-04, 6.3.2.2)."""
    name = b"qsr-edge test profile, wide gamut"
    gamma = b"curv" + bytes(4) + struct.pack(">IH", 1, round(WIDE_GAMMA * 256)) + bytes(2)
    ascii_name = struct.pack(">I", len(name) + 1) + name + b"\0"
    # After the ASCII text: no Unicode text (language, count), no Macintosh text (code, count, 67 bytes).
    description = b"desc" + bytes(4) + ascii_name + bytes(4 + 4 + 2 + 1 + 67)
    tags = {
        b"desc": description,
        b"cprt": b"text" + bytes(4) + b"CC0\0",
        b"wtpt": b"XYZ " + bytes(4) + s15_fixed16(D50),
        b"rXYZ": b"XYZ " + bytes(4) + s15_fixed16(WIDE_RED),
        b"gXYZ": b"XYZ " + bytes(4) + s15_fixed16(WIDE_GREEN),
        b"bXYZ": b"XYZ " + bytes(4) + s15_fixed16(WIDE_BLUE),
        b"rTRC": gamma,
        b"gTRC": gamma,
        b"bTRC": gamma,
    }
    table = struct.pack(">I", len(tags))
    data = b""
    start = 128 + 4 + 12 * len(tags)
    for signature, content in tags.items():
        table += signature + struct.pack(">II", start + len(data), len(content))
        data += content + bytes(-len(content) % 4)
    header = struct.pack(">I4sI4s4s4s", start + len(data), bytes(4), 0x02100000, b"mntr", b"RGB ", b"XYZ ")
    header += struct.pack(">6H", 2024, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + s15_fixed16(D50)
    return header.ljust(128, b"\0") + table + data


def make(folder: Path) -> None:
    """Write every picture into ``folder``."""
    photo = Image.open(PHOTO).convert("RGB")
    cup = photo.crop((150, 20, 150 + 96, 20 + 64))
    spoon = photo.crop((256, 200, 256 + 96, 200 + 64))

    cup.save(folder / "rgb_96x64.png", optimize=True)
    photo.convert("L").crop((260, 210, 260 + 48, 210 + 40)).save(folder / "grey_48x40.png", optimize=True)

    # Alpha falls off smoothly from the middle, and reaches both 0 and 255.
    y, x = np.mgrid[0:64, 0:96]
    distance = np.hypot((x - 47.5) / 48, (y - 31.5) / 32)
    alpha = np.clip(np.rint((1.2 - distance) * 320), 0, 255).astype(np.uint8)
    rgba = cup.copy()
    rgba.putalpha(Image.fromarray(alpha))
    rgba.save(folder / "rgba_soft_alpha.png", optimize=True)

    # The low byte holds a ramp, so that a reader that cuts 16 bits to 8 differs from one that scales and rounds.
    grey = np.asarray(photo.convert("L").crop((0, 0, 64, 48)), dtype=np.uint32) * 256
    ramp = np.linspace(0, 255, 64).astype(np.uint32)[np.newaxis]
    Image.fromarray((grey + ramp).astype(np.uint16)).save(folder / "grey_16bit.png", optimize=True)

    # Stored lying on its side; orientation 6 says to turn it by 90 degrees clockwise, back to the upright 96x64.
    exif = Image.Exif()
    exif[0x0112] = 6
    spoon.transpose(Image.Transpose.ROTATE_90).save(folder / "exif_rotated.jpg", quality=95, subsampling=0, exif=exif)

    spoon.convert("CMYK").save(folder / "cmyk.jpg", quality=95)

    # The same colours as the cup's, in other numbers: read with its profile it looks like rgb_96x64.png.
    wide = ImageCms.profileToProfile(
        cup,
        ImageCms.createProfile("sRGB"),
        ImageCms.ImageCmsProfile(BytesIO(wide_profile())),
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
    )
    assert wide is not None
    wide.save(folder / "icc_wide_gamut.jpg", quality=95, subsampling=0, icc_profile=wide_profile())

    palette = cup.quantize(colors=31, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    indices = np.array(palette)
    indices[:16, :24] = 31  # one corner takes the index that is transparent
    transparent = Image.frombytes("P", palette.size, indices.tobytes())
    transparent.putpalette([*(palette.getpalette() or [])[: 31 * 3], 255, 0, 255])
    transparent.save(folder / "palette_transparent.png", transparency=31, optimize=True)


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE
    target.mkdir(parents=True, exist_ok=True)
    make(target)
