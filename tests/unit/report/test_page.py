"""The page is one file that asks for nothing, takes texts as texts, and has every figure as text, too."""

import base64
import hashlib
import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest

pytest.importorskip("jinja2", reason="the extra [report] is not installed")

from qsr_edge.report.page import render_page
from qsr_edge.report.reading import read_run
from qsr_edge.report.regression import compare
from qsr_edge.report.tables import environment_table
from tests.support.run_folders import PIXEL, SIMULATOR, Plan, photo, variant, variants, write_run

HOSTILE = "</script></style><script>alert(1)</script><img src=x onerror=alert(2)>\"'{{7*7}}"
VOID = {"meta", "link", "img", "input", "br"}


class Page(HTMLParser):
    """Tags with their attributes, the text outside scripts and styles, and whether every tag is closed."""

    def __init__(self, content: str):
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.raw: dict[str, list[str]] = {}
        self._open: list[str] = []
        self.feed(content)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] in ("script", "style"):
            self.raw.setdefault(self._open[-1], []).append(data)
        else:
            self.text.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.mark.parametrize(("sustained_ms", "told"), [(0, "none"), (120_000, "2 min of"), (70_000, "70 s of")])
def test_the_sustained_phase_is_told_in_whole_units(tmp_path: Path, sustained_ms: int, told: str) -> None:
    run = read_run(write_run(tmp_path / "run", Plan(variants=variants())))
    run = replace(run, header=replace(run.header, job=replace(run.header.job, sustained_ms=sustained_ms)))
    [cells] = [row for row in environment_table([run]).rows if row[0] == "sustained phase"]
    assert cells[1].startswith(told)


@pytest.fixture
def plain(tmp_path: Path) -> str:
    plan = Plan(variants=variants(), images={"coffee": photo(80, 120)}, rounds=3, sustained_minutes=2, hot=True)
    return render_page([read_run(write_run(tmp_path / "run", plan))])


def test_the_page_asks_for_nothing(plain: str) -> None:
    page = Page(plain)
    for _, attributes in page.tags:
        for name, value in attributes.items():
            if name in ("src", "href", "srcset", "action", "data", "poster", "xlink:href"):
                assert value is not None
                assert value.startswith(("#", "data:")), value
            assert not name.startswith("on"), name  # no handlers in attributes
            assert name != "style"
    [style], script = page.raw["style"], page.raw["script"][-1]
    assert "url(" not in style
    assert "@import" not in style
    assert not re.search(r"fetch\(|XMLHttpRequest|import\(|WebSocket|sendBeacon", script)
    assert "http://" not in plain
    assert "https://" not in plain


def test_the_policy_allows_this_style_and_script_and_no_other(plain: str) -> None:
    page = Page(plain)
    [policy] = [a["content"] for a in page.all("meta") if a.get("http-equiv") == "Content-Security-Policy"]
    assert policy is not None
    directives = dict(entry.split(" ", 1) for entry in policy.split("; "))
    assert directives["default-src"] == "'none'"
    assert directives["img-src"] == "data:"
    for kind, content in (("style-src", page.raw["style"][0]), ("script-src", page.raw["script"][-1])):
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert directives[kind] == f"'sha256-{digest}'"
    runs = [attributes for attributes in page.all("script") if attributes.get("type") != "application/json"]
    assert len(runs) == 1


def test_hostile_texts_stay_texts(tmp_path: Path) -> None:
    entry = variant(label=HOSTILE, name=HOSTILE, target=HOSTILE, runtime=HOSTILE, kernels=HOSTILE)
    other = variant(depth=2, quality=[{"dataset": HOSTILE, "psnr_db": 30.0}])
    device = {**PIXEL, "name": HOSTILE, "processor": HOSTILE, "system": HOSTILE, HOSTILE: HOSTILE}
    plan = Plan(
        run="evil",
        device=device,
        variants=(entry, other),
        images={"coffee": photo(40, 60)},
        rounds=2,
        sustained_minutes=2,
        extra=[
            {"kind": "fault", "phase": HOSTILE, "message": HOSTILE},
            {"kind": "error", "message": HOSTILE},
            {
                "kind": "placement",
                "variant": HOSTILE,
                "delegate": HOSTILE,
                "delegated_ops": 1,
                "fallback": {HOSTILE: 2},
            },
        ],
    )
    run = read_run(write_run(tmp_path / "run", plan))
    calm = read_run(write_run(tmp_path / "calm", Plan(images={"coffee": photo(40, 60)}, rounds=2, sustained_minutes=2)))
    content = render_page([run, run], [compare(run, run)])
    page, expected = Page(content), Page(render_page([calm, calm], [compare(calm, calm)]))
    assert {tag for tag, _ in page.tags} <= {tag for tag, _ in expected.tags} | {"rect", "path"}
    assert len(page.all("script")) == len(expected.all("script")) == 2
    assert page.raw["script"][-1] == expected.raw["script"][-1]
    assert all("onerror" not in attributes for _, attributes in page.tags)
    text = "".join(page.text)
    assert "alert(1)" in text
    assert "{{7*7}}" in text  # not 49
    assert "<script>alert" not in content


def test_every_caveat_stands_before_the_first_chart(tmp_path: Path) -> None:
    plan = Plan(device=SIMULATOR, complete=False, golden={variants()[0]["label"]: False}, rounds=2)
    content = render_page([read_run(write_run(tmp_path / "run", plan))])
    first_chart = content.index("<svg")
    for said in ("No figure here is a phone", "The run did not end by itself", "The golden output was not reproduced"):
        assert content.index(said) < first_chart
    assert "Stand-in phone (simulator)" in content[: content.index("</title>")]


def test_every_chart_has_words_and_a_table(plain: str) -> None:
    page = Page(plain)
    charts = [attributes for attributes in page.all("svg") if attributes.get("role") == "img"]
    assert len(charts) == 2 + 2 + 3  # two widths of quality and of distribution, three timelines
    assert all(len(attributes["aria-label"] or "") > 40 for attributes in charts)
    cells = re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", plain)
    for entry in variants():
        assert cells.count(entry["label"]) == 4  # quality, figures, placement, PSNR by image
    headings = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h[1-6]", tag)]
    assert headings[0] == 1
    assert headings.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(headings))


def test_absent_parts_are_said_to_be_absent(tmp_path: Path) -> None:
    plan = Plan(variants=(variant(quality=[]),), rounds=1, device=SIMULATOR)
    content = render_page([read_run(write_run(tmp_path / "run", plan))])
    for said in (
        "No variant has both a latency and a PSNR",
        "This run has no images",
        "No sustained phase was measured",
    ):
        assert said in content
    nothing = render_page([read_run(write_run(tmp_path / "nothing", Plan(rounds=0)))])
    assert "No steady state" in nothing


def test_several_runs_stand_side_by_side(tmp_path: Path) -> None:
    plans = [Plan(run=f"run-{i}", speed=1 + i, noise=0, rounds=2, seed=i) for i in (0, 1)]
    runs = [read_run(write_run(tmp_path / plan.run, plan)) for plan in plans]
    content = render_page(runs)
    assert "Side by side" in content
    assert "Test Pixel, run-0" in content
    assert re.search(r"\(×(1\.9|2\.0)\d\)", content)


def test_the_budget_holds(tmp_path: Path) -> None:
    plan = Plan(images={"a": photo(160, 240), "b": photo(120, 200)}, rounds=1)
    run = read_run(write_run(tmp_path / "run", plan))
    whole, small = (len(render_page([run], picture_budget_bytes=size)) for size in (3_000_000, 300_000))
    without = len(render_page([read_run(write_run(tmp_path / "without", Plan(rounds=1)))]))
    assert small < without + 300_000 + 12_000  # the rest is the viewer
    assert small < whole
    assert "A region of" in render_page([run], picture_budget_bytes=300_000)
