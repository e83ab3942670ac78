"""What a run leaves to look at: TensorBoard scalars and a grid of pictures."""

from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from qsr_edge.data.bicubic import resize_bicubic
from qsr_edge.errors import TrainingError
from qsr_edge.extras import how_to_install

_CROP_PX = 128
_GAP_PX = 4


def picture_grid(
    rows: list[tuple[NDArray[np.uint8], list[NDArray[np.uint8]], NDArray[np.uint8]]], scale: int
) -> NDArray[np.uint8]:
    """Bicubic, every depth and the original side by side, one row an image, cropped about the middle.

    Args:
        rows: (H, W, 3) low-resolution image; (rH, rW, 3) image of each depth, ascending; the (rH, rW, 3) original.
        scale: upscaling factor r.

    Returns:
        (h, w, 3) uint8.
    """
    strips = []
    for lr, depths, hr in rows:
        images = [resize_bicubic(lr, scale), *depths, hr]
        height, width = (min(_CROP_PX, side) for side in hr.shape[:2])
        y, x = (hr.shape[0] - height) // 2, (hr.shape[1] - width) // 2
        strip = np.full((_CROP_PX + _GAP_PX, len(images) * (_CROP_PX + _GAP_PX), 3), 255, np.uint8)
        for i, image in enumerate(images):
            left = i * (_CROP_PX + _GAP_PX)
            strip[:height, left : left + width] = image[y : y + height, x : x + width]
        strips.append(strip)
    return np.concatenate(strips)


class Journal:
    """Writes TensorBoard events and ``pictures/<iteration>.png`` under a folder."""

    def __init__(self, folder: Path):
        """Open a journal; its folder is made.

        Raises:
            TrainingError: if the package tensorboard is missing.
        """
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise TrainingError(f"--journal needs tensorboard; {how_to_install('train')}") from error
        self.folder = folder
        (folder / "pictures").mkdir(parents=True, exist_ok=True)
        self._writer = SummaryWriter(str(folder))

    def __enter__(self) -> Self:
        """The journal itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Write what is still in memory."""
        self._writer.close()

    def scalars(self, values: dict[str, float], iteration: int) -> None:
        """Add a point to each named curve."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, iteration)

    def pictures(self, grid: NDArray[np.uint8], iteration: int) -> None:
        """Keep a grid as PNG and in TensorBoard; (h, w, 3) uint8."""
        Image.fromarray(grid).save(self.folder / "pictures" / f"{iteration:07d}.png")
        self._writer.add_image("pictures", grid, iteration, dataformats="HWC")
        self._writer.flush()
