"""Reading a file that grows, by any pieces, and one that lost its end."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qsr_edge.bench.android.growing_file import GrowingFile
from qsr_edge.errors import BenchError


def answer(file: GrowingFile, content: bytes | None) -> bytes:
    """What a phone prints for the file's command."""
    assert file.command.endswith(f"tail -c +{file.offset + 1} '/sdcard/a b' 2>/dev/null")
    return b"-\n" if content is None else b"%d\n" % len(content) + content[file.offset :]


@given(st.lists(st.binary(max_size=12).map(lambda line: line.replace(b"\n", b"")), max_size=8), st.data())
def test_every_line_once_however_it_grows(lines: list[bytes], data: st.DataObject) -> None:
    whole = b"".join(line + b"\n" for line in lines) + b'{"cut'
    ends = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=6)))
    file = GrowingFile("/sdcard/a b")
    assert file.take(answer(file, None)) == ([], None)
    got: list[bytes] = []
    for end in (*ends, len(whole)):
        new, fault = file.take(answer(file, whole[:end]))
        assert fault is None
        got += new
    assert got == lines


@pytest.mark.parametrize(
    ("left", "appended", "expected"),
    [
        (b"one\ntwo\n", b"four\n", [b"four"]),
        # In the middle of a line: what is appended to it is no line.
        (b"one\ntw", b"four\nfive\n", [b"five"]),
        (b"", b"four\n", [b"four"]),
    ],
)
def test_a_file_that_lost_its_end(left: bytes, appended: bytes, expected: list[bytes]) -> None:
    file = GrowingFile("/sdcard/a b")
    assert file.take(answer(file, b"one\ntwo\nthree\n"))[0] == [b"one", b"two", b"three"]
    lines, fault = file.take(answer(file, left))
    assert lines == []
    assert fault is not None
    assert "lost its end" in fault
    assert file.take(answer(file, left)) == ([], None)
    assert file.take(answer(file, left + appended)) == (expected, None)


def test_a_file_that_is_away_for_a_while_is_read_on() -> None:
    file = GrowingFile("/sdcard/a b")
    assert file.take(answer(file, b"one\ntw"))[0] == [b"one"]
    assert file.take(answer(file, None)) == ([], None)
    assert file.take(answer(file, b"one\ntwo\n"))[0] == [b"two"]


def test_no_answer_to_the_question() -> None:
    with pytest.raises(BenchError, match="size"):
        GrowingFile("/sdcard/a").take(b"stat: inaccessible")
