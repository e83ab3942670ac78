"""``qsr-edge web``."""

import os
import sys
import threading
from pathlib import Path

import click

from qsr_edge.bundle.reader import open_bundle
from qsr_edge.cli.qr_code import qr_code
from qsr_edge.conversion.cached import cached_bundle
from qsr_edge.web.server import WebServer
from qsr_edge.web.site import DEFAULT_TILE_PX, check_site_output, site_files, write_site
from qsr_edge.zoo import zoo_path

TARGET = "tflite"
"""What a bundled network is converted to: the runtime's kind of files that browsers run."""
EXPOSED = """\
Whoever has this address and is in this network can load the page, the models and the sample photo; nothing else of
this machine can be read, and nothing can be sent to it. The way is not encrypted (http). Photos are upscaled on the
device that opened them and stay there. One thread is used: browsers give more to https and to this machine alone."""


def _bundle_path(named: str) -> Path:
    """A bundle's folder or .zip, or the cached bundle of a bundled network's name."""
    if not Path(named).exists() and os.sep not in named and zoo_path(named) is not None:
        return cached_bundle(named, TARGET)
    return Path(named)


def _serve(files: dict[str, bytes], *, lan: bool, port: int) -> None:
    with WebServer(files, lan=lan, port=port) as server:
        try:
            if lan:
                click.echo(qr_code(server.url), nl=False)
                click.echo(EXPOSED)
            click.echo(f"serving at {server.url}")
            click.echo("Ctrl+C ends it, and the address with it")
            sys.stdout.flush()
            threading.Event().wait()
        except KeyboardInterrupt:  # as soon as it serves, and so before it has said that Ctrl+C ends it, too
            click.echo("stopped")


@click.command("web")
@click.argument("bundle")
@click.option("--output", "-o", type=click.Path(path_type=Path, readable=False),
              help="Folder to write: a static site that any web server can host.")  # fmt: skip
@click.option("--serve", is_flag=True, help="Serve it on this machine, until Ctrl+C.")
@click.option("--lan", is_flag=True, help="Serve it to this network, too: a phone opens the QR code.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Port to serve at.  [a free one]")
@click.option("--tile", "tile_px", type=click.IntRange(16, 1024), default=DEFAULT_TILE_PX, show_default=True,
              help="Side of a tile in pixels; smaller ones take less memory and more time.")  # fmt: skip
@click.option("--force", is_flag=True, help="Replace a site that is there.")
def command(bundle: str, output: Path | None, serve: bool, lan: bool, port: int, tile_px: int, force: bool) -> None:
    """Upscale in the browser: write or serve a page that runs BUNDLE with LiteRT.js, and proves its bytes.

    BUNDLE is a bundle for tflite, or the name of a bundled network such as x2_w4a8. LiteRT.js comes from npm, by pinned
    version and checksum, and is kept in the cache folder.
    """
    if output is None and not (serve or lan):
        raise click.UsageError("give --output to write a site, or --serve or --lan to serve one")
    if output is not None:
        check_site_output(output, force=force)
    with open_bundle(_bundle_path(bundle)) as opened:
        files = site_files(opened, tile_px=tile_px)
    if output is not None:
        write_site(output, files, force=force)
        total = sum(map(len, files.values()))
        click.echo(f"wrote {output}: {len(files)} files, {total / 1e6:.1f} MB; a browser loads a third of it")
    if serve or lan:
        _serve(files, lan=lan, port=port)
