"""What the commands say of a transformer: it is not tiled, and not every target takes it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("torch")
pytest.importorskip("tosa_reference_model")

from qsr_edge.nn.checkpoint import write_checkpoint
from qsr_edge.training.state import checkpoint_from_network
from tests.swin_networks import random_network

RunCli = Callable[..., Any]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    network = random_network(4, blocks=2, groups=1, depths=(2,))
    path = tmp_path_factory.mktemp("checkpoint") / "t.safetensors"
    write_checkpoint(path, checkpoint_from_network(network, network.state_dict(), {}))
    return path


def converting(checkpoint: Path, target: str, output: Path) -> list[str]:
    names = ["--author", "A", "--licence", "MIT", "--input-size", "16x16", "--output", str(output)]
    return ["convert", "--target", target, "--checkpoint", str(checkpoint), *names]


def test_a_bundle_that_is_not_tiled_says_so(run_cli: RunCli, tmp_path: Path, checkpoint: Path) -> None:
    bundle = tmp_path / "t"
    done = run_cli(*converting(checkpoint, "tosa", bundle))
    assert done.exit_code == 0, done.stderr
    assert "only images of exactly 16x16: this network sees the whole picture" in done.stdout
    assert "0 of" in done.stdout
    shown = run_cli("inspect", str(bundle))
    assert "sees the whole picture" in shown.stdout
    assert "the whole picture" in (bundle / "MODEL_CARD.md").read_text()
    Image.fromarray(np.zeros((16, 16, 3), np.uint8)).save(tmp_path / "fits.png")
    assert (
        run_cli(
            "upscale", "--bundle", str(bundle), str(tmp_path / "fits.png"), "-o", str(tmp_path / "big.png")
        ).exit_code
        == 0
    )
    for size in ((40, 16), (8, 8)):
        Image.fromarray(np.zeros((*size[::-1], 3), np.uint8)).save(tmp_path / "other.png")
        refused = run_cli(
            "upscale", "--bundle", str(bundle), str(tmp_path / "other.png"), "-o", str(tmp_path / "none.png")
        )
        assert refused.exit_code != 0
        assert "convert again with --input-size of that picture" in refused.stderr
        assert not (tmp_path / "none.png").exists()
        assert "Traceback" not in refused.stderr
    for text in (done.stdout, shown.stdout, refused.stderr):
        assert "32,768" not in text
        assert "32768" not in text
        assert "65536" not in text
