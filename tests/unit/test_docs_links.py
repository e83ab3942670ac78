"""Relative links of the README and of docs/ lead to files that are there, and to headings that these have."""

import re
from pathlib import Path

import pytest

from tests.support.paths import REPOSITORY

PAGES = sorted(
    path.relative_to(REPOSITORY).as_posix()
    for path in (*REPOSITORY.glob("*.md"), *REPOSITORY.glob("docs/**/*.md"), *REPOSITORY.glob("*_harness/*.md"))
)
FENCED = re.compile(r"^(```.*?^```|(?: {4}|\t).*?)$", flags=re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")
TAG = re.compile(r"""<(?:img|a|source)\b[^>]*\b(?:src|href|srcset)=["']([^"']+)["']""")
HEADING = re.compile(r"^#{1,6} +(.+?) *$", flags=re.MULTILINE)


def prose(text: str) -> str:
    """The text without blocks and spans of code, whose brackets are no links."""
    return re.sub(r"`[^`\n]*`", "", FENCED.sub("", text))


def anchors(text: str) -> set[str]:
    """Fragments of the headings, as GitHub makes them; repeated headings are not told apart."""
    headings = HEADING.findall(re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL))
    shown = (re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading) for heading in headings)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in shown}


def broken_links(page: Path) -> list[str]:
    text = page.read_text(encoding="utf-8")
    broken = []
    for target in LINK.findall(prose(text)) + TAG.findall(text):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, fragment = target.partition("#")
        found = (page.parent / path) if path else page
        if not found.exists() or (fragment and fragment not in anchors(found.read_text(encoding="utf-8"))):
            broken.append(target)
    return broken


@pytest.mark.parametrize("page", PAGES)
def test_relative_links_lead_somewhere(page: str) -> None:
    assert broken_links(REPOSITORY / page) == []


def test_what_a_broken_link_is(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# A page, of `code`\n\n[here](#a-page-of-code) [gone](other.md) [no heading](#elsewhere) [web](https://a.b/c)\n"
        '`[code](no.md)` <img src="no.png">\n\n    [code](no.md)\n\n```\n[code](no.md)\n```\n\n[itself](page.md)\n',
        encoding="utf-8",
    )
    assert broken_links(page) == ["other.md", "#elsewhere", "no.png"]


def test_every_page_of_docs_is_in_the_reading_order() -> None:
    docs = REPOSITORY / "docs"
    listed = {(docs / target.partition("#")[0]).resolve() for target in LINK.findall((docs / "README.md").read_text())}
    pages = {path for path in docs.glob("*.md") if path.name != "README.md"}
    assert sorted(path.name for path in pages - listed) == []
