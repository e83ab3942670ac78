"""The command group: exit codes, one-line errors, lazy commands. The commands themselves have their own tests."""

import errno
import os
import warnings
from collections.abc import Callable
from importlib.metadata import entry_points

import click
import pytest

import qsr_edge
from qsr_edge.cli import main as cli_main
from qsr_edge.errors import BundleError, QsrWarning
from qsr_edge.extras import how_to_install


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Callable[[BaseException], None]:
    """Make ``qsr-edge inspect`` raise the given exception."""

    def install(exc: BaseException) -> None:
        @click.command()
        def command() -> None:
            raise exc

        monkeypatch.setattr(cli_main.LazyGroup, "get_command", lambda self, ctx, name: command)

    return install


def test_help_lists_every_command(run_cli) -> None:
    result = run_cli("--help")
    assert (result.exit_code, result.stderr) == (0, "")
    assert all(f"\n  {name} " in result.stdout for name in cli_main.COMMANDS)


def test_version(run_cli) -> None:
    assert run_cli("--version").stdout == f"qsr-edge {qsr_edge.__version__}\n"


@pytest.mark.parametrize("args", [["unknown"], ["--unknown"], []])
def test_wrong_usage_exits_with_2(run_cli, args: list[str]) -> None:
    result = run_cli(*args)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "Usage: qsr-edge" in result.stderr


@pytest.mark.parametrize("name", cli_main.COMMANDS)
def test_every_command_loads(run_cli, name: str) -> None:
    result = run_cli(name, "--help")
    assert (result.exit_code, result.stderr) == (0, "")
    assert f"Usage: qsr-edge {name} " in result.stdout


def test_an_error_is_one_line(run_cli, failing) -> None:
    failing(BundleError("b/manifest.json: sha256 is ab,\n  expected cd;  convert it again"))
    result = run_cli("inspect")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "error: b/manifest.json: sha256 is ab, expected cd; convert it again\n"


def test_verbose_adds_the_traceback(run_cli, failing) -> None:
    failing(BundleError("b: broken"))
    stderr = run_cli("--verbose", "inspect").stderr
    assert stderr.startswith("Traceback")
    assert stderr.endswith("\nerror: b: broken\n")
    assert "Traceback" not in run_cli("inspect").stderr


@pytest.mark.parametrize(
    ("code", "remedy"),
    [
        (errno.ENOSPC, "free some space"),
        (errno.EACCES, "check its permissions"),
        (errno.EISDIR, "name a file"),
        (errno.ENOENT, "check the path"),
    ],
)
def test_a_failing_file_system_names_the_file_and_the_remedy(run_cli, failing, code: int, remedy: str) -> None:
    failing(OSError(code, os.strerror(code), "out.png"))
    result = run_cli("inspect")
    assert result.exit_code == 1
    assert result.stderr.startswith(f"error: out.png: {os.strerror(code)}; {remedy}")
    assert result.stderr.count("\n") == 1


def test_an_os_error_without_a_file(run_cli, failing) -> None:
    failing(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
    assert run_cli("inspect").stderr.startswith(f"error: {os.strerror(errno.ENOSPC)}; free some space")


def test_a_missing_extra_is_named(run_cli, failing) -> None:
    failing(ModuleNotFoundError("No module named 'torch.nn'", name="torch.nn"))
    result = run_cli("train")
    assert result.exit_code == 1
    assert how_to_install("train") in result.stderr


def test_a_defect_is_not_hidden(run_cli, failing) -> None:
    failing(ModuleNotFoundError("No module named 'qsr_edge.gone'", name="qsr_edge.gone"))
    with pytest.raises(ModuleNotFoundError):
        run_cli("inspect")


@pytest.mark.parametrize(
    ("exc", "exit_code"), [(KeyboardInterrupt(), 130), (EOFError(), 1), (MemoryError(), 1), (click.Abort(), 130)]
)
def test_interruptions(run_cli, failing, exc: BaseException, exit_code: int) -> None:
    failing(exc)
    result = run_cli("inspect")
    assert result.exit_code == exit_code
    assert "Traceback" not in result.stderr


def test_entry_points() -> None:
    (script,) = entry_points(group="console_scripts", name="qsr-edge")
    assert script.load() is cli_main.main
    assert {point.name for point in entry_points(group="qsr_edge.backends")} == {
        "coreml",
        "executorch",
        "onnx",
        "tflite",
        "tosa",
    }


@pytest.mark.filterwarnings("default")
def test_a_warning_is_one_line_and_the_work_goes_on(run_cli, monkeypatch: pytest.MonkeyPatch) -> None:
    @click.command()
    def command() -> None:
        warnings.warn("version 9\n  was not tested", QsrWarning, stacklevel=1)
        click.echo("done")

    monkeypatch.setattr(cli_main.LazyGroup, "get_command", lambda self, ctx, name: command)
    result = run_cli("inspect")
    assert (result.exit_code, result.stdout) == (0, "done\n")
    assert result.stderr == "warning: version 9 was not tested\n"
