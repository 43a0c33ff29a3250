"""The jaw: it turns about its hinge and takes chin, lower lip, lower teeth and tongue along."""

import numpy as np

from artalk.rigs.head.cage import step
from artalk.rigs.head.part import Floats
from artalk.rigs.head.shapes.face import Face

HINGE = np.array([0.0, -6.0, 8.0])
"""Between the jaw joints, just before the ears."""

OPEN = np.radians(20.5)
"""The angle of jawOpen 1: a gap of about 38 mm between the lips."""

FORWARD = np.array([0.0, -0.8, 8.0])

ASIDE = np.radians(5.4)
"""How far it swings to one side about a line between its hinges: 8 mm at the front teeth."""

LIPS = ([0, 1, 2, 3, 4, 5, 6, 7, 8], [0, 0.01, 0.06, 0.20, 0.48, 0.77, 0.93, 0.99, 1])
"""How far each spoke of the lips goes with the jaw."""


def turn(points: Floats, angle: float) -> Floats:
    """(N, 3) displacement of points that open with the jaw by `angle` radians."""
    away = points - HINGE
    cos, sin = np.cos(angle), np.sin(angle)
    turned = np.stack([away[:, 0], cos * away[:, 1] - sin * away[:, 2], sin * away[:, 1] + cos * away[:, 2]], 1)
    return turned - away


def swing(points: Floats, angle: float) -> Floats:
    """(N, 3) displacement of points that swing with the jaw to the left by `angle` radians."""
    x, z = points[:, 0] - HINGE[0], points[:, 2] - HINGE[2]
    cos, sin = np.cos(angle), np.sin(angle)
    return np.stack([(cos - 1) * x + sin * z, 0 * x, (cos - 1) * z - sin * x], 1)


def rigid(points: Floats) -> dict[str, Floats]:
    """(N, 3) displacements of what is fast to the jaw, by shape."""
    return {
        "jawOpen": turn(points, OPEN),
        "jawForward": np.zeros_like(points) + FORWARD,
        "jawLeft": swing(points, ASIDE),
        "jawRight": swing(points, -ASIDE),
    }


def share(face: Face, soft: float = 0.0) -> Floats:
    """(N,) how far skin goes with the jaw, 0 to 1; lips by their spokes, so that the seam opens.

    `soft` widens the band between cheek and jaw by so many radians about the hinge.
    """
    p = face.points
    away, corner = p - HINGE, face.corner - HINGE
    angle = np.arctan2(-away[:, 1], np.maximum(away[:, 2], 1e-3)) - np.arctan2(-corner[1], corner[2]) - 0.03
    spread = step(-0.14 - soft, 0.11 + soft, angle) * step(0, 62, p[:, 2])
    spread *= 1 - step(108, 165, -p[:, 1] + 0.3 * np.maximum(70 - p[:, 2], 0))
    lips = np.interp(face.skin.mouth_spoke, *LIPS)
    inside = step(0.0, 1.6, face.skin.mouth_ring)
    return spread * (1 - inside) + lips * inside


def fields(face: Face) -> dict[str, Floats]:
    """(N, 3) displacements of the skin by the jaw's shapes."""
    turned, shifted = share(face), share(face, 0.18)
    moves = {name: shifted[:, None] * move for name, move in rigid(face.points).items()}
    opened = turned[:, None] * turn(face.points, OPEN)
    opened[:, 2] *= 1 - 0.68 * _throat(face)
    moves["jawOpen"] = opened + _mouth_corners(face) + _upper_lip(face, turned)
    return moves


def _throat(face: Face) -> Floats:
    """(N,) the skin between chin and neck: it goes down before the neck rather than back into it."""
    row = face.skin.row
    return np.clip((3.1 - row) / 1.2, 0, 1) * (row >= 0)


def _mouth_corners(face: Face) -> Floats:
    """A wide open mouth is narrower."""
    p = face.points
    x, y, _ = face.corner
    weight = np.exp(-(((np.abs(p[:, 0]) - x - 2) / 13) ** 2) - ((p[:, 1] - y + 3) / 13) ** 2) * step(60, 80, p[:, 2])
    return np.stack([-3.2 * weight * np.tanh(p[:, 0] / 4), 0 * weight, 0 * weight], 1)


def _upper_lip(face: Face, weight: Floats) -> Floats:
    p = face.points
    lift = (
        np.exp(-((p[:, 0] / 20) ** 2) - ((p[:, 1] - face.mouth[1] - 2) / 9) ** 2) * (1 - weight) * step(75, 92, p[:, 2])
    )
    return np.stack([0 * lift, 1.4 * lift, 0 * lift], 1)
