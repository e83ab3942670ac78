from itertools import starmap

import pytest

from qsr_edge.bundle.headline import parity_headline
from qsr_edge.bundle.manifest import ParityEntry


def entry(kernels: str, depth: int, mismatching: int) -> ParityEntry:
    return ParityEntry(kernels=kernels, depth=depth, images=2, bytes_compared=1000, mismatching_bytes=mismatching)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ((("xnnpack", 2, 0), ("builtin", 2, 0), ("xnnpack", 4, 0), ("builtin", 4, 0)), "0 of 4,000 bytes differ"),
        ((("cpu", 2, 5), ("cpu", 4, 1)), "6 of 2,000 bytes differ"),
        (
            (("xnnpack", 2, 0), ("builtin", 2, 700), ("xnnpack", 4, 0), ("builtin", 4, 800)),
            "0 of 2,000 bytes differ under xnnpack, the default kernels; under others: builtin 1,500 of 2,000",
        ),
    ],
)
def test_the_default_kernels_come_first(rows: tuple[tuple[str, int, int], ...], expected: str) -> None:
    assert parity_headline(tuple(starmap(entry, rows))) == expected
