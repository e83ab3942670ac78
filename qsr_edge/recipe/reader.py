"""Reads a TOML file into a frozen dataclass; unknown keys and wrong types are errors, nothing is guessed."""

import dataclasses
from importlib import resources
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeVar

from qsr_edge.codec import Decoder
from qsr_edge.errors import RecipeError


class Recipe(Protocol):
    """A dataclass with a folder of presets beside this module."""

    preset_folder: ClassVar[str]
    __dataclass_fields__: ClassVar[dict[str, dataclasses.Field[Any]]]


T = TypeVar("T", bound=Recipe)


def preset_names(kind: type[Recipe]) -> tuple[str, ...]:
    """Names of the bundled presets of a kind of recipe."""
    folder = resources.files("qsr_edge.recipe") / kind.preset_folder
    return tuple(sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml")))


def read_recipe(name: str, kind: type[T]) -> T:
    """Read a preset by name, or a recipe file by path (anything that ends in ``.toml``).

    Args:
        name: preset name or path of a TOML file.
        kind: the recipe's dataclass; it validates its own values.

    Raises:
        RecipeError: for an unknown preset, bad TOML, unknown or missing keys, wrong types or values out of range.
    """
    if name.endswith(".toml"):
        path = Path(name)
        try:
            content = path.read_bytes()
        except OSError as error:
            raise RecipeError(f"{name}: cannot read this recipe ({error.strerror})") from error
    elif name in preset_names(kind):
        content = (resources.files("qsr_edge.recipe") / kind.preset_folder / f"{name}.toml").read_bytes()
    else:
        raise RecipeError(
            f"no recipe is called {name!r}; choose from {', '.join(preset_names(kind))} or give a .toml file"
        )
    decoder = Decoder(error=RecipeError)
    return decoder.decode(kind, decoder.parse_toml(content, name), name)
