"""Low-bit quantization: code ranges (numpy only) and the RLQ quantizer (torch, imported on demand)."""

from qsr_edge.quant.arithmetic import BIT_WIDTHS, CodeRange

__all__ = ["BIT_WIDTHS", "CodeRange"]
