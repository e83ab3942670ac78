"""``qsr-edge web``: a site in a folder, a server until Ctrl+C, and what is refused before any work."""

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("ai_edge_litert", reason="the extra [tflite] is not installed")

Cli = Callable[..., Any]


def test_a_site(run_cli: Cli, tiny_bundle: Path, litert_js_archives: Path, tmp_path: Path) -> None:
    output = tmp_path / "site"
    done = run_cli("web", tiny_bundle, "-o", output, "--tile", "64")
    assert (done.exit_code, done.stderr) == (0, "")
    site = json.loads((output / "site.json").read_text())
    assert site["tile_px"] == 64
    assert re.fullmatch(rf"wrote {output}: {len(site['files'])} files, \d+\.\d MB; .*\n", done.stdout)
    again = run_cli("web", tiny_bundle, "-o", output)
    assert again.exit_code == 1
    assert again.stderr == f"error: {output}: exists already; choose another output, or use --force to replace it\n"
    assert run_cli("web", tiny_bundle, "-o", output, "--force").exit_code == 0


@pytest.mark.parametrize("options", [["--serve"], ["--lan"]])
def test_serving_until_interrupted(
    tiny_bundle: Path, litert_js_archives: Path, options: list[str], usual_signals: None
) -> None:
    if "--lan" in options:
        pytest.importorskip("segno", reason="the extra [web] is not installed")
    command = [sys.executable, "-m", "qsr_edge", "web", tiny_bundle, *options]
    told = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUTF8": "1"}) as process:
        assert process.stdout is not None
        for line in process.stdout:
            told.append(line)
            if line.startswith("Ctrl+C"):
                break
        address = next(line for line in told if line.startswith("serving at")).split()[-1]
        with urllib.request.urlopen(address) as page:
            assert b"Upscale a photo on this device" in page.read()
        process.send_signal(signal.SIGINT)
        assert process.stdout.read() == "stopped\n"
        assert process.wait() == 0
    assert ("nothing else of" in "".join(told)) == ("--lan" in options)
    assert ("█" in "".join(told) or "▀" in "".join(told)) == ("--lan" in options)


def test_what_is_refused(run_cli: Cli, tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run_cli("web", tiny_bundle).exit_code == 2
    assert "give --output to write a site" in run_cli("web", tiny_bundle).stderr
    assert "no such bundle" in run_cli("web", tmp_path / "none", "--serve").stderr
    monkeypatch.setenv("QSR_EDGE_CACHE", str(tmp_path / "empty"))
    monkeypatch.setenv("npm_config_registry", "http://127.0.0.1:9")
    offline = run_cli("web", tiny_bundle, "-o", tmp_path / "site")
    assert offline.exit_code == 1
    assert "LiteRT.js cannot be fetched" in offline.stderr
    assert f"to {tmp_path / 'empty' / 'litertjs'}" in offline.stderr
    assert not (tmp_path / "site").exists()
