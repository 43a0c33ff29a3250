"""Eyeballs: spheres with a cornea-like bulge, rings dense enough for a sharp limbus."""

import numpy as np
from numpy.typing import NDArray

from artalk.rigs.head.cage import EYE, EYE_RADIUS

Floats = NDArray[np.float64]
SPOKES = 28
IRIS = 0.485   # angle of the limbus from the axis, radians (6.5 mm on a 14.2 mm ball)
PUPIL = 0.19
ANGLES = [0.06, 0.13, PUPIL, 0.205, 0.27, 0.34, 0.41, 0.455, IRIS, 0.50, 0.56, 0.7, 0.9, 1.15, 1.6]


def eyeball() -> tuple[Floats, NDArray[np.int64], Floats]:
    """The left eyeball: (N, 3) mm, (F, 3) triangles, (N, 3) colour."""
    around = 2 * np.pi * np.arange(SPOKES) / SPOKES
    points, colors = [EYE + [0, 0, EYE_RADIUS + 0.55]], [[0.006, 0.005, 0.005]]
    for angle in ANGLES:
        bulge = 0.55 * np.clip(1 - (angle / 0.56) ** 2, 0, 1)
        r = EYE_RADIUS + bulge
        for phi in around:
            points.append(EYE + r * np.array([np.sin(angle) * np.cos(phi), np.sin(angle) * np.sin(phi), np.cos(angle)]))
            colors.append(list(np.array(_color(angle, phi)) * _lid_shade(angle, phi)))
    points.append(EYE - [0, 0, EYE_RADIUS])
    colors.append([0.5, 0.3, 0.3])
    return np.array(points), _fan_rings(len(ANGLES)), np.array(colors)


def _lid_shade(angle: float, phi: float) -> float:
    up = EYE_RADIUS * np.sin(angle) * np.sin(phi)
    t = np.clip((up - 2.0) / 6.0, 0, 1)
    return float(1 - 0.5 * t * t * (3 - 2 * t))


def _color(angle: float, phi: float) -> list[float]:
    if angle <= PUPIL:
        return [0.006, 0.005, 0.005]
    if angle <= IRIS - 0.001:
        t = (angle - PUPIL) / (IRIS - PUPIL)
        inner, outer = np.array([0.20, 0.085, 0.026]), np.array([0.085, 0.036, 0.014])
        fibre = 1 + 0.22 * np.sin(11 * phi) * np.sin(7 * phi + 1)
        light = 1.0 - 0.55 * np.sin(phi)      # the lower half of an iris catches the light
        edge = 0.35 if angle > 0.44 else 1.0
        return list((inner + (outer - inner) * t) * fibre * light * edge)
    if angle < 0.49:
        return [0.03, 0.022, 0.018]
    pink = np.clip((angle - 0.8) / 0.8, 0, 1)
    shade = 0.45 if angle < 0.51 else 1.0
    return list(np.array([0.74, 0.72, 0.70]) * (1 - pink) * shade + np.array([0.7, 0.45, 0.42]) * pink)


def _fan_rings(rings: int) -> NDArray[np.int64]:
    faces = []
    for k in range(SPOKES):
        n = (k + 1) % SPOKES
        faces.append([0, 1 + k, 1 + n])
        for r in range(rings - 1):
            a, b = 1 + r * SPOKES + k, 1 + r * SPOKES + n
            faces += [[a, a + SPOKES, b + SPOKES], [a, b + SPOKES, b]]
        last = 1 + (rings - 1) * SPOKES
        faces.append([last + k, last + SPOKES, last + n])
    return np.array(faces)
