"""Makes APKs without Gradle, and says what is in an APK, whoever made it.

python -m android_harness.apk make sample
python -m android_harness.apk read app-release.apk
"""

import sys
import tempfile
from pathlib import Path

import click

from android_harness.apk.build import build_apk
from android_harness.apk.contents import ApkContents, Part, read_apk
from android_harness.apk.manifests import read_app
from qsr_edge.errors import QsrError

HARNESS = Path(__file__).resolve().parents[1]


def described(contents: ApkContents) -> str:
    """What is in an APK, for a person."""
    exported = {True: "exported", False: "not exported", None: "does not say whether it is exported"}
    lines = [
        f"{contents.package} {contents.version_name} ({contents.version_code}), "
        f"Android API {contents.min_sdk} to {contents.target_sdk}",
        f"permissions: {', '.join(contents.permissions) or 'none'}",
        *(f"{part.kind} {part.name}: {exported[part.exported]}" for part in contents.components),
        f"signature verified: {', '.join(contents.schemes)}",
        f"{'part':30} {'files':>5} {'in the APK':>12} {'unpacked':>12}",
        *(
            f"{part:30} {size.files:5} {size.packed:12,} {size.unpacked:12,}"
            for part, size in sorted(contents.parts.items(), key=lambda item: list(Part).index(item[0]))
        ),
    ]
    return "\n".join(lines)


@click.group()
def main() -> None:
    """Make APKs without Gradle, for looking at, and say what is in an APK."""


@main.command()
@click.argument("app", type=click.Choice(["sample", "bench-app"]))
@click.option("--bundle", type=click.Path(exists=True, file_okay=False, path_type=Path), help="A folder, as asset qsr.")
@click.option("--dx", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="dx's jar (Debian 11).")
@click.option("-o", "--out", type=click.Path(dir_okay=False, path_type=Path), help="Where to keep the APK.")
def make(app: str, bundle: Path | None, dx: Path | None, out: Path | None) -> None:
    """Make an APK of APP and say what is in it: neither the runtime, nor code without --dx."""
    with tempfile.TemporaryDirectory() as folder:
        path = out or Path(folder) / f"{app}.apk"
        build_apk(read_app(HARNESS / app), path, bundle=bundle, dx=dx)
        click.echo(described(read_apk(path)))
        click.echo("not in it: the runtime's classes and libraries" + ("" if dx else ", our code"))


@main.command()
@click.argument("apk", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def read(apk: Path) -> None:
    """Say what is in APK, and verify its signature and alignment."""
    click.echo(described(read_apk(apk)))


if __name__ == "__main__":
    try:
        main()
    except QsrError as error:
        sys.exit(f"error: {error}")
