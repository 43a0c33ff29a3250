"""Smoothing of a performance while it is made: Savitzky and Golay's filter, live equal to offline to the last bit.

The released ARTalk model's own post-processing is `OFFICIAL`. scipy's `savgol_filter(mode="interp")` gives the same
numbers, but wants the whole performance at once and refuses fewer frames than its window.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol, final

import numpy as np
from numpy.typing import NDArray

from artalk.errors import BadInput

FloatArray = NDArray[np.float32]


@dataclass(frozen=True)
class Pass:
    """Polynomials of `order` fitted to `window` frames (odd, above the order) around each frame of some columns."""

    window: int
    order: int
    first: int = 0
    last: int | None = None

    def __post_init__(self) -> None:
        if self.window % 2 == 0 or not 0 <= self.order < self.window:
            raise BadInput(f"a window is odd and longer than the order, got {self.window} and {self.order}")


OFFICIAL = (Pass(5, 2), Pass(9, 3, 100, 103))
"""All channels over 5 frames; the head, instead, over 9."""

UNUSED = (104, 105)
"""The jaw's y and z, which the release sets to 0."""


class Smoothing(Protocol):
    """What goes over the frames of a stream once they are made. A state is never changed, only followed by another."""

    @property
    def delay(self) -> int:
        """How many frames it holds back at most."""
        ...

    def begin(self) -> Any:
        """The state before the first frame."""
        ...

    def feed(self, state: Any, frames: FloatArray) -> tuple[FloatArray, Any]:
        """The frames that (n, channels) more complete, and the next state."""
        ...

    def finish(self, state: Any) -> FloatArray:
        """The frames still held back, (0, channels) or (0, 0) if there are none; the performance ends."""
        ...


@dataclass(frozen=True, eq=False)
class Tail:
    """The newest of the `seen` frames, float64, as far as they are looked at again; `given` were given out."""

    kept: NDArray[np.float64] | None = None
    seen: int = 0
    given: int = 0


@final
class SavitzkyGolay:
    """Frames in, smoothed frames out, `delay` frames later; a later pass replaces an earlier one in its columns.

    The first and last frames are read off the polynomial fitted to the first and last whole window. A performance
    shorter than a window gets one polynomial over all its frames (of a lower order if it has to be), which is what a
    performance of exactly a window gets. Columns in `zeroed` become 0.
    """

    def __init__(self, passes: tuple[Pass, ...] = OFFICIAL, zeroed: tuple[int, ...] = UNUSED) -> None:
        self.passes, self.zeroed = passes, list(zeroed)
        self.longest = max(one.window for one in passes)

    @property
    def delay(self) -> int:
        """Half a window."""
        return self.longest // 2

    def begin(self) -> Tail:
        """No frame seen."""
        return Tail()

    def feed(self, state: Tail, frames: FloatArray) -> tuple[FloatArray, Tail]:
        """The frames that are `delay` or more before the newest and were not given yet."""
        new = frames.astype(np.float64)
        kept = new if state.kept is None else np.concatenate([state.kept, new])
        seen = state.seen + len(new)
        if seen < self.longest:
            return frames[:0], Tail(kept, seen, state.given)
        stop = max(seen - self.delay, state.given)
        made = self._smooth(Tail(kept, seen, state.given), stop, ended=False)
        # What the frames to come and the fit of the last window still look at.
        wanted = min(len(kept), max(self.longest, seen - stop + self.delay))
        return made, Tail(kept[len(kept) - wanted :], seen, stop)

    def finish(self, state: Tail) -> FloatArray:
        """The remaining frames."""
        if state.kept is None or not state.seen:
            return np.zeros((0, 0) if state.kept is None else state.kept.shape, np.float32)
        return self._smooth(state, state.seen, ended=True)

    def _smooth(self, state: Tail, stop: int, ended: bool) -> FloatArray:
        """Frames from the first not yet given to before `stop`."""
        assert state.kept is not None
        out = np.zeros((stop - state.given, state.kept.shape[1]), np.float64)
        for one in self.passes:
            columns = slice(one.first, one.last)
            out[:, columns] = _fitted(one, state.kept[:, columns], state, stop, ended)
        out[:, self.zeroed] = 0
        return out.astype(np.float32)


def _fitted(one: Pass, kept: NDArray[np.float64], state: Tail, stop: int, ended: bool) -> NDArray[np.float64]:
    """One pass over the `kept` columns: the edge at the start, frames with half a window round them, the other edge."""
    window = min(one.window, state.seen)
    fit, half = _projection(window, min(one.order, window - 1)), window // 2
    whole = window == one.window
    start, end = state.given, state.seen
    head = min(max(half if whole else end, start), stop)
    tail = min(max(end - half, head), stop) if ended else stop
    first = head - half - (end - len(kept))
    middle = [kept[first + j : first + j + tail - head] for j in range(window)]
    rows = [
        _weighed(fit[start:head, :, None], list(kept[:window])),
        _weighed(fit[half : half + 1, :, None], middle) if tail > head else kept[:0],
        _weighed(fit[window - (end - tail) : window - (end - stop), :, None], list(kept[-window:])),
    ]
    return np.concatenate(rows)


def _weighed(weights: NDArray[np.float64], frames: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    """The sum of frames by weights (rows, frames, 1), in the order of time: the same bits for any cutting."""
    total = weights[:, 0] * frames[0]
    for j in range(1, len(frames)):
        total = total + weights[:, j] * frames[j]
    return total


@cache
def _projection(window: int, order: int) -> NDArray[np.float64]:
    """(window, window): values at all frames → those of the polynomial of least squares."""
    basis, _ = np.linalg.qr(np.vander(np.linspace(-1, 1, window) if window > 1 else np.zeros(1), order + 1))
    return basis @ basis.T
