"""How a face gets from one performance into another without a leap."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from artalk.channels import ARKIT, Channels
from artalk.edit import PARTS

FloatArray = NDArray[np.float32]

GLIDE = 0.4
"""Seconds in which head, eyes and brows go over."""

SHUT = 0.2
"""Seconds in which an interrupted mouth comes to rest."""

REST = 0.7
"""Seconds after an interruption from which the mouth follows the generator again, which has heard silence by then."""


@dataclass(frozen=True, eq=False)
class Glide:
    """From `pose` (channels,), the last that was shown, into the frames from `first` on.

    With `shut` the mouth comes to rest first, and follows the frames again from frame `opens` on.
    """

    first: int
    pose: FloatArray
    fps: float
    shut: bool = False
    opens: int = 0

    @classmethod
    def interruption(cls, first: int, pose: FloatArray, fps: float) -> Self:
        """Speech stops before frame `first`."""
        return cls(first, pose, fps, shut=True, opens=first + round(REST * fps))

    def over(self, frame: int) -> bool:
        """Whether frames from `frame` on are what the generator makes."""
        done = self.first + GLIDE * self.fps <= frame
        return done and not (self.shut and frame < self.opens + SHUT * self.fps)

    def apply(self, first: int, rows: FloatArray, channels: Channels) -> FloatArray:
        """The frames (n, channels) from `first` on, as they are shown."""
        frames = first + np.arange(len(rows), dtype=np.float32)[:, None]
        after = frames - self.first + 1
        share = _ease(after / (GLIDE * self.fps))
        out = (1 - share) * self.pose + share * rows
        if self.shut and channels == ARKIT:
            mouth = list(PARTS["lips"])
            share = _ease(after / (SHUT * self.fps))
            follows = _ease((frames - self.opens) / (SHUT * self.fps))
            out[:, mouth] = (1 - share) * self.pose[mouth] + share * follows * rows[:, mouth]
        return out.astype(np.float32)


def _ease(share: FloatArray) -> FloatArray:
    share = share.clip(0, 1)
    return share * share * (3 - 2 * share)
