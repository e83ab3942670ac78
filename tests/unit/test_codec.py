"""The one decoder of files from outside: what it takes, what it refuses and how it says so."""

import json
from dataclasses import dataclass
from enum import StrEnum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qsr_edge.codec import Decoder, encode
from qsr_edge.errors import PolicyError, RecipeError, one_line


class Colour(StrEnum):
    RED = "red"
    GREEN = "green"


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    count: int
    share: float = 0.5

    def __post_init__(self) -> None:
        if self.count < 0:
            raise PolicyError(f"count = {self.count}, expected none below 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    name: str
    colour: Colour
    tall: bool
    leaves: tuple[Leaf, ...] = ()
    size_px: tuple[int, int] | None = None
    best: Leaf | None = None
    free: dict[str, object]
    by_name: dict[str, Leaf]


STRICT = Decoder(error=RecipeError)
INTEGERS = st.integers(-(1 << 63), (1 << 63) - 1)
LEAVES = st.builds(Leaf, count=st.integers(0, (1 << 63) - 1), share=st.floats(allow_nan=False, allow_infinity=False))
TREES = st.builds(
    Tree,
    name=st.text(st.characters(exclude_categories=["Cs"])),
    colour=st.sampled_from(Colour),
    tall=st.booleans(),
    leaves=st.lists(LEAVES, max_size=3).map(tuple),
    size_px=st.none() | st.tuples(INTEGERS, INTEGERS),
    best=st.none() | LEAVES,
    free=st.dictionaries(st.sampled_from("ab"), st.none() | st.integers()),
    by_name=st.dictionaries(st.sampled_from("ab"), LEAVES),
)


@given(TREES)
def test_a_record_comes_back_as_it_was(tree: Tree) -> None:
    table = {**encode(tree), "by_name": {key: encode(leaf) for key, leaf in tree.by_name.items()}}
    content = json.dumps(table).encode()
    assert STRICT.decode(Tree, STRICT.parse_json(content, "t.json", limit_bytes=1 << 20), "t.json") == tree


def table(**changes: object) -> dict[str, object]:
    return {"name": "oak", "colour": "red", "tall": True, "free": {}, "by_name": {}, **changes}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([], "t: got [], expected a table with the keys name, colour, tall, leaves, size_px, best, free, by_name"),
        (table(wood=1), "t: the key 'wood' is not known, expected name, "),
        ({"tall": True, "free": {}, "by_name": {}}, "t: missing name, colour"),
        (table(name=1), "t: name: got 1, expected str"),
        (table(tall=1), "t: tall: got 1, expected true or false"),
        (table(colour="blue"), "t: colour: got 'blue', expected one of red, green"),
        (table(colour=["red"]), "t: colour: got ['red'], expected one of red, green"),
        (table(leaves={}), "t: leaves: got {}, expected a list"),
        (table(leaves=[{"count": 1}, {"count": True}]), "t: leaves[1].count: got True, expected int"),
        (table(leaves=[{"count": 1.5}]), "t: leaves[0].count: got 1.5, expected int"),
        (table(leaves=[{"count": 1, "share": "1"}]), "t: leaves[0].share: got '1', expected float"),
        (table(leaves=[{"count": -1}]), "t: leaves[0]: count = -1, expected none below 0"),
        (table(size_px=[1]), "t: size_px: got 1 entries, expected 2"),
        (table(best=None), "t: best: got null; leave out what is unknown"),
        (table(free=[]), "t: free: got [], expected a table"),
        (table(by_name={"x": {"count": "1"}}), "t: by_name['x'].count: got '1', expected int"),
        (table(name="x\n" * 99), None),
    ],
)
def test_what_is_wrong_is_named(value: object, message: str | None) -> None:
    if message is None:
        assert STRICT.decode(Tree, value, "t").name == "x\n" * 99
        return
    with pytest.raises(RecipeError) as caught:
        STRICT.decode(Tree, value, "t")
    assert str(caught.value).startswith(message)


def test_a_refusal_is_short_and_on_one_line() -> None:
    with pytest.raises(RecipeError) as caught:
        STRICT.decode(Tree, table(tall="\x1b[31m\n" * 10_000), "t")
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 120


def test_numbers_are_taken_as_json_schema_takes_them() -> None:
    leaf = STRICT.decode(Leaf, {"count": 7.0, "share": 1}, "t")
    assert (type(leaf.count), type(leaf.share)) == (int, float)


def test_some_formats_may_grow_and_some_write_null() -> None:
    growing = Decoder(error=RecipeError, ignores_unknown_keys=True)
    assert growing.decode(Leaf, {"count": 1, "age": 5}, "t") == Leaf(count=1)
    assert Decoder(error=RecipeError, takes_null=True).decode(Tree, table(best=None), "t").best is None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"a": 1, "a": 2}', "the key 'a' is there twice"),
        (b'{"a": {"b": 1, "b": 2}}', "the key 'b' is there twice"),
        (b"NaN", "not a finite number"),
        (b"1e999", "not a finite number"),
        (b'"\\ud800"', "not valid JSON"),
        (b'"\xff"', "not valid JSON in UTF-8"),
        (b"[" * 900, "not valid JSON"),
        (b" " * 1001, "t.json: more than 1000 bytes"),
        (b"", "not valid JSON"),
    ],
)
def test_json_is_read_strictly(content: bytes, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        STRICT.parse_json(content, "t.json", limit_bytes=1000)


@pytest.mark.parametrize("content", [b"a = ", b"a = 1\na = 2", b"\xff"])
def test_toml_is_read_strictly(content: bytes) -> None:
    with pytest.raises(RecipeError, match=r"t\.toml: not valid TOML in UTF-8"):
        STRICT.parse_toml(content, "t.toml")


def test_text_from_outside_becomes_one_line() -> None:
    assert one_line(" a\x1b[0m\n\n b\u202ec ") == "a [0m b c"
    assert one_line("x" * 300) == "x" * 200 + "..."
    assert one_line("x" * 300, None) == "x" * 300
