"""Programs that ExecuTorch has loaded, and the one pool of threads that its Python bindings give them.

A delegate keeps a pointer to the pool from when its program was loaded. So the pool may be replaced, by one of another
number of threads, only when no program is loaded: all are unloaded first, and each is loaded again for its next run,
which takes some tens of milliseconds. The program that was loaded last decides for all. A forked process has the pool
but not its threads; there, too, everything is loaded anew.
"""

import contextlib
import os
import warnings
import weakref
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qsr_edge.errors import BackendError, QsrWarning
from qsr_edge_converters.native_messages import native_messages, with_messages
from qsr_edge_converters.sharing import never_free, process_lock

_lock = process_lock()
"""Held while a program is loaded or runs. It costs nothing: the bindings keep Python's own lock meanwhile."""


class LoadedProgram:
    """One method of a .pte file, loaded whenever it is used and is not."""

    def __init__(self, path: Path, content: bytes, weights: Path | None, *, depth: int, threads: int):
        """Load it.

        Args:
            path: of the file, for messages.
            content: of the file.
            weights: an external file of weights, which must stay there; None for none.
            depth: which of the program's methods, if it has several.
            threads: of the pool, from now on and for all programs; warns if others were to have another number.

        Raises:
            BackendError: if it cannot be loaded.
        """
        self._method: Any = None
        self._path = path
        self._content = content
        self._weights = weights
        self._depth = depth
        self._threads = threads
        self.method_name = ""
        with _lock:
            _pool.resize(threads, str(path))
            shape = self._loaded().metadata.input_tensor_meta(0).sizes()
        self.largest_size_px: tuple[int, int] = (shape[2], shape[3])

    def execute(self, tensor: Any, *, listen: bool) -> NDArray[np.uint8]:
        """Run the method; one program at a time, whichever thread asks.

        Args:
            tensor: (1, 3, H, W) uint8 tensor of an image.
            listen: have what the runtime says of a failure in the error, rather than on the standard error stream.

        Returns:
            (rH, rW, 3) uint8.

        Raises:
            BackendError: if it fails, or has to be loaded anew and cannot be.
        """
        messages: list[str] = []
        with _lock:
            method = self._loaded()
            try:
                with native_messages(messages) if listen else contextlib.nullcontext():
                    # Not Method.execute: it copies by torch, whose OpenMP hangs in a forked process.
                    (output,) = method._method([tensor], clone_outputs=False)
            except (RuntimeError, ValueError, MemoryError) as error:
                raise BackendError(
                    f"{self._path}: ExecuTorch cannot run it: {with_messages(error, messages)}"
                ) from error
            # A copy: the memory is the method's.
            return np.array(output[0].permute(1, 2, 0).numpy(), order="C")

    def __del__(self) -> None:
        # While this is still among the pool's programs: the pool must outlive the method.
        self._method = None

    def _loaded(self) -> Any:
        if self._method is None:
            if not _pool.ready:
                _pool.resize(self._threads, str(self._path))
            self._method = self._load()
            _pool.programs.add(self)
        return self._method

    def _load(self) -> Any:
        messages: list[str] = []
        try:
            with native_messages(messages), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                from executorch.runtime import Runtime

                program = Runtime.get().load_program(self._content, data_path=self._weights)
                self.method_name = "forward" if "forward" in program.method_names else f"d{self._depth}"
                method = program.load_method(self.method_name)
        except (RuntimeError, ValueError, MemoryError) as error:
            raise BackendError(f"{self._path}: ExecuTorch cannot load it: {with_messages(error, messages)}") from error
        if method is None:
            raise BackendError(f"{self._path}: the method {self.method_name} cannot be loaded; convert anew")
        return method

    def unload(self, *, forked: bool = False) -> None:
        """Forget the method until it is used again; ``forked``: without touching its threads, which are not there."""
        if forked and self._method is not None:
            never_free(self._method)
        self._method = None


class _Pool:
    """The pool of threads of this process: how many there are, and what was loaded since."""

    def __init__(self) -> None:
        self.programs: weakref.WeakSet[LoadedProgram] = weakref.WeakSet()
        self._threads: int | None = None

    @property
    def ready(self) -> bool:
        """Whether there is a pool that programs can be loaded for."""
        return self._threads is not None

    def resize(self, threads: int, name: str) -> None:
        """Have so many threads, as the program of this name asks; only with the lock held."""
        if threads == self._threads:
            return
        others = list(self.programs)
        for program in others:
            program.unload()
        with native_messages([]), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the bindings call themselves experimental
            from executorch.extension.pybindings.portable_lib import _unsafe_reset_threadpool

            _unsafe_reset_threadpool(threads)
        before, self._threads = self._threads, threads
        if others and before is not None:
            warnings.warn(
                f"{name}: ExecuTorch has one pool of threads a process; the {len(others)} model(s) loaded before for "
                f"{before} thread(s) run with {threads} from now on. Load all with the same number",
                QsrWarning,
                stacklevel=2,
            )

    def begin_anew(self) -> None:
        """Forget all, in a process that was forked just now."""
        for program in list(self.programs):
            program.unload(forked=True)
        self._threads = None


_pool = _Pool()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.begin_anew)
