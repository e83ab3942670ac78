import hashlib

import numpy as np
import pytest

from qsr_edge.bundle.golden import golden_image, image_sha256, splitmix64


def test_numbers_are_those_of_the_published_generator() -> None:
    # The first outputs for seed 1234567, as the reference implementation in C prints them.
    expected = [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]
    assert splitmix64(1234567, 5).tolist() == expected


@pytest.mark.parametrize("seed", [0, 7, 2**53 - 1, 2**64 - 1])
def test_equals_the_loop_that_a_phone_would_run(seed: int) -> None:
    mask, levels = (1 << 64) - 1, []
    for n in range(3 * 4 * 3):
        z = (seed + (n + 1) * 0x9E3779B97F4A7C15) & mask
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
        levels.append((z ^ (z >> 31)) >> 56)
    image = golden_image(seed, 3, 4)
    assert image.shape == (3, 4, 3)
    assert image.dtype == np.uint8
    assert image.ravel().tolist() == levels


def test_every_level_occurs() -> None:
    counts = np.bincount(golden_image(7, 64, 64).ravel(), minlength=256)
    assert counts.min() > 0


def test_hash_is_of_the_bytes_in_reading_order() -> None:
    image = golden_image(7, 3, 4)
    assert image_sha256(image) == hashlib.sha256(bytes(image.ravel().tolist())).hexdigest()
    assert image_sha256(image.transpose(1, 0, 2)) != image_sha256(image)
