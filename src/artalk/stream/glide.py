"""How a face gets from one performance into another without a leap."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from artalk.channels import Channels

FloatArray = NDArray[np.float32]

GLIDE = 0.4
"""Seconds in which head, eyes and brows go over."""

SHUT = 0.2
"""Seconds in which an interrupted mouth comes to rest."""

REST = 0.7
"""Seconds after an interruption from which the mouth follows the generator again, which has heard silence by then."""

SPEAKING = ("jaw", "mouth", "tongue", "expression")
"""The groups of channels that an interruption brings to rest; FLAME's expressions move lips and all else at once."""


@dataclass(frozen=True, eq=False)
class Glide:
    """From `pose` (channels,), the last that was shown, into the frames from `first` on."""

    first: int
    pose: FloatArray
    fps: float

    def over(self, frame: int) -> bool:
        """Whether frames from `frame` on are what the generator makes."""
        return self.first + GLIDE * self.fps <= frame

    def apply(self, first: int, rows: FloatArray) -> FloatArray:
        """The frames (n, channels) from `first` on, as they are shown."""
        share = _ease((_numbers(first, rows) - self.first + 1) / (GLIDE * self.fps))
        return ((1 - share) * self.pose + share * rows).astype(np.float32)


@dataclass(frozen=True, eq=False)
class Shutting:
    """Speech stops before frame `first`: the mouth goes from `pose` to rest, and follows the frames again from `opens`
    on. What else changes meanwhile does not open it."""

    first: int
    pose: FloatArray
    fps: float
    opens: int

    @classmethod
    def at(cls, first: int, pose: FloatArray, fps: float) -> Self:
        """An interruption before frame `first`."""
        return cls(first, pose, fps, first + round(REST * fps))

    def over(self, frame: int) -> bool:
        """Whether the mouth is the generator's again from `frame` on."""
        return self.opens + SHUT * self.fps <= frame

    def apply(self, first: int, rows: FloatArray, channels: Channels) -> FloatArray:
        """The frames (n, channels) from `first` on, as they are shown; channels without a known mouth as they are."""
        mouth = _mouth(channels)
        numbers, out = _numbers(first, rows), rows.copy()
        share = _ease((numbers - self.first + 1) / (SHUT * self.fps))
        follows = _ease((numbers - self.opens) / (SHUT * self.fps))
        out[:, mouth] = (1 - share) * self.pose[mouth] + share * follows * rows[:, mouth]
        return out


def _mouth(channels: Channels) -> list[int]:
    """The columns that speak, all of which are at rest at 0."""
    parts = [channels.slice(group.name) for group in channels.groups if group.name in SPEAKING]
    return [column for part in parts for column in range(part.start, part.stop)]


def _numbers(first: int, rows: FloatArray) -> FloatArray:
    return first + np.arange(len(rows), dtype=np.float32)[:, None]


def _ease(share: FloatArray) -> FloatArray:
    share = share.clip(0, 1)
    return share * share * (3 - 2 * share)
