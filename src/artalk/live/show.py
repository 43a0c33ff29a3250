"""Frames at an even pace to several places at once, and a face at rest in the end."""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from artalk.channels import ARKIT
from artalk.live.output import Output
from artalk.stream.glide import Glide

FloatArray = NDArray[np.float32]


@dataclass
class Tick:
    """What is known at one frame that went out: for a line on a terminal."""

    frame: int
    seconds: float
    jaw: float
    late: int
    """Frames so far that were not there in time."""


class Show(ABC):
    """What goes out by the clock: a `step` of whoever performs sends each frame."""

    def __init__(self, outputs: Sequence[Output], fps: Fraction) -> None:
        self.outputs, self.fps = list(outputs), fps
        self.frame = 0
        self._pose = np.zeros(len(ARKIT), np.float32)

    @property
    def late(self) -> int:
        """Frames so far that were not there in time."""
        return 0

    @abstractmethod
    def step(self, clock: float) -> bool:
        """All that is due when `clock` seconds have passed since the beginning; whether to go on."""
        ...

    def run(self, tick: Callable[[Tick], None] | None = None, ready: Callable[[], None] | None = None) -> None:
        """Go on until it ends or the user stops it; the face then comes to rest. `ready` is called before it begins."""
        if ready is not None:
            ready()
        began = time.monotonic()
        try:
            while self.step(time.monotonic() - began):
                if tick is not None:
                    jaw = float(self._pose[ARKIT.index("jawOpen")])
                    tick(Tick(self.frame, time.monotonic() - began, jaw, self.late))
                self._wait_for_frame(began)
        finally:
            try:
                self._rest(began)
            finally:
                for output in self.outputs:
                    output.close()

    def _send(self, pose: FloatArray) -> None:
        self._pose = pose
        for output in self.outputs:
            output.send(pose, self.frame, self.fps)
        self.frame += 1

    def _wait_for_frame(self, began: float) -> None:
        """Each frame has its own time, so that a slow one does not shift those after it; those that are over go."""
        time.sleep(max(0.0, began + float(self.frame / self.fps) - time.monotonic()))
        behind = int((time.monotonic() - began) * self.fps) - self.frame
        self.frame += max(behind, 0)

    def _rest(self, began: float) -> None:
        """From the pose that was shown last to a face at rest, which is sent twice: a datagram may be lost."""
        glide, rest = Glide(self.frame, self._pose, float(self.fps)), np.zeros((1, len(ARKIT)), np.float32)
        while not glide.over(self.frame - 1):
            self._wait_for_frame(began)
            self._send(glide.apply(self.frame, rest)[0])
