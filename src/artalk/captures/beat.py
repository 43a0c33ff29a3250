"""Faces of the BEAT corpus (`.json`): ARKit weights from an iPhone, one object a frame.

`names` lists the shapes (51, alphabetical, no tongueOut), `frames` is a list of `{"weights": […], "time": seconds}`.
Liu et al., "BEAT: A Large-Scale Semantic and Emotional Multi-Modal Dataset for Conversational Gestures Synthesis"
(ECCV 2022).
"""

from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from artalk.captures.capture import Capture, timed
from artalk.channels import ARKIT
from artalk.errors import BadFile
from artalk.formats import table
from artalk.motion import Fps
from artalk.retarget.names import match
from artalk.rigs.glb import parse_json

TOOL = "BEAT's ARKit JSON"


def read(path: str | Path, fps: Fps | None = None) -> Capture:
    """The capture at `path`, by the names of its shapes; the rate comes from the times unless given."""
    name = Path(path).name
    document = parse_json(table.text(path).encode(), name, "a JSON object")
    names, frames = _list(document, "names", name), _list(document, "frames", name)
    if not frames:
        raise BadFile(f"{name} holds no frames")
    weights = _numbers(frames, "weights", name)
    if weights.ndim != 2 or weights.shape[1] != len(names):
        raise BadFile(f"{name}: each frame has {len(names)} weights, one a name; got {weights.shape}")
    found = match(str(shape) for shape in names)
    if not found:
        raise BadFile(f"{name}: none of its names is an ARKit shape, got {', '.join(map(str, names))[:200]}")
    values = np.zeros((len(weights), len(ARKIT)), np.float32)
    for shape, spellings in found.items():
        values[:, ARKIT.index(shape)] = weights[:, [names.index(spelling) for spelling in spellings]].mean(axis=1)
    seconds = _numbers(frames, "time", name)
    return timed(table.spaced(values, seconds, fps, name), seconds, TOOL)


def is_beat(document: dict[str, Any]) -> bool:
    """Whether a JSON object is one of BEAT's faces."""
    frames = document.get("frames")
    return "names" in document and isinstance(frames, list) and "facsNames" not in document


def _list(document: dict[str, Any], key: str, name: str) -> list[Any]:
    value = document.get(key)
    if not isinstance(value, list):
        raise BadFile(f"{name}: wanted lists `names` and `frames`, got {', '.join(document)[:200]}")
    return cast("list[Any]", value)


def _numbers(frames: list[Any], key: str, name: str) -> NDArray[np.float64]:
    try:
        numbers = np.array([frame[key] for frame in frames], np.float64)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise BadFile(f"{name}: a frame has `weights` (numbers, one a name) and `time` in seconds") from error
    if not (np.abs(numbers) < 1e30).all():
        raise BadFile(f"{name}: {key} holds numbers that are none (NaN, infinite or huge)")
    return numbers
