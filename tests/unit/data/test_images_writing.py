import errno
import os
import stat
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from qsr_edge.data.images import READ_SUFFIXES, WRITE_SUFFIXES, Picture, check_target, read_picture, write_picture
from qsr_edge.errors import ImageError, OutputExistsError
from tests.support.pictures import JPEG_LEVELS, in_file, noise, smooth, unprivileged, unprivileged_folder


class TestWrite:
    @pytest.mark.parametrize("alpha", [None, noise(12, 20)])
    @pytest.mark.parametrize("suffix", [".png", ".webp", ".tif", ".tiff", ".PNG"])
    def test_without_loss(self, tmp_path: Path, suffix: str, alpha: NDArray[np.uint8] | None) -> None:
        write_picture(tmp_path / f"a{suffix}", Picture(rgb=smooth(), alpha=alpha, grey=False))
        again = read_picture(tmp_path / f"a{suffix}")
        assert np.array_equal(again.rgb, smooth())
        assert (again.alpha is None) == (alpha is None)
        assert alpha is None or np.array_equal(again.alpha, alpha)

    def test_bmp(self, tmp_path: Path) -> None:
        write_picture(tmp_path / "a.bmp", Picture(rgb=smooth(), alpha=None, grey=False))
        assert np.array_equal(read_picture(tmp_path / "a.bmp").rgb, smooth())

    @pytest.mark.parametrize("suffix", [".jpg", ".jpeg", ".JPG"])
    def test_jpeg_keeps_full_chroma(self, tmp_path: Path, suffix: str) -> None:
        path = tmp_path / f"a{suffix}"
        write_picture(path, Picture(rgb=smooth(), alpha=None, grey=False))
        with Image.open(path) as image:
            assert image.format == "JPEG"
            assert [component[1:3] for component in image.layer] == [(1, 1)] * 3
        assert np.abs(read_picture(path).rgb.astype(np.int16) - smooth()).max() <= JPEG_LEVELS

    @pytest.mark.parametrize(
        ("suffix", "alpha", "mode"),
        [
            (".png", None, "L"),
            (".png", noise(12, 20), "LA"),
            (".jpg", None, "L"),
            (".tif", None, "L"),
            (".tif", noise(12, 20), "LA"),
            (".bmp", None, "L"),
        ],
    )
    def test_grey_has_one_channel(
        self, tmp_path: Path, suffix: str, alpha: NDArray[np.uint8] | None, mode: str
    ) -> None:
        level = np.repeat(noise(12, 20, 1), 3, axis=2)
        write_picture(tmp_path / f"a{suffix}", Picture(rgb=level, alpha=alpha, grey=True))
        with Image.open(tmp_path / f"a{suffix}") as image:
            assert image.mode == mode
        if suffix != ".jpg":
            again = read_picture(tmp_path / f"a{suffix}")
            assert again.grey
            assert np.array_equal(again.rgb, level)

    @pytest.mark.parametrize("suffix", [".jpg", ".bmp"])
    def test_transparency_is_not_dropped(self, tmp_path: Path, suffix: str) -> None:
        picture = Picture(rgb=smooth(), alpha=noise(12, 20), grey=False)
        with pytest.raises(ImageError, match=rf"a\{suffix}: .*cannot hold the picture's transparency; use .*\.png"):
            write_picture(tmp_path / f"a{suffix}", picture)
        assert not list(tmp_path.iterdir())

    def test_opaque_alpha_is_no_loss(self, tmp_path: Path) -> None:
        write_picture(tmp_path / "a.bmp", Picture(rgb=smooth(), alpha=np.full((12, 20), 255, np.uint8), grey=False))
        assert np.array_equal(read_picture(tmp_path / "a.bmp").rgb, smooth())

    @pytest.mark.parametrize("name", ["a.xyz", "a", "a.ppm", ".png"])
    def test_unknown_suffix(self, tmp_path: Path, name: str) -> None:
        with pytest.raises(ImageError, match=r"use one of \.png \.jpg"):
            write_picture(tmp_path / name, Picture(rgb=smooth(), alpha=None, grey=False))

    def test_existing_file(self, tmp_path: Path) -> None:
        path = in_file(tmp_path, "a.png", b"precious")
        with pytest.raises(OutputExistsError, match=r"a\.png: exists already; .*--force"):
            write_picture(path, Picture(rgb=smooth(), alpha=None, grey=False))
        assert path.read_bytes() == b"precious"
        write_picture(path, Picture(rgb=smooth(), alpha=None, grey=False), overwrite=True)
        assert np.array_equal(read_picture(path).rgb, smooth())
        assert os.listdir(tmp_path) == ["a.png"]

    def test_permissions_are_those_of_any_new_file(self, tmp_path: Path) -> None:
        write_picture(tmp_path / "a.png", Picture(rgb=smooth(), alpha=None, grey=False))
        (tmp_path / "b").touch()
        modes = {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("a.png", "b")}
        assert len(modes) == 1

    @pytest.mark.parametrize("overwrite", [False, True])
    def test_folder_and_pipe_are_never_replaced(self, tmp_path: Path, overwrite: bool) -> None:
        (tmp_path / "folder.png").mkdir()
        os.mkfifo(tmp_path / "pipe.png")
        picture = Picture(rgb=smooth(), alpha=None, grey=False)
        with pytest.raises(ImageError, match="is a folder"):
            write_picture(tmp_path / "folder.png", picture, overwrite=overwrite)
        with pytest.raises(ImageError, match="is not a regular file"):
            write_picture(tmp_path / "pipe.png", picture, overwrite=overwrite)

    def test_missing_folder(self, tmp_path: Path) -> None:
        with pytest.raises(ImageError, match=r"there is no folder .*missing; make it"):
            write_picture(tmp_path / "missing" / "a.png", Picture(rgb=smooth(), alpha=None, grey=False))

    def test_file_in_place_of_the_folder(self, tmp_path: Path) -> None:
        in_file(tmp_path, "file", b"content")
        with pytest.raises(ImageError, match=r"file/a\.png: cannot be written \(Not a directory\)"):
            write_picture(tmp_path / "file" / "a.png", Picture(rgb=smooth(), alpha=None, grey=False))

    def test_no_permission(self) -> None:
        with unprivileged_folder() as folder:
            folder.chmod(0o555)
            with unprivileged(), pytest.raises(ImageError, match=r"a\.png: no permission to write in "):
                write_picture(folder / "a.png", Picture(rgb=smooth(), alpha=None, grey=False))
            assert not list(folder.iterdir())

    def test_no_room(self, tmp_path: Path) -> None:
        # A limit on the size of files stands in for a full disk: the operating system refuses the write half-way.
        resource = pytest.importorskip("resource")
        path = in_file(tmp_path, "a.png", b"precious")
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (8192, hard))
        try:
            with pytest.raises(ImageError, match=r"a\.png: no room for the file"):
                write_picture(path, Picture(rgb=noise(99, 99, 3), alpha=None, grey=False), overwrite=True)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert os.listdir(tmp_path) == ["a.png"]
        assert path.read_bytes() == b"precious"

    def test_full_disk(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(handle: int) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(os, "fsync", refuse)
        with pytest.raises(ImageError, match=r"no room for the file \(No space left on device\); free some space"):
            write_picture(tmp_path / "a.png", Picture(rgb=smooth(), alpha=None, grey=False))
        assert not list(tmp_path.iterdir())

    @pytest.mark.parametrize(("suffix", "side"), [(".webp", 16_384), (".jpg", 65_501)])
    def test_too_large_for_the_format(self, tmp_path: Path, suffix: str, side: int) -> None:
        with pytest.raises(ImageError, match=rf"at most {side - 1} pixels a side, .*use the suffix \.png"):
            write_picture(tmp_path / f"a{suffix}", Picture(rgb=noise(1, side, 3), alpha=None, grey=False))

    def test_largest_of_the_format(self, tmp_path: Path) -> None:
        write_picture(tmp_path / "a.jpg", Picture(rgb=noise(1, 65_500, 3), alpha=None, grey=False))
        write_picture(tmp_path / "a.webp", Picture(rgb=noise(1, 16_383, 3), alpha=None, grey=False))

    def test_every_written_suffix_is_read(self) -> None:
        assert set(WRITE_SUFFIXES) <= set(READ_SUFFIXES)


class TestCheckTarget:
    def test_good(self, tmp_path: Path) -> None:
        check_target(tmp_path / "a.png", translucent=True)
        check_target(in_file(tmp_path, "b.jpg", b""), overwrite=True)
        assert os.listdir(tmp_path) == ["b.jpg"]

    def test_bad(self, tmp_path: Path) -> None:
        with pytest.raises(ImageError, match=r"use one of \.png"):
            check_target(tmp_path / "a.xyz")
        with pytest.raises(ImageError, match="transparency"):
            check_target(tmp_path / "a.jpg", translucent=True)
        with pytest.raises(OutputExistsError):
            check_target(in_file(tmp_path, "a.png", b""))
