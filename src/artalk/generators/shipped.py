"""The trained models that came with the package."""

from functools import cache
from pathlib import Path

from artalk.generators.generator import Generator

WEIGHTS = Path(__file__).parents[1] / "weights"
"""Where they lie: NAME.onnx to run, NAME.safetensors to tune from (the live model has none), NAME.md to read."""

SHIPPED = ("artalk", "artalk-live")


@cache
def shipped(name: str) -> Generator:
    """One of `SHIPPED`, as it is meant to be used; loaded once in a process."""
    from artalk.generators.exported import Exported
    from artalk.generators.living import alive

    return alive(Exported.load(WEIGHTS / f"{name}.onnx"))
