"""Quantization-aware training; needs torch, which the extra ``train`` brings."""
