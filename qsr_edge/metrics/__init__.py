"""PSNR and SSIM by the field's protocol: BT.601 luma, ``scale`` border pixels cropped."""

from qsr_edge.metrics.luma import luma
from qsr_edge.metrics.quality import psnr_y, ssim_y

__all__ = ["luma", "psnr_y", "ssim_y"]
