"""Architectures. ``config`` needs no torch; the modules do and are imported on demand."""
