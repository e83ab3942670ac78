from pathlib import Path

import pytest

from qsr_edge.errors import DatasetError
from qsr_edge.runtime.batch import OutputChoice, Source, find_sources, plan


def touch(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def targets(sources: tuple[Source, ...], choice: OutputChoice = OutputChoice.PNG) -> list[str]:
    return [job.target.as_posix() for job in plan(sources, Path("out"), 2, choice)]


class TestSources:
    def test_a_folder_stands_for_its_pictures(self, tmp_path: Path) -> None:
        touch(tmp_path, "b.png", "a.JPG", "notes.txt", ".hidden.png", "deep/c.webp")
        sources = find_sources([tmp_path], recursive=False, output=None)
        assert [source.within.as_posix() for source in sources] == ["a.JPG", "b.png"]

    def test_recursive_mirrors_the_structure(self, tmp_path: Path) -> None:
        touch(tmp_path, "b.png", "deep/c.webp", "deep/er/d.gif", ".git/e.png")
        sources = find_sources([tmp_path], recursive=True, output=None)
        assert targets(sources) == ["out/b_x2.png", "out/deep/c_x2.png", "out/deep/er/d_x2.png"]

    def test_outputs_of_an_earlier_run_are_no_inputs(self, tmp_path: Path) -> None:
        touch(tmp_path, "b.png", "out/b_x2.png")
        sources = find_sources([tmp_path], recursive=True, output=tmp_path / "out")
        assert [source.within.as_posix() for source in sources] == ["b.png"]

    def test_a_file_named_twice_is_done_once(self) -> None:
        assert len(find_sources([Path("a.png"), Path("a.png")], recursive=False, output=None)) == 1

    def test_a_folder_without_pictures(self, tmp_path: Path) -> None:
        with pytest.raises(DatasetError, match="holds no picture"):
            find_sources([tmp_path], recursive=True, output=None)


def of(*names: str) -> tuple[Source, ...]:
    return tuple(Source(path=Path("in") / name, within=Path(Path(name).name)) for name in names)


class TestPlan:
    def test_one_stem_with_two_suffixes(self) -> None:
        assert targets(of("a.png", "a.jpg", "b.png")) == ["out/a_png_x2.png", "out/a_jpg_x2.png", "out/b_x2.png"]
        assert targets(of("a.png", "a.jpg"), OutputChoice.SAME) == ["out/a_x2.png", "out/a_x2.jpg"]

    def test_names_that_differ_in_case_alone(self) -> None:
        names = targets(of("A.png", "a.jpg"))
        assert len({name.casefold() for name in names}) == 2

    def test_a_clash_refuses_those_that_clash(self) -> None:
        jobs = plan(of("x/a.png", "y/a.png", "b.png"), Path("out"), 2, OutputChoice.PNG)
        assert [bool(job.refusal) for job in jobs] == [True, True, False]
        assert "in/y/a.png would become" in jobs[0].refusal

    @pytest.mark.parametrize(
        ("choice", "suffix"), [("same", ".tiff"), ("png", ".png"), ("jpg", ".jpg"), ("webp", ".webp"), ("tif", ".tif")]
    )
    def test_formats(self, choice: str, suffix: str) -> None:
        assert targets(of("a.TIFF"), OutputChoice(choice)) == [f"out/a_x2{suffix}"]

    @pytest.mark.parametrize("name", ["a.heic", "a.avif", "a.ppm"])
    def test_what_is_not_written_becomes_png(self, name: str) -> None:
        assert targets(of(name), OutputChoice.SAME) == ["out/a_x2.png"]
