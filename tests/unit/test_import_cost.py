"""The command line answers at once: what it imports is checked, since time itself is no matter for an assertion."""

import json
import subprocess
import sys

import pytest

from qsr_edge.cli.main import COMMANDS

# Heavy, or an extra that may be missing.
SDKS = {"torch", "ai_edge_litert", "flatbuffers", "executorch", "coremltools", "jinja2"}
HEAVY = SDKS | {"numpy", "PIL", "rich", "jsonschema", "safetensors"}

PROBE = """
import json, sys
try:
    {code}
except SystemExit as exc:
    assert not exc.code, exc.code
print("\\n" + json.dumps(sorted({{name.partition(".")[0] for name in sys.modules}})))
"""


def imported_by(code: str, *, warnings: str = "error") -> set[str]:
    done = subprocess.run(
        [sys.executable, "-W", warnings, "-c", PROBE.format(code=code)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize(
    "code",
    [
        "import qsr_edge.cli.main",
        "from qsr_edge.cli.main import main; sys.exit(main(['--help']))",
        "from qsr_edge.cli.main import main; sys.exit(main(['--version']))",
    ],
    ids=["import", "help", "version"],
)
def test_nothing_heavy_is_imported(code: str) -> None:
    assert imported_by(code) & HEAVY == set()


def test_help_of_a_command_needs_no_sdk() -> None:
    """One process for all commands; the first one that imports an SDK is named."""
    code = f"""from qsr_edge.cli.main import main
    for name in {list(COMMANDS)}:
        assert main([name, "--help"]) == 0, name
        assert not sys.modules.keys() & {SDKS}, name"""
    assert imported_by(code) & SDKS == set()


@pytest.mark.parametrize("package", ["qsr_edge", "qsr_edge_converters.tflite"])
def test_packages_import_no_sdk(package: str) -> None:
    assert imported_by(f"import {package}") & SDKS == set()


def test_the_command_line_imports_coremltools_without_torch_which_it_takes_for_torchs_models_only() -> None:
    code = "from qsr_edge.cli.main import main; sys.argv = ['', '--version']; main()"
    code += "; import qsr_edge_converters.coreml.sdk"
    # coremltools warns of versions, which is not the matter here.
    assert imported_by(code, warnings="default") & {"coremltools", "torch"} == {"coremltools"}
