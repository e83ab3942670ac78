"""What a browser tells of itself, which is all that is known of it, and the device that it is by that."""

import re
from dataclasses import dataclass

from qsr_edge.bench.protocol.condition import Condition
from qsr_edge.bench.protocol.fields import Checked, Count, Text
from qsr_edge.bench.protocol.header import DeviceInfo
from qsr_edge.codec import Decoder
from qsr_edge.errors import BenchError, one_line

KIND = "browser"
LIMIT_BYTES = 1 << 16
UNKNOWN_PROCESSOR = "a processor that it does not tell"
_DECODER = Decoder(error=BenchError, ignores_unknown_keys=True, takes_null=True)

_NAME = 60
"""Letters of a name that is shown."""
_YES = {True: "yes", False: "no"}
_BRANDS = (
    ("Edg(?:A|iOS)?/", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("(?:Firefox|FxiOS)/", "Firefox"),
    ("(?:HeadlessChrome|Chrome|CriOS)/", "Chromium"),
    ("Version/", "Safari"),
)
"""How browsers name themselves; each names those after it, too, for old pages' sake."""
_SYSTEMS = (
    (r"iPhone OS (\d+)", "iOS"),
    (r"iPad; CPU OS (\d+)", "iPadOS"),
    # Chromium writes 'Android 10; K' whatever the phone has.
    (r"Android (?!10; K\))(\d+)", "Android"),
    (r"Android()", "Android"),
    (r"CrOS()", "ChromeOS"),
    (r"Windows()", "Windows"),
    (r"Mac OS X()", "macOS"),
    (r"Linux()", "Linux"),
)
"""Versions are left out where every browser of today writes the same one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told(Checked):
    """What a page says when it comes.

    Attributes:
        user_agent: the browser's name for itself.
        brand: name and version of the browser, where it tells them apart from that.
        system: name and version of the operating system, likewise.
        model: of the phone, likewise.
        architecture: of the processor, likewise.
        cores: threads that the processor runs at once, or fewer: some browsers tell less than there are.
        memory_gb: of the device, rounded by the browser; None if it does not tell.
        isolated: whether the page is isolated from others, so that it has threads and a fine clock.
        relaxed_simd: whether it has the instructions of LiteRT.js's faster builds.
        driven: whether a program drives the browser.
        timer_us: steps of its clock, as measured.
        condition: of the device.
    """

    user_agent: Text
    brand: Text = ""
    system: Text = ""
    model: Text = ""
    architecture: Text = ""
    cores: Count
    memory_gb: float | None = None
    isolated: bool
    relaxed_simd: bool
    driven: bool = False
    timer_us: Count
    condition: Condition

    def device(self) -> DeviceInfo:
        """The device; its name says that it is a browser, since it stands in tables without its kind."""
        user_agent = one_line(self.user_agent, None)
        brand = one_line(self.brand, _NAME) or _first(_BRANDS, user_agent, r"{}(\d+)") or "unknown browser"
        system = one_line(self.system, _NAME) or _first(_SYSTEMS, user_agent, "{}") or "unknown system"
        more = {
            "user_agent": user_agent,
            "isolated": _YES[self.isolated],
            "relaxed_simd": _YES[self.relaxed_simd],
            "memory": "" if self.memory_gb is None else f"{self.memory_gb:g} GB, as the browser rounds it",
            "driven": "by a program" if self.driven else "",
        }
        return DeviceInfo(
            kind=KIND,
            id=KIND,
            name=f"{brand} on {one_line(self.model, _NAME) or system} (browser)",
            processor=one_line(self.architecture, _NAME) or UNKNOWN_PROCESSOR,
            system=system,
            cores=self.cores,
            simulator=False,
            timer_us=self.timer_us,
            more=tuple((key, value) for key, value in more.items() if value),
        )


def parse_told(content: bytes) -> Told:
    """Read what a page says of itself.

    Raises:
        BenchError: naming what is wrong.
    """
    source = "what the browser says of itself"
    return _DECODER.decode(Told, _DECODER.parse_json(content, source, limit_bytes=LIMIT_BYTES), source)


def other_browser(expected: DeviceInfo, here: DeviceInfo) -> str | None:
    """Why a browser is not the one that a run was begun in; None if nothing tells them apart."""
    was_more, now_more = dict(expected.more), dict(here.more)
    for name, was, now in (
        ("name", expected.name, here.name),
        ("processor", expected.processor, here.processor),
        ("system", expected.system, here.system),
        ("cores", expected.cores, here.cores),
        *((key, was_more.get(key, "?"), now_more.get(key, "?")) for key in ("user_agent", "isolated")),
    ):
        if was != now:
            return (
                f"this run was begun in another browser: {name.replace('_', ' ')} {was!r}, here it is {now!r}; go on "
                "there, or measure anew here"
            )
    return None


def _first(names: tuple[tuple[str, str], ...], text: str, form: str) -> str:
    for pattern, name in names:
        if found := re.search(form.format(pattern), text):
            return f"{name} {found[1]}".strip()
    return ""
