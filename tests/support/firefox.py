"""A real Firefox, the system's (Debian: ``firefox-esr``): it opens an address, and what is there does the rest."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager


def find_firefox() -> str | None:
    """Where it is; ``QSR_EDGE_FIREFOX`` names another one than that of the path."""
    return os.environ.get("QSR_EDGE_FIREFOX") or shutil.which("firefox-esr") or shutil.which("firefox")


@contextmanager
def opened_in_firefox(executable: str, url: str) -> Iterator[None]:
    """The page is open, without a window and in a profile of its own, while the block runs."""
    # Its processes may still write to the profile while it ends.
    with tempfile.TemporaryDirectory(prefix="qsr-edge-firefox-", ignore_cleanup_errors=True) as profile:
        command = [executable, "--headless", "--no-remote", "--profile", profile, url]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        with subprocess.Popen(command, env={**os.environ, "HOME": profile}, **quiet) as process:
            try:
                yield
            finally:
                process.terminate()
                process.wait()
