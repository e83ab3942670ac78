"""Where a browser is to go, on the terminal: the address, a QR code for phones, and what others can reach."""

import io

import click
import segno

from qsr_edge.bench.discovery import Invitation

_BORDER = 2
"""Modules of quiet zone; the standard asks for 4, and phones' cameras read it with 2 in a terminal's own margin."""


def show_invitation(invitation: Invitation) -> None:
    """Print to standard error, which progress has too: standard output is for the figures."""
    click.echo(f"Open this address in the browser that is to measure: {invitation.address}", err=True)
    if not invitation.exposed:
        return
    code = io.StringIO()
    segno.make_qr(invitation.address).terminal(out=code, border=_BORDER, compact=True)
    click.echo(f"{code.getvalue()}{invitation.exposed}.", err=True)
