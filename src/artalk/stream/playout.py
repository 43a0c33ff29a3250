"""Frames as they come, shown when they are due: between two frames the pose lies between them."""

from collections import deque

import numpy as np
from numpy.typing import NDArray

from artalk.motion import Motion

FloatArray = NDArray[np.float32]

KEPT = 10.0
"""Seconds of frames to come that are kept at most."""


class Playout:
    """Takes pieces of motion in any rhythm, gives the pose at any time that does not go back.

    Rotation vectors are blended like weights: a head turns by few degrees from frame to frame. Before the first frame
    the pose is None; where frames fail to come the last one is held.
    """

    def __init__(self, fps: float) -> None:
        self.fps = fps
        self.held = 0
        """How often the pose asked for was past the newest frame."""
        self._frames: deque[tuple[int, FloatArray]] = deque(maxlen=round(KEPT * fps))

    def add(self, piece: Motion) -> None:
        """Frames to be shown; they take the place of any from their first on."""
        self.forget(piece.start)
        self._frames.extend((piece.start + k, row) for k, row in enumerate(piece.values))

    def forget(self, frame: int) -> None:
        """Drop frames from `frame` on."""
        while self._frames and self._frames[-1][0] >= frame:
            self._frames.pop()

    def at(self, time: float) -> FloatArray | None:
        """The pose (channels,) at a time of the session."""
        place = time * self.fps
        while len(self._frames) > 1 and self._frames[1][0] <= place:
            self._frames.popleft()
        if not self._frames:
            return None
        first, pose = self._frames[0]
        if len(self._frames) == 1:
            self.held += place > first + 1
            return pose
        second, after = self._frames[1]
        share = min(max((place - first) / (second - first), 0.0), 1.0)
        return (pose + share * (after - pose)).astype(np.float32)
