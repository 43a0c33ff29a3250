"""Frames of a take as the solver wants them."""

import numpy as np
from numpy.typing import NDArray

from artalk.data.landmarks import LEFT_EYE, RIGHT_EYE
from artalk.data.tracks import Track
from artalk.prepare.take import Clock, Take

Float = NDArray[np.float64]
Flags = NDArray[np.bool_]


def tracked(take: Take, clock: Clock, found: Flags, first: int, last: int) -> Track:
    """Frames `first` to before `last`; those without a face (not `found`, (frames of the clock,)) hold a neighbour's
    landmarks.
    """
    seen, ok = take.on(clock, first, last), found[first:last]
    points, turn = seen.points.astype(np.float64), _turns(seen.pose[:, :3, :3].astype(np.float64), ok)
    if ok.any() and not ok.all():
        nearest = np.abs(np.arange(len(ok))[:, None] - np.flatnonzero(ok)[None]).argmin(axis=1)
        points = points[np.flatnonzero(ok)[nearest]]
    elif not ok.any():
        points = np.broadcast_to(_any_face(take, clock, found), points.shape).copy()
    return Track(points, turn, ok, clock.fps)


def between_eyes(points: Float) -> Float:
    """(frames,) distances of the outer corners of the eyes of (frames, 478, 3) landmarks."""
    return np.linalg.norm(points[:, LEFT_EYE] - points[:, RIGHT_EYE], axis=1)


def _any_face(take: Take, clock: Clock, found: Flags) -> Float:
    at = int(np.flatnonzero(found)[0])
    return take.on(clock, at, at + 1).points[0].astype(np.float64)


def _turns(matrices: Float, ok: Flags) -> Float:
    """Rotations (frames, 3, 3) nearest to what lies between two of them; none where nothing was seen."""
    safe = np.where(ok[:, None, None], matrices, np.eye(3))
    left, _, right = np.linalg.svd(safe)
    return left @ right
