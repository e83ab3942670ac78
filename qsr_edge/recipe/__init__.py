"""Typed recipes and the one reader of their TOML files."""
