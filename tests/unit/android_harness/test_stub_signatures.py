"""Every signature of Android that the harness is compiled against is Android's own, by a description of API 36."""

import ast
import importlib.metadata
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.java_stubs import STUBS, Method, android_files, parse

PACKAGE = "chaquopy-stubs-android"
# Java's types as the description writes them, for arguments and for results.
ARGUMENTS = {
    "int": "int | java.jint | java.lang.Integer",
    "long": "int | java.jlong | java.lang.Long",
    "float": "float | java.jfloat | java.lang.Float",
    "boolean": "bool | java.jboolean | java.lang.Boolean",
    "String": "str | java.lang.String",
    "int[]": "java.chaquopy.JavaArrayJInt",
    "float[]": "java.chaquopy.JavaArrayJFloat",
}
RESULTS = {"int": "int", "long": "int", "float": "float", "boolean": "bool", "void": "None", "String": "str"}


@pytest.fixture(scope="module")
def described() -> dict[str, ast.ClassDef]:
    """Android's classes by their Java names."""
    try:
        files = importlib.metadata.files(PACKAGE) or []
    except importlib.metadata.PackageNotFoundError:
        pytest.skip(f"{PACKAGE} is not installed")
    classes: dict[str, ast.ClassDef] = {}

    def add(prefix: str, body: list[ast.stmt]) -> None:
        for node in body:
            if isinstance(node, ast.ClassDef):
                classes[f"{prefix}.{node.name}"] = node
                add(f"{prefix}.{node.name}", node.body)

    for name in {path.parent.relative_to(STUBS / "android").as_posix() for path in android_files()}:
        [file] = [file for file in files if file.as_posix() == f"android-stubs/{name}/__init__.pyi"]
        add(f"android.{name.replace('/', '.')}", ast.parse(Path(file.locate()).read_text(encoding="utf-8")).body)
    return classes


def test_there_are_signatures_to_check() -> None:
    classes = [members for path in android_files() for members in parse(path)]
    assert len(android_files()) == 39
    assert sum(len(members.methods) for members in classes) == 106
    assert sum(len(members.fields) for members in classes) == 21


@pytest.mark.parametrize("path", android_files(), ids=lambda path: path.stem)
def test_signatures_are_androids(path: Path, described: dict[str, ast.ClassDef]) -> None:
    for members in parse(path):
        node = described[members.name]
        assert members.base is None or members.base in ancestors(node, described)
        for method in members.methods:
            name = "__init__" if method.result is None else method.name
            candidates = [child for child in functions(node) if child.name == name]
            assert any(matches(child, method) for child in candidates), f"{members.name}.{method.name}"
        for kind, name, static in members.fields:
            expected = RESULTS.get(kind, kind)
            found = [
                ast.unparse(child.annotation)
                for child in node.body
                if isinstance(child, ast.AnnAssign) and ast.unparse(child.target) == name
            ]
            plain = [text.removeprefix("typing.ClassVar[").removesuffix("]").rpartition(".")[2] for text in found]
            assert plain == [expected], f"{members.name}.{name}"
            assert found[0].startswith("typing.ClassVar[") == static


def ancestors(node: ast.ClassDef, described: dict[str, ast.ClassDef]) -> set[str]:
    """Last names of all classes that a class is derived from, as far as they are described."""
    found = set()
    for base in map(ast.unparse, node.bases):
        last = base.rpartition(".")[2]
        found.add(last)
        for name, other in described.items():
            if name.rpartition(".")[2] == last:
                found |= ancestors(other, described)
    return found


def functions(node: ast.ClassDef) -> Iterator[ast.FunctionDef]:
    return (child for child in node.body if isinstance(child, ast.FunctionDef))


def matches(theirs: ast.FunctionDef, ours: Method) -> bool:
    given = [*theirs.args.posonlyargs, *theirs.args.args]
    is_static = any(ast.unparse(decorator) == "staticmethod" for decorator in theirs.decorator_list)
    if is_static != ours.static:
        return False
    given = given if ours.static else given[1:]
    if len(given) != len(ours.arguments):
        return False
    for argument, (kind, name) in zip(given, ours.arguments, strict=True):
        # Names of an interface's arguments are not published; a trailing underscore avoids Python's keywords.
        if argument.arg.removesuffix("_") != name and not re.fullmatch(r"arg\d", argument.arg):
            return False
        annotation = ast.unparse(argument.annotation)
        # Classes are written by their last name in the stubs.
        plain = annotation.partition("[")[0].rpartition(".")[2]
        if annotation != ARGUMENTS.get(kind) and plain != kind.partition("<")[0].replace("Class", "Type"):
            return False
    if ours.result is None:
        return True
    returned = ast.unparse(theirs.returns)
    if ours.result == "T":
        return "T" in returned
    if returned.endswith(" | None") != ours.nullable:
        return False
    plain = returned.removesuffix(" | None")
    if plain == RESULTS.get(ours.result):
        return True
    if ours.result.endswith("[]"):
        return plain.startswith("java.chaquopy.JavaArray[") and plain.removesuffix("]").endswith(ours.result[:-2])
    return plain.rpartition(".")[2] == ours.result
