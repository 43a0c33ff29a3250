"""Shot cuts: where one camera's picture ends and another's begins."""

from collections import deque
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

GRID = (12, 16)
"""Rows and columns of the thumbnail that is compared."""

LEAST, TIMES = 12.0, 5.0
"""A cut changes the thumbnail by at least this many of 255 levels, and by this many times what is usual around it."""

LEAST_LEAP, LEAP, WIDELY = 2.5, 8.0, 16.0
"""A jump cut, after which the same person sits in the same room, changes less: at least this many levels, but so many
times what is usual and what the picture before brought, where no part counts for more than `WIDELY` levels. Between
two sentences of GRID's speaker 3.0 to 4.4 levels change among 0.2 to 0.5; within one, over 20 pictures, at most 2.2.
"""

MEMORY = 25
"""Pictures whose change is "usual"."""

LEAST_KNOWN = 5
"""Pictures after which one knows what is."""


@dataclass
class Cuts:
    """Tells picture by picture whether it begins a new shot.

    A cut changes the whole picture at once: brightness and its spread over the picture. A light switched on changes
    every part alike and is no cut; fast movement changes much, but picture after picture.
    """

    _last: NDArray[np.float64] | None = None
    _usual: deque[float] = field(default_factory=lambda: deque([0.0], maxlen=MEMORY))

    def add(self, pixels: NDArray[np.uint8]) -> bool:
        """Whether `pixels` (height, width, 3) begin a shot; the first picture of all does not."""
        small = thumbnail(pixels)
        if self._last is None:
            self._last = small
            return False
        moved = small - self._last
        change = float(np.abs(moved - np.median(moved)).mean())
        # What moves fast has moved nearly as fast a picture ago.
        usual, before = float(np.median(self._usual)), self._usual[-1]
        cut = change > max(LEAST, TIMES * usual, TIMES / 2 * before)
        # All of a person and their edges against the room, and not a hand that comes in.
        wide = float(np.abs(moved - np.median(moved)).clip(max=WIDELY).mean())
        leap = len(self._usual) > LEAST_KNOWN and wide > max(LEAST_LEAP, LEAP * usual, LEAP * before)
        self._last = small
        self._usual.append(change)
        return cut or leap


def thumbnail(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """(12, 16) mean brightness of the parts of a picture, every fourth pixel counted."""
    bright = np.asarray(pixels[::4, ::4].mean(axis=2), np.float64)
    rows, columns = _starts(bright.shape[0], GRID[0]), _starts(bright.shape[1], GRID[1])
    sums = np.add.reduceat(np.add.reduceat(bright, rows, axis=0), columns, axis=1)
    counts = np.add.reduceat(np.add.reduceat(np.ones_like(bright), rows, axis=0), columns, axis=1)
    return sums / counts


def _starts(size: int, parts: int) -> NDArray[np.int64]:
    return np.linspace(0, size, parts + 1).astype(np.int64)[:-1]
