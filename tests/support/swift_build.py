"""What ``make ios`` builds, for tests that run it."""

import pytest

from tests.support.iphone_simulator import HOST
from tests.support.paths import IOS_HARNESS

FIXTURES = IOS_HARNESS / ".build" / "fixtures"

# Slow together; where it must be there, a skip is a failure.
NEEDS_SWIFT_BUILD = [
    pytest.mark.slow,
    pytest.mark.skipif(not (HOST.exists() and FIXTURES.is_dir()), reason="run `make swift-root` and `make ios` first"),
]
