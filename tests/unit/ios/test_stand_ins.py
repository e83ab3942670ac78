"""What stands in for Apple's modules is what Apple has: names, arguments, values and systems, by descriptions of iOS.

The descriptions (npm ``@nativescript/types-ios``, PyPI ``pyobjc-framework-CoreML`` and ``-Quartz``) are fetched by
``make ios``. Every public declaration of a stand-in follows a line ``// objc: ...`` that says whose it is.
"""

import re
from dataclasses import dataclass, replace
from functools import cache

import pytest

from tests.support.paths import IOS_HARNESS as HARNESS

STAND_INS = HARNESS / "StandIns"
DESCRIPTIONS = HARNESS / ".toolchain"
TYPES = DESCRIPTIONS / "types-ios" / "lib" / "ios" / "objc-x86_64"
OLDEST_IOS = 17.0
SWIFT_ONLY = ["SwiftUI", "PhotosUI", "Charts"]
"""Modules that no description of Objective-C has."""
MODULES = ["CoreFoundation", "CoreGraphics", "CoreML", "CoreVideo", "Darwin", "Foundation", "UIKit"]
# Words of a selector that Swift leaves out: of types, and of what it makes an initializer or an async function.
LEFT_OUT = {"url", "completionhandler", "error", "name", "features", "init", "with", "featurevalue"}

pytestmark = [
    pytest.mark.swift,
    pytest.mark.skipif(not TYPES.is_dir(), reason="run `make ios` first"),
]


@dataclass(frozen=True, kw_only=True)
class Declaration:
    """A declaration of a stand-in: what it says of itself, and its Swift."""

    kind: str
    name: str
    arguments: tuple[str, ...] | None
    value: str | None
    since: float | None
    words: tuple[str, ...]
    swift: str
    module: str
    holder: str
    """The enumeration that a case belongs to."""


SPEC = re.compile(
    r"(?P<kind>\w+) (?P<name>[\w.]+)(?:\((?P<arguments>[^)]*)\))?(?: = (?P<value>-?\d+))?"
    r"(?P<words>(?: (?:static|readonly|async))*)(?: since (?P<since>[\d.]+))?"
)


def statement(lines: list[str], at: int) -> str:
    """A declaration as one line, from where it begins to its body or end."""
    text = ""
    for line in lines[at:]:
        if line.strip().startswith("@"):
            continue
        text = f"{text} {line.strip()}".strip()
        if text.count("(") == text.count(")"):
            break
    return text


def declarations() -> list[Declaration]:
    found = []
    for path in sorted(STAND_INS.rglob("*.swift")):
        holder = ""
        lines = path.read_text().splitlines()
        for number, line in enumerate(lines):
            if not (match := re.fullmatch(r"\s*// objc: (.*)", line)):
                continue
            spec = SPEC.fullmatch(match[1])
            assert spec, f"{path.name}:{number + 1}: {line}"
            if spec["kind"] == "enum":
                holder = spec["name"]
            arguments = spec["arguments"]
            found.append(
                Declaration(
                    kind=spec["kind"],
                    name=spec["name"],
                    arguments=None if arguments is None else tuple(filter(None, arguments.split(", "))),
                    value=spec["value"],
                    since=float(spec["since"]) if spec["since"] else None,
                    words=tuple(spec["words"].split()),
                    swift=statement(lines, number + 1),
                    module=path.parent.name,
                    holder=holder,
                )
            )
    return found


@cache
def described() -> str:
    return "\n".join((TYPES / f"objc!{module}.d.ts").read_text() for module in MODULES)


@cache
def python_values() -> dict[str, int]:
    """Constants and cases of Core ML, Core Video and Core Graphics by pyobjc."""
    texts = [path.read_text() for path in (DESCRIPTIONS / "pyobjc").rglob("_metadata.py")]
    return {name: int(value) for text in texts for name, value in re.findall(r"\$(\w+)@(-?\d+)(?=\$)", text)}


@cache
def block(head: str) -> str:
    """The body of a class, interface or enumeration."""
    match = re.search(rf"^declare {head}\b[^{{]*{{\n(.*?)^}}", described(), re.MULTILINE | re.DOTALL) or re.search(
        rf"^{head}\b[^{{]*{{\n(.*?)^}}", described(), re.MULTILINE | re.DOTALL
    )
    assert match, f"{head} is not described"
    return match[1]


def since_of(text: str, line: str) -> float:
    """The system that a member came with, by the comment before it."""
    before = text[: text.index(line)].rstrip()
    comment = re.search(r"/\*\*((?:(?!\*/).)*)\*/$", before, re.DOTALL)
    found = re.search(r"@since ([\d.]+)", comment[1]) if comment else None
    return float(found[1]) if found else 0.0


def names_of(parameters: str) -> tuple[str, ...]:
    """Names of a TypeScript parameter list, nested types and all."""
    plain = parameters
    while plain != (plain := re.sub(r"\([^()]*\)|<[^<>]*>", "", plain.replace("=>", ""))):
        pass
    return tuple(part.split(":")[0].strip().rstrip("?") for part in plain.split(",") if part.strip())


def check_since(one: Declaration, came: float) -> None:
    assert came <= OLDEST_IOS or one.since == came, f"{one.name}: came with {came}"
    assert one.since is None or one.since == came, f"{one.name}: came with {came}"


def swift_words(swift: str) -> list[str]:
    """The base name and the labels of a Swift function; of an initializer the labels alone."""
    base, _, rest = re.sub(r".*\b(?:func |(?=init))", "", swift, count=1).partition("(")
    labels = re.findall(r"(?:^ ?|, )(\w+)(?: \w+)?:", re.sub(r"=[^,)]*", "", rest.rpartition(")")[0]))
    return [*([] if base.startswith("init") else [base]), *(label for label in labels if label != "_")]


def check_name(one: Declaration, selector: str) -> None:
    """See that Swift's name is the selector, less the words that Swift leaves out."""
    rest = selector.lower()
    for word in swift_words(one.swift):
        skipped, found, rest = rest.partition(word.lower())
        assert found, f"{one.swift}: {word} is not in {selector}"
        assert not skipped or skipped in LEFT_OUT or skipped.removesuffix("with") in LEFT_OUT, (
            f"{one.swift}: {selector}"
        )
    assert not re.sub("|".join(sorted(LEFT_OUT, key=len, reverse=True)), "", rest), f"{one.swift}: {selector}"


def check_optional(one: Declaration, theirs: str) -> None:
    swift = one.swift.partition("{")[0].partition(" = ")[0]
    if ":" in swift:
        assert swift.strip().endswith("?") == theirs.endswith("| null"), f"{one.swift}: {theirs}"


def check_member(one: Declaration) -> None:
    holder, _, member = one.name.partition(".")
    head = f"interface {holder}" if holder == "MLFeatureProvider" else f"class {holder}"
    body = block(head)
    static = "static " if "static" in one.words or (one.kind == "init" and not member.startswith("init")) else ""
    match = re.search(rf"^\t{static}{member}\((.*)\): (.*);", body, re.MULTILINE)
    assert match, f"{one.name} is not described"
    assert names_of(match[1]) == one.arguments, one.name
    assert ("async" in one.words) == member.endswith("CompletionHandler") == (" async " in one.swift), one.name
    assert ("error" in (one.arguments or ()) or "async" in one.words) == (" throws" in one.swift), one.name
    check_since(one, since_of(body, match[0]))
    check_name(one, member)


def check_property(one: Declaration) -> None:
    holder, _, member = one.name.partition(".")
    body = block(f"class {holder}")
    match = re.search(rf"^\t(static )?(readonly )?{member}: (.*?);", body, re.MULTILINE)
    assert match, f"{one.name} is not described"
    is_static = "static" in one.words
    assert bool(match[1]) == is_static == (" static " in one.swift), one.name
    # A class property of one object only is let in Swift, whatever it is called there.
    if not is_static:
        assert bool(match[2]) == ("readonly" in one.words), one.name
        assert ("readonly" in one.words) == (" let " in one.swift or "{" in one.swift), one.swift
    check_since(one, since_of(body, match[0]))
    check_optional(one, match[3])
    name = re.search(r"\b(?:let|var) (\w+)", one.swift)[1]
    assert name.lower().removeprefix("is") in member.lower(), one.swift


def check_function(one: Declaration) -> None:
    match = re.search(rf"^declare function {one.name}\((.*)\): (.*);", described(), re.MULTILINE)
    assert match, f"{one.name} is not described"
    assert names_of(match[1]) == one.arguments, one.name
    check_since(one, since_of(described(), match[0]))
    inner = one.swift.rpartition(")")[0].partition("(")[2]
    if "func " in one.swift:
        name = re.search(r"func (\w+)\(", one.swift)[1]
        if name == one.name:  # A C function has no labels.
            assert tuple(re.findall(r"_ (\w+):", inner)) == one.arguments
        else:  # Or Apple made it a method, which its page tells.
            labels = "".join(f"{label}:" for label in re.findall(r"(?:^|, )(\w+) \w+:", inner))
            assert f"`{name}({labels})`" in (STAND_INS / "README.md").read_text()
            assert name.lower() in one.name.lower()
    elif "init" in one.swift:
        # One that makes something is an initializer whose labels are the names of its arguments.
        assert tuple(re.findall(r"(\w+):", inner)) == one.arguments, one.swift


def check_constant(one: Declaration) -> None:
    match = re.search(rf"^declare (?:const|var) {one.name}: (\w+);", described(), re.MULTILINE)
    assert match, f"{one.name} is not described"
    check_since(one, since_of(described(), match[0]))
    assert (match[1] == "string") == (one.value is None), one.name
    if one.value is not None:
        assert python_values()[one.name] == int(one.value), one.name
        assert int(one.swift.rpartition("= ")[2].replace("_", ""), 0) == int(one.value), one.swift


def check_case(one: Declaration) -> None:
    match = re.search(rf"^\t{one.name} = (-?\d+)", block(f"const enum {one.holder}"), re.MULTILINE)
    assert match, f"{one.holder} has no {one.name}"
    assert match[1] == one.value, one.name
    known = {**python_values()}
    if (full := one.name if one.name.startswith("k") else one.holder + one.name) in known:
        assert known[full] == int(one.value), full
    swift = re.search(r"(?:case|let) (\w+)", one.swift)[1]
    assert one.name.lower().endswith(swift.lower().removesuffix("intent")), one.swift
    if "case" in one.swift:
        assert one.swift.endswith(f"= {one.value}"), one.swift


def check_listed(one: Declaration) -> None:
    """What neither description has stands in the table of the page, with Apple's own."""
    rows = re.findall(
        r"^\| `(\w+)` .*\| https://developer\.apple\.com/\S+ \|$", (STAND_INS / "README.md").read_text(), re.M
    )
    assert one.name in rows, one.name


CHECKS = {
    "class": lambda one: block(f"class {one.name}"),
    "protocol": lambda one: block(f"interface {one.name}"),
    "enum": lambda one: block(f"const enum {one.name}"),
    "method": check_member,
    "init": lambda one: check_member(one) if "." in one.name else block(f"class {one.name}"),
    "property": check_property,
    "func": check_function,
    "const": check_constant,
    "case": check_case,
    "type": check_listed,
    "ref": check_listed,
}


@pytest.mark.parametrize("one", declarations(), ids=lambda one: f"{one.module}-{one.name}")
def test_a_declaration_is_apples(one: Declaration) -> None:
    CHECKS[one.kind](one)


def test_what_is_swifts_alone_is_listed() -> None:
    page = (STAND_INS / "README.md").read_text()
    types = [
        name
        for module in SWIFT_ONLY
        for path in (STAND_INS / module).glob("*.swift")
        for name in re.findall(
            r"^public (?:final )?(?:struct|enum|protocol|class) (?!StandIn)(\w+)", path.read_text(), re.M
        )
    ]
    assert len(types) > 15
    assert [name for name in types if f"`{name}`" not in page] == []


def test_nothing_public_goes_unchecked() -> None:
    for path in sorted(STAND_INS.rglob("*.swift")):
        if path.parent.name in SWIFT_ONLY:
            continue
        # What tests set, and what Swift asks of every set of options, is no part of Apple's.
        text = re.sub(r"^public enum StandIn\w+ \{.*?^\}", "", path.read_text(), flags=re.MULTILINE | re.DOTALL)
        lines = [line for line in text.splitlines() if "rawValue: " not in line]
        for before, line in zip(["", *lines], lines, strict=False):
            if (
                re.match(r"\s*(?:nonisolated\(unsafe\) )?(public|case|func featureValue)\b", line)
                and "return" not in line
            ):
                inside = re.match(r"\s*case [.\w]+(, .*)?:", line)
                marked = "// objc: " in before or before.strip().startswith("@")
                assert marked or inside, f"{path.name}: {line}"


def test_newer_systems_are_asked_for() -> None:
    newer = [one for one in declarations() if one.since and one.since > OLDEST_IOS]
    assert [one.name for one in newer] == ["MLModelConfiguration.functionName"]
    for one in newer:
        name = re.search(r"\b(?:let|var) (\w+)", one.swift)[1]
        users = [path for path in (HARNESS / "Sources").rglob("*.swift") if f".{name}" in path.read_text()]
        assert users
        for path in users:
            before = path.read_text().partition(f".{name}")[0]
            assert f"#available(iOS {one.since:.0f}," in before[-400:], path.name
    assert "platforms: [.iOS(.v17)" in (HARNESS / "Package.swift").read_text()


def test_a_wrong_declaration_would_be_seen() -> None:
    """The checks themselves: each kind refuses something that Apple does not have."""
    some = {one.name: one for one in declarations()}
    for name, changes in {
        "MLModel.compileModelAtURLCompletionHandler": {"arguments": ("url",)},
        "MLModelConfiguration.functionName": {"since": None},
        "MLFeatureValue.imageBufferValue": {"swift": "public let imageBufferValue: CVPixelBuffer"},
        "CPUOnly": {"value": "7"},
        "kCVReturnSuccess": {"value": "1"},
        "CVPixelBufferCreate": {"arguments": ("width",)},
        "CGContextDrawImage": {"swift": "public func paint(_ image: CGImage, in rect: CGRect) {"},
        "UIDevice.batteryLevel": {"words": ()},
        "CGImageRef": {"name": "CGPictureRef"},
        "MLFeatureProvider.featureValueForName": {"swift": "func featureValue(named featureName: String)"},
    }.items():
        one = some[name]
        wrong = replace(one, **changes)
        with pytest.raises(AssertionError):
            CHECKS[one.kind](wrong)
