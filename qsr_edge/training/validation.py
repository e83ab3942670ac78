"""How well a network in training does on images that it is not trained on."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from qsr_edge.metrics import psnr_y
from qsr_edge.quant.arithmetic import IMAGE_ZERO
from qsr_edge.training.patches import ImagePair


@torch.no_grad()
def upscaled(network: nn.Module, tensors: dict[str, Tensor], lr: NDArray[np.uint8], depth: int) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 -> (rH, rW, 3) uint8 by ``network`` with the parameters ``tensors``, rounded as when deployed."""
    device = next(iter(tensors.values())).device
    codes = torch.from_numpy(np.array(lr, np.float32).transpose(2, 0, 1)[None] - IMAGE_ZERO).to(device)
    image: Tensor = torch.func.functional_call(network, tensors, (codes, depth))
    levels = (torch.floor(image[0] + 0.5) + IMAGE_ZERO).clamp(0, 255).to(torch.uint8)
    return np.ascontiguousarray(levels.cpu().numpy().transpose(1, 2, 0))


def validation_psnr_db(images: list[NDArray[np.uint8]], pairs: list[ImagePair], scale: int) -> float:
    """Mean luma PSNR in dB of upscaled images against their originals, ``scale`` pixels of border left out."""
    return float(np.mean([psnr_y(image, pair.hr, border_px=scale) for image, pair in zip(images, pairs, strict=True)]))
