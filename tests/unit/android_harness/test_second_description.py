"""Each signature of Android that the harness is compiled against is in a second description, which tells since when."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from tests.support.android_build import NEEDS_ANDROID_BUILD
from tests.support.java_stubs import Members, Method, android_files, newer_than_23, parse
from tests.support.paths import ANDROID_HARNESS

pytestmark = NEEDS_ANDROID_BUILD

TYPES = ANDROID_HARNESS / ".toolchain/types-android-9.1.1/lib/android/android-platform-21-37-merged.d.ts"
OLDEST = 23
NATIVE = {"int": "number", "long": "number", "float": "number", "String": "string", "CharSequence": "string"}


@dataclass(kw_only=True)
class Described:
    """A class: its base by its whole name; members as (name, types of arguments, type of the result, since, static)."""

    base: str | None
    since: int
    members: list[tuple[str, tuple[str, ...] | None, str, int, bool]] = field(default_factory=list)


MEMBER = re.compile(
    r"public (?P<static>static )?(?:abstract )?(?P<name>\w+)(?:<[^(]*>)?"
    r"(?:\((?P<arguments>.*)\))?(?:: (?P<result>.+))?;"
)
OPENS = re.compile(
    r"(?:declare |export )?(?P<kind>module|(?:abstract )?class|interface) (?P<name>\w+)(?:<[^{]*?>)?"
    r"(?: extends (?P<base>[\w.]+))?.*\{"
)


def classes() -> Iterator[tuple[str, Described]]:
    scopes: list[tuple[str | None, Described | None]] = []
    since = 0
    for line in map(str.strip, TYPES.read_text(encoding="utf-8").splitlines()):
        if told := re.search(r"@since (\d+)", line):
            since = int(told[1])
        if line.startswith(("/*", "*")):
            continue
        if match := OPENS.fullmatch(line):
            name = ".".join([scope for scope, _ in scopes if scope] + [match["name"]])
            made = None
            if match["kind"] != "module":
                made = Described(base=match["base"], since=since)
                yield name, made
            scopes.append((match["name"], made))
        elif line.endswith("{"):
            scopes.append((None, None))
        elif line.startswith("}"):
            scopes.pop()
        elif scopes and scopes[-1][1] is not None and (match := MEMBER.fullmatch(line)):
            arguments = None if match["arguments"] is None else tuple(argument_types(match["arguments"]))
            result = match["result"] or "void"
            scopes[-1][1].members.append((match["name"], arguments, result, since, bool(match["static"])))
        since = 0


def argument_types(text: str) -> Iterator[str]:
    """Types of ``a: T, b: Map<K,V> | null``: a comma within brackets parts nothing."""
    depth, start = 0, 0
    for i, letter in enumerate(f"{text},"):
        depth += (letter in "<(") - (letter in ">)")
        if letter == "," and depth == 0 and text[start:i].strip():
            yield text[start:i].partition(":")[2].strip()
            start = i + 1


@pytest.fixture(scope="module")
def described() -> dict[str, Described]:
    wanted = {members.name for path in android_files() for members in parse(path)}
    return {name: found for name, found in classes() if name in wanted or name.startswith("android.content.Context")}


def plain(text: str) -> str:
    """Without what says that it may be none, type arguments, and package."""
    return text.removesuffix(" | null").partition("<")[0].rpartition(".")[2]


def same(kind: str, theirs: str) -> bool:
    if kind == "T":
        return True
    if kind.endswith("[]"):
        return theirs.startswith("androidNative.Array<") and same(kind[:-2], theirs[len("androidNative.Array<") : -1])
    return plain(theirs) == NATIVE.get(kind, kind.partition("<")[0].rpartition(".")[2])


def since_of(ours: Method, theirs: Described) -> int | None:
    """Since when a signature is there; None if it is not."""
    name = "constructor" if ours.result is None else ours.name
    found = [
        since
        for other, arguments, result, since, static in theirs.members
        if other == name
        and static == ours.static
        and arguments is not None
        and len(arguments) == len(ours.arguments)
        and all(same(kind, given) for (kind, _), given in zip(ours.arguments, arguments, strict=True))
        and (ours.result is None or same(ours.result, result))
    ]
    return min(found, default=None)


def check(members: Members, described: dict[str, Described]) -> Iterator[tuple[str, int]]:
    theirs = described[members.name]
    if theirs.since:
        yield members.name, theirs.since
    base = theirs.base or ""
    assert members.base is None or base.startswith("android.") or base == f"java.lang.{members.base}", members.name
    for method in members.methods:
        since = since_of(method, theirs)
        assert since is not None, f"{members.name}.{method.name}"
        yield f"{members.name}.{method.name}", max(since, theirs.since)
    for _, name, static in members.fields:
        fields = [(other, fixed, since) for other, arguments, _, since, fixed in theirs.members if arguments is None]
        found = [since for other, fixed, since in fields if (other, fixed) == (name, static)]
        assert found, f"{members.name}.{name}"
        yield f"{members.name}.{name}", max(found[0], theirs.since)


def test_signatures_are_androids_and_as_old_as_stated(described: dict[str, Described]) -> None:
    found = dict(pair for path in android_files() for members in parse(path) for pair in check(members, described))
    assert len(found) > 120
    assert {name: since for name, since in found.items() if since > OLDEST} == newer_than_23()


def test_what_differs_is_found(described: dict[str, Described]) -> None:
    [file] = [path for path in android_files() if path.stem == "PowerManager"]
    power = parse(file)[0]
    theirs = described[power.name]
    for method in power.methods:
        assert since_of(method, theirs) is not None
        assert since_of(Method(**{**vars(method), "name": method.name + "s"}), theirs) is None
        assert since_of(Method(**{**vars(method), "arguments": [*method.arguments, ("int", "x")]}), theirs) is None
        assert since_of(Method(**{**vars(method), "static": True}), theirs) is None
