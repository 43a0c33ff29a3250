"""Sound that waits, and what is to happen when it has been heard."""

from collections import deque
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from artalk.errors import BadInput

FloatArray = NDArray[np.float32]

Mark = Literal["flush", "finish"]

MOST_MARKS = 64

SMALL = 8192
"""Samples of room that are kept when nothing waits: a live session's blocks come and go fifty times a second."""


class BufferFull(BadInput):
    """More sound came than may wait."""


class Backlog:
    """A queue of at most `most` samples, with marks between them.

    Samples are counted from the first that was ever pushed: `taken` is the number of the one in front. The memory
    held is at most twice that of `most` samples, however they came.
    """

    def __init__(self, most: int, taken: int = 0) -> None:
        self.most = most
        self.taken = taken
        self._data = np.zeros(0, np.float32)
        self._start = self._end = 0
        self._marks: deque[tuple[int, Mark]] = deque()

    def __len__(self) -> int:
        return self._end - self._start

    @property
    def empty(self) -> bool:
        """Whether neither sound nor a mark waits."""
        return not len(self) and not self._marks

    @property
    def nbytes(self) -> int:
        """Bytes of sound held."""
        return self._data.nbytes

    @property
    def samples(self) -> FloatArray:
        """The sound that waits."""
        return self._data[self._start : self._end].copy()

    @property
    def marks(self) -> tuple[tuple[int, str], ...]:
        """The marks and the numbers of the samples before which they stand."""
        return tuple(self._marks)

    def push(self, block: FloatArray) -> None:
        """Add sound. Raises `BufferFull`, and takes nothing, where it would be too much."""
        if len(self) + len(block) > self.most:
            raise BufferFull(f"at most {self.most} samples may wait, got {len(block)} on top of {len(self)}")
        if self._end + len(block) > len(self._data):
            self._make_room(len(self) + len(block))
        self._data[self._end : self._end + len(block)] = block
        self._end += len(block)

    def push_newest(self, block: FloatArray) -> int:
        """Add sound; where it is too much, the oldest is forgotten: how many samples."""
        dropped = self.drop(len(self) + len(block) - self.most)
        beyond = max(len(block) - self.most, 0)
        self.taken += beyond
        self.push(block[beyond:])
        return dropped + beyond

    def mark(self, what: Mark) -> None:
        """Have `what` happen once all sound up to here is taken; the same again at the same place changes nothing."""
        mark = (self.taken + len(self), what)
        if self._marks and self._marks[-1] == mark:
            return
        if len(self._marks) >= MOST_MARKS and what != "finish":
            raise BufferFull(f"at most {MOST_MARKS} turns may wait")
        self._marks.append(mark)

    def next_mark(self) -> Mark | None:
        """Take the mark that is due, if one is."""
        if self._marks and self._marks[0][0] <= self.taken:
            return self._marks.popleft()[1]
        return None

    def take(self, most: int) -> FloatArray:
        """At most so much of the sound in front, and not past the next mark."""
        if self._marks:
            most = min(most, self._marks[0][0] - self.taken)
        count = max(min(most, len(self)), 0)
        block = self._data[self._start : self._start + count].copy()
        self._forward(count)
        return block

    def drop(self, count: int) -> int:
        """Forget at most so many of the oldest samples, but no mark; how many it were."""
        count = min(max(count, 0), len(self))
        self._forward(count)
        return count

    def clear(self) -> None:
        """Forget everything."""
        self._forward(len(self))
        self._marks.clear()

    def _forward(self, count: int) -> None:
        self._start += count
        self.taken += count
        if self._start == self._end:
            self._start = self._end = 0
            if len(self._data) > SMALL:
                self._data = self._data[:0].copy()

    def _make_room(self, need: int) -> None:
        wider = np.empty(max(need, min(2 * need, self.most)), np.float32)
        wider[: len(self)] = self._data[self._start : self._end]
        self._data, self._start, self._end = wider, 0, len(self)
