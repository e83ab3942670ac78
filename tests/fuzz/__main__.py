"""Fuzzes every reader in turn and tells what it found: ``python -m tests.fuzz [--seconds N] [--jobs N] [READER...]``.

Each reader gets its share of the time in a process of its own, and a new process after each failure. What failed is
kept in ``tests/fuzz/corpus/READER``, to be mended and then committed: the tests read it. Exit code 1 if anything did.
"""

import argparse
import concurrent.futures
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from tests.fuzz.readers import CORPUS, READERS

HANG_S = 25
"""An input that takes longer is a hang: none of the readers' limits lets a small file take a second."""
LARGEST_BYTES = 1 << 16
MEMORY_LIMIT_MB = 4096
_LEAST_S = 2.0
_EXECUTED = re.compile(r"stat::number_of_executed_units:\s*(\d+)")
_PROGRESS = re.compile(r"^#(\d+)\s", re.MULTILINE)


@dataclass(slots=True)
class Finding:
    """What fuzzing one reader came to."""

    inputs: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    kept: list[Path] = field(default_factory=list)
    told: list[str] = field(default_factory=list)


def fuzzed(name: str, seconds: float, runs: int | None = None) -> Finding:
    """Fuzz a reader for so long; or with so many inputs, the same ones each time."""
    finding, deadline = Finding(), time.monotonic() + seconds
    with tempfile.TemporaryDirectory(prefix=f"fuzz-{name}-") as folder:
        working, artifacts = Path(folder) / "inputs", Path(folder) / "artifacts"
        working.mkdir()
        artifacts.mkdir()
        known = [path.read_bytes() for path in sorted((CORPUS / name).glob("*"))]
        for content in (*READERS[name].seeds(), *known):
            (working / hashlib.sha256(content).hexdigest()).write_bytes(content)
        if runs is not None:
            _one_process(name, finding, working, artifacts, seconds, f"-runs={runs}", "-seed=1")
            return finding
        while (left := deadline - time.monotonic()) > _LEAST_S:
            _one_process(name, finding, working, artifacts, left)
            if not finding.inputs and finding.failures:
                break  # it fails on its seeds, and would do nothing else
    return finding


def _one_process(name: str, finding: Finding, working: Path, artifacts: Path, seconds: float, *more: str) -> None:
    command = [
        sys.executable, "-m", "tests.fuzz.one_reader", name, str(working), f"-artifact_prefix={artifacts}/",
        f"-max_total_time={max(1, int(seconds))}", f"-timeout={HANG_S}", f"-max_len={LARGEST_BYTES}",
        f"-rss_limit_mb={MEMORY_LIMIT_MB}", "-print_final_stats=1", "-verbosity=1", *more,
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, env={**os.environ, "OMP_NUM_THREADS": "1"}, check=False)
    output = (done.stdout + done.stderr).decode(errors="replace")  # Python's exceptions come on the first
    counts = [int(count) for count in (*_EXECUTED.findall(output), *_PROGRESS.findall(output))]
    finding.inputs += max(counts, default=0)
    left = sorted(artifacts.iterdir())
    for artifact in left:
        kind = artifact.name.partition("-")[0]
        silent = kind == "crash" and "SilentAcceptanceError" in output
        finding.failures["silent" if silent else "hang" if kind in ("timeout", "slow") else "crash"] += 1
        target = CORPUS / name / artifact.name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(artifact, target)
        finding.kept.append(target)
    if done.returncode and not left:
        finding.failures["crash"] += 1
    if done.returncode:
        lines = [line for line in output.splitlines() if line.strip()]
        errors = [line for line in lines if re.match(r"\s*(\w+\.)*\w*(Error|Exception|Acceptance\w*)\b", line)]
        finding.told.append((errors or lines or ["no words"])[-1].strip()[:200])


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("readers", nargs="*", metavar="READER", help=f"some of {', '.join(READERS)}; all by default")
    parser.add_argument("--seconds", type=float, default=170, help="for all readers together")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="readers at once")
    parser.add_argument("--runs", type=int, help="inputs for each reader, the same each time: for CI")
    options = parser.parse_args()
    names = options.readers or list(READERS)
    if unknown := sorted(set(names) - READERS.keys()):
        parser.error(f"no reader is called {unknown[0]}")
    share_s = options.seconds * options.jobs / len(names)
    print(f"{len(names)} readers, {share_s:.0f} s each, {options.jobs} at once", flush=True)
    print(f"{'reader':12} {'inputs':>10} {'crashes':>8} {'hangs':>6} {'silent':>7}", flush=True)
    total, failures = 0, Counter[str]()
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for name, finding in zip(names, pool.map(lambda name: fuzzed(name, share_s, options.runs), names), strict=True):
            counts = finding.failures
            print(
                f"{name:12} {finding.inputs:>10,} {counts['crash']:>8} {counts['hang']:>6} {counts['silent']:>7}",
                flush=True,
            )
            for told in dict.fromkeys(finding.told):
                print(f"    {told}", flush=True)
            for path in finding.kept:
                print(f"    {path}", flush=True)
            total, failures = total + finding.inputs, failures + counts
    print(
        f"{'all':12} {total:>10,} {failures['crash']:>8} {failures['hang']:>6} {failures['silent']:>7}"
        + ("; mend the readers, and commit what they failed on" if failures else ""),
        flush=True,
    )
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
