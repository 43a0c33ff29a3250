"""Where large recordings and models for testing may lie: nothing in the product needs them."""

import os
from pathlib import Path

import pytest

ROOT = Path(os.environ.get("ARTALK_SHARED", Path(__file__).parents[2] / "shared"))


def shared(path: str) -> Path:
    """The shared file or folder `path`, or skip the test with the reason."""
    found = ROOT / path
    if not found.exists():
        pytest.skip(f"test data {path!r} is not here (set ARTALK_SHARED to the folder that has it)")
    return found
