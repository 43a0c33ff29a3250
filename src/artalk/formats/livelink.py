"""Live Link Face `.csv`: what Epic's app records and Unreal, Faceit and many others read.

Header, order (JawRight before JawLeft, MouthRight before MouthLeft) and number format are those of takes that the app
recorded. A timecode `HH:MM:SS:FF.fff` counts 60 frames a second *whatever the rate of the take*: one recorded at 30
frames a second advances by 2. Importers such as Faceit count on that, so it is written so at any rate; `.fff` is a
fraction of such a frame. For the units and signs of the angles see `artalk.retarget.livelink`.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from artalk.channels import ARKIT
from artalk.errors import BadFile, BadInput, Unsupported
from artalk.formats import table
from artalk.formats.atomic import atomic
from artalk.motion import Fps, Motion, exact_fps
from artalk.retarget import livelink
from artalk.retarget.livelink import LIVELINK61

TIMEBASE = 60
"""Frames that a second of timecode has."""

# The packet and Unreal's own enum put left first.
_SWAPPED = {"JawLeft": "JawRight", "JawRight": "JawLeft", "MouthLeft": "MouthRight", "MouthRight": "MouthLeft"}

HEADER: tuple[str, ...] = ("Timecode", "BlendshapeCount", *(_SWAPPED.get(name, name) for name in LIVELINK61.names))
"""The 63 columns of a recorded take, in its order and spelling."""

_DAY = 24 * 60 * 60


def write(motion: Motion, path: str | Path, first: str = "00:00:00:00", degrees: bool = False) -> None:
    """Write ARKit motion as a take.

    `first` is the timecode of frame 0 of the motion (a piece that starts later is written later); `degrees` writes the
    nine angles so, for tools that expect it. Raises `Unsupported` for other channels.
    """
    if motion.channels != ARKIT:
        raise Unsupported(f"Live Link Face holds ARKit motion, got {motion.channels.name!r}: retarget it first")
    began = Timecode.parse(first)
    if began is None:
        raise BadInput(f"a timecode is HH:MM:SS:FF, such as 01:00:00:00, got {first!r}")
    curves = livelink.from_arkit(motion).values.astype(np.float64)
    if degrees:
        curves[:, 52:] = np.degrees(curves[:, 52:])
    rows = np.round(curves[:, LIVELINK61.indices(HEADER[2:])], 10) + 0.0  # the sum turns -0 into 0
    line = "%s,61," + ",".join(["%.10f"] * 61) + "\n"
    with atomic(path) as temporary, open(temporary, "w", encoding="utf-8", newline="\n") as file:
        file.write(",".join(HEADER) + "\n")
        for k, row in enumerate(rows.tolist()):
            # Exact: milliframes of frame k, so that an hour does not drift.
            milliframes = round((motion.start + k) / motion.fps * TIMEBASE * 1000)
            file.write(line % (began.later(milliframes), *row))


def read(path: str | Path, fps: Fps | None = None, degrees: bool | None = None) -> Motion:
    """ARKit motion of a take, in any layout that has a header: 51, 52, 61 or 68 columns, either capitalisation.

    The rate comes from the timecodes unless given. Rows that the app dropped, or in which it saw no face
    (BlendshapeCount 0), are interpolated. Where timecodes cannot be read or do not rise, rows are taken to be even at
    `fps` (60 unless given). Angles of the head are radians; ones beyond π can only be degrees, `degrees` says so
    outright. The eyes' angles are ignored: the eyeLook weights say the same. The motion starts at frame 0 whatever the
    time of day.
    """
    return motion(table.parse(path), fps, degrees)


def motion(source: table.Table, fps: Fps | None = None, degrees: bool | None = None) -> Motion:
    """The motion in a table; see `read`."""
    columns = table.shape_columns(source)
    seen = rows_with_face(source)
    values = np.zeros((len(seen), len(ARKIT)), np.float32)
    values[:, ARKIT.indices(columns)] = source.numbers(list(columns.values()), seen)
    head = [source.column(name.lower()) for name in livelink.ANGLES[:3]]
    found = [column for column in head if column is not None]
    if len(found) == 3:
        values[:, ARKIT.slice("head")] = livelink.head(_radians(source.numbers(found, seen), degrees))
    seconds = seconds_of(source, seen)
    if seconds is None or len(seen) < 2:
        return Motion(values, ARKIT, exact_fps(TIMEBASE if fps is None else fps))
    return table.spaced(values, seconds, fps, source.name)


def rows_with_face(source: table.Table) -> list[int]:
    """The rows of a take in which the app saw a face: those whose BlendshapeCount is not 0."""
    count = source.column("blendshapecount")
    return [k for k in range(len(source)) if count is None or source.cells(k)[count].strip() not in ("0", "0.0")]


def seconds_of(source: table.Table, rows: Sequence[int]) -> NDArray[np.float64] | None:
    """The seconds of rows since the first of them; None where timecodes cannot be read or do not rise."""
    column = _timecode_column(source)
    times = _seconds([source.cells(row)[column] for row in rows])
    return None if times is None else times - times[0]


def is_take(source: table.Table) -> bool:
    """Whether a table is a take rather than any other one."""
    if source.column("blendshapecount") is not None:
        return True
    column = source.column("timecode")
    return column is not None and len(source) > 0 and Timecode.parse(source.cells(0)[column]) is not None


@dataclass(frozen=True)
class Timecode:
    """A time of day: whole seconds, then frames and their fraction."""

    seconds: int
    frames: float

    @classmethod
    def parse(cls, text: str) -> "Timecode | None":
        """Read `HH:MM:SS:FF` or `HH:MM:SS:FF.fff`, or None where it is neither."""
        found = re.fullmatch(r"(\d{1,2}):(\d{1,2}):(\d{1,2})[:;](\d{1,4}(?:\.\d{1,9})?)", text.strip(), re.ASCII)
        if found is None:
            return None
        hours, minutes, seconds, frames = found.groups()
        return cls((int(hours) * 60 + int(minutes)) * 60 + int(seconds), float(frames))

    def later(self, milliframes: int) -> str:
        """The text of the timecode so many thousandths of a frame later; midnight follows 23:59:59."""
        total = self.seconds * TIMEBASE * 1000 + round(self.frames * 1000) + milliframes
        seconds, rest = divmod(total, TIMEBASE * 1000)
        minutes, second = divmod(seconds % _DAY, 60)
        return f"{minutes // 60:02d}:{minutes % 60:02d}:{second:02d}:{rest // 1000:02d}.{rest % 1000:03d}"


def _timecode_column(source: table.Table) -> int:
    column = source.column("timecode")
    if column is None:
        raise BadFile(f"{source.name}: wanted a column Timecode, got {', '.join(source.header)[:200]}")
    return column


def _seconds(texts: list[str]) -> NDArray[np.float64] | None:
    """The seconds of timecodes since the first, past midnight too; None when they are no rising timecodes."""
    codes = [Timecode.parse(text) for text in texts]
    known = [code for code in codes if code is not None]
    if not known or len(known) != len(codes):
        return None
    whole = np.array([code.seconds for code in known], np.float64)
    frames = np.array([code.frames for code in known])
    whole += _DAY * np.cumsum(np.diff(whole, prepend=whole[:1]) < -_DAY / 2)
    times = whole - whole[0] + frames / _timebase(whole, frames)
    steps = np.diff(times)
    return times if (steps >= 0).all() and (steps > 0).any() else None


def _timebase(seconds: NDArray[np.float64], frames: NDArray[np.float64]) -> float:
    """How many frames a second of these timecodes has: the app's 60 unless they say otherwise.

    Where a second turns over, the last frame number, plus the usual step, minus the next frame number is the answer.
    """
    turned = np.diff(seconds)
    steps = np.diff(frames)
    within = steps[(turned == 0) & (steps > 0)]
    if not (turned == 1).any() or not len(within):
        return float(max(TIMEBASE, np.floor(frames.max(initial=0)) + 1))
    counted = float(np.median(np.median(within) - steps[turned == 1]))
    return max(1.0, np.round(counted), np.floor(frames.max()) + 1)


def _radians(angles: NDArray[np.float64], degrees: bool | None) -> NDArray[np.float64]:
    if degrees is None:
        degrees = bool(np.abs(angles).max(initial=0) > np.pi + 1e-6)
    return np.radians(angles) if degrees else angles
