"""Frames in which the face was lost: short ones are bridged, long ones are marked and eased to rest."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from artalk.channels import ARKIT
from artalk.prepare.take import runs

Float = NDArray[np.float64]
Flags = NDArray[np.bool_]

BRIDGED = 0.25
"""Seconds of loss, within a shot, over which the face is taken to move straight on; a blink is about as long."""

EASING = 0.3
"""Seconds in which a face goes to rest where it is lost, and comes back from it."""


@dataclass(frozen=True)
class Gap:
    """A time in seconds without a face, and why: lost, hidden (turned away or landmarks that make no face)."""

    start: float
    stop: float
    why: str = "lost"


def bridgeable(ok: Flags, shots: NDArray[np.int64], fps: Fraction) -> Flags:
    """(frames,) which frames without a face lie in short gaps within one shot, a face on both sides."""
    short = np.zeros(len(ok), bool)
    most = int(BRIDGED * float(fps))
    for first, last in runs(~ok):
        inside = first > 0 and last < len(ok) and shots[first - 1] == shots[last]
        short[first:last] = inside and last - first <= most
    return short


def bridged(values: Float, short: Flags) -> Float:
    """Values (frames, C) with the frames of short gaps between those before and after them."""
    if not short.any():
        return values
    filled, at, known = values.copy(), np.flatnonzero(short), np.flatnonzero(~short)
    for column in range(values.shape[1]):
        filled[at, column] = np.interp(at, known, values[known, column])
    return filled


def eased(values: Float, ok: Flags, shots: NDArray[np.int64], fps: Fraction) -> Float:
    """ARKit values (frames, 55) that rest where the face is lost: within 0.3 s of losing and before finding it.

    The head stays where it was and goes to where it is found again, but for cuts, over which nothing goes on.
    """
    calm = values.copy()
    head = ARKIT.slice("head")
    for first, last in _within_shots(ok, shots):
        before = values[first - 1] if first and ok[first - 1] and shots[first - 1] == shots[first] else None
        after = values[last] if last < len(ok) and ok[last] and shots[last] == shots[last - 1] else None
        since = np.arange(1, last - first + 1) / float(fps)
        left = _soft(1 - since / EASING)[:, None] * (0.0 if before is None else before)
        right = _soft(1 - since[::-1] / EASING)[:, None] * (0.0 if after is None else after)
        calm[first:last] = np.maximum(left, right)
        ends = [end[head] for end in (before, after) if end is not None] or [np.zeros(3)]
        way = _soft(np.linspace(0, 1, last - first + 2)[1:-1])[:, None]
        calm[first:last, head] = ends[0] * (1 - way) + ends[-1] * way
    return calm


def _within_shots(ok: Flags, shots: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """The stretches without a face, divided where shots change."""
    cuts = np.flatnonzero(np.diff(shots)) + 1
    for first, last in runs(~ok):
        edges = [first, *(int(cut) for cut in cuts if first < cut < last), last]
        yield from zip(edges[:-1], edges[1:], strict=True)


def _soft(share: Float) -> Float:
    share = np.clip(share, 0.0, 1.0)
    return share * share * (3 - 2 * share)


def marked(ok: Flags, broken: Flags, fps: Fraction) -> tuple[Gap, ...]:
    """The gaps in seconds; those whose frames are mostly `broken` had a face that could not be used."""
    return tuple(
        Gap(first / float(fps), last / float(fps), "hidden" if broken[first:last].mean() > 0.5 else "lost")
        for first, last in runs(~ok)
    )
