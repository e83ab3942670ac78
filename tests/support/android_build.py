"""What ``make android`` compiles, for tests that run it."""

import pytest

from tests.support.paths import ANDROID_HARNESS

AGENT = ANDROID_HARNESS / "run_jvm_agent.sh"
ANDROID_BUILD = ANDROID_HARNESS / "build"

# Slow together, and CI compiles the library after the other tests; where it must be there, a skip is a failure.
NEEDS_ANDROID_BUILD = [
    pytest.mark.slow,
    pytest.mark.skipif(not (ANDROID_BUILD / "bench").is_dir(), reason="run `make android` first"),
]
