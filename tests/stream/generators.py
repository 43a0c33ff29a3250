"""A generator whose every number shows which sound it has heard, in ARKit's channels."""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from artalk.channels import ARKIT, FLAME
from artalk.generators.generator import Generator

JAW = ARKIT.index("jawOpen")
BROW = ARKIT.index("browInnerUp")


@dataclass(frozen=True)
class Heard:
    frames: int
    total: float


class Loud(Generator):
    """The jaw is as open as the newest frame it may hear is loud; a brow says how many frames came before."""

    def __init__(self, window=3, lookahead=2, rate=1000):
        self.name, self.channels, self.fps, self.sample_rate = "loud", ARKIT, Fraction(25), rate
        self.window, self.lookahead = window, lookahead

    def begin(self, condition, seed):
        return Heard(0, float(seed))

    def step(self, state, samples):
        frames = np.abs(samples.reshape(-1, self.hop)).mean(axis=1)
        count = len(frames) - self.lookahead
        values = np.zeros((count, len(ARKIT)), np.float32)
        values[:, JAW] = frames[self.lookahead :].clip(0, 1)
        values[:, BROW] = (np.arange(state.frames, state.frames + count) % 100) / 100
        total = state.total
        for frame in frames[:count]:
            total += float(frame)
        return values, Heard(state.frames + count, total)


class Flame(Loud):
    """A FLAME model that never rests."""

    def __init__(self, window=3, lookahead=2, rate=1000):
        super().__init__(window, lookahead, rate)
        self.channels = FLAME

    def step(self, state, samples):
        frames, after = super().step(state, samples)
        return np.full((len(frames), len(FLAME)), 0.3, np.float32), after


def noise(seconds, rate=1000, seed=1):
    return np.random.default_rng(seed).uniform(-1, 1, (round(seconds * rate),)).astype(np.float32)
