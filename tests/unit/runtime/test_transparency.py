import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from qsr_edge.runtime.transparency import bled_colours


@given(data=st.data(), dtype=st.sampled_from([np.uint8, np.uint16]))
def test_visible_pixels_are_never_changed(data: st.DataObject, dtype: type) -> None:
    shape = data.draw(st.tuples(st.integers(1, 12), st.integers(1, 12)))
    colour = data.draw(arrays.arrays(dtype, (*shape, 3)))
    alpha = data.draw(arrays.arrays(dtype, shape, elements=st.sampled_from([0, 0, 1, 200, 255])))
    bled = bled_colours(colour, alpha)
    assert bled.dtype == dtype
    np.testing.assert_array_equal(bled[alpha > 0], colour[alpha > 0])
    if (alpha > 0).any():
        seen = colour[alpha > 0]
        assert (bled >= seen.min(axis=0)).all()
        assert (bled <= seen.max(axis=0)).all()


@pytest.mark.parametrize("size", [5, 64, 129])
def test_one_colour_spreads_over_everything_hidden(size: int) -> None:
    colour = np.zeros((size, size, 3), np.uint8)
    alpha = np.zeros((size, size), np.uint8)
    colour[2, 3], alpha[2, 3] = (10, 20, 30), 7
    assert (bled_colours(colour, alpha) == (10, 20, 30)).all()


def test_the_nearer_colour_wins() -> None:
    colour = np.zeros((16, 64, 3), np.uint8)
    alpha = np.zeros((16, 64), np.uint8)
    colour[:, 0], colour[:, 63], alpha[:, [0, 63]] = 50, 200, 255
    bled = bled_colours(colour, alpha)
    assert (bled[:, 1:8] < 80).all()
    assert (bled[:, 56:63] > 170).all()


def test_nothing_visible_and_nothing_hidden_come_back_as_they_are() -> None:
    colour = np.random.default_rng(1).integers(0, 256, (6, 6, 3), np.uint8)
    for alpha in (np.zeros((6, 6), np.uint8), np.ones((6, 6), np.uint8)):
        assert bled_colours(colour, alpha) is colour
