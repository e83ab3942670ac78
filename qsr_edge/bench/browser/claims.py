"""What a page's records may say: nothing about what it was not asked for, and nothing that contradicts itself.

A page runs in somebody's browser, with extensions and tools of all kinds. Records from a cable are damaged now and
then; those of a page come whole, so one that is none is a defect or a lie, and no part goes on after it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from qsr_edge.bench.device import PartPlan
from qsr_edge.bench.protocol.decoding import decode_agent_record
from qsr_edge.bench.protocol.job import PROTOCOL
from qsr_edge.bench.protocol.records import Agent, ConditionRecord, Image, Placement, Record, Start, VariantRecord
from qsr_edge.errors import BenchError

SOURCE = "the browser's records"


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """What may be claimed in one part.

    Attributes:
        plan: of the part.
        golden_sha256: that the bundle's manifest has, by variant label.
    """

    plan: PartPlan
    golden_sha256: Mapping[str, str]

    def check(self, line: bytes) -> Record:
        """The record of a line.

        Raises:
            BenchError: if it is none, or says what it cannot.
        """
        record = decode_agent_record(line, SOURCE)
        match record:
            case Agent():
                told = (record.protocol, record.run, record.part)
                if told != (PROTOCOL, self.plan.run, self.plan.part):
                    raise BenchError(f"{SOURCE}: are of protocol, run and part {told}, which is not what was asked for")
            case VariantRecord():
                self._check_variant(record.variant)
            case ConditionRecord() if record.variant is not None:
                self._check_variant(record.variant)
            case _:
                pass
        match record:
            case Placement():
                raise BenchError(f"{SOURCE}: tell a placement, which no browser knows")
            case Image() if output_name(self.plan, record.variant, record.image) != record.output:
                raise BenchError(f"{SOURCE}: name {record.output[:80]!r} the output of {record.image!r}")
            case Start():
                self._check_golden(record)
            case _:
                pass
        return record

    def _check_variant(self, label: str) -> None:
        if label not in self.golden_sha256:
            raise BenchError(f"{SOURCE}: tell of {label[:80]!r}, which nobody asked for")

    def _check_golden(self, record: Start) -> None:
        asked = next(variant.check_golden for variant in self.plan.variants if variant.label == record.variant)
        is_equal = record.golden_sha256 == self.golden_sha256[record.variant] if asked else None
        if record.golden_equal != is_equal:
            raise BenchError(
                f"{SOURCE}: call the golden output of {record.variant} equal: {record.golden_equal}, but its sha256 is "
                f"{record.golden_sha256}, expected {self.golden_sha256[record.variant]}"
            )


def output_name(plan: PartPlan, label: str, image: str) -> str | None:
    """What the agent calls a picture; None if nobody asked for it."""
    labels = [variant.label for variant in plan.variants]
    if label not in labels or image not in [each.name for each in plan.images]:
        return None
    return f"{labels.index(label)}-{image}.rgb"
