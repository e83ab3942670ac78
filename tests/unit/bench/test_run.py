"""A run's parts: what a device did not bring over is asked for again, so often and no more."""

import contextlib
import hashlib
import signal
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest

from qsr_edge.bench import run
from qsr_edge.bench.device import PartEnd, PartPlan, Phase, Sink
from qsr_edge.bench.plan import RunRequest, add_images, new_header
from qsr_edge.bench.protocol.condition import Condition
from qsr_edge.bench.protocol.header import DeviceInfo
from qsr_edge.bench.protocol.job import Effort
from qsr_edge.bench.protocol.log import RESULTS_NAME, RunLog, read_log
from qsr_edge.bench.protocol.records import Damaged, End, Image, Part, Start, Steady, of_kind
from qsr_edge.bench.result import evaluate_run
from qsr_edge.bench.run import MAX_FRUITLESS_PARTS, measure_run
from qsr_edge.data.images import write_picture
from qsr_edge.data.picture import Picture
from qsr_edge.errors import BenchError

pytestmark = pytest.mark.usefixtures("usual_signals")


@dataclass
class LossyDevice:
    """Measures at once, and loses each picture so many times."""

    losses: int
    id: str = "lossy"
    asked: list[tuple[str, ...]] = field(default_factory=list)

    def describe(self) -> DeviceInfo:
        return DeviceInfo(kind="android", id=self.id, name=self.id, processor="p", system="s", cores=1, simulator=True)

    def condition(self) -> Condition:
        return Condition()

    def kernel_families(self, target: str) -> tuple[str, ...]:
        return ("xnnpack",)

    def run_part(self, plan: PartPlan, sink: Sink) -> PartEnd:
        [variant], [image] = plan.variants, plan.images
        self.asked.append(variant.done.images)
        sink.record(Start(variant=variant.label, load_us=1, first_us=1, golden_equal=True))
        if not variant.done.queries:
            sink.record(Steady(variant=variant.label, latencies_us=(5, 6, 7)))
        if image.name not in variant.done.images:
            content = bytes(12 * image.height_px * image.width_px)
            sha256 = hashlib.sha256(content).hexdigest()
            record = Image(variant=variant.label, image=image.name, sha256=sha256, output="0.rgb")
            sink.record(record)
            if self.losses:
                self.losses -= 1
                sink.fault(Phase.PULL, "another sha256")
            else:
                sink.output(record, content)
        return PartEnd(complete=True)

    def collect(self, run: str, part: int, received: int, sink: Sink) -> None: ...

    def clean(self, run: str) -> None: ...


@pytest.fixture
def folder(tiny_bundle: Path, tmp_path: Path) -> Path:
    picture = tmp_path / "grey.png"
    write_picture(picture, Picture(rgb=np.full((64, 64, 3), 128, np.uint8), alpha=None, grey=False))
    request = RunRequest(
        bundles=(tiny_bundle,),
        depths=(1,),
        kernels=(),
        threads=1,
        size_px=(24, 40),
        effort=Effort(queries=3, steady_ms=0),
        gate=None,
        originals=(picture,),
    )
    header = add_images(new_header(request, LossyDevice(losses=0)), request.originals, tmp_path / "run")
    RunLog(tmp_path / "run" / RESULTS_NAME).append(header)
    return tmp_path / "run"


def test_a_lost_picture_is_computed_again(folder: Path) -> None:
    device = LossyDevice(losses=2)
    measure_run(folder, device)
    result = evaluate_run(read_log(folder))
    assert result.complete
    assert [image.image for image in result.variants[0].images] == ["grey"]
    assert [variant.latency.count for variant in result.measured if variant.latency] == [3]
    assert device.asked == [(), (), ()]
    reasons = [part.reason for part in of_kind(read_log(folder), Part)]
    assert reasons == [
        "first",
        "1 of the pictures did not come over whole",
        "1 of the pictures did not come over whole",
    ]


def test_a_picture_that_never_comes_leaves_the_run_incomplete(folder: Path) -> None:
    device = LossyDevice(losses=100)
    with pytest.raises(BenchError, match="1 of the pictures did not come over whole"):
        measure_run(folder, device)
    assert len(device.asked) == 1 + MAX_FRUITLESS_PARTS  # the first measured latencies
    assert not evaluate_run(read_log(folder)).complete


@pytest.mark.parametrize("brought", [([], [5, 6, 7]), ([5, 6], [7]), ([5, 6, 7],)], ids=["none", "some", "enough"])
def test_inferences_that_a_damaged_line_held_are_measured_again(folder: Path, brought: Sequence[list[int]]) -> None:
    class Damaging(LossyDevice):
        def run_part(self, plan: PartPlan, sink: Sink) -> PartEnd:
            [variant] = plan.variants
            latencies_us = brought[len(self.asked)]
            if not self.asked:
                sink.record(Damaged(bytes=90))
            if latencies_us:
                sink.record(Steady(variant=variant.label, latencies_us=tuple(latencies_us)))
            rest = replace(variant, done=replace(variant.done, queries=3))
            return super().run_part(replace(plan, variants=(rest,)), sink)

    measure_run(folder, Damaging(losses=0))
    result = evaluate_run(read_log(folder))
    assert result.complete
    assert [variant.latency.count for variant in result.measured if variant.latency] == [3]
    reasons = [part.reason for part in of_kind(read_log(folder), Part)]
    lost = "1 of the lines did not come over whole, and with them inferences that were asked for"
    assert reasons == ["first", lost][: len(brought)]


def test_a_runtime_that_swallows_ctrl_c_does_not_keep_the_run(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Swallowing:
        def upscale(self, image: np.ndarray) -> np.ndarray:
            try:
                signal.raise_signal(signal.SIGINT)
            except BaseException:
                pass
            return np.zeros((64, 64, 3), np.uint8)

    monkeypatch.setattr(run, "load_depth", lambda bundle, depth: Swallowing())
    with pytest.raises(KeyboardInterrupt):
        measure_run(folder, LossyDevice(losses=0))
    last = read_log(folder)[-1]
    assert isinstance(last, End)
    assert (last.complete, last.reason) == (False, "interrupted")
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.parametrize("last", [False, True], ids=["in the middle", "at the last record"])
def test_ctrl_c_that_was_swallowed_ends_the_run_at_the_next_record(folder: Path, last: bool) -> None:
    class Deaf(LossyDevice):
        def run_part(self, plan: PartPlan, sink: Sink) -> PartEnd:
            label = plan.variants[0].label
            for index in range(9):
                if index == (8 if last else 3):
                    with contextlib.suppress(BaseException):  # such as a destructor, or a callback of native code
                        signal.raise_signal(signal.SIGINT)
                sink.record(Steady(variant=label, latencies_us=(index,)))
            return PartEnd(complete=True)

    with pytest.raises(KeyboardInterrupt):
        measure_run(folder, Deaf(losses=0))
    records = read_log(folder)
    assert len(list(of_kind(records, Steady))) == (9 if last else 4)
    assert [end.reason for end in of_kind(records, End)] == ["interrupted"]


def test_what_is_fetched_after_ctrl_c_is_kept(folder: Path) -> None:
    class Rescuing(LossyDevice):
        def run_part(self, plan: PartPlan, sink: Sink) -> PartEnd:
            try:
                signal.raise_signal(signal.SIGINT)
            except KeyboardInterrupt:
                sink.status("fetching")
                super().run_part(plan, sink)
                raise
            pytest.fail("not interrupted")

    with pytest.raises(KeyboardInterrupt):
        measure_run(folder, Rescuing(losses=0))
    assert {"start", "steady", "image", "quality"} <= {record.kind for record in read_log(folder)}


def test_two_do_not_measure_into_one_folder(folder: Path) -> None:
    class Twice(LossyDevice):
        def run_part(self, plan: PartPlan, sink: Sink) -> PartEnd:
            before = (folder / RESULTS_NAME).read_bytes()
            with pytest.raises(BenchError, match="another qsr-edge bench measures into it now; wait for its end"):
                measure_run(folder, LossyDevice(losses=0))
            assert (folder / RESULTS_NAME).read_bytes() == before
            return super().run_part(plan, sink)

    measure_run(folder, Twice(losses=0))
    assert evaluate_run(read_log(folder)).complete
    measure_run(folder, LossyDevice(losses=0))
