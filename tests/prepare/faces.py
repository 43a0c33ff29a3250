"""A take of a face that the tests make: landmarks moved by known weights of the built-in head."""

from collections.abc import Sequence
from functools import cache

import numpy as np

from artalk import rotation
from artalk.data import landmarks
from artalk.data.landmarks import COUNT, Face, head_face
from artalk.data.tracks import SOLVED
from artalk.prepare.take import Take
from artalk.prepare.tracker import Sighting

PIXELS = 900.0
"""Pixels a metre: a face of some 85 pixels between the eyes."""


@cache
def at_rest() -> np.ndarray:
    """478 landmarks of the built-in head in metres; those that nobody looks at lie anywhere."""
    face = head_face()
    rest = np.random.default_rng(0).uniform(-0.05, 0.05, (COUNT, 3))
    rest[face.numbers] = face.points
    for number in landmarks.STABLE:
        if number not in face.numbers:
            rest[number] = [0.0, -0.015, 0.1] if number in (1, 6, 195) else [0.07 if number == 356 else -0.07, 0, 0.02]
    for side, x in (("Left", 0.033), ("Right", -0.033)):
        rest[landmarks.IRIS[side]] = [x, 0.0, 0.085]
        for k, (upper, lower) in enumerate(landmarks.LIDS[side]):
            rest[upper], rest[lower] = [x + 0.004 * (k - 1), 0.005, 0.085], [x + 0.004 * (k - 1), -0.005, 0.085]
    return rest


def weights_of(frames: int) -> np.ndarray:
    """(frames, SOLVED): a second of rest, then a jaw that opens and shuts, brows that rise, and rest again."""
    weights = np.zeros((frames, len(SOLVED)))
    at = np.arange(frames)
    talking = (at > 25) & (at < frames - 15)
    weights[:, SOLVED.index("jawOpen")] = np.clip(0.5 * np.sin((at - 26) * 0.5), 0, 1) * talking
    weights[:, SOLVED.index("browInnerUp")] = np.clip(0.6 * np.sin((at - 26) * 0.11), 0, 1) * talking
    return weights


def sighting(weights: np.ndarray, turn: Sequence[float] = (0, 0, 0), blink: float = 0.0, face: Face | None = None):
    """What a tracker would see of a face with some weights (SOLVED,), turned by a rotation vector, lids so far shut."""
    face = face or head_face()
    points = at_rest().copy()
    points[face.numbers] += np.einsum("s,skd->kd", weights, face.deltas[[face.shapes.index(name) for name in SOLVED]])
    for upper, lower in (pair for side in ("Left", "Right") for pair in landmarks.LIDS[side]):
        points[upper] += 0.95 * blink * (points[lower] - points[upper])
    matrix = rotation.rotvec_to_matrix(np.asarray(turn, float)[None])[0]
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = matrix, [0, 0, -40]
    scores = np.zeros(52, np.float32)
    scores[25] = weights[SOLVED.index("jawOpen")]
    points = PIXELS * points @ matrix.T + [300, -250, 0]
    return Sighting(points.astype(np.float32), pose.astype(np.float32), scores)


def take_of(
    weights: np.ndarray,
    turns: np.ndarray | None = None,
    shots: Sequence[int] | None = None,
    lost: Sequence[int] = (),
    noise: float = 0.0,
    spoilt: Sequence[int] = (),
    face: Face | None = None,
) -> Take:
    """What a tracker would see: frames `lost` have no face, `spoilt` ones have landmarks that make none."""
    rng = np.random.default_rng(1)
    turns = np.zeros((len(weights), 3)) if turns is None else turns
    take = Take()
    for k, row in enumerate(weights):
        seen = sighting(row, turns[k], face=face)
        seen.points[:] += noise * rng.standard_normal((COUNT, 3))
        if k in spoilt:
            seen.points[:] += 40 * rng.standard_normal((COUNT, 3))
        seen.pose[0, 3] = 0.1 * k
        take.add(k / 25, 0 if shots is None else shots[k], None if k in lost else seen)
    take.close()
    return take
