"""An address as a QR code on the terminal, for a phone's camera."""

import io

from qsr_edge.errors import QsrError
from qsr_edge.extras import how_to_install

_BORDER = 2
"""Modules of quiet zone; the standard asks for 4, and phones' cameras read it with 2 in a terminal's own margin."""


def qr_code(address: str) -> str:
    """The code in half blocks, of several lines.

    Raises:
        QsrError: if the package that makes it is missing, naming the extra.
    """
    try:
        import segno
    except ImportError as error:
        raise QsrError(f"--lan shows a QR code with the package segno; {how_to_install('web')}") from error
    code = io.StringIO()
    segno.make_qr(address, error="l").terminal(out=code, border=_BORDER, compact=True)
    return code.getvalue()
