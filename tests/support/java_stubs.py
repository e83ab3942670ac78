"""Reads the signatures of Android that the harness is compiled against."""

import re
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.paths import ANDROID_HARNESS

STUBS = ANDROID_HARNESS / "stubs"


@dataclass(kw_only=True)
class Method:
    name: str
    result: str | None  # None of a constructor
    arguments: list[tuple[str, str]]
    static: bool
    nullable: bool


@dataclass(kw_only=True)
class Members:
    """What a class of a stub has itself; nested classes are records of their own."""

    name: str
    base: str | None = None
    methods: list[Method] = field(default_factory=list)
    fields: list[tuple[str, str, bool]] = field(default_factory=list)  # type, name, static


METHOD = re.compile(
    r"(?P<nullable>@Nullable )?(?:public |protected )?(?P<static>static )?(?:abstract )?(?:final )?(?:<T> )?"
    r"(?:(?P<result>[\w.]+(?:\[\])?) )?(?P<name>\w+)\((?P<arguments>[^)]*)\)(?: throws \w+)?(?: \{.*\}|;)"
)
FIELD = re.compile(r"public (?P<static>static )?(?:final )?(?P<type>\w+) (?P<name>\w+)(?: = .*)?;")
CLASS = re.compile(
    r"public (?:static )?(?:abstract )?(?:final )?(?:class|interface|@interface) (?P<name>\w+)"
    r"(?: extends (?P<base>\w+))? \{"
)


def parse(path: Path) -> list[Members]:
    """The classes of a stub; a line that is none of what is known is an error, so that none goes unchecked."""
    source = path.read_text()
    package = re.search(r"^package ([\w.]+);", source, re.MULTILINE)[1]
    found: list[Members] = []
    open_classes: list[Members] = []
    for line in map(str.strip, source.splitlines()):
        if not line or line.startswith(("package ", "import ", "/**")):
            continue
        if match := CLASS.fullmatch(line):
            outer = open_classes[-1].name if open_classes else package
            open_classes.append(Members(name=f"{outer}.{match['name']}", base=match["base"]))
            found.append(open_classes[-1])
        elif line == "}":
            open_classes.pop()
        elif match := METHOD.fullmatch(line):
            pairs = [part.split() for part in match["arguments"].split(", ") if part]
            open_classes[-1].methods.append(
                Method(
                    name=match["name"],
                    result=match["result"],
                    arguments=[(kind, name) for kind, name in pairs],
                    static=bool(match["static"]),
                    nullable=bool(match["nullable"]),
                )
            )
        else:
            match = FIELD.fullmatch(line)
            assert match, f"{path}: {line}"
            open_classes[-1].fields.append((match["type"], match["name"], bool(match["static"])))
    assert not open_classes
    return found


def android_files() -> list[Path]:
    return sorted((STUBS / "android").rglob("*.java"))


def newer_than_23() -> dict[str, int]:
    """What Android 6 lacks of the signatures, and the API that brought it."""
    lines = (STUBS / "newer-than-23.txt").read_text().splitlines()
    return {name: int(since) for name, since in (line.split() for line in lines if not line.startswith("#"))}
