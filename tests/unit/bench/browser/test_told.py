"""What a browser tells of itself: names by its user agent, refusals, and whether it is the one of before."""

import json

import pytest

from qsr_edge.bench.browser.told import UNKNOWN_PROCESSOR, other_browser, parse_told
from qsr_edge.bench.protocol.decoding import decode_record, encode_line
from qsr_edge.bench.protocol.header import RunEffort, RunHeader, Variant
from qsr_edge.errors import BenchError
from tests.support.scripted_page import TOLD

WEBKIT = "AppleWebKit/537.36 (KHTML, like Gecko)"


def told(**more: object) -> bytes:
    return json.dumps({**TOLD, **more}).encode()


@pytest.mark.parametrize(
    ("user_agent", "name"),
    [
        (TOLD["user_agent"], "Firefox 150 on Linux (browser)"),
        (f"Mozilla/5.0 (X11; Linux x86_64) {WEBKIT} HeadlessChrome/156.0.0.0 Safari/537.36",
         "Chromium 156 on Linux (browser)"),
        # Chromium says Android 10 of every version.
        (f"Mozilla/5.0 (Linux; Android 10; K) {WEBKIT} Chrome/156.0.0.0 Mobile Safari/537.36",
         "Chromium 156 on Android (browser)"),
        (f"Mozilla/5.0 (Linux; Android 10; K) {WEBKIT} SamsungBrowser/29.0 Chrome/136.0.0.0 Mobile Safari/537.36",
         "Samsung Internet 29 on Android (browser)"),
        ("Mozilla/5.0 (Android 16; Mobile; rv:150.0) Gecko/150.0 Firefox/150.0", "Firefox 150 on Android 16 (browser)"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
         "Version/26.0 Mobile/15E148 Safari/604.1", "Safari 26 on iOS 18 (browser)"),
        (f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {WEBKIT} Chrome/156.0.0.0 Safari/537.36 Edg/156.0.0.0",
         "Edge 156 on Windows (browser)"),
        ("curl/8", "unknown browser on unknown system (browser)"),
    ],
)  # fmt: skip
def test_a_browser_is_named_by_its_user_agent(user_agent: str, name: str) -> None:
    device = parse_told(told(user_agent=user_agent)).device()
    assert device.name == name
    assert device.kind == "browser"
    assert device.processor == UNKNOWN_PROCESSOR
    assert dict(device.details)["user agent"] == user_agent


def test_what_it_tells_besides_comes_first() -> None:
    content = told(brand="Google Chrome 156", system="Android 16.0.0", model="Pixel 9", architecture="arm, 64 bits",
                   memory_gb=8, driven=True, new_key=1)  # fmt: skip
    device = parse_told(content).device()
    assert (device.name, device.system) == ("Google Chrome 156 on Pixel 9 (browser)", "Android 16.0.0")
    assert (device.processor, device.cores, device.timer_us) == ("arm, 64 bits", 4, 1000)
    details = dict(device.details)
    assert (details["isolated"], details["driven"], details["memory"][:4]) == ("no", "by a program", "8 GB")


def test_a_header_keeps_the_clock_and_what_else_was_told() -> None:
    variant = Variant(label="n d1 xnnpack", name="n", target="tflite", depth=1, height_px=8, width_px=8)
    header = RunHeader(schema=2, run="r", version="1", device=parse_told(told()).device(), job=RunEffort(),
                       variants=(variant,))  # fmt: skip
    again = decode_record(encode_line(header), "line")
    assert isinstance(again, RunHeader)
    assert again.device == header.device


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "not valid JSON"),
        (told(cores=-1), "cores"),
        (told(isolated="yes"), "isolated"),
        (told(condition={"battery_percent": 300}), "battery_percent"),
        (told(user_agent="x" * 5000), "user_agent"),
        (b" " * 70_000, "more than 65536 bytes"),
    ],
)
def test_what_no_page_says_is_refused(content: bytes, message: str) -> None:
    with pytest.raises(BenchError, match=message):
        parse_told(content)


def test_another_browser_is_told_from_the_one_of_before() -> None:
    begun = parse_told(told()).device()
    assert other_browser(begun, parse_told(told(timer_us=5, condition={})).device()) is None
    for change in ({"cores": 8}, {"isolated": True}, {"user_agent": TOLD["user_agent"].replace("150", "151")}):
        reason = other_browser(begun, parse_told(told(**change)).device())
        assert reason is not None
        assert "begun in another browser" in reason
