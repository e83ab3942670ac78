"""What verification found, in a line."""

from collections.abc import Sequence

from qsr_edge.bundle.manifest import ParityEntry


def parity_headline(results: Sequence[ParityEntry]) -> str:
    """How many bytes differ, in a line: under the default kernels, which are what ships, and under others if they do.

    Args:
        results: at least one; those of the default kernels first.
    """
    counts: dict[str, tuple[int, int]] = {}
    for result in results:
        differing, compared = counts.get(result.kernels, (0, 0))
        counts[result.kernels] = (differing + result.mismatching_bytes, compared + result.bytes_compared)
    if len(counts) == 1 or not any(differing for differing, _ in counts.values()):
        differing, compared = (sum(column) for column in zip(*counts.values(), strict=True))
        return f"{differing:,} of {compared:,} bytes differ"
    (default, (differing, compared)), *others = counts.items()
    rest = ", ".join(f"{kernels} {count:,} of {total:,}" for kernels, (count, total) in others)
    return f"{differing:,} of {compared:,} bytes differ under {default}, the default kernels; under others: {rest}"
