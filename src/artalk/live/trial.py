"""A face that shows whether network and avatar work: without sound, and without a model."""

import math

import numpy as np
from numpy.typing import NDArray

from artalk.channels import ARKIT
from artalk.live.show import Show

MOVES: tuple[tuple[float, float, dict[str, float]], ...] = (
    (0.5, 1.2, {"jawOpen": 0.7}),
    (2.2, 0.5, {"eyeBlinkLeft": 1.0, "eyeBlinkRight": 1.0}),
    (3.2, 1.6, {"mouthSmileLeft": 0.8, "mouthSmileRight": 0.8}),
    (5.3, 1.6, {"headY": 0.4}),
    (6.9, 1.6, {"headY": -0.4}),
)
"""What happens one after the other: from which second on, for how long, and what it comes to in its middle. The head
turns by 23 degrees: first to the subject's left, which a viewer sees on the right."""

ROUND = 9.5
"""Seconds after which it begins again; the last of them are at rest."""

SAYS = "the jaw opens, the eyes blink, a smile, the head turns left, then right; again and again until Ctrl-C"


def pose(seconds: float) -> NDArray[np.float32]:
    """The ARKit pose (55,) so many seconds after the beginning."""
    values = np.zeros(len(ARKIT), np.float32)
    for begins, lasts, peaks in MOVES:
        share = (seconds % ROUND - begins) / lasts
        if 0 < share < 1:
            for name, peak in peaks.items():
                values[ARKIT.index(name)] = peak * math.sin(math.pi * share) ** 2
    return values


class Trial(Show):
    """Sends these poses until the user stops it."""

    def step(self, clock: float) -> bool:
        """See `Show`."""
        self._send(pose(clock))
        return True
