"""Measuring bundles where they run: so far on this machine."""
