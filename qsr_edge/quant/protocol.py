"""What a quantizer is, so that quantizers can be compared in one network under one training loop."""

from typing import Protocol

from torch import Tensor


class Quantizer(Protocol):
    """Maps floats to integer codes and a step size; also an ``nn.Module`` whose parameters are trained.

    A learned step size is a parameter called ``step``: the optimizer gives it a learning rate relative to its value.
    """

    def calibrate(self, x: Tensor) -> None:
        """Set what is not trained from scratch, from a sample of what will be quantized; same shapes as later."""
        ...

    def quantize(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Codes and step size; their product is the quantized tensor, through which gradients reach ``x``.

        Args:
            x: activations (N, C, H, W), or a weight (O, I, H, W); float32.

        Returns:
            Integer-valued float32 codes of x's shape, and the step size: a scalar, or (O, 1, 1, 1).
        """
        ...
