"""Brows and lashes: fine hairs that ride on the skin."""

import numpy as np

from artalk.rigs.head.part import Floats, Ints, sheet
from artalk.rigs.head.skin import Skin

# Left brow: centre line (x, y), half thickness, and the way its hairs grow (degrees from outwards to up), mm
BROW = np.array(
    [
        [12.0, 20.6, 1.5, 60], [16.5, 21.7, 2.5, 44], [23, 23.0, 2.9, 25], [30, 24.2, 2.8, 14], [37, 24.8, 2.4, 5],
        [44, 24.1, 1.8, -8], [50, 22.2, 1.3, -24], [56, 18.6, 0.5, -36],
    ]
)  # fmt: skip
HAIRS = ((-0.62, 16), (0.05, 17), (0.6, 15))
"""Where the roots of the loose hairs stand across the brow (-1 lower edge, 1 upper edge), and how many there are."""
STATIONS = 17


def brow(skin: Skin) -> tuple[Floats, Ints, Floats, Ints]:
    """A soft body with loose hairs over it: points (N, 3) mm, triangles, colours, the skin vertex each rides on."""
    body, body_lift = _body()
    hairs, hairs_lift, tone = _hairs()
    points, rides = _on_skin(np.concatenate([body, hairs]), skin, np.concatenate([body_lift, hairs_lift]))
    first = len(body) + 4 * np.arange(len(hairs) // 4)[:, None]
    faces = np.concatenate([sheet(STATIONS, 5)[:, ::-1], first + [0, 1, 2], first + [1, 3, 2]])
    shade = np.concatenate([np.full(len(body), 0.8), np.repeat(tone, 4)])
    return points, faces, shade[:, None] * [0.74, 0.72, 0.72], rides


def _body() -> tuple[Floats, Floats]:
    """(N, 2) places and (N,) heights over the skin, row by row across the brow; its edges sink into the skin."""
    t = np.linspace(0.015, 0.99, STATIONS)
    x, y, half, _ = (_curve(BROW[:, i], t) for i in range(4))
    across = np.array([-1.0, -0.55, 0.0, 0.55, 1.0])
    half = 0.88 * half * np.interp(t, [0, 0.16, 1], [0.25, 1, 1])
    flat = np.stack(
        [x[:, None] - np.gradient(y, x)[:, None] * half[:, None] * across, y[:, None] + half[:, None] * across], -1
    )
    lift = np.array([-0.25, 0.45, 0.7, 0.45, -0.25]) * np.interp(t, [0, 0.14, 0.9, 1], [-0.1, 1, 1, 0.2])[:, None]
    return flat.reshape(-1, 2), lift.reshape(-1)


def _hairs() -> tuple[Floats, Floats, Floats]:
    """(4 H, 2) places and (4 H,) heights of H slim lozenges, root to tip, and (H,) their tone."""
    t = np.concatenate([(np.arange(n) + 0.3 * row) / n * 0.96 for row, (_, n) in enumerate(HAIRS)])
    number = np.arange(len(t))
    across = np.concatenate([np.full(n, at) for at, n in HAIRS]) + 0.16 * np.sin(5.1 * number)
    x, y, half, grow = (_curve(BROW[:, i], t) for i in range(4))
    root = np.stack([x, y + 0.8 * half * across], -1)
    angle = np.radians(0.85 * grow + 6 * np.sin(3.7 * number) - 12 * across)
    long = (5.2 + 1.6 * np.sin(np.pi * t)) * (1 + 0.12 * np.sin(7.3 * number))
    way = np.stack([np.cos(angle), np.sin(angle)], -1) * long[:, None]
    side = np.stack([-np.sin(angle), np.cos(angle)], -1) * 0.42
    flat = np.stack([root, root + 0.45 * way - side, root + 0.45 * way + side, root + way], 1)
    lift = np.tile([0.2, 0.85, 0.85, 0.3], len(t))
    return flat.reshape(-1, 2), lift, 0.95 + 0.2 * np.sin(2.9 * number)


def _curve(knots: Floats, t: Floats) -> Floats:
    """A smooth curve near evenly spaced `knots` at `t` in 0..1."""
    fine = np.interp(np.linspace(0, 1, 101), np.linspace(0, 1, len(knots)), knots)
    padded = np.concatenate([2 * fine[0] - fine[8:0:-1], fine, 2 * fine[-1] - fine[-2:-10:-1]])
    return np.interp(t, np.linspace(0, 1, 101), np.convolve(padded, np.full(17, 1 / 17), "valid"))


def _on_skin(flat: Floats, skin: Skin, lift: Floats) -> tuple[Floats, Ints]:
    """Points (N, 3) `lift` mm over the front of the skin at `flat` (N, 2), and the skin vertex nearest to each."""
    normals = skin.normals()
    bare = (skin.mouth_ring < 0.5) & (skin.eye_ring > 3.5)
    front = np.flatnonzero((skin.points[:, 2] > 30) & (skin.points[:, 1] > 5) & (normals[:, 2] > 0.15) & bare)
    gap = ((skin.points[front, :2][None] - flat[:, None]) ** 2).sum(-1)
    rides = front[(gap + 1e4 * (skin.eye_ring[front] < 5.6)).argmin(1)]
    close = np.exp(-gap / 8.0)
    close /= close.sum(1, keepdims=True)
    p, n = skin.points[front], normals[front]
    away = flat[:, None] - p[None, :, :2]
    z = (close * (p[None, :, 2] - (n[None, :, :2] * away).sum(-1) / n[None, :, 2])).sum(1)
    normal = close @ n
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    return np.column_stack([flat, z]) + normal * lift[:, None], rides


def upper_margin(skin: Skin) -> Ints:
    """Skin vertices of the left upper lid's edge, from the inner corner to the outer one."""
    ring = np.flatnonzero((np.abs(skin.eye_ring - 2.0) < 1e-6) & (skin.points[:, 0] > 0))
    p = skin.points[ring]
    inner, outer = p[p[:, 0].argmin()], p[p[:, 0].argmax()]
    line = np.interp(p[:, 0], [inner[0], outer[0]], [inner[1], outer[1]])
    upper = ring[p[:, 1] >= line - 1e-9]
    return upper[np.argsort(skin.points[upper, 0])]


def lashes(skin: Skin) -> tuple[Floats, Ints, Floats, Ints]:
    """Upper lashes of the left eye as one tapering blade: points, triangles, colours, skin vertex under each."""
    upper = upper_margin(skin)
    p = skin.points[upper]
    s: Floats = (p[:, 0] - p[0, 0]) / (p[-1, 0] - p[0, 0])
    long: Floats = np.interp(s, [0, 0.12, 0.5, 0.82, 1], [0.1, 0.4, 1.25, 2.0, 0.8])
    way = np.stack([0.8 * (s - 0.42), 0.42 + 0.2 * s, 0.85 - 0.15 * s], 1)
    way /= np.linalg.norm(way, axis=1, keepdims=True)
    thick: Floats = np.interp(s, [0, 0.1, 0.5, 0.9, 1], [0.05, 0.2, 0.36, 0.45, 0.2])[:, None] * [0.0, 1.0, 0.15]
    points = np.concatenate([p + [0, -0.12, -0.3], p + way * long[:, None] + [0, 0.25, 0], p + thick])
    count = len(upper)
    faces = sheet(3, count)
    closing = faces[: 2 * (count - 1)] % count
    low = faces[: 2 * (count - 1)] < count
    under = np.where(low, closing + 2 * count, closing)
    return points, np.concatenate([faces, under]), np.ones_like(points), np.tile(upper, 3)
