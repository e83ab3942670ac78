from pathlib import Path

import pytest

from qsr_edge.errors import RecipeError
from qsr_edge.nn.config import ArchitectureName, EdgeConfig, NetworkSize
from qsr_edge.nn.quantsr_c_config import nested_depths
from qsr_edge.recipe.reader import preset_names, read_recipe
from qsr_edge.recipe.train import TrainRecipe

CHAINS = {
    **{
        f"{family}_w2a2": f"{family}_fp32 {family}_w4a8 {family}_w4a4 {family}_w3a3 {family}_w2a2"
        for family in ("x2", "x3", "x4")
    },
    **{
        f"{family}_w2a2": f"{family}_fp32 {family}_w8a8 {family}_w4a4 {family}_w3a3 {family}_w2a2"
        for family in ("paper_x2", "paper_x4", "quantsr_t_x2", "quantsr_t_x4", "quantsr_t_tiny_x2")
    },
    "nano_x2_w4a4": "nano_x2_fp32 nano_x2_w4a8 nano_x2_w4a4",
    "photo_x4_w4a8": "x4_fp32 photo_x4_fp32 photo_x4_w4a8",
}
"""Presets and what they are trained from, first to last, at one scale factor."""


@pytest.mark.parametrize("name", preset_names(TrainRecipe))
def test_a_preset_is_named_after_its_file_and_its_chain_ends_in_a_float_network(name: str) -> None:
    recipe = read_recipe(name, TrainRecipe)
    assert recipe.name == name
    seen = [name]
    while recipe.start:
        assert recipe.start not in seen
        seen.append(recipe.start)
        recipe = read_recipe(recipe.start, TrainRecipe)
    assert recipe.bits == 0


@pytest.mark.parametrize("name", CHAINS)
def test_presets_start_from_the_next_wider_ones(name: str) -> None:
    recipe = read_recipe(name, TrainRecipe)
    chain, scale = [name], recipe.scale
    while recipe.start and read_recipe(recipe.start, TrainRecipe).scale == scale:
        recipe = read_recipe(recipe.start, TrainRecipe)
        chain.insert(0, recipe.name)
    assert chain == CHAINS[name].split()


@pytest.mark.parametrize("size", NetworkSize)
def test_every_size_has_presets_that_are_of_that_size(size: NetworkSize) -> None:
    prefix = "" if size is NetworkSize.EDGE else f"{size}_"
    for widths in ("fp32", "w8a8", "w4a8", "w4a4"):
        config = read_recipe(f"{prefix}x2_{widths}", TrainRecipe).config()
        assert isinstance(config, EdgeConfig)
        assert (config.size, config.widths) == (size, widths)


@pytest.mark.parametrize("scale", [2, 4])
def test_the_papers_own_network_has_presets(scale: int) -> None:
    bits, name, recipe = [], f"quantsr_c_x{scale}_w2a2", None
    while name:
        recipe = read_recipe(name, TrainRecipe)
        assert recipe.architecture is ArchitectureName.QUANTSR_C
        assert (recipe.channels, recipe.blocks, recipe.depths) == (64, 32, nested_depths(32))
        bits.append((recipe.scale, recipe.bits))
        name = recipe.start
    assert bits == [(scale, 2), (scale, 3), (scale, 4), (scale, 0), *([(2, 0)] if scale == 4 else [])]


def test_settings_of_another_architecture_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "r.toml"
    start = 'name = "r"\narchitecture = "quantsr_c"\nscale = 2\nbits = 4\niterations = 5\nblocks = 8\n'
    path.write_text(start + 'profile = "scaled"\ndepth_biases = true\n')
    with pytest.raises(RecipeError, match="depth_biases is not a setting of the architecture quantsr_c"):
        read_recipe(str(path), TrainRecipe)
    path.write_text(start)
    with pytest.raises(RecipeError, match=r"profile = .*portable.* is not possible"):
        read_recipe(str(path), TrainRecipe)
    path.write_text(start + 'profile = "scaled"\n')
    assert read_recipe(str(path), TrainRecipe).config().architecture is ArchitectureName.QUANTSR_C


def test_the_papers_scale() -> None:
    recipe = read_recipe("paper_x4_w2a2", TrainRecipe)
    assert (recipe.channels, recipe.blocks, recipe.iterations) == (64, 32, 300_000)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            'name = "a"\nscale = 2\nbits = 4\niterations = 5\nspeed = 1',
            "the key 'speed' is not known, expected name, scale",
        ),
        ('name = "a"\nscale = 2\nbits = 4', "missing iterations"),
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


NETWORK = 'name = "r"\nscale = 2\nbits = 4\niterations = 5\n'


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (NETWORK + f"depths = {'[' * 3000}{']' * 3000}", "nested too deeply"),
        (NETWORK + f"patch_px = {'9' * 5000}", "4300 digits"),
        (
            NETWORK + f"patch_px = 0x{'f' * 5000}",
            "patch_px: got int too large to show, expected a number of at most 64",
        ),
        (NETWORK + f"learning_rate = {'9' * 400}", "learning_rate: got 9.*expected a number of at most 64 bits"),
        (NETWORK + f"patch_px = {'9' * 400}", "patch_px: got 9.*expected a number of at most 64 bits"),
        (NETWORK + "blocks = 9000000000000000000\ndepths = [9000000000000000000]", "blocks = .*expected 1 to 64"),
        (NETWORK + "channels = 9000000000000000000", "channels = .*expected 1 to 256"),
        (NETWORK.replace("= 2", "= 6"), "scale = 6 is not possible, expected one of 2, 3, 4"),
        (NETWORK.replace("= 4", "= 5"), "bits = 5 is not possible, expected one of 2, 3, 4, 8, or 0"),
    ],
)
def test_values_of_any_size_and_depth_are_refused_in_one_line(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "r.toml"
    path.write_text(text)
    with pytest.raises(RecipeError, match=told) as caught:
        read_recipe(str(path), TrainRecipe)
    assert len(str(caught.value)) < 400
