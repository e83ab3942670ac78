"""Where a browser is to go, on the terminal: the address, a QR code for phones, and what others can reach."""

import io

import click

from qsr_edge.bench.discovery import Invitation
from qsr_edge.errors import QsrError
from qsr_edge.extras import how_to_install

_BORDER = 2
"""Modules of quiet zone; the standard asks for 4, and phones' cameras read it with 2 in a terminal's own margin."""


def show_invitation(invitation: Invitation) -> None:
    """Print to standard error, as progress is: standard output is for the figures.

    Raises:
        QsrError: naming the extra to install, if an address for phones cannot be shown as a QR code.
    """
    if invitation.exposed:
        click.echo(f"{qr_code(invitation.address)}{invitation.exposed}.", err=True)
    click.echo(f"Open this address in the browser that is to measure: {invitation.address}", err=True)


def qr_code(address: str) -> str:
    """An address as a QR code of half blocks, for a phone's camera.

    Raises:
        QsrError: if the package that makes it is missing, naming the extra.
    """
    try:
        import segno
    except ImportError as error:
        raise QsrError(f"--lan shows a QR code with the package segno; {how_to_install('web')}") from error
    code = io.StringIO()
    segno.make_qr(address).terminal(out=code, border=_BORDER, compact=True)
    return code.getvalue()
