"""Where a browser is to go, on the terminal: the address, a QR code for phones, and what others can reach."""

import click

from qsr_edge.bench.discovery import Invitation
from qsr_edge.cli.qr_code import qr_code


def show_invitation(invitation: Invitation) -> None:
    """Print to standard error, as progress is: standard output is for the figures.

    Raises:
        QsrError: naming the extra to install, if an address for phones cannot be shown as a QR code.
    """
    if invitation.exposed:
        click.echo(f"{qr_code(invitation.address)}{invitation.exposed}.", err=True)
    click.echo(f"Open this address in the browser that is to measure: {invitation.address}", err=True)
