"""A run's files on a phone: bundles, pictures and the job, pushed by hash, checked there, and removed in the end."""

import hashlib
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

from qsr_edge.bench.android.adb import COMMAND_S, SLOWEST_BYTES_PER_S, AdbDevice
from qsr_edge.bench.android.link import Link
from qsr_edge.bench.device import PartPlan
from qsr_edge.bench.protocol.job import RUN_ID, dump_job
from qsr_edge.bundle.manifest import MANIFEST_NAME, parse_manifest
from qsr_edge.errors import BenchError
from qsr_edge.files import temporary_folder

PACKAGE = "io.qsredge.bench"
HOME = PurePosixPath("/data/local/tmp/qsr-edge")
"""Where the shell writes and apps read."""
APP_FILES = PurePosixPath(f"/sdcard/Android/data/{PACKAGE}/files")
"""Where the app writes and the shell reads and deletes."""
CACHE = HOME / "files"
CLAIM = HOME / "measuring"
"""Names the run that measures; see :mod:`qsr_edge.bench.android.claim`."""
_HASHES_AT_ONCE = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalFile:
    """A file of this machine by its content."""

    path: Path
    sha256: str
    size_bytes: int


def local_file(path: Path) -> LocalFile:
    """Hash a file; raises ``BenchError`` naming one that cannot be read."""
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            return LocalFile(path=path, sha256=digest, size_bytes=file.tell())
    except OSError as error:
        raise BenchError(f"{path}: cannot be read ({error.strerror}); was the bundle moved?") from error


def quoted(*paths: PurePosixPath) -> str:
    """Device paths for a command line."""
    return " ".join(shlex.quote(str(path)) for path in paths)


class DeviceFiles:
    """The files of one run on one phone.

    Args:
        link: to the phone.
        run: id of the run.
    """

    def __init__(self, link: Link, run: str) -> None:
        """Take a run's id; one that is none would name other folders, and raises ``BenchError``."""
        if not RUN_ID.fullmatch(run):
            raise BenchError(f"{run[:80]!r} is no run's id; the run's log is damaged, measure anew")
        self._link = link
        self._device: AdbDevice = link.device
        self._run = run
        self.folder = HOME / run
        self.app_folder = APP_FILES / run
        self.outputs = self.app_folder / "outputs"

    def results(self, part: int) -> PurePosixPath:
        """The file that part number ``part`` of the bench writes."""
        return self.app_folder / f"results-{part}.jsonl"

    def push(self, plan: PartPlan, on_status: Callable[[str], None]) -> PurePosixPath:
        """Push what the phone lacks, and the job; give everything its place.

        Returns:
            The job's path.

        Raises:
            NoSpaceError: if the storage is full.
            BenchError: if a file cannot be read here, or does not arrive whole.
            AdbError: as :meth:`qsr_edge.bench.android.link.Link.keep`.
        """
        bundles = {variant.bundle: self.folder / f"bundle-{index}" for index, variant in enumerate(plan.variants)}
        placed: dict[PurePosixPath, LocalFile] = {}
        for folder, target in bundles.items():
            placed |= {target / name: local_file(Path(folder, name)) for name in _bundle_files(Path(folder))}
        images = {image.name: self.folder / "images" / f"{index}.rgb" for index, image in enumerate(plan.images)}
        placed |= {images[image.name]: local_file(Path(image.path)) for image in plan.images}
        self.fill_cache(placed.values(), on_status)
        self.place(placed)
        job = plan.job(
            bundles={folder: str(target) for folder, target in bundles.items()},
            images={name: str(path) for name, path in images.items()},
            results=str(self.results(plan.part)),
            outputs=str(self.outputs),
        )
        job_path = self.folder / f"job-{plan.part}.json"
        with temporary_folder("job") as scratch:
            path = scratch / "job.json"
            path.write_bytes(dump_job(job))
            self._put(local_file(path), job_path)
        return job_path

    def fill_cache(self, files: Iterable[LocalFile], on_status: Callable[[str], None]) -> None:
        """Push the contents that the phone does not have yet; errors as :meth:`push`."""
        needed = {file.sha256: file for file in files}
        self._command(f"mkdir -p {quoted(CACHE)}")
        there = set(self._command(f"ls {quoted(CACHE)}").decode(errors="replace").split())
        known = self._hashes([CACHE / sha256 for sha256 in needed if sha256 in there])
        missing = [file for sha256, file in needed.items() if known.get(CACHE / sha256) != sha256]
        total, pushed = sum(file.size_bytes for file in missing), 0
        for number, file in enumerate(missing, start=1):
            on_status(f"pushing file {number} of {len(missing)}, {pushed / 1e6:.1f} of {total / 1e6:.1f} MB")
            self._put(file, CACHE / file.sha256)
            pushed += file.size_bytes

    def place(self, placed: Mapping[PurePosixPath, LocalFile]) -> None:
        """Give cached contents their names in the run's folder; errors as :meth:`push`."""
        self._command(f"mkdir -p {quoted(*sorted({path.parent for path in placed}))}")
        for path, file in placed.items():
            source = CACHE / file.sha256
            # Most phones forbid the shell to make hard links.
            self._command(
                f"ln -f {quoted(source, path)} 2>/dev/null || cp {quoted(source, path)}",
                timeout_s=COMMAND_S + file.size_bytes / SLOWEST_BYTES_PER_S,
            )

    def remove(self, *, keep_files: bool, release: Callable[[], None]) -> None:
        """Remove all of the run; the pushed contents too, unless they are kept or another run is on the phone.

        Args:
            keep_files: whether they are kept.
            release: makes sure that nothing writes to the run's files any more.

        Raises:
            BenchError: naming what is left, and the command that removes it.
        """
        own = [self.folder, self.app_folder, *([] if keep_files else [CACHE])]
        try:
            release()
            if keep_files or self._others():
                own = [self.folder, self.app_folder, *self._unfinished()]
            self._command(f"rm -rf {quoted(*own)}", timeout_s=3 * COMMAND_S)
            self._link.keep(lambda: self._device.shell(f"rmdir {quoted(HOME)} 2>/dev/null"))
            listing = self._link.keep(lambda: self._device.shell(f"ls -d {quoted(*own)}"))
        except BenchError as error:
            raise BenchError(f"{error}; {self._left(own)}") from error
        left = [path for path in own if str(path).encode() in listing.out.split()]
        if left:
            raise BenchError(f"{self._device.serial}: not all could be removed; {self._left(left)}")

    def _others(self) -> set[str]:
        """Runs that have files on the phone, besides this one."""
        return set(self._names(HOME)) - {self._run, CACHE.name, CLAIM.name}

    def _unfinished(self) -> list[PurePosixPath]:
        """What this run was pushing when it was interrupted."""
        return [CACHE / name for name in self._names(CACHE) if name.endswith(f".{self._run}.part")]

    def _names(self, folder: PurePosixPath) -> list[str]:
        listing = self._link.keep(lambda: self._device.shell(f"ls {quoted(folder)} 2>/dev/null"))
        return listing.out.decode(errors="replace").split()

    def _left(self, paths: Sequence[PurePosixPath]) -> str:
        command = f"adb -s {self._device.serial} shell rm -rf {quoted(*paths)}"
        return f"the run's files may still be on it, remove them later: {command}"

    def _put(self, file: LocalFile, target: PurePosixPath) -> None:
        """Push under a temporary name, check, rename."""
        unfinished = target.with_name(f"{target.name}.{self._run}.part")

        def put() -> None:
            self._device.push(file.path, str(unfinished))
            if self._read_hashes([unfinished]).get(unfinished) != file.sha256:
                self._device.shell(f"rm -f {quoted(unfinished)}")
                raise BenchError(f"{self._device.serial}: {file.path} did not arrive whole; measure again")
            self._device.run(f"chmod 644 {quoted(unfinished)} && mv -f {quoted(unfinished, target)}")

        self._command(f"mkdir -p {quoted(target.parent)}")
        self._link.keep(put)

    def _hashes(self, paths: Sequence[PurePosixPath]) -> dict[PurePosixPath, str]:
        hashes: dict[PurePosixPath, str] = {}
        for start in range(0, len(paths), _HASHES_AT_ONCE):
            hashes |= self._link.keep(partial(self._read_hashes, paths[start : start + _HASHES_AT_ONCE]))
        return hashes

    def _read_hashes(self, paths: Sequence[PurePosixPath]) -> dict[PurePosixPath, str]:
        # A file that cannot be read is one that lacks; the others' lines are there all the same.
        answer = self._device.shell(f"sha256sum {quoted(*paths)}", timeout_s=3 * COMMAND_S)
        rows = (line.split("  ", 1) for line in answer.out.decode(errors="replace").splitlines())
        return {PurePosixPath(row[1]): row[0] for row in rows if len(row) == 2}

    def _command(self, command: str, *, timeout_s: float = COMMAND_S) -> bytes:
        return self._link.keep(lambda: self._device.run(command, timeout_s=timeout_s))


def _bundle_files(folder: Path) -> tuple[str, ...]:
    path = folder / MANIFEST_NAME
    try:
        manifest = parse_manifest(path.read_bytes(), str(path))
    except OSError as error:
        raise BenchError(f"{path}: cannot be read ({error.strerror}); was the bundle moved?") from error
    return (MANIFEST_NAME, *(entry.path for entry in manifest.files))
