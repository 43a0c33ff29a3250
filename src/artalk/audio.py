"""Sound: samples and their rate. (Decoding of files: `load`.)"""

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Audio:
    """Mono sound: `samples` (n,) float32, nominally in -1..1, at `sample_rate` a second."""

    samples: NDArray[np.float32]
    sample_rate: int

    def __len__(self) -> int:
        return len(self.samples)

    @property
    def duration(self) -> Fraction:
        """Seconds, exactly."""
        return Fraction(len(self.samples), self.sample_rate)

    def frames_at(self, fps: Fraction) -> int:
        """How many frames cover this sound: ceil(duration · fps)."""
        return math.ceil(self.duration * fps)
