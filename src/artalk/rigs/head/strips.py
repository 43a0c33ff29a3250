"""Brows and lashes: thin strips that ride on the skin."""

import numpy as np
from numpy.typing import NDArray

from artalk.rigs.head.skin import Skin

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# Left brow: centre line (x, y) and half thickness, mm
BROW = np.array([[11.8, 20.2, 1.0], [15.5, 21.2, 2.8], [23, 22.7, 3.1], [30, 24.1, 2.9], [37, 24.9, 2.5], [44, 24.4, 2.0],
                 [50, 22.4, 1.4], [56, 18.6, 0.4]])


def brow(skin: Skin) -> tuple[Floats, Ints, Floats, Ints]:
    """Points (N, 3) mm just over the skin, triangles, and (N,) the skin vertex each point rides on."""
    t = np.linspace(0, 1, 18)
    knots = np.linspace(0, 1, len(BROW))
    x, y, half = (np.interp(t, knots, BROW[:, i]) for i in range(3))
    for line in (x, y, half):
        line[1:-1] = 0.25 * line[:-2] + 0.5 * line[1:-1] + 0.25 * line[2:]
    across = np.array([-1.0, -0.6, 0.0, 0.6, 1.0])
    slope = np.gradient(y, x)
    flat = np.stack([x[:, None] - slope[:, None] * half[:, None] * across, y[:, None] + half[:, None] * across], -1)
    lift = np.array([-0.5, 0.55, 0.95, 0.55, -0.5]) * np.interp(t, [0, 0.06, 0.9, 1], [0.2, 1, 1, 0.2])[:, None]
    points, rides = _on_skin(flat.reshape(-1, 2), skin, lift.reshape(-1))
    faces = []
    for i in range(len(t) - 1):
        for j in range(4):
            a, b, c, d = i * 5 + j, (i + 1) * 5 + j, (i + 1) * 5 + j + 1, i * 5 + j + 1
            faces += [[a, b, c], [a, c, d]]
    return points, np.array(faces), np.ones_like(points), rides


def _on_skin(flat: Floats, skin: Skin, lift: Floats) -> tuple[Floats, Ints]:
    normals = skin.normals()
    front = np.flatnonzero((skin.points[:, 2] > 30) & (normals[:, 2] > 0.15) & (skin.mouth_ring < 0.5) & (skin.eye_ring > 3.5))
    gap = ((skin.points[front, :2][None] - flat[:, None]) ** 2).sum(-1)
    rides = front[(gap + 1e4 * (skin.eye_ring[front] < 5.6)).argmin(1)]
    close = np.exp(-gap / 8.0)
    close /= close.sum(1, keepdims=True)
    p, n = skin.points[front], normals[front]
    plane = p[None, :, 2] - (n[None, :, 0] * (flat[:, None, 0] - p[None, :, 0]) + n[None, :, 1] * (flat[:, None, 1] - p[None, :, 1])) / n[None, :, 2]
    z = (close * plane).sum(1)
    normal = (close[..., None] * n[None]).sum(1)
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    return np.column_stack([flat, z]) + normal * lift[:, None], rides


def lashes(skin: Skin) -> tuple[Floats, Ints, Floats, Ints]:
    """Upper lashes of the left eye as one tapering blade: points, triangles, skin vertex under each."""
    ring = np.flatnonzero((np.abs(skin.eye_ring - 2.0) < 1e-6) & (skin.points[:, 0] > 0))
    order = ring[np.argsort(skin.points[ring, 0])]
    inner, outer = skin.points[order[0]], skin.points[order[-1]]
    line = np.interp(skin.points[ring, 0], [inner[0], outer[0]], [inner[1], outer[1]])
    upper = ring[skin.points[ring, 1] >= line - 1e-9]
    upper = upper[np.argsort(skin.points[upper, 0])]
    p = skin.points[upper]
    s = (p[:, 0] - p[0, 0]) / (p[-1, 0] - p[0, 0])
    long = np.interp(s, [0, 0.1, 0.5, 0.85, 1], [0.1, 0.5, 1.9, 2.7, 1.8])
    way = np.stack([0.95 * (s - 0.42), 0.28 + 0.25 * s, 0.95 - 0.3 * s], 1)
    way /= np.linalg.norm(way, axis=1, keepdims=True)
    thick = np.array([0, 0.75, 0.1])
    root_low, root_high = p + [0, -0.15, -0.35], p + thick
    tip = p + way * long[:, None] + [0, 0.4, 0]
    count = len(upper)
    faces = []
    for k in range(count - 1):
        for a, b in ((0, 1), (1, 2), (2, 0)):
            i, j, m, q = a * count + k, a * count + k + 1, b * count + k + 1, b * count + k
            faces += [[i, j, m], [i, m, q]]
    points = np.concatenate([root_low, tip, root_high])
    return points, np.array(faces), np.ones_like(points), np.tile(upper, 3)
