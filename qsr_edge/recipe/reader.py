"""Reads a TOML file into a frozen dataclass; unknown keys and wrong types are errors, nothing is guessed."""

import dataclasses
import tomllib
import typing
from enum import StrEnum
from importlib import resources
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeVar

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


def _convert(value: object, kind: object, where: str) -> object:
    if typing.get_origin(kind) is tuple:
        item = typing.get_args(kind)[0]
        if not isinstance(value, list):
            raise RecipeError(f"{where}: got {value!r}, expected a list")
        return tuple(_convert(entry, item, where) for entry in value)
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        if not isinstance(value, str) or value not in list(kind):
            raise RecipeError(f"{where}: got {value!r}, expected one of {', '.join(kind)}")
        return kind(value)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(kind, type) and type(value) is not kind:
        raise RecipeError(f"{where}: got {value!r}, expected {kind.__name__}")
    return value


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
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise RecipeError(f"{name}: cannot read this recipe ({error})") from error
    elif name in preset_names(kind):
        text = (resources.files("qsr_edge.recipe") / kind.preset_folder / f"{name}.toml").read_text(encoding="utf-8")
    else:
        raise RecipeError(
            f"no recipe is called {name!r}; choose from {', '.join(preset_names(kind))} or give a .toml file"
        )
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(f"{name}: not valid TOML ({error})") from error
    hints = typing.get_type_hints(kind)
    fields = {field.name: field for field in dataclasses.fields(kind)}
    unknown = sorted(set(table) - set(fields))
    if unknown:
        raise RecipeError(f"{name}: unknown key {unknown[0]!r}; known keys are {', '.join(fields)}")
    missing = [key for key, field in fields.items() if field.default is dataclasses.MISSING and key not in table]
    if missing:
        raise RecipeError(f"{name}: the key {missing[0]!r} is missing")
    values = {key: _convert(value, hints[key], f"{name}: {key}") for key, value in table.items()}
    try:
        return kind(**values)
    except RecipeError as error:
        raise RecipeError(f"{name}: {error}") from error
