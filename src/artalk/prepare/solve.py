"""A take becomes a performance: who it is, what moved, where the head was, and how far to believe it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from artalk import rotation
from artalk.channels import ARKIT
from artalk.data.landmarks import (
    BROWS,
    CHEEKS,
    CHIN,
    LEFT_EYE,
    LIPS,
    LOWER_LIP,
    RIGHT_EYE,
    STABLE,
    UPPER_LIP,
    Face,
    head_face,
    similarity,
)
from artalk.data.tracks import CONTACT, Person, Track, Tracker, mean_turn, stabilised
from artalk.errors import BadInput
from artalk.motion import Motion
from artalk.prepare.gaps import Gap, bridgeable, bridged, eased, marked
from artalk.prepare.people import LEAST, glance, known
from artalk.prepare.smoothing import HEAD, blurred, calmed
from artalk.prepare.take import Clock, Take, runs
from artalk.prepare.tracked import between_eyes, tracked
from artalk.rigs.blendshape import BlendshapeRig

Float = NDArray[np.float64]
Flags = NDArray[np.bool_]

BLOCK, OVERLAP = 1500, 25
"""Frames solved at a time, and frames before them that the solver sees and that are thrown away."""

TURNED = 60.0
"""Degrees of turning away after which half the face is guessed."""

BROKEN, TIMES = 0.07, 5.0
"""By how much of the distance between the eyes, and of what is usual, the skull's landmarks may be off their place."""

LEAP = 0.6
"""Distances between the eyes by which a face may move from one frame to the next and back."""

STABLE_ROWS = list(STABLE)

SOLVED_BY = LIPS | BROWS | CHIN | CHEEKS
"""The landmarks that the solver explains."""


@dataclass(frozen=True, eq=False)
class Performance:
    """Motion with what is known of it, frame by frame.

    `ok` (frames,) says where it was seen or bridged, `gaps` where not; `bridged` and `broken` count frames. `place`
    (frames, 3) is the head's way in metres from its mean place, x to the subject's left, y up, z towards the camera.
    `aperture` (frames,) is the distance of the inner lips as tracked, by that of the outer eye corners; `contact`
    (frames,) where they touch. `residual` and `lips` (frames,) are how far in pixels landmarks of the face, and of its
    lips, lie from where the motion puts them, NaN where nothing was seen; `eyes` (frames,) pixels between the outer eye
    corners. `scores` (frames, 52) are the tracker's own guesses; `tracker` knows the person and the face model,
    whose lips `rested` for so many of the seconds by which they are known; None where others showed it.
    """

    motion: Motion
    ok: Flags
    gaps: tuple[Gap, ...]
    bridged: int
    broken: int
    shots: NDArray[np.int64]
    place: Float
    aperture: Float
    contact: Flags
    residual: Float
    lips: Float
    eyes: Float
    scores: NDArray[np.float32]
    tracker: Tracker
    rested: float | None


def perform(
    take: Take,
    clock: Clock,
    face: Face | None = None,
    others: tuple[BlendshapeRig, ...] = (),
    smooth: bool = True,
    met: Person | None = None,
) -> Performance:
    """Solve a take on a face model (default: the built-in head), so that the lips of `others` close with its own.

    `met` is who it is by other recordings as well (`people.meet`); see `people.known`.

    Memory grows by some 1.5 kB a frame, whatever the size of the pictures. Raises `BadInput` where no face was seen.
    """
    found, shots = take.facts(clock)
    if not found.any():
        raise BadInput(f"no face was found in {len(found)} of {len(found)} frames: nothing to solve")
    if found.sum() < LEAST:
        raise BadInput(f"a face is solved from {LEAST} frames that show it, got {int(found.sum())} of {len(found)}")
    face = face or head_face()
    seen = glance(take, clock, found)
    who = known(seen, len(clock) / float(clock.fps), face, met)
    tracker = Tracker(face, who, others)
    solved = _join([_solved(tracker, take, clock, found, first, last) for first, last in _blocks(len(clock))])
    usable = found & ~_outliers(solved, clock.fps)
    short = bridgeable(usable, shots, clock.fps)
    values = bridged(_with_head(solved, usable, shots), short)
    ok = usable | short
    contact = solved.contact & usable
    if smooth:
        values = calmed(values, clock.fps, ok, contact)
    values = eased(values, ok, shots, clock.fps)
    residual, lips = (np.where(usable, distance, np.nan) for distance in (solved.residual, solved.lips))
    place = bridged(solved.place, ~usable) if usable.any() else solved.place
    for first, last in runs(ok):
        place[first:last] = blurred(place[first:last], HEAD * float(clock.fps))
    return Performance(
        Motion(values.astype(np.float32), ARKIT, clock.fps),
        ok,
        marked(ok, found, clock.fps),
        int(short.sum()),
        int((found & ~usable).sum()),
        shots,
        place - np.median(place[usable], axis=0) if usable.any() else place,
        solved.aperture,
        contact,
        residual,
        lips,
        solved.eyes,
        solved.scores,
        tracker,
        None if met is not None and who.points is met.points else float(seen.quiet.sum() / clock.fps),
    )


@dataclass(frozen=True, eq=False)
class _Block:
    values: Float
    turn: Float
    place: Float
    aperture: Float
    contact: Flags
    residual: Float
    lips: Float
    off: Float
    middle: Float
    eyes: Float
    scores: NDArray[np.float32]


def _solved(tracker: Tracker, take: Take, clock: Clock, found: Flags, first: int, last: int) -> _Block:
    """Frames `first` to before `last`, solved from a little earlier on."""
    early = max(first - OVERLAP, 0)
    begun = tracked(take, clock, found, early, last)
    motion = tracker.solve(begun if begun.ok.any() else replace(begun, ok=~begun.ok))
    cut = slice(first - early, None)
    track, motion = _cut(begun, cut), replace(motion, values=motion.values[cut])
    points, rest, face = track.points, tracker.person.points, tracker.face
    metres = similarity(points[:, STABLE_ROWS], rest[STABLE_ROWS])[0]
    residual = tracker.residual(track, motion) / metres[:, None]
    still, eyes, seen = stabilised(points, rest), between_eyes(points), take.on(clock, first, last)
    aperture = np.linalg.norm(points[:, UPPER_LIP] - points[:, LOWER_LIP], axis=1) / eyes
    apart = still[:, UPPER_LIP, 1] - still[:, LOWER_LIP, 1] - (rest[UPPER_LIP, 1] - rest[LOWER_LIP, 1])
    off = np.linalg.norm((still - rest)[:, STABLE_ROWS, :2], axis=2).mean(axis=1)
    return _Block(
        motion.values.astype(np.float64),
        track.turn,
        seen.pose[:, :3, 3].astype(np.float64) / 100,
        aperture,
        apart < CONTACT,
        _mean_of(residual, face, SOLVED_BY),
        _mean_of(residual, face, LIPS),
        off / float(np.linalg.norm(rest[LEFT_EYE] - rest[RIGHT_EYE])),
        points[:, STABLE_ROWS, :2].mean(axis=1),
        eyes,
        seen.scores.astype(np.float16).astype(np.float32),
    )


def _cut(track: Track, part: slice) -> Track:
    return Track(track.points[part], track.turn[part], track.ok[part], track.fps)


def _mean_of(residual: Float, face: Face, numbers: frozenset[int]) -> Float:
    """(frames,) means of the (frames, K) distances of some landmarks."""
    return residual[:, np.isin(face.numbers, list(numbers))].mean(axis=1)


def _blocks(count: int) -> Iterator[tuple[int, int]]:
    for first in range(0, count, BLOCK):
        yield first, min(first + BLOCK, count)


def _join(blocks: Sequence[_Block]) -> _Block:
    return _Block(*(np.concatenate([getattr(block, name) for block in blocks]) for name in _Block.__dataclass_fields__))


def _outliers(solved: _Block, fps: Fraction) -> Flags:
    """(frames,) faces turned away, landmarks that make no face, and leaps there and back."""
    yaw = np.degrees(np.abs(np.arctan2(solved.turn[:, 0, 2], solved.turn[:, 2, 2])))
    broken = solved.off > max(BROKEN, TIMES * float(np.median(solved.off)))
    leaps = np.linalg.norm(np.diff(solved.middle, axis=0), axis=1) / np.maximum(solved.eyes[1:], 1e-6)
    limit = LEAP * max(1.0, 25 / float(fps))
    away = np.zeros(len(broken), bool)
    away[1:-1] = (leaps[:-1] > limit) & (leaps[1:] > limit)
    return (yaw > TURNED) | broken | away | ~np.isfinite(solved.aperture)


def _with_head(solved: _Block, usable: Flags, shots: NDArray[np.int64]) -> Float:
    """The solved values with the head's rotation, counted from its mean in each shot: a camera may stand anywhere."""
    values = solved.values.copy()
    for shot in np.unique(shots):
        chosen = shots == shot
        if (chosen & usable).any():
            turned = np.einsum("nij,kj->nik", solved.turn[chosen], mean_turn(solved.turn[chosen & usable]))
            values[np.ix_(chosen, ARKIT.indices(("headX", "headY", "headZ")))] = rotation.matrix_to_rotvec(turned)
    return values
