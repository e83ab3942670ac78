"""Figures that an evaluation keeps for after a stop: exact, whole, one process at a time, gone when all is done."""

import math
import os
import resource
import signal
import time
from pathlib import Path

import pytest

from qsr_edge.errors import DatasetError
from qsr_edge.metrics.quality import Quality
from qsr_edge.runtime.kept_figures import KEPT_DAYS, KeptFigures, files_digest, kept_figures

SCORES = {"bicubic": Quality(psnr_db=math.inf, ssim=1.0), "depth 2": Quality(psnr_db=100 / 3, ssim=0.1 + 0.2)}


def test_figures_come_back_as_they_were(tmp_path: Path) -> None:
    KeptFigures(tmp_path / "kept").add("a", SCORES)
    again = KeptFigures(tmp_path / "kept")
    assert (again.find("a"), again.find("b"), len(again)) == (SCORES, None, 1)


@pytest.mark.parametrize("line", [b"{", b"[]", b'{"picture": "a", "scores": {"bicubic": {"psnr_db": "1"}}}', b"\xff"])
def test_a_damaged_line_is_refused(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "kept"
    KeptFigures(path).add("a", SCORES)
    path.write_bytes(path.read_bytes() + line + b"\n")
    with pytest.raises(DatasetError, match=r"kept:2: .*; remove the file, and the evaluation begins anew"):
        KeptFigures(path)


def test_a_line_that_was_cut_is_dropped_at_every_byte(tmp_path: Path) -> None:
    path = tmp_path / "kept"
    KeptFigures(path).add("a", SCORES)
    one = path.read_bytes()
    for length in range(len(one)):
        path.write_bytes(one + one.replace(b"a", b"b", 1)[:length])
        kept = KeptFigures(path)
        assert len(kept) == 1
        kept.add("c", SCORES)
        assert len(KeptFigures(path)) == 2


def test_a_disk_without_room_leaves_whole_lines(tmp_path: Path) -> None:
    path = tmp_path / "kept"
    kept = KeptFigures(path)
    kept.add("a", SCORES)
    whole = path.read_bytes()
    before, former = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(whole) + 20, before[1]))
        with pytest.raises(OSError, match="File too large") as raised:
            kept.add("b", SCORES)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, former)
    assert (raised.value.filename, path.read_bytes()) == (str(path), whole)
    kept.add("b", SCORES)
    assert len(KeptFigures(path)) == 2


def test_a_run_has_its_figures_to_itself_until_it_is_done(tmp_path: Path) -> None:
    folder = tmp_path / "cache"

    def stopped() -> None:
        with kept_figures(folder, ["x", "y"]) as kept:
            kept.add("a", SCORES)
            with (
                pytest.raises(DatasetError, match="another qsr-edge evaluate measures the same now"),
                kept_figures(folder, ["x", "y"]),
            ):
                pass
            with kept_figures(folder, ["x", "z"]) as other:  # not the same
                assert len(other) == 0
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()
    with kept_figures(folder, ["x", "y"]) as kept:
        assert kept.find("a") == SCORES
    assert list(folder.iterdir()) == []


def test_what_nobody_went_on_with_is_removed(tmp_path: Path) -> None:
    for name, days in (("evaluate-old.jsonl", KEPT_DAYS + 1), ("evaluate-new.jsonl", 1), ("other.jsonl", 400)):
        (tmp_path / name).touch()
        long_ago = time.time() - days * 24 * 3600
        os.utime(tmp_path / name, (long_ago, long_ago))
    with kept_figures(tmp_path, ["x"]):
        pass
    assert sorted(path.name for path in tmp_path.iterdir()) == ["evaluate-new.jsonl", "other.jsonl"]


def test_a_digest_tells_the_files_and_where_one_ends(tmp_path: Path) -> None:
    for name, content in (("a", b"ab"), ("b", b"c"), ("c", b"a"), ("d", b"bc")):
        (tmp_path / name).write_bytes(content)
    digests = [files_digest([tmp_path / name for name in names]) for names in ("ab", "cd", "ba", "a")]
    assert len(set(digests)) == 4
