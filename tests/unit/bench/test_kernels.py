"""What a run calls its variants: a model's own kernels where the model tells them, else what the device has."""

from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import pytest

pytest.importorskip("flatbuffers", reason="the extra [tflite] is not installed")

from qsr_edge.bench.android import device as android
from qsr_edge.bench.android.stock import BENCHMARK_MODEL, EXECUTOR_RUNNER
from qsr_edge.bench.device import PartEnd, PartPlan, Sink
from qsr_edge.bench.device_kernels import app_kernels
from qsr_edge.bench.ios import device as ios
from qsr_edge.bench.plan import RunRequest, new_header
from qsr_edge.bench.protocol.condition import Condition
from qsr_edge.bench.protocol.header import DeviceInfo
from qsr_edge.bench.protocol.job import Effort
from qsr_edge.bundle.reader import open_bundle
from qsr_edge.bundle.writer import write_bundle
from qsr_edge.errors import BenchError
from qsr_edge_converters.executorch import ExecutorchBackend
from tests.support.pte_files import pte


class Phone:
    """Has the app's kernels, and measures nothing."""

    id = "phone"

    def describe(self) -> DeviceInfo:
        return DeviceInfo(kind="android", id=self.id, name="p", processor="p", system="s", cores=1, simulator=False)

    def condition(self) -> Condition:
        return Condition()

    def kernel_families(self, target: str) -> tuple[str, ...]:
        return app_kernels(target, android.KIND, "p")

    def run_part(self, plan: PartPlan, sink: Sink) -> PartEnd:
        raise AssertionError("only a header is asked for, nothing is measured")

    def collect(self, run: str, part: int, received: int, sink: Sink) -> None: ...

    def clean(self, run: str) -> None: ...


def with_programs(bundle: Path, output: Path, *delegates: str) -> Path:
    """A bundle for ExecuTorch whose programs, of every depth, have these delegates."""
    with open_bundle(bundle) as given:
        manifest = given.manifest
        depths = tuple(replace(entry, file=f"d{entry.depth}.pte") for entry in manifest.depths)
        # As bundles say that were converted before portable kernels had a name.
        parity = tuple(replace(entry, kernels="xnnpack") for entry in manifest.parity)
        contents = {entry.file: pte({"forward": delegates}) for entry in depths}
        changed = replace(manifest, target="executorch", depths=depths, parity=parity, files=())
        write_bundle(output, changed, contents)
    return output


def variants(bundle: Path, *kernels: str) -> list[tuple[str, str]]:
    request = RunRequest(bundles=(bundle,), depths=(), kernels=kernels, threads=1, size_px=(24, 40),
                         effort=Effort(queries=1, steady_ms=0), gate=None, originals=())  # fmt: skip
    return [(entry.label, entry.kernels) for entry in new_header(request, Phone()).variants]


@pytest.fixture(autouse=True)
def _no_sdk(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(self: ExecutorchBackend) -> NoReturn:
        raise AssertionError("a phone is measured without the SDK")

    monkeypatch.setattr(ExecutorchBackend, "check_available", missing)


@pytest.mark.parametrize(
    ("delegates", "own", "other"), [((), "portable", "xnnpack"), (("XnnpackBackend",), "xnnpack", "portable")]
)
def test_a_program_is_called_by_what_it_delegates(
    tiny_bundle: Path, tmp_path: Path, delegates: tuple[str, ...], own: str, other: str
) -> None:
    bundle = with_programs(tiny_bundle, tmp_path / "t", *delegates)
    expected = [(f"t d1 {own}", own), (f"t d2 {own}", own)]
    assert variants(bundle) == expected
    assert variants(bundle, own) == expected
    for wrong in (other, "cuda"):
        message = f"t: no family of kernels is called '{wrong}' at depth 1; on this device it has {own}$"
        with pytest.raises(BenchError, match=message):
            variants(bundle, wrong)


def test_the_app_runs_onnx_bundles_on_the_cpu_and_on_the_npu() -> None:
    assert app_kernels("onnx", android.KIND, "the app") == ("cpu", "htp")


def test_kernels_of_litert_are_an_option(tiny_bundle: Path) -> None:
    assert [family for _, family in variants(tiny_bundle)] == ["xnnpack"] * 2
    assert [family for _, family in variants(tiny_bundle, "builtin", "xnnpack")] == ["builtin", "xnnpack"] * 2


def test_the_stock_runner_takes_both_kinds_of_programs() -> None:
    own = app_kernels("executorch", EXECUTOR_RUNNER.name, "runner")
    assert own == app_kernels("executorch", android.KIND, "app") == ExecutorchBackend().kernel_families()


def test_programs_say_whose_models_they_run() -> None:
    with pytest.raises(BenchError, match=r"benchmark_model runs no executorch bundles; convert for tflite$"):
        app_kernels("executorch", BENCHMARK_MODEL.name, BENCHMARK_MODEL.name)
    with pytest.raises(BenchError, match=r"the app runs no tflite bundles; convert for coreml$"):
        app_kernels("tflite", ios.KIND, "the app")
