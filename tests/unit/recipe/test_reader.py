from pathlib import Path

import pytest

from qsr_edge.errors import RecipeError
from qsr_edge.recipe.reader import preset_names, read_recipe
from qsr_edge.recipe.train import TrainRecipe


def test_every_preset_is_valid_and_named_after_its_file() -> None:
    assert {"x2_fp32", "x2_w4a4", "x4_w4a4"} <= set(preset_names())
    for name in preset_names():
        assert read_recipe(name, TrainRecipe).name == name


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('name = "a"\nscale = 2\nbits = 4\niterations = 5\nspeed = 1', "unknown key 'speed'"),
        ('name = "a"\nscale = 2\nbits = 4', "'iterations' is missing"),
        ('name = "a"\nscale = "2"\nbits = 4\niterations = 5', "scale: got '2', expected int"),
        ('name = "a"\nscale = 2\nbits = true\niterations = 5', "bits: got True"),
        ('name = "a"\nscale = 2\nbits = 4\niterations = 5\nprofile = "fast"', "expected one of portable, scaled"),
        ('name = "a"\nscale = 2\nbits = 4\niterations = 0', "iterations = 0 must be greater than 0"),
        ('name = "a"\nscale = 2\nbits = 4\niterations = 5\ndepths = 3', "depths: got 3, expected a list"),
        ('name = "a"\nscale = 2\nbits = 4\niterations = 5\nema_decay = 1', "ema_decay"),
        ("name = ", "not valid TOML"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "r.toml"
    path.write_text(text)
    with pytest.raises(RecipeError, match=message):
        read_recipe(str(path), TrainRecipe)


def test_unknown_presets_list_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="x2_w4a4"):
        read_recipe("x9", TrainRecipe)
    with pytest.raises(RecipeError, match="cannot read"):
        read_recipe(str(tmp_path / "none.toml"), TrainRecipe)
