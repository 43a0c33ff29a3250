"""Tables of MediaPipe's face scores (`.csv`), in the layouts in which people write them.

Wide: a row a frame, a column a category (`_neutral`, `browDownLeft`, …), a column of times. Long: a row a category, as
MediaPipe's own `Category` has it: `category_name` and `score` beside a column of times or frames. Times are in seconds,
milliseconds (MediaPipe's own unit) or microseconds: their step tells.
"""

from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from artalk.captures.capture import Capture, arkit, timed
from artalk.channels import ARKIT, HEAD
from artalk.errors import BadFile
from artalk.formats import table
from artalk.motion import Fps, Motion, exact_fps
from artalk.retarget.names import canonical

TOOL = "MediaPipe's scores"

TIMES = (*table.TIMES, "timestamp_ms", "timestampms", "time_ms", "timestamp_us", "t")
FRAMES = ("frame", "frame_index", "frame_id", "index")
CATEGORY, SCORE = ("category_name", "categoryname", "category", "name"), ("score", "value")

DEFAULT_FPS = Fraction(30)


def read(path: str | Path, fps: Fps | None = None) -> Capture:
    """The capture at `path`, its rate from the times unless given (30 where it has none)."""
    source = table.parse(path)
    values, seconds = _long(source) if _is_long(source) else _wide(source)
    if not len(values):
        raise BadFile(f"{source.name} has a header and no rows")
    if seconds is None or len(values) < 2:
        return arkit(Motion(values, ARKIT, exact_fps(DEFAULT_FPS if fps is None else fps)), TOOL)
    return timed(table.spaced(values, seconds, fps, source.name), seconds, TOOL)


def is_scores(source: table.Table) -> bool:
    """Whether a table holds MediaPipe's scores, long or wide (`_neutral` is a name of nobody else's)."""
    return _is_long(source) or source.column("_neutral") is not None


def _is_long(source: table.Table) -> bool:
    return source.column(*CATEGORY) is not None and source.column(*SCORE) is not None


def _wide(source: table.Table) -> tuple[NDArray[np.float32], NDArray[np.float64] | None]:
    columns = table.shape_columns(source)
    columns |= {name: at for name in HEAD if (at := source.column(name.lower())) is not None}
    values = np.zeros((len(source), len(ARKIT)), np.float32)
    values[:, ARKIT.indices(columns)] = source.numbers(list(columns.values()))
    time = source.column(*TIMES)
    return values, None if time is None else _seconds(source.numbers([time])[:, 0])


def _long(source: table.Table) -> tuple[NDArray[np.float32], NDArray[np.float64] | None]:
    category, score = source.column(*CATEGORY), source.column(*SCORE)
    time, frame = source.column(*TIMES), source.column(*FRAMES)
    place = frame if time is None else time
    if category is None or score is None or place is None:
        raise BadFile(f"{source.name}: a long table has a column of frames or times, got {', '.join(source.header)}")
    marks = source.numbers([place])[:, 0]
    scores = source.numbers([score])[:, 0]
    rows, row_of = np.unique(marks, return_inverse=True)
    values = np.zeros((len(rows), len(ARKIT)), np.float32)
    for k in range(len(source)):
        if (shape := canonical(source.cells(k)[category].strip())) is not None:
            values[row_of[k], ARKIT.index(shape)] = scores[k]
    return values, None if time is None else _seconds(rows)


def _seconds(times: NDArray[np.float64]) -> NDArray[np.float64]:
    """Times in seconds: no camera is as slow as a frame a second or as fast as one a millisecond."""
    step = float(np.median(np.diff(times))) if len(times) > 1 else 0.0
    return times / (1e6 if step > 1e3 else 1e3 if step > 1.0 else 1.0)
