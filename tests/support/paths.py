"""Where the tests find what is not theirs, wherever they stand themselves."""

from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
IMAGES = REPOSITORY / "tests" / "images"
PHOTO = REPOSITORY / "qsr_edge" / "assets" / "coffee.png"
ANDROID_HARNESS = REPOSITORY / "android_harness"
IOS_HARNESS = REPOSITORY / "ios_harness"
RUN_MODELS = REPOSITORY / "tests" / "support" / "run_models.py"
"""Run with another interpreter, which has another runtime."""
