"""Cheeks and nose."""

import numpy as np

from artalk.rigs.head.cage import EYE, step
from artalk.rigs.head.part import Floats
from artalk.rigs.head.shapes.face import Face, push
from artalk.rigs.head.shapes.lips import Lips


def apple(face: Face) -> Floats:
    """(N,) the soft part of the left cheek below the eye."""
    centre = 0.5 * (face.at(9, 4) + face.at(9, 5))
    return face.spot(centre, (19, 15, 26)) * face.lidless * step(8, 22, face.points[:, 0])


def fields(face: Face, lips: Lips) -> dict[str, Floats]:
    """(N, 3) displacements of the shapes of cheeks and nose, the left ones of pairs."""
    return {"cheekPuff": _puff(face), "cheekSquintLeft": _squint(face), "noseSneerLeft": _sneer(face, lips)}


def _puff(face: Face) -> Floats:
    """Both cheeks full of air; the closed lips go a little forward."""
    p = face.points
    centre = np.array([face.corner[0] + 18, face.corner[1] + 6, face.corner[2] - 17])
    folded = np.stack([np.abs(p[:, 0]), p[:, 1], p[:, 2]], 1)
    ball = np.exp(-(((((folded - centre) / [25, 25, 34]) ** 2).sum(1)) ** 1.4))
    ball *= step(5, 35, p[:, 2]) * (1 - step(1.5, 4, face.skin.mouth_ring)) * face.lidless
    ball *= 1 - step(8, 26, p[:, 1] - face.corner[1] - 22)
    lips = np.exp(-((p[:, 0] / 24) ** 2 + ((p[:, 1] - face.mouth[1]) / 17) ** 2)) * step(60, 85, p[:, 2])
    lips *= 1 - step(5.5, 7.5, face.skin.mouth_ring)
    out = np.stack([0.95 * np.tanh(p[:, 0] / 14), 0 * ball, 0.55 + 0 * ball], 1)
    return 9.0 * ball[:, None] * out + push(lips, 0, 0, 2.6)


def _squint(face: Face) -> Floats:
    weight = apple(face)
    lower = np.array([EYE[0] + 3, EYE[1] - 12, EYE[2] + 17])
    lid = face.spot(lower, (17, 6, 18)) * step(2.0, 5.0, face.skin.eye_ring) * (face.points[:, 0] > 0)
    return push(weight, 0.2, 5.8, 2.6) + push(lid, 0, 2.2, 0.6)


def _sneer(face: Face, lips: Lips) -> Floats:
    """Nose wing and upper lip rise, skin gathers beside the bridge."""
    wing, bridge = face.at(9, 2), face.at(11, 2)
    side = face.left * face.lidless
    fold = face.spot(np.array([wing[0] + 9, wing[1] - 6, wing[2] - 8]), (12, 15, 17))
    move = push(face.spot(wing, (9, 12, 14)), 1.0, 4.4, 0.2) + push(fold, -0.4, 4.4, 1.2)
    lip = lips.carry(lips.move(lips.upper * (1 - lips.along**2), 0.3, 1.7, 0), (16, 18, 10))
    return side[:, None] * (move + lip + push(face.spot(bridge, (8, 9, 12)), -0.3, -1.0, 0.5))
