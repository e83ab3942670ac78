"""Which depth runs: a policy over battery, heat and the frame budget, and the pure function that phones reimplement."""

from qsr_edge.selector.decision import Decision, Sample, Sensor, State, step
from qsr_edge.selector.latency import LatencyEntry, LatencyTable, estimated_table
from qsr_edge.selector.policy import Policy, Rule, default_policy, findings

__all__ = [
    "Decision",
    "LatencyEntry",
    "LatencyTable",
    "Policy",
    "Rule",
    "Sample",
    "Sensor",
    "State",
    "default_policy",
    "estimated_table",
    "findings",
    "step",
]
