"""The Python agent with the simulated phone's heat in place of this machine's: ``phone_agent.py JOB STATE``."""

import json
import sys
from pathlib import Path

from qsr_edge.bench.host.measurement import run_job
from qsr_edge.bench.protocol.condition import Condition
from qsr_edge.bench.protocol.job import parse_job
from qsr_edge.bench.protocol.log import RunLog


def main(job_path: str, state_path: str) -> int:
    job = parse_job(Path(job_path).read_bytes(), job_path)
    complete = run_job(job, RunLog(Path(job.results)), lambda: Condition(**json.loads(Path(state_path).read_bytes())))
    return 0 if complete else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
