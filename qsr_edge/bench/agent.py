"""The Python agent, ``python -m qsr_edge.bench.agent JOB.json``: measures a job here and writes its records.

The exit code is 0 if the job went through; what went wrong stands in the results file.
"""

import sys
from pathlib import Path

from qsr_edge.bench.host.device import host_condition
from qsr_edge.bench.host.measurement import run_job
from qsr_edge.bench.protocol.job import parse_job
from qsr_edge.bench.protocol.log import RunLog
from qsr_edge.errors import BenchError


def main(arguments: list[str]) -> int:
    """Measure the job of a file."""
    if len(arguments) != 1:
        print("usage: python -m qsr_edge.bench.agent JOB.json", file=sys.stderr)
        return 2
    try:
        job = parse_job(Path(arguments[0]).read_bytes(), arguments[0])
        return 0 if run_job(job, RunLog(Path(job.results)), host_condition) else 1
    except (BenchError, OSError) as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
