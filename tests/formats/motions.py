"""Motions to write and to read back."""

from fractions import Fraction

import numpy as np

from artalk.channels import ARKIT
from artalk.motion import Motion, exact_fps


def arkit(frames=40, fps=30, seed=0, start=0):
    """Random weights in 0..1 and a head that turns by up to about 40 degrees."""
    rng = np.random.default_rng(seed)
    values = rng.uniform(0, 1, (frames, len(ARKIT)))
    values[:, ARKIT.slice("head")] = rng.uniform(-0.4, 0.4, (frames, 3))
    return Motion(values, ARKIT, exact_fps(fps), start)


def one_hot():
    """52 frames, in each of which one shape is 1: frame k is shape k."""
    values = np.zeros((52, len(ARKIT)))
    values[np.arange(52), np.arange(52)] = 1
    return Motion(values, ARKIT, Fraction(60))
