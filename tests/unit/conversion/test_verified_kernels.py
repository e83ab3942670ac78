"""Under which kernels verification runs a model, and under which no byte may differ."""

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from qsr_edge.bundle.manifest import ParityEntry
from qsr_edge.conversion.backend import Capabilities, ConvertOptions, ModelFile, Runner
from qsr_edge.conversion.convert import _check_parity
from qsr_edge.conversion.parity import compare_with_golden
from qsr_edge.errors import ParityError
from qsr_edge.lowering.network import LoweredNetwork
from tests.support.graph_builders import random_network, sample_images


@dataclass
class TwoFamilies:
    """A runtime with two families that runs a network as the golden interpreter."""

    network: LoweredNetwork
    name: str = "two"
    capabilities: Capabilities = field(
        default_factory=lambda: Capabilities(model_kind="two", suffix=".two", packages=())
    )

    def check_available(self) -> None: ...

    def runtime_version(self) -> str:
        return "two 1"

    def convert(self, network: LoweredNetwork, options: ConvertOptions) -> tuple[ModelFile, ...]:
        raise AssertionError("the models are given, nothing is converted")

    def kernel_families(self) -> tuple[str, ...]:
        return "fast", "slow"

    def open_model(self, path: Path, *, depth: int, threads: int = 1, kernels: str | None = None) -> Runner:
        return self.network[depth]


class FixedFamilies(TwoFamilies):
    """One whose programs tell theirs."""

    def model_kernels(self, path: Path, depth: int) -> str:
        return path.read_text()


@pytest.mark.parametrize(
    ("backend", "default_only", "expected"),
    [
        (TwoFamilies, False, ["fast", "slow"]),
        (TwoFamilies, True, ["fast"]),
        (FixedFamilies, False, ["slow"]),
        (FixedFamilies, True, ["slow"]),
    ],
)
def test_every_family_that_a_model_has(backend: type[TwoFamilies], default_only: bool, expected: list[str]) -> None:
    network = random_network(bits=4, scale=2, channels=8, depths=(1,))
    results = compare_with_golden(
        backend(network),
        network,
        [ModelFile(name="d1", depths=(1,), content=b"slow")],
        tuple(sample_images([(5, 7)])),
        default_only=default_only,
    )
    assert [(result.kernels, result.mismatching_bytes) for result in results] == [(name, 0) for name in expected]


def _result(kernels: str, depth: int, mismatching: int) -> ParityEntry:
    return ParityEntry(kernels=kernels, depth=depth, images=1, bytes_compared=9, mismatching_bytes=mismatching)


def test_each_depths_default_must_be_exact() -> None:
    inexact = _result("reference", 2, 1)
    exact = (_result("xnnpack", 2, 0), inexact, _result("portable", 4, 0))
    _check_parity(exact, exact_everywhere=False)
    with pytest.raises(ParityError, match="depth 2 under reference: 1 of 9 bytes differ"):
        _check_parity(exact, exact_everywhere=True)
    with pytest.raises(ParityError, match="depth 4 under portable: 1 of 9 bytes differ"):
        _check_parity((*exact[:2], _result("portable", 4, 1)), exact_everywhere=False)


def test_each_step_of_verification_is_told_before_it_begins() -> None:
    network = random_network(bits=4, scale=2, channels=8, depths=(1, 2))
    told: list[tuple[str, int, int]] = []
    models = [ModelFile(name=f"d{depth}", depths=(depth,), content=b"") for depth in network.depths]
    compare_with_golden(
        TwoFamilies(network),
        network,
        models,
        tuple(sample_images([(5, 7)])),
        on_stage=lambda text, done, total: told.append((text, done, total)),
    )
    assert [done for _, done, _ in told] == list(range(6))
    assert {total for _, _, total in told} == {6}
    assert told[0][0] == "computing the reference of depth 1"
    assert told[-1][0] == "verifying depth 2 under slow"
