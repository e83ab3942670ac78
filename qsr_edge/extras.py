"""How to install what an extra brings, in words that hold where this program stands: a clone, a wheel, or pipx."""

import re
import shlex
import shutil
import sys
from importlib.metadata import PackageNotFoundError, requires
from importlib.util import find_spec
from pathlib import Path

_DISTRIBUTION = "qsr-edge"
_PIPX_RECORD = "pipx_metadata.json"  # pipx keeps it in every environment that it makes


def how_to_install(extra: str) -> str:
    """Words for the end of a message, such as ``install it with: pip install 'jinja2>=3.1.6'``.

    The packages are named themselves: ``qsr-edge[EXTRA]`` would ask a package index for qsr-edge, which a clone or the
    file of a wheel never came from.

    Args:
        extra: a key of ``[project.optional-dependencies]``.
    """
    wanted = _requirements(extra)
    words = f"install it with: {_installer()} {' '.join(map(shlex.quote, wanted)) or _whole(extra)}"
    if sys.platform == "linux" and any(re.match(r"torch\b", one) for one in wanted) and find_spec("torch") is None:
        words += " (brings gigabytes of CUDA if torch is not there yet: see docs/installing.md for its CPU build)"
    return words


def _requirements(extra: str) -> list[str]:
    """What the installed distribution's extra asks for; nothing where none is installed, or none that knows it."""
    try:
        declared = requires(_DISTRIBUTION) or []
    except PackageNotFoundError:
        return []
    split = [one.partition(";") for one in declared]
    return [wanted.strip() for wanted, _, marker in split if re.search(rf"extra == ['\"]{extra}['\"]", marker)]


def _installer() -> str:
    """The command that installs into this environment, whatever else is on the path."""
    environment = Path(sys.prefix)
    if (environment / _PIPX_RECORD).is_file():
        return f"pipx inject {environment.name}"
    found = shutil.which("pip")
    if found is not None and Path(found).parent == Path(sys.executable).parent:
        return "pip install"
    return f"{shlex.quote(sys.executable)} -m pip install"


def _whole(extra: str) -> str:
    """This package again, with the extra: for a clone that is on the path and not installed, or was before it grew."""
    clone = Path(__file__).resolve().parents[1]
    return f"-e {shlex.quote(f'{clone}[{extra}]')}" if (clone / "pyproject.toml").is_file() else f"'qsr-edge[{extra}]'"
