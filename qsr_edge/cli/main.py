"""The ``qsr-edge`` command group: what it can do, and how errors reach a person.

Only click is imported here. A subcommand's module is imported when that subcommand runs, so that ``qsr-edge --help``
answers at once and a command needs no package but its own.
"""

import errno
import os
import sys
import traceback
import warnings
from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from importlib import import_module
from typing import TextIO

import click

from qsr_edge import __version__
from qsr_edge.conversion import own_process
from qsr_edge.errors import QsrError, QsrWarning, one_line

EXIT_OK = 0
EXIT_ERROR = 1
EXIT_INTERRUPTED = 130  # 128 + SIGINT, as shells report it


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandSpec:
    """Where a subcommand lives and what ``--help`` says of it without importing it.

    Attributes:
        target: ``module:attribute`` of a ``click.Command``.
        summary: one line, as in the list of commands.
    """

    target: str
    summary: str


# In the order of a user's work; `--help` keeps it.
COMMANDS: dict[str, CommandSpec] = {
    "demo": CommandSpec(
        target="qsr_edge.cli.demo:command", summary="Convert the bundled checkpoint and upscale a bundled photo."
    ),
    "convert": CommandSpec(
        target="qsr_edge.cli.convert:command", summary="Turn a checkpoint into a verified, integer-only bundle."
    ),
    "upscale": CommandSpec(
        target="qsr_edge.cli.upscale:command", summary="Upscale an image of any size with a bundle."
    ),
    "evaluate": CommandSpec(
        target="qsr_edge.cli.evaluate:command", summary="Measure PSNR and SSIM of a bundle's deployed graph."
    ),
    "inspect": CommandSpec(
        target="qsr_edge.cli.inspect:command", summary="Show what a bundle, model or checkpoint holds and costs."
    ),
    "bench": CommandSpec(target="qsr_edge.cli.bench:command", summary="Measure bundles on this machine or on phones."),
    "devices": CommandSpec(target="qsr_edge.cli.devices:command", summary="List the devices that bench can reach."),
    "report": CommandSpec(
        target="qsr_edge.cli.report:command", summary="Show runs of the bench as one self-contained page."
    ),
    "web": CommandSpec(
        target="qsr_edge.cli.web:command", summary="Upscale in a browser, on any phone: a static site, or a server."
    ),
    "simulate": CommandSpec(
        target="qsr_edge.cli.simulate:command", summary="Run the depth selector on a simulated phone."
    ),
    "models": CommandSpec(
        target="qsr_edge.cli.models:command", summary="List the bundled checkpoints, or show a card."
    ),
    "train": CommandSpec(target="qsr_edge.cli.train:command", summary="Train a low-bit network (needs torch)."),
    "compare": CommandSpec(
        target="qsr_edge.cli.compare:command", summary="Compare quantizers under identical training settings."
    ),
}

# Packages that an extra brings: a missing one is the user's to install, not a defect. Those of targets' extras are told
# by the back ends.
EXTRA_OF_PACKAGE = {
    "jinja2": "report",
    "markupsafe": "report",
    "matplotlib": "simulate",
    "segno": "web",
    "torch": "train",
}

_REMEDIES = {
    errno.ENOSPC: "free some space, or write to another disk",
    errno.EDQUOT: "your quota is used up: free some space, or write to another disk",
    errno.EACCES: "check its permissions, or choose another path",
    errno.EPERM: "check its permissions, or choose another path",
    errno.EROFS: "choose a path that can be written to",
    errno.ENOENT: "check the path",
    errno.ENOTDIR: "a part of this path is a file, where a folder was expected",
    errno.EISDIR: "name a file, not a folder",
    errno.EEXIST: "choose another path, or use --force if the command has it",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.EMFILE: "raise the limit on open files (ulimit -n)",
}

# Whether --verbose was given: errors are printed after click has dropped its context.
_verbose: ContextVar[bool] = ContextVar("qsr_edge_verbose", default=False)


class LazyGroup(click.Group):
    """A click group that knows its commands from ``COMMANDS`` and imports one only to run it or show its help."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of all commands, in the order of ``COMMANDS``."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command's module; ``None`` for an unknown name, which click reports with exit code 2."""
        spec = COMMANDS.get(cmd_name)
        if spec is None:
            return None
        module_name, attribute = spec.target.split(":")
        command = getattr(import_module(module_name), attribute)
        if not isinstance(command, click.Command):
            raise TypeError(f"{spec.target} is {type(command).__name__}, expected a click command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands from the table, importing none of them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, spec.summary) for name, spec in COMMANDS.items()])


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="`qsr-edge COMMAND --help` describes a command and its options.",
)
@click.version_option(__version__, "-V", "--version", prog_name="qsr-edge", message="%(prog)s %(version)s")
@click.option("-v", "--verbose", is_flag=True, help="Print the whole traceback of an error.")
def cli(verbose: bool) -> None:
    """Low-bit super-resolution for phones.

    Turns a trained QuantSR network into integer-only graphs, and proves that every runtime computes the same bytes.
    """
    _verbose.set(verbose)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and turn every expected failure into one line on standard error.

    Args:
        argv: arguments without the program's name; ``None`` takes them from ``sys.argv``.

    Returns:
        The exit code: 0 done, 1 a ``QsrError``, a failing file system or a missing package, 2 wrong usage, 130
        interrupted. An error that is none of these is a defect and leaves as it is, with its traceback.
    """
    _verbose.set(False)
    if argv is None:
        own_process.claim()
    with warnings.catch_warnings():
        warnings.showwarning = _show_warning
        return _run(argv)


def _run(argv: Sequence[str] | None) -> int:
    try:
        # Outside standalone mode click returns the code of ctx.exit() and raises the rest.
        result = cli.main(args=None if argv is None else list(argv), prog_name="qsr-edge", standalone_mode=False)
    except click.ClickException as exc:
        exc.show()
        return exc.exit_code
    except click.Abort as exc:
        # click turns both KeyboardInterrupt and the end of the input into Abort.
        if isinstance(exc.__cause__, EOFError):
            return _fail("the input ended before every question was answered", exc)
        return _interrupted()
    except KeyboardInterrupt:
        return _interrupted()
    except QsrError as exc:
        return _fail(str(exc) or type(exc).__name__, exc)
    except OSError as exc:
        return _fail(_describe_os_error(exc), exc)
    except ModuleNotFoundError as exc:
        package = (exc.name or "").partition(".")[0]
        if package in ("", "qsr_edge", "qsr_edge_converters"):
            raise
        extra = _extra_of(package)
        if extra is None:
            return _fail(f"the package {package} is missing, which qsr-edge always needs; reinstall qsr-edge", exc)
        from qsr_edge.extras import how_to_install

        return _fail(f"this command needs the package {package}; {how_to_install(extra)}", exc)
    except MemoryError as exc:
        return _fail("not enough memory: close other programs, or give the command less work at once", exc)
    # ctx.exit(code) arrives here as an int; what a command's function returns otherwise is no exit code.
    return result if isinstance(result, int) and not isinstance(result, bool) else EXIT_OK


def _extra_of(package: str) -> str | None:
    """The extra that brings a package; None if qsr-edge always needs it."""
    from qsr_edge.conversion.registry import registered_backends  # imports numpy, for nothing but this message

    of_targets = {name: backend.name for backend in registered_backends() for name in backend.capabilities.packages}
    return EXTRA_OF_PACKAGE.get(package) or of_targets.get(package)


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    if issubclass(category, QsrWarning):
        click.echo(f"warning: {one_line(message, None)}", err=True)
    else:
        print(warnings.formatwarning(message, category, filename, lineno, line), end="", file=file or sys.stderr)


def _interrupted() -> int:
    click.echo("interrupted", err=True)
    return EXIT_INTERRUPTED


def _fail(message: str, exc: BaseException) -> int:
    if _verbose.get():
        traceback.print_exception(exc, file=sys.stderr)
    # One line whatever the message holds: scripts and logs read it by lines.
    click.echo(f"error: {one_line(message, None)}", err=True)
    return EXIT_ERROR


def _describe_os_error(exc: OSError) -> str:
    names = [os.fsdecode(name) for name in (exc.filename, exc.filename2) if isinstance(name, str | bytes)]
    reason = exc.strerror or str(exc) or type(exc).__name__
    # A write or a close does not say to which file it belonged; who writes files names them (CONTRIBUTING, Output).
    text = f"{' -> '.join(names)}: {reason}" if names else reason
    remedy = _REMEDIES.get(exc.errno or 0)
    return f"{text}; {remedy}" if remedy else text


if __name__ == "__main__":
    sys.exit(main())
