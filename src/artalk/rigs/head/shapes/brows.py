"""Brows and forehead."""

import numpy as np

from artalk.rigs.head.cage import step
from artalk.rigs.head.part import Floats
from artalk.rigs.head.shapes.face import Face, push


def fields(face: Face) -> dict[str, Floats]:
    """(N, 3) displacements of the brows' shapes, the left ones of pairs."""
    return {"browDownLeft": _down(face), "browInnerUp": _inner_up(face), "browOuterUpLeft": _outer_up(face)}


def _down(face: Face) -> Floats:
    inner, middle, outer = face.at(14, 2), face.at(14, 4), face.at(14, 6)
    side = step(-4, 6, face.points[:, 0]) * face.lidless
    weight = face.spot(inner + [2, 2, 0], (14, 14, 22))
    move = push(weight, -2.6, -5.2, 1.6) + push(face.spot(middle + [0, 2, 0], (17, 13, 24)), -0.9, -3.4, 0.8)
    return side[:, None] * (move + push(face.spot(outer, (12, 12, 20)), 0, -1.0, 0))


def _inner_up(face: Face) -> Floats:
    p = face.points
    inner = face.at(14, 2)
    both = np.maximum(0, 1 - ((p[:, 0]) / 42) ** 2) ** 1.5
    height = p[:, 1] - inner[1]
    up = step(-15, -2, height) * (1 - step(4, 46, height)) * both * step(40, 60, p[:, 2]) * face.lidless
    x = p[:, 0]
    return up[:, None] * np.stack([0.02 * x, 6.6 + 0 * x, -0.02 * np.maximum(height, 0)], 1)


def _outer_up(face: Face) -> Floats:
    middle, outer = face.at(14, 4), face.at(14, 6)
    centre = 0.5 * middle + 0.5 * outer
    p = face.points
    wide = np.exp(-((np.abs(p[:, 0] - centre[0]) / 23) ** 3)) * step(0, 26, p[:, 0]) * step(25, 50, p[:, 2])
    height = p[:, 1] - centre[1]
    weight = step(-16, 0, height) * (1 - step(6, 44, height)) * wide * face.lidless
    return push(weight, 0.6, 6.4, -1.0)
