"""An LMDB as BasicSR writes it gives the images of the folder that it was made from."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

lmdb = pytest.importorskip("lmdb", reason="the extra [train] is not installed")

from qsr_edge.data.lmdb_folder import LmdbReader, is_lmdb, lmdb_images
from qsr_edge.errors import DatasetError
from qsr_edge.training.patches import load_pairs

NAMES = ("0001_s001", "0001_s002", "b with space", "clip/0001_s001")


def pictures() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {name: rng.integers(0, 256, (20 + 4 * i, 24, 3), np.uint8) for i, name in enumerate(NAMES)}


def write_folder(folder: Path) -> Path:
    folder.mkdir()
    for name, pixels in pictures().items():
        (folder / name).parent.mkdir(exist_ok=True)
        Image.fromarray(pixels).save(folder / f"{name}.png")
    return folder


def write_lmdb(folder: Path, *, level: int = 1) -> Path:
    environment = lmdb.open(str(folder), map_size=1 << 24)
    with environment.begin(write=True) as transaction:
        for name, pixels in pictures().items():
            # BasicSR keeps what OpenCV encodes, a PNG file.
            content = io.BytesIO()
            Image.fromarray(pixels).save(content, "PNG", compress_level=level)
            transaction.put(name.encode(), content.getvalue())
    environment.close()
    lines = [f"{name}.png ({p.shape[0]},{p.shape[1]},{p.shape[2]}) {level}\n" for name, p in pictures().items()]
    (folder / "meta_info.txt").write_text("".join(lines))
    return folder


def test_images_of_an_lmdb_are_those_of_the_folder(tmp_path: Path) -> None:
    database, folder = write_lmdb(tmp_path / "train.lmdb"), write_folder(tmp_path / "train")
    assert is_lmdb(database)
    assert not is_lmdb(folder)
    images = lmdb_images(database)
    assert [image.key for image in images] == list(NAMES)
    reader = LmdbReader(database)
    for image, pixels in zip(images, pictures().values(), strict=True):
        assert np.array_equal(reader.read(image), pixels)
    reader.close()

    seen = []
    for cache in (None, tmp_path / "cache", tmp_path / "cache"):
        from_lmdb = load_pairs((database,), 2, min_px=4, progress=lambda *done: seen.append(done), cache=cache)
        from_folder = load_pairs((folder,), 2, min_px=4, progress=lambda *done: None, cache=cache)
        assert from_lmdb.digest == from_folder.digest
        assert np.array_equal(from_lmdb[1].lr, from_folder[1].lr)
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)] * 2  # the third time from the cache
    both = load_pairs((folder, database, database), 2, min_px=4, progress=lambda *done: None)
    assert len(both) == 8


@pytest.mark.parametrize(
    ("meta", "message"),
    [
        ("a.png\n", "line 1 is 'a.png', expected a name, a shape"),
        ("", "lists no image"),
        ("0001_s001.png (20,24,3) 1\n0001_s001.jpg (20,24,3) 1\n", "lists a name twice"),
        ("missing.png (20,24,3) 1\n", "missing: is listed in meta_info.txt and not in the database"),
        ("0001_s001.png (20,23,3) 1\n", r"has \(20, 24\) pixels, meta_info.txt says \(20, 23\)"),
        (None, "cannot be read"),
    ],
)
def test_what_is_wrong_with_meta_info_is_named(tmp_path: Path, meta: str | None, message: str) -> None:
    database = write_lmdb(tmp_path / "train.lmdb")
    (database / "meta_info.txt").unlink()
    if meta is not None:
        (database / "meta_info.txt").write_text(meta)
    with pytest.raises(DatasetError, match=message) as error:
        load_pairs((database,), 2, min_px=4, progress=lambda *done: None)
    assert "\n" not in str(error.value)


def test_damaged_images_and_databases_are_named(tmp_path: Path) -> None:
    database = write_lmdb(tmp_path / "train.lmdb")
    environment = lmdb.open(str(database), map_size=1 << 24)
    with environment.begin(write=True) as transaction:
        transaction.put(NAMES[1].encode(), transaction.get(NAMES[1].encode())[:60])
    environment.close()
    with pytest.raises(DatasetError, match=r"train\.lmdb: 0001_s002: "):
        load_pairs((database,), 2, min_px=4, progress=lambda *done: None)
    (database / "data.mdb").write_bytes(b"no database" * 1000)
    with pytest.raises(DatasetError, match=r"train\.lmdb: is no LMDB that can be read"):
        load_pairs((database,), 2, min_px=4, progress=lambda *done: None)
