"""The simulated phone, by the real adb client and server: what works through Debian's adb works as adb expects it of
a phone."""

from collections.abc import Callable

from tests.phone_simulator.adb_server import AdbServer
from tests.phone_simulator.models import SAMSUNG
from tests.phone_simulator.phone import Phone


def test_adb_lists_what_the_phones_say_of_themselves(adb_server: AdbServer, phone: Callable[..., Phone]) -> None:
    one, other = phone(), phone(SAMSUNG)
    rows = {
        line.split()[0]: line for line in adb_server.adb("devices", "-l").stdout.decode().splitlines() if ":" in line
    }
    assert " device product:husky model:Pixel_8_Pro device:husky " in rows[one.address].replace("  ", " ").replace(
        "  ", " "
    )
    assert "model:SM_G991B" in rows[other.address]
