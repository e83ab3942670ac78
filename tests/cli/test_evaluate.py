"""``qsr-edge evaluate``: figures against those computed here from the golden interpreter."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from qsr_edge.data.bicubic import resize_bicubic
from qsr_edge.lowering.edge import lower_checkpoint
from qsr_edge.metrics import psnr_y, ssim_y
from qsr_edge.nn.checkpoint import read_checkpoint
from tests.support.tiny_model import write_photo_checkpoint
from tests.support.waiting import wait_until


@pytest.fixture
def dataset(images: Path, tmp_path: Path) -> Path:
    """Two pictures, one with odd sides."""
    folder = tmp_path / "set"
    folder.mkdir()
    with Image.open(images / "rgb_96x64.png") as image:
        for name, box in (("a", (0, 0, 60, 50)), ("b", (10, 5, 65, 46))):
            image.crop(box).save(folder / f"{name}.png")
    return folder


def test_figures_of_every_depth(run_cli, tiny_bundle: Path, tiny_checkpoint: Path, dataset: Path) -> None:
    result = run_cli("evaluate", "--bundle", tiny_bundle, "--dataset", dataset, "--json")
    assert (result.exit_code, result.stderr) == (0, "")
    report = json.loads(result.stdout)
    assert (report["scale"], report["dataset"]) == (2, str(dataset))
    assert list(report["methods"]) == ["bicubic", "depth 1", "depth 2"]

    network = lower_checkpoint(read_checkpoint(tiny_checkpoint))
    for i, (name, sides) in enumerate((("a", (50, 60)), ("b", (40, 54)))):
        with Image.open(dataset / f"{name}.png") as image:
            hr = np.asarray(image.convert("RGB"))[: sides[0], : sides[1]]
        lr = resize_bicubic(hr, 0.5)
        outputs = {"bicubic": resize_bicubic(lr, 2)}
        outputs |= {f"depth {d}": graph.run(lr) for d, graph in network.items()}
        for method, output in outputs.items():
            assert report["methods"][method]["images"][i] == {
                "name": name,
                "psnr_db": psnr_y(output, hr, border_px=2),
                "ssim": ssim_y(output, hr, border_px=2),
            }
    for entry in report["methods"].values():
        for key in ("psnr_db", "ssim"):
            assert entry["mean"][key] == pytest.approx(np.mean([image[key] for image in entry["images"]]))


def test_a_checkpoint_has_the_figures_of_its_bundle(
    run_cli, tiny_bundle: Path, tiny_checkpoint: Path, dataset: Path
) -> None:
    deployed, golden = (
        json.loads(run_cli("evaluate", *model, "--dataset", dataset, "--json").stdout)["methods"]
        for model in (["--bundle", tiny_bundle], ["--checkpoint", tiny_checkpoint])
    )
    assert deployed == golden


@pytest.mark.parametrize("model", ["bundle", "checkpoint"])
def test_one_depth(run_cli, tiny_bundle: Path, tiny_checkpoint: Path, dataset: Path, model: str) -> None:
    path = {"bundle": tiny_bundle, "checkpoint": tiny_checkpoint}[model]
    result = run_cli("evaluate", f"--{model}", path, "--dataset", dataset, "--depth", "1", "--json")
    assert list(json.loads(result.stdout)["methods"]) == ["bicubic", "depth 1"]
    result = run_cli("evaluate", f"--{model}", path, "--dataset", dataset, "--depth", "9")
    assert result.exit_code == 1
    assert "choose one of 1, 2" in result.stderr


def test_table(run_cli, tiny_bundle: Path, dataset: Path) -> None:
    result = run_cli("evaluate", "--bundle", tiny_bundle, "--dataset", dataset)
    assert (result.exit_code, result.stderr) == (0, "")
    assert "set x2: PSNR in dB / SSIM on luma" in result.stdout
    rows = [line.split()[0] for line in result.stdout.splitlines() if " / " in line and "PSNR" not in line]
    assert rows == ["a", "b", "mean"]
    assert "gain, dB" in result.stdout


def test_ready_low_resolution_inputs(run_cli, tiny_bundle: Path, tmp_path: Path) -> None:
    hr = np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)
    (tmp_path / "hr").mkdir()
    (tmp_path / "lr").mkdir()
    Image.fromarray(hr).save(tmp_path / "hr" / "a.png")
    Image.fromarray(hr[::2, ::2]).save(tmp_path / "lr" / "ax2.png")
    arguments = ["evaluate", "--bundle", tiny_bundle, "--dataset", tmp_path / "hr", "--lr", tmp_path / "lr", "--json"]
    report = json.loads(run_cli(*arguments).stdout)
    expected = psnr_y(resize_bicubic(hr[::2, ::2], 2), hr, border_px=2)
    assert report["methods"]["bicubic"]["mean"]["psnr_db"] == expected


def test_equal_pictures_have_no_finite_psnr(run_cli, tiny_bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "hr").mkdir()
    Image.new("RGB", (40, 40), (90, 90, 90)).save(tmp_path / "hr" / "flat.png")
    report = json.loads(run_cli("evaluate", "--bundle", tiny_bundle, "--dataset", tmp_path / "hr", "--json").stdout)
    assert report["methods"]["bicubic"]["mean"] == {"psnr_db": None, "ssim": pytest.approx(1.0)}
    assert "inf / 1.0000" in run_cli("evaluate", "--bundle", tiny_bundle, "--dataset", tmp_path / "hr").stdout


def test_a_picture_too_small_to_compare(run_cli, tiny_bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "hr").mkdir()
    Image.new("RGB", (12, 12)).save(tmp_path / "hr" / "dot.png")
    result = run_cli("evaluate", "--bundle", tiny_bundle, "--dataset", tmp_path / "hr")
    assert result.exit_code == 1
    assert "dot.png: is too small (12x12" in result.stderr


@pytest.mark.parametrize("models", [[], ["--bundle", "b", "--checkpoint", "c"]])
def test_exactly_one_model_is_named(run_cli, dataset: Path, models: list[str]) -> None:
    result = run_cli("evaluate", *models, "--dataset", dataset)
    assert result.exit_code == 2
    assert "either --bundle or --checkpoint" in result.stderr


def test_a_bundled_network_is_named_by_what_it_is(run_cli, dataset: Path) -> None:
    options = ("evaluate", "--dataset", dataset, "--depth", "2", "--json")
    told = json.loads(run_cli(*options, "--size", "edge", "--scale", "2", "--bits", "4").stdout)
    named = json.loads(run_cli(*options, "--checkpoint", "x2_w4a4").stdout)
    assert told["methods"] == named["methods"]
    both = run_cli(*options, "--size", "edge", "--checkpoint", "x2_w4a4")
    assert both.exit_code == 2
    missing = run_cli(*options, "--size", "plus", "--bits", "3")
    assert "no bundled checkpoint is called plus_x2_w3a3" in missing.stderr


def test_depth_must_be_a_number_or_all(run_cli, tiny_bundle: Path, dataset: Path) -> None:
    result = run_cli("evaluate", "--bundle", tiny_bundle, "--dataset", dataset, "--depth", "deep")
    assert result.exit_code == 2
    assert "'deep' is neither a number of blocks nor 'all'" in result.stderr


def test_no_such_dataset(run_cli, tiny_bundle: Path, tmp_path: Path) -> None:
    result = run_cli("evaluate", "--bundle", tiny_bundle, "--dataset", tmp_path / "missing")
    assert result.exit_code == 1
    assert "missing: no such folder" in result.stderr


def test_a_float_checkpoint_is_evaluated_and_bundled_ones_go_by_name(run_cli, dataset: Path) -> None:
    pytest.importorskip("torch")
    methods = {}
    for name in ("x2_fp32", "x2_w8a8"):
        result = run_cli("evaluate", "--checkpoint", name, "--dataset", dataset, "--depth", "2", "--json")
        assert result.exit_code == 0, result.stderr
        methods[name] = json.loads(result.stdout)["methods"]
    assert list(methods["x2_fp32"]) == ["bicubic", "depth 2"]
    assert methods["x2_fp32"]["bicubic"] == methods["x2_w8a8"]["bicubic"]
    float_db, quantized_db = (methods[name]["depth 2"]["mean"]["psnr_db"] for name in methods)
    assert float_db == pytest.approx(quantized_db, abs=0.3)
    assert float_db != quantized_db
    missing = run_cli("evaluate", "--checkpoint", "x2_fp33", "--dataset", dataset)
    assert missing.exit_code == 1
    assert "x2_fp33" in missing.stderr


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("QSR_EDGE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_a_run_that_was_killed_goes_on(run_cli, tiny_checkpoint: Path, dataset: Path, cache: Path) -> None:
    whole = run_cli("evaluate", "--checkpoint", tiny_checkpoint, "--dataset", dataset, "--json")
    assert list(cache.iterdir()) == []
    # A pipe that nobody writes to holds the run up at its last picture.
    last = dataset / "z.png"
    os.mkfifo(last)
    options = ("evaluate", "--checkpoint", str(tiny_checkpoint), "--dataset", str(dataset))
    running = subprocess.Popen([sys.executable, "-m", "qsr_edge", *options], stderr=subprocess.PIPE)

    def kept() -> list[Path]:
        return [path for path in cache.glob("*.jsonl") if path.read_bytes().count(b"\n") == 2]

    wait_until(lambda: kept() or running.poll() is not None)
    running.send_signal(signal.SIGKILL)
    running.communicate()
    assert running.returncode == -signal.SIGKILL
    [state] = kept()

    # One is changed, so that it shows which are taken over; and a line is cut, as by a kill while it is written.
    first, second = (json.loads(line) for line in state.read_text().splitlines())
    first["scores"]["depth 2"]["psnr_db"] = 99.5
    state.write_text(f"{json.dumps(first)}\n{json.dumps(second)[:-9]}")
    last.unlink()
    other = run_cli(*options, "--depth", "2")
    assert (other.exit_code, other.stderr) == (0, "")  # other depths are another evaluation
    resumed = run_cli(*options, "--json")
    assert resumed.exit_code == 0
    told = f"going on with 1 pictures measured, which {state} keeps; remove the file to begin anew\n"
    assert resumed.stderr == told
    figures = [image["psnr_db"] for image in json.loads(resumed.stdout)["methods"]["depth 2"]["images"]]
    expected = [image["psnr_db"] for image in json.loads(whole.stdout)["methods"]["depth 2"]["images"]]
    assert figures.count(99.5) == 1
    assert [value for value in figures if value != 99.5] == [
        value for value, got in zip(expected, figures, strict=True) if got != 99.5
    ]
    assert list(cache.iterdir()) == []


def test_a_run_that_failed_tells_what_it_kept(
    run_cli, tiny_checkpoint: Path, dataset: Path, cache: Path, tmp_path: Path
) -> None:
    options = ("evaluate", "--dataset", dataset, "--checkpoint")
    (dataset / "z.png").write_bytes(b"no picture")
    failed = run_cli(*options, tiny_checkpoint)
    [state] = cache.glob("*.jsonl")
    lines = failed.stderr.splitlines()
    assert lines[0] == f"stopped with 2 pictures measured, which {state} keeps; the same command goes on, for 30 days"
    assert "z.png: " in lines[1]
    (dataset / "z.png").unlink()
    # Another network has nothing of it.
    other = run_cli(*options, write_photo_checkpoint(tiny_checkpoint, tmp_path / "other.safetensors"))
    assert (other.exit_code, other.stderr) == (0, "")
    state.write_text("{}\n")
    damaged = run_cli(*options, tiny_checkpoint)
    assert damaged.exit_code == 1
    assert f"{state}:1: missing picture, scores; remove the file, and the evaluation begins anew" in damaged.stderr
    state.unlink()
    assert run_cli(*options, tiny_checkpoint).exit_code == 0


def test_where_nothing_can_be_kept_it_is_told(
    run_cli, tiny_checkpoint: Path, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("QSR_EDGE_CACHE", str(tmp_path / "file"))
    result = run_cli("evaluate", "--checkpoint", tiny_checkpoint, "--dataset", dataset, "--json")
    assert result.exit_code == 0
    assert result.stderr.startswith(f"warning: {tmp_path / 'file'}: cannot be written, so a run that is stopped begins")
    assert json.loads(result.stdout)["scale"] == 2
