"""Writes what the Swift tests compare with: ``python make_fixtures.py FOLDER``.

- ``exact/``, ``exact.zip``, ``stored.zip``, ``shared/``, ``ane/``: the bundled x2 network in 2 bits.
- ``picture.rgb``: noise, 40 rows of 56 pixels; ``picture-<depth>.rgb``: what the golden interpreter makes of it, whole.
- ``disc.rgba``, ``grey.rgba``: noise and its red alone, opaque within a disc and hidden around it; ``disc-2.rgba``,
  ``grey-2.rgba``: what ``upscale_picture`` makes of them at depth 2.
"""

import shutil
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np

from qsr_edge.bundle.layout import Pack
from qsr_edge.conversion.backend import ConvertOptions, ModelMetadata
from qsr_edge.conversion.convert import convert_checkpoint
from qsr_edge.conversion.registry import find_backend
from qsr_edge.data.picture import Picture
from qsr_edge.lowering.edge import lower_checkpoint
from qsr_edge.nn.checkpoint import read_checkpoint
from qsr_edge.runtime.upscale import upscale_picture
from qsr_edge.zoo import zoo_entries
from qsr_edge_converters.coreml.flavor import CoremlFlavor

HEIGHT_PX, WIDTH_PX = 40, 56


def write_zip(folder: Path, target: Path, compression: int) -> None:
    """A bundle's folder as an archive."""
    with zipfile.ZipFile(target, "w", compression) as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                archive.write(path, path.relative_to(folder).as_posix())


def write(folder: Path) -> None:
    """Write all of them into a folder."""
    [entry] = [entry for entry in zoo_entries() if entry.name == "x2_w2a2"]
    checkpoint = read_checkpoint(entry.path)
    metadata = ModelMetadata(name="x2", version="1", author="tests", licence="CC0-1.0", description="bundled")
    kinds = {
        "exact": ConvertOptions(metadata=metadata),
        "shared": ConvertOptions(metadata=metadata, pack=Pack.SHARED, input_size_px=(40, 48)),
        "ane": ConvertOptions(metadata=metadata, flavor=CoremlFlavor.ANE),
    }
    for name, options in kinds.items():
        convert_checkpoint(checkpoint, find_backend("coreml"), options, folder / name, natural=None)
    write_zip(folder / "exact", folder / "exact.zip", zipfile.ZIP_DEFLATED)
    write_zip(folder / "exact", folder / "stored.zip", zipfile.ZIP_STORED)
    pixels = np.random.default_rng(0).integers(0, 256, (HEIGHT_PX, WIDTH_PX, 3), np.uint8)
    (folder / "picture.rgb").write_bytes(pixels.tobytes())
    network = lower_checkpoint(checkpoint)
    for depth, graph in network.graphs.items():
        output = graph.run(pixels)
        (folder / f"picture-{depth}.rgb").write_bytes(np.ascontiguousarray(output).tobytes())
    rows, columns = np.mgrid[:HEIGHT_PX, :WIDTH_PX]
    # No soft pixel: Core Graphics multiplies colours by alpha, which costs these nothing.
    alpha = np.where((rows - 20) ** 2 + (columns - 24) ** 2 < 200, np.uint8(255), np.uint8(0))
    for name, rgb in {"disc": pixels, "grey": np.repeat(pixels[:, :, :1], 3, axis=2)}.items():
        picture = Picture(rgb=rgb, alpha=alpha, grey=False)
        upscaled = upscale_picture(network.graphs[2], picture, scale=2, halo_px=8)
        assert upscaled.alpha is not None
        (folder / f"{name}.rgba").write_bytes(np.dstack([rgb, alpha]).tobytes())
        (folder / f"{name}-2.rgba").write_bytes(np.dstack([upscaled.rgb, upscaled.alpha]).tobytes())


def main() -> None:
    """Write them beside the target, then give them its name: each time, as converter and networks may be others now."""
    target = Path(sys.argv[1])
    target.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(dir=target.parent))
    try:
        write(work)
        shutil.rmtree(target, ignore_errors=True)
        work.rename(target)
    finally:
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
