"""Eyeballs: spheres with a cornea-like bulge, rings dense enough for a sharp limbus; and the pink inner corner."""

import numpy as np

from artalk.rigs.head.cage import EYE, EYE_RADIUS, step
from artalk.rigs.head.part import Floats, Ints, sheet
from artalk.rigs.head.skin import Skin

SPOKES = 36
IRIS = 0.505
"""Angle of the limbus from the axis, radians."""
PUPIL = 0.19
ANGLES = [0.10, PUPIL, 0.205, 0.26, 0.32, 0.385, 0.44, 0.48, IRIS, 0.525, 0.58, 0.77, 1.05, 1.6]
BULGE = 0.55
"""How far the cornea stands out, mm."""
VIEWER = 1200.0
"""How far away stands what both eyes look at, mm: parallel eyes look past a viewer at a portrait's distance."""


def eyeball() -> tuple[Floats, Ints, Floats]:
    """The left eyeball: (N, 3) mm, (F, 3) triangles, (N, 3) colour."""
    phi = 2 * np.pi * np.arange(SPOKES)[None] / SPOKES
    angle = np.array(ANGLES)[:, None] + 0 * phi
    radius = EYE_RADIUS + BULGE * np.clip(1 - (angle / 0.58) ** 2, 0, 1)
    way = np.stack([np.sin(angle) * np.cos(phi), np.sin(angle) * np.sin(phi), np.cos(angle)], -1)
    poles = np.array([[0, 0, EYE_RADIUS + BULGE], [0, 0, -EYE_RADIUS]])
    points = np.concatenate([poles[:1], (radius[..., None] * way).reshape(-1, 3), poles[1:]])
    points = EYE + points @ _inward(np.arctan2(EYE[0], VIEWER))
    inner = _iris(angle, phi + 0 * angle)
    painted = np.where((angle < IRIS - 1e-3)[..., None], inner, _sclera(angle)) * _lid_shade(angle, phi)[..., None]
    painted[angle <= PUPIL] = (0.006, 0.005, 0.005)
    colors = np.concatenate([[[0.006, 0.005, 0.005]], painted.reshape(-1, 3), [[0.5, 0.3, 0.3]]])
    return points, _faces(len(ANGLES)), colors


def _inward(angle: float) -> Floats:
    """(3, 3) what rows are multiplied with to turn the left eye towards the nose."""
    cos, sin = np.cos(angle), np.sin(angle)
    return np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]])


def _faces(rings: int) -> Ints:
    k = np.arange(SPOKES)
    n = (k + 1) % SPOKES
    last = 1 + (rings - 1) * SPOKES
    cap = np.stack([0 * k, 1 + k, 1 + n], 1)
    end = np.stack([last + k, 0 * k + last + SPOKES, last + n], 1)
    return np.concatenate([cap, sheet(rings, SPOKES, closed=True)[:, ::-1] + 1, end])


def _lid_shade(angle: Floats, phi: Floats) -> Floats:
    """The upper lid and its lashes shade the top of the eyeball; the lower lid hardly."""
    up = EYE_RADIUS * np.sin(angle) * np.sin(phi)
    return (1 - 0.62 * step(1.0, 7.6, up)) * (1 - 0.16 * step(-4.0, -8.0, up))


def _iris(angle: Floats, phi: Floats) -> Floats:
    """Brown with a warm collar round the pupil, radial fibres, lit from above on its lower half, dark at its edge."""
    t = np.clip((angle - PUPIL) / (IRIS - PUPIL), 0, 1)[..., None]
    warm, brown = np.array([0.30, 0.125, 0.032]), np.array([0.115, 0.048, 0.018])
    fibre = 1 + 0.26 * np.sin(18 * phi + 0.3) * np.sin(5 * phi + 1.1) + 0.16 * np.sin(9 * phi + 14 * angle)
    light = 1.0 - 0.55 * np.sin(phi)
    edge = 1 - 0.72 * step(0.44, 0.488, angle)
    near = 1 - 0.5 * step(0.215, 0.195, angle)
    return (warm + (brown - warm) * t**0.8) * (fibre * light * edge * near)[..., None]


def _sclera(angle: Floats) -> Floats:
    """Off-white, pinker towards the corners, with a soft dark limbus."""
    pink = np.clip((angle - 0.72) / 0.75, 0, 1)[..., None]
    limbus = (1 - 0.95 * step(0.536, 0.504, angle) - 0.12 * step(0.60, 0.52, angle))[..., None]
    return (np.array([0.72, 0.70, 0.68]) * (1 - pink) + np.array([0.66, 0.40, 0.37]) * pink) * np.maximum(limbus, 0.03)


def corner(skin: Skin) -> tuple[Floats, Ints, Floats, Ints]:
    """The caruncle of the left eye, a small wet bead: points, triangles, colours, skin vertex each rides on."""
    ring = np.flatnonzero((np.abs(skin.eye_ring - 2.0) < 1e-6) & (skin.points[:, 0] > 0))
    canthus = int(ring[skin.points[ring, 0].argmin()])
    rows, around = 5, 8
    angle = np.pi * np.arange(rows)[:, None] / (rows - 1)
    phi = 2 * np.pi * np.arange(around)[None] / around
    bead = np.stack([-np.cos(angle) + 0 * phi, np.sin(angle) * np.cos(phi), np.sin(angle) * np.sin(phi)], -1)
    points = skin.points[canthus] + np.array([2.6, 0.1, -1.4]) + bead * [3.0, 1.35, 1.6]
    flat = points.reshape(-1, 3)
    return flat, sheet(rows, around, closed=True), np.ones_like(flat), np.full(len(flat), canthus)
