"""The left ear: a polar sheet with helix, groove, antihelix, bowl, tragus and lobe; its back tucks into the head."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
SPOKES = 24
RHO = [0.0, 0.18, 0.34, 0.46, 0.56, 0.66, 0.76, 0.84, 0.91, 0.97, 1.0, 0.97, 0.84, 0.6]
CENTRE = np.array([70.3, -14.0, -4.0])


def _bump(x: Floats, at: float, width: float) -> Floats:
    return np.exp(-(((x - at) / width) ** 2))


def _wrapped(angle: Floats, at: float, width: float) -> Floats:
    return np.exp(-((np.angle(np.exp(1j * (angle - at))) / width) ** 2))


def ear() -> tuple[Floats, NDArray[np.int64], Floats]:
    """Points (N, 3) mm, triangles (F, 3), colours (N, 3) that multiply the skin's."""
    theta = 2 * np.pi * np.arange(SPOKES) / SPOKES  # 0 forward, pi/2 up
    points, shade = [], []
    for level, rho in enumerate(RHO):
        front = level <= 10
        # outline: wide top, narrower lobe, straight front
        tall = np.where(np.sin(theta) > 0, 30.0, 33.0)
        deep = np.where(np.cos(theta) < 0, 23.0 - 7.0 * np.clip(-np.sin(theta), 0, 1), 13.0 - 2.0 * np.sin(theta))
        z = rho * deep * np.cos(theta)
        y = rho * tall * np.sin(theta)
        r = np.full_like(theta, rho)
        lobe = _wrapped(theta, -np.pi / 2, 0.55)
        frontal = _wrapped(theta, 0.0, 0.75)
        rim = 1 - 0.75 * lobe - 0.8 * frontal
        height = (
            4.2 * _bump(r, 0.93, 0.09) * rim
            - 2.2 * _bump(r, 0.78, 0.09) * rim
            + 2.6 * _bump(r, 0.58, 0.12) * (1 - _wrapped(theta, -0.2, 1.1)) * (1 - 0.6 * lobe)
            - 6.0 * np.exp(-((r / 0.42) ** 4))
            + 4.8 * _bump(r, 0.55, 0.16) * _wrapped(theta, -0.15, 0.42)
            + 1.2 * lobe * _bump(r, 0.75, 0.25)
        )
        if not front:
            height = np.interp(rho, [0.6, 0.84, 0.97, 1.0], [-12.0, -3.5, 0.4, 1.6]) + 0 * theta
        flare = 0.34 * (13.0 - z) - 2.3 + 0.03 * (y + 10)
        points.append(np.stack([flare + height, y, z - 0.22 * y * -1.0 * 0.6], axis=1))
        dark = 1 - 0.6 * np.exp(-((rho / 0.42) ** 4)) - 0.3 * float(_bump(np.array(rho), 0.78, 0.08)) * rim if front else 0.6 + 0 * theta
        shade.append(np.stack([dark, dark * 0.93, dark * 0.92], axis=1))
    grid = np.concatenate(points) + CENTRE
    faces = []
    for r in range(len(RHO) - 1):
        for k in range(SPOKES):
            n = (k + 1) % SPOKES
            a, b, c, d = r * SPOKES + k, r * SPOKES + n, (r + 1) * SPOKES + n, (r + 1) * SPOKES + k
            faces += [[a, b, c], [a, c, d]]
    return grid, np.array(faces), np.concatenate(shade)
