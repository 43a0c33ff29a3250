"""Colours that multiply the skin's: blush, lips, lid line, shade in hollows and under the hair."""

import numpy as np

from artalk.rigs.head.cage import shortened, step
from artalk.rigs.head.part import Floats
from artalk.rigs.head.skin import Skin
from artalk.rigs.head.strips import BROW

Tint = tuple[float, float, float]

# Soft spots on both sides: centre, radii (mm), tint.
SPOTS: list[tuple[Tint, Tint, Tint]] = [
    ((42, -34, 82), (16, 13, 22), (1.0, 0.88, 0.86)),  # cheek
    ((0, -38, 114), (13, 9, 14), (1.0, 0.86, 0.84)),  # tip of the nose
    ((0, -104, 95), (14, 10, 14), (1.0, 0.92, 0.90)),  # chin
    ((33, 9, 86), (18, 7, 12), (0.98, 0.93, 0.92)),  # upper lid
    ((32, -13, 86), (14, 5, 9), (0.97, 0.88, 0.87)),  # under the eye
    ((7.4, -44.5, 103.5), (3.3, 3.2, 4.4), (0.26, 0.14, 0.12)),  # nostril
    ((20, -42, 92), (2.2, 6, 4), (0.90, 0.82, 0.80)),  # behind the nose wing
    ((15, -36, 96), (4, 5, 6), (0.93, 0.86, 0.84)),  # side of the nose
    ((0, -84, 95), (15, 3.5, 8), (0.97, 0.93, 0.92)),  # fold over the chin
]


INSIDE = (
    (4.0, 5.0, 6.0, 6.5, 7.0, 7.5, 8.0),
    (0.62, 0.70, 0.56, 0.48, 0.38, 0.25, 0.10),
    (0.38, 0.40, 0.26, 0.19, 0.13, 0.075, 0.028),
    (0.38, 0.42, 0.28, 0.20, 0.14, 0.080, 0.030),
)
"""The inside of the mouth from the line where the lips touch to the throat: rings; red, green and blue there."""


class _Paint:
    """Colours (N, 3) that start white; each `mix` moves them towards a tint by a weight (N,)."""

    def __init__(self, count: int) -> None:
        self.colors: Floats = np.ones((count, 3))

    def mix(self, weight: Floats, tint: Tint) -> None:
        self.colors *= 1 - weight[:, None] * (1 - np.array(tint))


def skin_colors(skin: Skin) -> Floats:
    """(N, 3) colours of the whole skin."""
    paint = _Paint(len(skin.points))
    p = skin.points
    folded = np.stack([np.abs(p[:, 0]), p[:, 1], p[:, 2]], 1)
    centres = shortened(np.array([spot[0] for spot in SPOTS]))
    for centre, (_, radii, tint) in zip(centres, SPOTS, strict=True):
        paint.mix(np.exp(-(((folded - centre) / radii) ** 2).sum(1)), tint)
    facing_down = step(0.1, -0.7, skin.normals()[:, 1])
    paint.mix(step(104, 124, -p[:, 1]) * facing_down * (p[:, 2] > -20), (0.90, 0.84, 0.83))
    _lips(paint, skin)
    _lids(paint, skin)
    _brows(paint, skin)
    return paint.colors


def _lips(paint: _Paint, skin: Skin) -> None:
    ring = skin.mouth_ring
    paint.mix(step(1.6, 2.2, ring), (0.90, 0.68, 0.66))
    paint.mix(step(2.2, 3.3, ring), (0.95, 0.88, 0.88))
    paint.mix(step(3.4, 4.0, ring), (0.55, 0.42, 0.42))
    inside = step(4.0, 4.5, ring)[:, None]
    inner = np.stack([np.interp(ring, INSIDE[0], channel) for channel in INSIDE[1:]], 1)
    paint.colors = paint.colors * (1 - inside) + inner * inside


def _lids(paint: _Paint, skin: Skin) -> None:
    ring, y = skin.eye_ring, skin.points[:, 1]
    upper = y > -0.5
    line = step(0.7, 1.3, ring) * (1 - step(2.05, 2.75, ring))
    paint.mix(line * upper, (0.16, 0.11, 0.11))
    paint.mix(line * ~upper, (0.86, 0.62, 0.60))
    paint.mix(1 - step(0.4, 1.0, ring), (0.8, 0.5, 0.48))
    paint.mix(np.exp(-(((ring - 4.1) / 0.4) ** 2)) * (y > 3), (0.87, 0.75, 0.72))


def _brows(paint: _Paint, skin: Skin) -> None:
    """The roots under the brows' hairs."""
    x, y = np.abs(skin.points[:, 0]), skin.points[:, 1]
    off = (y - np.interp(x, BROW[:, 0], BROW[:, 1])) / (np.interp(x, BROW[:, 0], BROW[:, 2]) + 0.6)
    inside = step(10.5, 16, x) * step(57, 50, x) * (skin.points[:, 2] > 40)
    paint.mix(0.6 * np.exp(-(off**2)) * inside, (0.42, 0.34, 0.32))


def contact_shadow(points: Floats, colors: Floats, over: Floats) -> Floats:
    """`colors` (N, 3) of skin `points` (N, 3), darkened where they lie close to `over` (M, 3), the hair."""
    near = np.flatnonzero(points[:, 1] > -60)
    p = points[near]
    square = (p**2).sum(1)[:, None] + (over**2).sum(1)[None] - 2 * p @ over.T
    gap = np.sqrt(np.maximum(square.min(1), 0))
    shaded = _Paint(len(points))
    weight = np.zeros(len(points))
    weight[near] = 0.4 * np.exp(-((gap / 7.0) ** 2))
    shaded.mix(weight, (0.62, 0.47, 0.40))
    return colors * shaded.colors
