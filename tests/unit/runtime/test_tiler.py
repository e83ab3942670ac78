"""Tiles against the whole image: equality of bytes, for every size, tile size and halo."""

from functools import partial

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from qsr_edge.errors import BackendError, ImageError
from qsr_edge.graph.cost import UNTILED_HALO_PX
from qsr_edge.runtime.tiler import Span, plan_spans, plan_tiles, upscale_tiled, window_size_px

SIDE = st.integers(1, 80)


def stand_in_network(image: NDArray[np.uint8], *, layers: int, scale: int) -> NDArray[np.uint8]:
    """A network in miniature: input codes, ``layers`` 3x3 convolutions with zero padding in each, nearest upsampling.

    The kernel is not symmetric and each layer adds a bias after which zero is no fixed point, so that wrong padding or
    a shift by a pixel shows. Receptive-field radius: ``layers``.
    """
    height, width, _ = image.shape
    codes = image.astype(np.int64) - 128
    for layer in range(layers):
        padded = np.pad(codes, ((1, 1), (1, 1), (0, 0)))
        total = np.full(codes.shape, 37 + layer, np.int64)
        for dy in range(3):
            for dx in range(3):
                total += (3 * dy - 2 * dx + 1) * padded[dy : dy + height, dx : dx + width]
        codes = np.clip((total + 4) >> 3, -128, 127)
    levels = (codes + 128).astype(np.uint8).repeat(scale, axis=0).repeat(scale, axis=1)
    levels[1::scale] ^= 1  # which sub-pixel a row holds matters
    return levels


@given(height=SIDE, width=SIDE, tile_px=st.integers(1, 90), layers=st.integers(0, 6), scale=st.sampled_from([2, 3, 4]))
@example(height=1, width=1, tile_px=1, layers=6, scale=2)
@example(height=1, width=80, tile_px=1, layers=3, scale=2)
@example(height=80, width=13, tile_px=13, layers=6, scale=4)
def test_tiles_equal_the_whole_image(height: int, width: int, tile_px: int, layers: int, scale: int) -> None:
    image = np.random.default_rng(height * 100 + width).integers(0, 256, (height, width, 3), np.uint8)
    whole = stand_in_network(image, layers=layers, scale=scale)
    tiled = upscale_tiled(
        lambda window: stand_in_network(window, layers=layers, scale=scale),
        image,
        scale=scale,
        halo_px=layers,
        tile_px=tile_px,
    )
    np.testing.assert_array_equal(tiled, whole)


def test_the_stand_in_shows_a_halo_that_is_too_small() -> None:
    image = np.random.default_rng(0).integers(0, 256, (60, 60, 3), np.uint8)
    tiled = upscale_tiled(lambda w: stand_in_network(w, layers=4, scale=2), image, scale=2, halo_px=3, tile_px=16)
    assert (tiled != stand_in_network(image, layers=4, scale=2)).any()


def check_spans(spans: tuple[Span, ...], *, size_px: int, window_px: int, halo_px: int) -> None:
    # The cores partition the axis ...
    assert [span.core[0] for span in spans] == [0, *(span.core[1] for span in spans[:-1])]
    assert spans[-1].core[1] == size_px
    assert all(start < stop for start, stop in (span.core for span in spans))
    for span in spans:
        # ... every window edge is the image's border or a full halo away ...
        assert span.window[0] == 0 or span.core[0] - span.window[0] >= halo_px
        assert span.window[1] == size_px or span.window[1] - span.core[1] >= halo_px
        assert 0 <= span.window[0] <= span.core[0]
        assert span.core[1] <= span.window[1] <= size_px
    # ... and windows have one size.
    assert {stop - start for start, stop in (span.window for span in spans)} == {window_px}


@given(size_px=st.integers(1, 3000), tile_px=st.integers(1, 700), halo_px=st.integers(0, 40))
def test_spans(size_px: int, tile_px: int, halo_px: int) -> None:
    window_px = window_size_px(size_px, tile_px=tile_px, halo_px=halo_px)
    assert window_px <= tile_px + 2 * halo_px
    spans = plan_spans(size_px, window_px=window_px, halo_px=halo_px)
    check_spans(spans, size_px=size_px, window_px=window_px, halo_px=halo_px)


@given(window_px=st.integers(1, 300), more_px=st.integers(0, 1000), data=st.data())
def test_spans_of_a_fixed_window(window_px: int, more_px: int, data: st.DataObject) -> None:
    halo_px = data.draw(st.integers(0, (window_px - 1) // 2))
    spans = plan_spans(window_px + more_px, window_px=window_px, halo_px=halo_px)
    check_spans(spans, size_px=window_px + more_px, window_px=window_px, halo_px=halo_px)


@pytest.mark.parametrize(
    ("size_px", "windows"),
    [
        (1, [(0, 1)]),
        (14, [(0, 14)]),  # 10 + 2 * 2: both halos are the border's, so one window does
        (15, [(0, 10), (5, 15)]),  # two steps of 6, the second moved inwards by 1
        (1004, [(10 * i, 10 * i + 14) for i in range(100)]),
    ],
)
def test_windows_are_as_few_and_small_as_possible(size_px: int, windows: list[tuple[int, int]]) -> None:
    window_px = window_size_px(size_px, tile_px=10, halo_px=2)
    assert [span.window for span in plan_spans(size_px, window_px=window_px, halo_px=2)] == windows


def test_an_image_smaller_than_a_tile_on_one_side() -> None:
    assert window_size_px(5, tile_px=32, halo_px=4) == 5
    tiles = plan_tiles((5, 100), window_px=(5, 39), halo_px=4)
    assert {tile.rows.window for tile in tiles} == {(0, 5)}
    assert len(tiles) == 3


def test_a_model_of_fixed_input_size_sees_no_other() -> None:
    image = np.random.default_rng(1).integers(0, 256, (33, 47, 3), np.uint8)
    sizes: set[tuple[int, ...]] = set()

    def run(window: NDArray[np.uint8]) -> NDArray[np.uint8]:
        sizes.add(window.shape)
        return stand_in_network(window, layers=3, scale=2)

    tiled = upscale_tiled(run, image, scale=2, halo_px=3, window_px=(10, 47))
    assert sizes == {(10, 47, 3)}
    np.testing.assert_array_equal(tiled, stand_in_network(image, layers=3, scale=2))


def test_progress_counts_tiles() -> None:
    seen: list[tuple[int, int]] = []
    image = np.zeros((20, 20, 3), np.uint8)
    upscale_tiled(
        lambda w: stand_in_network(w, layers=1, scale=2),
        image,
        scale=2,
        halo_px=1,
        tile_px=10,
        on_tile=lambda done, total: seen.append((done, total)),
    )
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_each_run_gets_a_contiguous_window() -> None:
    flags: list[bool] = []

    def run(window: NDArray[np.uint8]) -> NDArray[np.uint8]:
        flags.append(window.flags.c_contiguous)
        return stand_in_network(window, layers=0, scale=2)

    upscale_tiled(run, np.zeros((30, 30, 3), np.uint8)[:, ::-1], scale=2, halo_px=0, tile_px=10)
    assert flags == [True] * 9


@pytest.mark.parametrize(
    "image", [np.zeros((4, 4), np.uint8), np.zeros((0, 4, 3), np.uint8), np.zeros((4, 4, 3), np.int16)]
)
def test_images_that_cannot_be_upscaled(image: NDArray[np.uint8]) -> None:
    with pytest.raises(ImageError, match="non-empty uint8"):
        upscale_tiled(lambda w: w, image, scale=2, halo_px=0)


@pytest.mark.parametrize(("tile_px", "halo_px"), [(0, 1), (-3, 1), (1, -1)])
def test_impossible_tiles(tile_px: int, halo_px: int) -> None:
    with pytest.raises(ImageError, match="cannot tile"):
        window_size_px(10, tile_px=tile_px, halo_px=halo_px)


@pytest.mark.parametrize(("window_px", "halo_px"), [(11, 1), (4, 2), (0, 0), (5, -1)])
def test_impossible_windows(window_px: int, halo_px: int) -> None:
    with pytest.raises(ImageError, match="cannot cover 10 px"):
        plan_spans(10, window_px=window_px, halo_px=halo_px)


def test_a_model_of_another_scale_is_refused() -> None:
    with pytest.raises(BackendError, match=r"expected uint8 \(8, 8, 3\)"):
        upscale_tiled(
            lambda w: stand_in_network(w, layers=0, scale=3), np.zeros((4, 4, 3), np.uint8), scale=2, halo_px=0
        )


def test_a_network_of_which_no_tiles_are_known_is_not_tiled() -> None:
    sizes = []

    def run(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        sizes.append(image.shape[:2])
        return stand_in_network(image, layers=1, scale=2)

    image = np.random.default_rng(0).integers(0, 256, (40, 24, 3), np.uint8)
    expected = stand_in_network(image, layers=1, scale=2)
    for window_px in (None, (40, 24)):
        got = upscale_tiled(run, image, scale=2, halo_px=UNTILED_HALO_PX, tile_px=8, window_px=window_px)
        np.testing.assert_array_equal(got, expected)
    assert sizes == [(40, 24)] * 2
    for window_px in ((16, 16), (48, 24), (40, 16)):
        with pytest.raises(ImageError, match=r"24x40 .*does not tell how its network is tiled.*convert again") as error:
            upscale_tiled(run, image, scale=2, halo_px=UNTILED_HALO_PX, window_px=window_px)
        assert str(UNTILED_HALO_PX) not in str(error.value)


def stand_in_with_windows(image: NDArray[np.uint8], *, grid_px: int) -> NDArray[np.uint8]:
    """A network with windows in miniature: completed by reflection; sums over windows, over those shifted by half, and
    a 3x3 convolution with zero padding. Halo of tiles on the grid: half a step and a pixel, that is ``grid_px``.
    """
    height, width, _ = image.shape
    completed = np.pad(image, ((0, -height % grid_px), (0, -width % grid_px), (0, 0)), mode="reflect")
    codes = completed.astype(np.int64) - 128
    for shift in (0, grid_px // 2):
        y, x = ((np.arange(side) + shift) // grid_px for side in completed.shape[:2])
        window = y[:, None] * (x[-1] + 1) + x[None, :]
        sums = np.stack([np.bincount(window.ravel(), codes[:, :, c].ravel()) for c in range(3)], -1).astype(np.int64)
        codes = (3 * codes + sums[window] + shift) % 256 - 128
    levels = (stand_in_network((codes + 128).astype(np.uint8), layers=1, scale=2))[: 2 * height, : 2 * width]
    return np.ascontiguousarray(levels)


GRID_PX = st.sampled_from([2, 4, 8])


@given(height=st.integers(9, 70), width=st.integers(9, 70), grid_px=GRID_PX, tile_px=st.integers(1, 40), data=st.data())
def test_tiles_on_a_grid_equal_the_whole_image(
    height: int, width: int, grid_px: int, tile_px: int, data: st.DataObject
) -> None:
    image = np.random.default_rng(height * 71 + width).integers(0, 256, (height, width, 3), np.uint8)
    whole = stand_in_with_windows(image, grid_px=grid_px)
    halo_px = grid_px
    window_px = None
    if data.draw(st.booleans()):
        # As large as the completed image, or large enough for a core.
        rows, columns = (
            st.integers(min(3, count), count) for count in (-(-side // grid_px) for side in (height, width))
        )
        window_px = (grid_px * data.draw(rows, label="rows"), grid_px * data.draw(columns, label="columns"))
    sizes = set()

    def run(window: NDArray[np.uint8]) -> NDArray[np.uint8]:
        sizes.add(window.shape[:2])
        return stand_in_with_windows(window, grid_px=grid_px)

    tiled = upscale_tiled(run, image, scale=2, halo_px=halo_px, grid_px=grid_px, tile_px=tile_px, window_px=window_px)
    np.testing.assert_array_equal(tiled, whole)
    assert len(sizes) == 1
    assert window_px is None or sizes == {window_px}


def test_the_stand_in_shows_tiles_beside_the_grid() -> None:
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    whole = stand_in_with_windows(image, grid_px=8)
    run = partial(stand_in_with_windows, grid_px=8)
    assert (upscale_tiled(run, image, scale=2, halo_px=17, tile_px=13) != whole).any()
    assert (upscale_tiled(run, image, scale=2, halo_px=4, grid_px=8, tile_px=16) != whole).any()


@given(size_px=st.integers(1, 2000), tile_px=st.integers(1, 500), grid_px=GRID_PX, halves=st.integers(0, 30))
def test_spans_stand_on_the_grid(size_px: int, tile_px: int, grid_px: int, halves: int) -> None:
    halo_px = halves * grid_px // 2
    window_px = window_size_px(size_px, tile_px=tile_px, halo_px=halo_px, grid_px=grid_px)
    assert window_px < tile_px + 2 * halo_px + grid_px
    spans = plan_spans(size_px, window_px=window_px, halo_px=halo_px, grid_px=grid_px)
    assert all(edge % grid_px == 0 for span in spans for edge in span.window)
    completed_px = size_px + -size_px % grid_px
    assert spans[-1].window[1] == completed_px
    last = Span(window=spans[-1].window, core=(spans[-1].core[0], completed_px))
    assert spans[-1].core == (last.core[0], size_px)
    check_spans((*spans[:-1], last), size_px=completed_px, window_px=window_px, halo_px=halo_px)


@pytest.mark.parametrize(("window_px", "halo_px"), [(20, 4), (24, 3), (8, 4), (104, 0)])
def test_impossible_windows_on_a_grid(window_px: int, halo_px: int) -> None:
    with pytest.raises(ImageError, match=r"cannot cover 90 px by windows of .* on a grid of 8 px"):
        plan_spans(90, window_px=window_px, halo_px=halo_px, grid_px=8)


@pytest.mark.parametrize(
    ("window_px", "grid_px", "message"),
    [
        ((16, 16), 8, "50x20 is larger .* 16x16, which leaves no pixels between overlaps of 8 .*--input-size 24x24 or"),
        ((24, 16), 8, "50x20 is larger .* 16x24, .*--input-size 24x24 or more"),
        ((64, 64), 8, "50x20 is smaller .* 64x64; convert again with --input-size 56x24"),
        ((64, 16), 8, "50x20 is smaller .* 16x64; convert again with --input-size 24x24"),
        ((16, 16), 1, "50x20 is larger .* 16x16, .*--input-size 17x17 or more"),
        ((64, 64), 1, "50x20 is smaller .* 64x64; use a bundle converted without --input-size"),
    ],
)
def test_what_a_fixed_input_does_not_fit_is_told_what_would(
    window_px: tuple[int, int], grid_px: int, message: str
) -> None:
    image = np.zeros((20, 50, 3), np.uint8)
    with pytest.raises(ImageError, match=message):
        upscale_tiled(lambda window: window, image, scale=2, halo_px=8, grid_px=grid_px, window_px=window_px)
