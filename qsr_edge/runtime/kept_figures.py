"""Figures of pictures that were measured, kept so that an evaluation that was stopped goes on where it was.

A line of JSON for each picture, on disk as soon as it is measured, in a file of the cache folder. The file's name is a
digest of all that the figures depend on but the pictures. These go by digests of their own files, so that one that
changed is measured again. When all is measured the file is removed.
"""

import hashlib
import json
import math
import os
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from qsr_edge.codec import Decoder
from qsr_edge.errors import DatasetError
from qsr_edge.files import hold
from qsr_edge.metrics.quality import Quality

KEPT_DAYS = 30
"""So long after its last picture, a file that nobody went on with is removed."""
_LINE_LIMIT_BYTES = 1 << 20
_DECODER = Decoder(error=DatasetError, takes_null=True)
_NAME = "evaluate-{}.jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Figures:
    """Of one method: PSNR in dB, None for equal pictures, and SSIM."""

    psnr_db: float | None
    ssim: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    """One picture: the digest of its files, and its figures by method."""

    picture: str
    scores: dict[str, _Figures]


class KeptFigures:
    """The figures of one evaluation; any number of threads may use it."""

    def __init__(self, path: Path):
        """Read what was kept. A line that was cut, as its process was killed, is dropped.

        Args:
            path: the file; it need not exist.

        Raises:
            DatasetError: naming the file and what to do, if a line is damaged.
            OSError: naming the file, if it cannot be read.
        """
        self.path = path
        self._lock = threading.Lock()
        self._known: dict[str, dict[str, Quality]] = {}
        content = path.read_bytes() if path.exists() else b""
        whole = content[: content.rfind(b"\n") + 1]
        if whole != content:
            os.truncate(path, len(whole))
        for number, line in enumerate(whole.splitlines(), start=1):
            entry = self._decoded(line, f"{path}:{number}")
            self._known[entry.picture] = {
                method: Quality(psnr_db=math.inf if each.psnr_db is None else each.psnr_db, ssim=each.ssim)
                for method, each in entry.scores.items()
            }

    def __len__(self) -> int:
        return len(self._known)

    def find(self, picture: str) -> dict[str, Quality] | None:
        """The figures of a picture by method; None if it was not measured yet.

        Args:
            picture: digest of its files, by :func:`files_digest`.
        """
        return self._known.get(picture)

    def add(self, picture: str, scores: Mapping[str, Quality]) -> None:
        """Keep a picture's figures; they are on disk when this returns.

        Raises:
            OSError: naming the file, if it cannot be written; what was there stays whole.
        """
        table = {"picture": picture, "scores": {method: each.table() for method, each in scores.items()}}
        line = json.dumps(table).encode() + b"\n"
        with self._lock:
            size = self.path.stat().st_size if self.path.exists() else 0
            try:
                with self.path.open("ab") as file:
                    file.write(line)
                    file.flush()
                    os.fsync(file.fileno())
            except OSError as error:
                with suppress(OSError):
                    os.truncate(self.path, size)  # or the next line would go on with this one
                error.filename = str(self.path)
                raise
            self._known[picture] = dict(scores)

    def _decoded(self, line: bytes, source: str) -> _Line:
        try:
            value = _DECODER.parse_json(line, source, limit_bytes=_LINE_LIMIT_BYTES)
            return _DECODER.decode(_Line, value, source)
        except DatasetError as error:
            raise DatasetError(f"{error}; remove the file, and the evaluation begins anew") from error


@contextmanager
def kept_figures(folder: Path, basis: Sequence[str]) -> Iterator[KeptFigures]:
    """The figures that an evaluation keeps, to itself; gone when the block ends as it should.

    What nobody went on with for :data:`KEPT_DAYS` is removed first.

    Args:
        folder: the cache folder; it is made.
        basis: all that the figures depend on but the pictures themselves: network, versions, methods, folders.

    Raises:
        DatasetError: if another process evaluates the same now, or what was kept is damaged.
        OSError: naming the file, if nothing can be written in the folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _sweep(folder)
    path = folder / _NAME.format(hashlib.sha256(json.dumps(list(basis)).encode()).hexdigest()[:16])
    busy = DatasetError(f"{path}: another qsr-edge evaluate measures the same now; wait for its end")
    with hold(path, busy):
        yield KeptFigures(path)
        path.unlink(missing_ok=True)


def files_digest(files: Sequence[Path]) -> str:
    """Of the contents of files, in order.

    Raises:
        OSError: naming the file, if one cannot be read.
    """
    digest = hashlib.sha256()
    for path in files:
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def _sweep(folder: Path) -> None:
    oldest = time.time() - KEPT_DAYS * 24 * 3600
    for path in folder.glob(_NAME.format("*")):
        with suppress(OSError):
            if path.stat().st_mtime < oldest:
                path.unlink()
