"""What a tracker saw of a video, spooled to disk frame by frame, and read back on an even clock."""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import IO

import numpy as np
from numpy.typing import NDArray

from artalk.data.landmarks import COUNT
from artalk.prepare.tracker import SCORES, Sighting

Float = NDArray[np.float64]
Floats = NDArray[np.float32]

POINTS, POSE = COUNT * 3, 16
WIDTH = POINTS + POSE + SCORES
"""Numbers a picture: landmarks, the head's pose, the tracker's own scores (6 kB)."""

RATES = tuple(Fraction(rate) for rate in ("24000/1001 24 25 30000/1001 30 48 50 60000/1001 60 90 100 120".split()))
"""Frame rates that cameras have."""

SNAP = 0.1
"""Part of a frame within which a picture's time counts as the frame's own."""

HOLE = 0.2
"""Seconds between two pictures over which nothing is known of the face."""


@dataclass(frozen=True, eq=False)
class Clock:
    """Even frames over pictures that need not be: frame k lies at k / fps (and a shift), `share` of the way between the
    pictures `left` and `right`. `steady` says that the pictures came evenly, `known` that no hole lies there.
    """

    fps: Fraction
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    share: Float
    known: NDArray[np.bool_]
    steady: bool

    def __len__(self) -> int:
        return len(self.left)


@dataclass(frozen=True, eq=False)
class Seen:
    """Some frames of the clock: `points` (frames, 478, 3) pixels, `pose` (frames, 4, 4), `scores` (frames, 52)."""

    points: Floats
    pose: Floats
    scores: Floats


@dataclass
class Take:
    """One pass of a tracker over a video. Add pictures in order, then `close` and read; it lies on disk meanwhile."""

    file: IO[bytes] = field(default_factory=tempfile.TemporaryFile)
    times: list[float] = field(default_factory=list[float])
    shots: list[int] = field(default_factory=list[int])
    found: list[bool] = field(default_factory=list[bool])
    others: list[int] = field(default_factory=list[int])
    _rows: Floats | None = None

    def add(self, time: float, shot: int, face: Sighting | None) -> None:
        """What was seen in the picture of `time` seconds, None for no face."""
        row = np.zeros(WIDTH, np.float32)
        if face is not None:
            row[:POINTS], row[POINTS:-SCORES], row[-SCORES:] = face.points.ravel(), face.pose.ravel(), face.scores
        self.file.write(row.tobytes())
        self.times.append(time)
        self.shots.append(shot)
        self.found.append(face is not None)
        self.others.append(0 if face is None else face.others)

    def close(self) -> None:
        """No more pictures come. The map outlives the file's name: the disk is given back with the take."""
        self.file.flush()
        if self.times:
            self._rows = np.memmap(self.file, np.float32, "r", shape=(len(self.times), WIDTH))
        self.file.close()

    def clock(self, shift: float = 0.0) -> Clock:
        """Even frames at the video's own rate, the first at `shift` seconds."""
        times = np.array(self.times)
        fps, steady = rate_of(times)
        return clock(times, fps, steady, shift)

    def on(self, clock: Clock, first: int, last: int) -> Seen:
        """Frames `first` to before `last` of the clock, between their two pictures."""
        rows = self._rows
        assert rows is not None, "close the take first"
        part = slice(first, last)
        share = clock.share[part, None].astype(np.float32)
        values = np.asarray(rows[clock.left[part]] * (1 - share) + rows[clock.right[part]] * share, np.float32)
        points, pose, scores = values[:, :POINTS], values[:, POINTS:-SCORES], values[:, -SCORES:]
        return Seen(points.reshape(-1, COUNT, 3), pose.reshape(-1, 4, 4), scores)

    def facts(self, clock: Clock) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
        """For every frame whether a face was seen in both its pictures, and the number of its shot."""
        found, shots = np.array(self.found), np.array(self.shots)
        near = np.where(clock.share < 0.5, clock.left, clock.right)
        return found[clock.left] & found[clock.right] & clock.known, shots[near]


def rate_of(times: Float) -> tuple[Fraction, bool]:
    """The frame rate of pictures at `times` in seconds, and whether they come evenly."""
    if len(times) < 2:
        return Fraction(25), True
    steps = np.diff(times)
    rate = 1 / float(np.median(steps))
    nearest = min(RATES, key=lambda known: abs(float(known) - rate))
    # Times rounded to milliseconds say 30.3 for 30; a longer stretch says it better.
    even = np.abs(steps * rate - 1) < 0.15
    if even.mean() > 0.95:
        rate = 1 / float(steps[even].mean())
        nearest = min(RATES, key=lambda known: abs(float(known) - rate))
    known = abs(float(nearest) / rate - 1) < 0.004 or (even.mean() <= 0.95 and abs(float(nearest) / rate - 1) < 0.15)
    fps = nearest if known else Fraction(max(round(rate * 100), 1), 100)
    return fps, bool(even.mean() > 0.95)


def clock(times: Float, fps: Fraction, steady: bool = True, shift: float = 0.0) -> Clock:
    """Frames at k / fps + `shift` over pictures at `times` (n,) seconds, as many as the pictures fill."""
    count = round(float(times[-1]) * float(fps)) + 1
    at = np.arange(count) / float(fps) + shift
    left = np.clip(np.searchsorted(times, at, side="right") - 1, 0, len(times) - 1)
    right = np.minimum(left + 1, len(times) - 1)
    between = np.where(right > left, times[right] - times[left], 1.0)
    share = np.clip((at - times[left]) / between, 0.0, 1.0)
    near = SNAP / float(fps)
    share = np.where(at - times[left] < near, 0.0, np.where(times[right] - at < near, 1.0, share))
    # A frame that is a picture's own has but one.
    left, right = np.where(share == 1.0, right, left), np.where(share == 0.0, left, right)
    share = np.where(left == right, 0.0, share)
    known = times[right] - times[left] <= HOLE
    within = (at > -near) & (at < times[-1] + 1 / float(fps))
    return Clock(fps, left, right, share, known & within, steady)


def runs(flags: NDArray[np.bool_]) -> Iterator[tuple[int, int]]:
    """The (first, past the last) of every run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    for first, last in zip(edges[::2], edges[1::2], strict=True):
        yield int(first), int(last)
