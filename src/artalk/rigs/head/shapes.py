"""Expression shapes: fields over the neutral head, in millimetres."""

import numpy as np
from numpy.typing import NDArray

from artalk.rigs.head.cage import EYE
from artalk.rigs.head.skin import Skin

Floats = NDArray[np.float64]
HINGE = np.array([0.0, -6.0, 8.0])
JAW_ANGLE = np.radians(19.5)


def smoothstep(low: float, high: float, x: Floats) -> Floats:
    """0 below `low`, 1 above `high`, smooth between."""
    t = np.clip((x - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def jaw_turn(points: Floats, angle: float) -> Floats:
    """Displacement (N, 3) of points turning with the jaw about its hinge."""
    away = points - HINGE
    cos, sin = np.cos(angle), np.sin(angle)
    turned = np.stack([away[:, 0], cos * away[:, 1] - sin * away[:, 2], sin * away[:, 1] + cos * away[:, 2]], 1)
    return turned - away


def jaw_weight(skin: Skin) -> Floats:
    """(N,) how far skin goes with the jaw, 0 to 1; lips follow their spokes so that the seam opens."""
    p = skin.points
    away = p - HINGE
    angle = np.arctan2(-away[:, 1], np.maximum(away[:, 2], 1e-3)) - np.arctan2(62.6, 80.0)
    spread = smoothstep(-0.14, 0.11, angle)
    spread *= smoothstep(0, 62, p[:, 2]) * (1 - smoothstep(112, 165, -p[:, 1] + 0.3 * np.maximum(70 - p[:, 2], 0)))
    lips = np.interp(skin.mouth_spoke, [0, 1, 2, 3, 4, 5, 6, 7, 8], [0, 0.005, 0.03, 0.16, 0.44, 0.72, 0.93, 0.995, 1])
    near = smoothstep(0.0, 1.6, skin.mouth_ring)
    return spread * (1 - near) + lips * near


def jaw_open(skin: Skin) -> Floats:
    """(N, 3) skin displacement at jawOpen 1."""
    weight = jaw_weight(skin)[:, None]
    moved = weight * jaw_turn(skin.points, JAW_ANGLE)
    corner = np.exp(-(((np.abs(skin.points[:, 0]) - 26) / 13) ** 2) - ((skin.points[:, 1] + 69) / 13) ** 2)
    corner *= smoothstep(60, 80, skin.points[:, 2])
    lift = np.exp(-((skin.points[:, 0] / 20) ** 2) - ((skin.points[:, 1] + 63) / 9) ** 2) * (1 - weight[:, 0]) * smoothstep(75, 92, skin.points[:, 2])
    moved[:, 1] += 1.6 * lift
    moved[:, 0] -= 2.6 * corner * np.sign(skin.points[:, 0])
    return moved


def blink(skin: Skin, closing: float = 1.0) -> Floats:
    """(N, 3) displacement of the left lids."""
    p = skin.points
    out = np.zeros_like(p)
    near = np.flatnonzero((skin.eye_ring < 6.0) & (p[:, 0] > 0))
    margin = near[np.abs(skin.eye_ring[near] - 2.0) < 1e-6]
    order = margin[np.argsort(p[margin, 0])]
    start, end = p[order[0]], p[order[-1]]
    line = np.interp(p[:, 0], [start[0], end[0]], [start[1], end[1]])
    top = order[p[order, 1] >= line[order] - 1e-9]
    low = order[p[order, 1] <= line[order] + 1e-9]
    x = p[near, 0]
    upper_y = np.interp(x, p[top, 0], p[top, 1])
    lower_y = np.interp(x, p[low, 0], p[low, 1])
    meet = lower_y + 0.12 * (upper_y - lower_y)
    ring = skin.eye_ring[near]
    above = p[near, 1] >= line[near]
    follow = np.where(above, np.interp(ring, [0, 2, 3, 4, 5, 6], [1, 1, 0.92, 0.66, 0.22, 0]),
                      np.interp(ring, [0, 2, 3, 4, 5, 6], [1, 1, 0.8, 0.5, 0.15, 0]))
    dy = closing * follow * np.where(above, meet - upper_y, meet - lower_y)
    away = p[near] - EYE
    radius2 = (away**2).sum(1)
    y = away[:, 1] + dy
    z = np.sqrt(np.maximum(radius2 - away[:, 0] ** 2 - y**2, away[:, 2] ** 2 * 0.2))
    wrap = np.interp(ring, [0, 3, 4, 5, 6], [1, 1, 0.8, 0.3, 0])
    out[near, 1] = dy
    out[near, 2] = (z - away[:, 2]) * wrap + 0.09 * np.abs(dy) * np.interp(ring, [0, 1, 2, 4, 6], [1, 1, 1, 0.6, 0])
    return out


def smile(skin: Skin) -> Floats:
    """(N, 3) displacement of the left mouth corner and cheek at mouthSmileLeft 1."""
    p = skin.points
    side = smoothstep(-9, 14, p[:, 0])
    front = smoothstep(35, 70, p[:, 2])
    inner = 1 - smoothstep(5.5, 7.5, skin.mouth_ring)
    corner = np.exp(-(((p[:, 0] - 27) / 19) ** 2) - (np.abs(p[:, 1] + 69) / 17) ** 2)
    cheek = np.exp(-(((p[:, 0] - 38) / 17) ** 2) - (((p[:, 1] + 40) / 17) ** 2)) * (skin.mouth_ring < 1) * smoothstep(5.0, 6.0, skin.eye_ring)
    weight = (side * front * inner)[:, None]
    return weight * (corner[:, None] * [8.0, 8.0, -5.5] + cheek[:, None] * [1.0, 4.0, 2.8])
