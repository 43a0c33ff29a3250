"""Light smoothing without delay that leaves what a face does: it takes off what is as small as the tracker's noise.

A line through neighbouring frames (Savitzky & Golay 1964) says where a channel would be without noise; a value moves
towards it by the noise of its channel at the most, and never by more than `MOST`. So peaks stay, and lips in contact,
which a hair's breadth would part, are not touched at all.
"""

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from artalk.channels import ARKIT
from artalk.prepare.take import runs

Float = NDArray[np.float64]
Flags = NDArray[np.bool_]

REACH = 0.1
"""Seconds to each side that the fitted curve sees."""

NOISES, MOST = 1.5, 0.025
"""How many standard deviations of a channel's noise are taken off, and the most that a weight may change."""

HEAD = 0.048
"""Standard deviation in seconds of the bell that smooths the head: small pictures shake it, and it is slow."""

LIPS = [*range(*ARKIT.slice("jaw").indices(len(ARKIT))), *range(*ARKIT.slice("mouth").indices(len(ARKIT)))]


def calmed(values: Float, fps: Fraction, ok: Flags, contact: Flags) -> Float:
    """ARKit values (frames, 55), smoothed within each run of `ok` frames; lips in `contact` stay as they are."""
    calm = values.copy()
    head = ARKIT.slice("head")
    weights = slice(0, head.start)
    for first, last in runs(ok):
        part = values[first:last, weights]
        curve = fitted(part, max(round(REACH * float(fps)), 1))
        off = part - curve
        noise = 1.4826 * np.median(np.abs(off), axis=0)
        most = np.minimum(NOISES * noise, MOST)
        calm[first:last, weights] = np.clip(part - np.clip(off, -most, most), 0.0, 1.0)
        calm[first:last, head] = blurred(values[first:last, head], HEAD * float(fps))
    calm[:, LIPS] = np.where(contact[:, None], values[:, LIPS], calm[:, LIPS])
    return calm


def fitted(values: Float, reach: int) -> Float:
    """At every frame of (frames, C) the value of the parabola through its neighbours within `reach`."""
    if len(values) < 2 * reach + 1 or reach < 2:
        return values.copy()
    at = np.arange(-reach, reach + 1)
    kernel = np.linalg.pinv(np.stack([np.ones_like(at), at, at**2], axis=1).astype(float))[0]
    return _filtered(values, kernel)


def blurred(values: Float, deviation: float) -> Float:
    """(frames, C) under a bell of so many frames' standard deviation; the ends go on in the direction they had."""
    reach = min(int(np.ceil(3 * deviation)), max(len(values) - 1, 0))
    if reach < 1:
        return values.copy()
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / deviation) ** 2)
    return _filtered(values, kernel / kernel.sum())


def _filtered(values: Float, kernel: Float) -> Float:
    reach = len(kernel) // 2
    before, after = 2 * values[:1] - values[1 : reach + 1][::-1], 2 * values[-1:] - values[-reach - 1 : -1][::-1]
    padded = np.concatenate([before, values, after])
    return np.stack([np.asarray(np.convolve(column, kernel[::-1], mode="valid")) for column in padded.T], axis=1)
