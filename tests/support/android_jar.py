"""Compares the signatures that the harness is compiled against with an android.jar.

By hand, after ``make android``: ``python -m tests.support.android_jar ANDROID_JAR``. The jar of API 23 is in
package ``libandroid-23-java`` of Debian 11. What Android 6 lacks must be what ``stubs/newer-than-23.txt`` lists.
"""

import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

from tests.support.java_stubs import newer_than_23
from tests.support.paths import ANDROID_HARNESS

SIGNATURES = ANDROID_HARNESS / "build" / "stubs"
HEAD = re.compile(r"^(?:[a-z]+ )*(?:class|interface) ([\w.$]+)(?:<.*?>)?(?: extends ([\w.$]+))?", re.MULTILINE)


def described(path: Path, names: list[str]) -> dict[str, tuple[str | None, set[tuple[str, str]]]]:
    """Base, and members as (name, descriptor), of those of the classes that a folder or jar has."""
    javap = shutil.which("javap")
    if javap is None:
        sys.exit("error: javap is missing; install a JDK")
    command = [javap, "-cp", str(path), "-protected", "-s", *names]
    text = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    found = {}
    for block in re.split(r"^Compiled from .*\n", text, flags=re.MULTILINE)[1:]:
        head = HEAD.search(block)
        if head is None:
            sys.exit(f"error: javap wrote what is no class: {block[:80]!r}")
        name, base = head.groups()
        members = re.findall(r"([\w.$]+)(?:\(.*\))?(?: throws .*)?;\n +descriptor: (\S+)", block)
        found[name] = base, {(member.rpartition(".")[2], descriptor) for member, descriptor in members}
    return found


def lacking(jar: Path) -> set[str]:
    """Classes and members of the signatures that a jar has neither itself nor by inheritance."""
    names = [
        path.relative_to(SIGNATURES).with_suffix("").as_posix().replace("/", ".")
        for path in sorted((SIGNATURES / "android").rglob("*.class"))
    ]
    ours = described(SIGNATURES, names)
    if not ours:
        sys.exit(f"error: {SIGNATURES} is missing; run make android")

    @cache
    def inherited(name: str) -> frozenset[tuple[str, str]]:
        base, members = theirs.get(name) or described(jar, [name]).get(name, (None, set()))
        # A constructor is called as its class.
        own = {(member, descriptor) for member, descriptor in members if member != name.rpartition(".")[2]}
        return frozenset(own) | (inherited(base) if base and base.startswith("android.") else frozenset())

    theirs = described(jar, names)
    missing = set()
    for name, (_, members) in ours.items():
        plain = name.replace("$", ".")
        if name not in theirs:
            missing.add(plain)
        for member, descriptor in members:
            # Constructors are not inherited. The signatures' empty ones are the compiler's.
            own = theirs.get(name, (None, set()))[1]
            last = re.split(r"[.$]", name)[-1]
            implied = member in (name.rpartition(".")[2], last) and descriptor == "()V"
            if (member, descriptor) not in own | inherited(name) and not implied:
                missing.add(f"{plain}.{last if member == name.rpartition('.')[2] else member}")
    return missing


def main() -> None:
    """Compare and say what differs."""
    if len(sys.argv) != 2 or not Path(sys.argv[1]).is_file():
        sys.exit("usage: python -m tests.support.android_jar ANDROID_JAR")
    found, stated = lacking(Path(sys.argv[1])), set(newer_than_23())
    for name in sorted(found ^ stated):
        print(f"{name}: {'is missing there, not stated' if name in found else 'stated, but is there'}")
    print(f"{len(found)} classes and members are newer, {len(stated)} stated")
    sys.exit(found != stated)


if __name__ == "__main__":
    main()
