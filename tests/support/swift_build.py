"""What ``make ios`` builds, for tests that run it."""

import pytest

from tests.support.paths import IOS_HARNESS

SWIFT = IOS_HARNESS / "swift.sh"
HOST = IOS_HARNESS / ".build" / "debug" / "qsr-host"
FIXTURES = IOS_HARNESS / ".build" / "fixtures"

NEEDS_SWIFT_BUILD = [
    pytest.mark.swift,
    pytest.mark.skipif(not (HOST.exists() and FIXTURES.is_dir()), reason="run `make swift-root` and `make ios` first"),
]
