"""Every signature that runtime-android is compiled against is Android's own, by a published description of API 36."""

import ast
import importlib.metadata
import re
from pathlib import Path

import pytest

STUBS = Path(__file__).parents[3] / "android_harness" / "stubs"
PACKAGE = "chaquopy-stubs-android"
# Java's types as the description writes them, for arguments and for results.
ARGUMENTS = {"int": "int | java.jint | java.lang.Integer", "Executor": "java.util.concurrent.Executor"}
RESULTS = {"int": "int", "long": "int", "float": "float", "boolean": "bool", "void": "None"}


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

    for name in ("os", "content"):
        [file] = [file for file in files if file.as_posix() == f"android-stubs/{name}/__init__.pyi"]
        add(f"android.{name}", ast.parse(Path(file.locate()).read_text(encoding="utf-8")).body)
    return classes


def java_files() -> list[Path]:
    return sorted(STUBS.rglob("*.java"))


def members(source: str) -> tuple[list[tuple[str, str, list[tuple[str, str]], bool]], list[tuple[str, str]]]:
    """Methods as (result, name, [(type, name)], static), and constants as (type, name), of a stub's source."""
    methods = [
        (result, name, [tuple(part.split()[-2:]) for part in arguments.split(",") if part.strip()], bool(static))
        for static, result, name, arguments in re.findall(
            r"^\s+(?:public )?(static )?(?:final )?(?:<T> )?(\w+) (\w+)\(([^)]*)\)(?: \{|;)", source, re.MULTILINE
        )
    ]
    constants = re.findall(r"^\s+public static final (\w+) (\w+) =", source, re.MULTILINE)
    return methods, constants


def test_there_are_signatures_to_check() -> None:
    found = [members(path.read_text()) for path in java_files()]
    assert len(java_files()) == 5
    assert sum(len(methods) for methods, _ in found) == 10
    assert sum(len(constants) for _, constants in found) == 2


@pytest.mark.parametrize("path", java_files(), ids=lambda path: path.stem)
def test_signatures_are_androids(path: Path, described: dict[str, ast.ClassDef]) -> None:
    source = path.read_text()
    package = re.search(r"^package ([\w.]+);", source, re.MULTILINE)[1]
    outer = f"{package}.{path.stem}"
    nested = re.search(r"public (?:interface|static class) (\w+) \{(.*?)\n    \}", source, re.DOTALL)
    parts = [(outer, source if nested is None else source.replace(nested[0], ""))]
    if nested is not None:
        parts.append((f"{outer}.{nested[1]}", nested[2]))
    for java_name, text in parts:
        node = described[java_name]
        theirs = [child for child in node.body if isinstance(child, ast.FunctionDef)]
        methods, constants = members(text)
        for result, name, arguments, static in methods:
            candidates = [child for child in theirs if child.name == name]
            assert any(matches(child, result, arguments, static) for child in candidates), f"{java_name}.{name}"
        for kind, name in constants:
            found = [
                child for child in node.body if isinstance(child, ast.AnnAssign) and ast.unparse(child.target) == name
            ]
            assert [ast.unparse(child.annotation) for child in found] == [f"typing.ClassVar[{RESULTS[kind]}]"]


def matches(theirs: ast.FunctionDef, result: str, arguments: list[tuple[str, str]], static: bool) -> bool:
    given = [*theirs.args.posonlyargs, *theirs.args.args]
    is_static = any(ast.unparse(decorator) == "staticmethod" for decorator in theirs.decorator_list)
    if is_static != static:
        return False
    given = given if static else given[1:]
    if len(given) != len(arguments):
        return False
    for argument, (kind, name) in zip(given, arguments, strict=True):
        # Names of an interface's arguments are not published.
        if argument.arg != name and not re.fullmatch(r"arg\d", argument.arg):
            return False
        annotation = ast.unparse(argument.annotation)
        # Android's own classes are written by their last name in the stubs.
        plain = annotation.partition("[")[0].rpartition(".")[2]
        if annotation != ARGUMENTS.get(kind) and plain != kind.partition("<")[0].replace("Class", "Type"):
            return False
    returned = ast.unparse(theirs.returns)
    return returned == RESULTS.get(result) or (result == "T" and "T" in returned)
