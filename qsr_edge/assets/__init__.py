"""The bundled photo; see the README beside it for its source and terms."""

from pathlib import Path


def demo_photo() -> Path:
    """The photo's file."""
    return Path(__file__).with_name("coffee.png")
