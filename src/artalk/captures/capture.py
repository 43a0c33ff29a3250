"""A capture: motion as a tool measured it, with what of the face it showed and when."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from artalk.channels import ARKIT, HEAD
from artalk.errors import BadInput
from artalk.motion import Motion

STILL = 1e-5
"""Range of a channel, over a whole take, below which nothing was measured: a constant column is a missing one."""

BRIDGED = 0.2
"""Seconds from the nearest row with a face up to which an interpolated frame counts as seen."""


@dataclass(frozen=True, eq=False)
class Capture:
    """What one file of a tool holds.

    `motion` is in ARKit's or FLAME's channels at the tool's rate; `observed` (55,) tells which of *ARKit's* channels
    it says anything about; `seen` (frames,) where the face was in sight. `tool` names the reader, `identity` are
    FLAME's shape coefficients where the file has them.
    """

    motion: Motion
    observed: NDArray[np.bool_]
    tool: str
    seen: NDArray[np.bool_]
    identity: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        if self.observed.shape != (len(ARKIT),) or self.seen.shape != (len(self.motion),):
            raise BadInput(
                f"observed is ({len(ARKIT)},) and seen ({len(self.motion)},), "
                f"got {self.observed.shape} and {self.seen.shape}"
            )


def arkit(motion: Motion, tool: str, seen: NDArray[np.bool_] | None = None) -> Capture:
    """A capture in ARKit's channels, clipped to 0..1; a channel that never moves was not measured."""
    clipped = motion.clipped()
    within = np.ones(len(motion), bool) if seen is None else seen
    return Capture(clipped, moving(clipped.values[within]), tool, within)


def moving(values: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Which (55,) channels of (frames, 55) change at all; the head's three count together."""
    if not len(values):
        return np.zeros(len(ARKIT), bool)
    found = np.ptp(values, axis=0) > STILL
    head = ARKIT.indices(HEAD)
    found[head] = found[head].any()
    return found


LONGEST_LEAD = 60.0
"""Seconds before the first face beyond which times are those of a clock and say nothing of the sound's beginning."""


def timed(motion: Motion, seconds: NDArray[np.float64], tool: str) -> Capture:
    """A capture whose rows with a face stood at rising `seconds`, counted from where its sound begins.

    `motion` begins at the first of them; what lies before is held and not seen.
    """
    lead = seconds[0] if 0 <= seconds[0] <= LONGEST_LEAD else 0.0
    before = round(float(lead) * float(motion.fps))
    values = np.concatenate([np.repeat(motion.values[:1], before, axis=0), motion.values])
    whole = Motion(values, motion.channels, motion.fps)
    return arkit(whole, tool, _near(len(whole), float(motion.fps), seconds - seconds[0] + before / float(motion.fps)))


def _near(frames: int, rate: float, seconds: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which of `frames` at `rate` lie within `BRIDGED` of one of the rising `seconds`."""
    at = np.arange(frames) / rate
    after = np.searchsorted(seconds, at).clip(0, len(seconds) - 1)
    before = (after - 1).clip(0)
    return np.minimum(np.abs(seconds[after] - at), np.abs(seconds[before] - at)) <= BRIDGED
