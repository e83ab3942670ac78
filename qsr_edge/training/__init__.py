"""Quantization-aware training; needs torch (``pip install qsr-edge[train]``)."""
