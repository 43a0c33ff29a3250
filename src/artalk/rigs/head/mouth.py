"""Teeth with gums, and the tongue."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
HALF = np.array([4.3, 3.4, 3.9, 3.6, 3.5, 4.6, 4.4])   # half widths of the teeth from the middle outwards, mm
PER_TOOTH = 3


def _sheet(rows: int, columns: int) -> Ints:
    faces = []
    for r in range(rows - 1):
        for k in range(columns - 1):
            a, b, c, d = r * columns + k, r * columns + k + 1, (r + 1) * columns + k + 1, (r + 1) * columns + k
            faces += [[a, d, c], [a, c, b]]
    return np.array(faces)


def teeth(upper: bool) -> tuple[Floats, Ints, Floats]:
    """One arch: (N, 3) mm, triangles, and (N,) 0 for gum to 1 for tooth."""
    width = 2 * HALF * (1.0 if upper else 0.86)
    edges = np.concatenate([[0], np.cumsum(width)])
    half = np.concatenate([edges[i] + width[i] * np.arange(PER_TOOTH) / PER_TOOTH for i in range(len(width))] + [edges[-1:]])
    s = np.concatenate([-half[:0:-1], half])
    inside = np.concatenate([np.tile(np.arange(PER_TOOTH) / PER_TOOTH, len(width)), [1.0]])
    inside = np.concatenate([inside[:0:-1], inside])
    number = np.concatenate([np.repeat(np.arange(len(width)), PER_TOOTH), [len(width) - 1]])
    number = np.concatenate([number[:0:-1], number])
    belly = np.sqrt(np.clip(1 - (2 * inside - 1) ** 4, 0, 1))
    a = s / 31.0 if upper else s / 29.0
    arch_x, arch_z = (25.0, 33.0) if upper else (22.4, 29.6)
    back = 61.0
    normal = np.stack([np.sin(a) * arch_z, 0 * a, np.cos(a) * arch_x], 1)
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    base = np.stack([arch_x * np.sin(a), 0 * a, back + arch_z * np.cos(a)], 1)
    length = np.interp(number, range(7), [9.6, 8.6, 9.4, 8.2, 7.6, 7.0, 6.6] if upper else [8, 8.2, 9, 8.2, 7.4, 7, 6.6])
    way = -1.0 if upper else 1.0
    gum = -61.6 if upper else -78.2
    # profile rows: distance along the tooth, outward offset, how much is tooth
    profile = [(-8.0, -1.0, 0), (-3.0, 1.0, 0), (-0.4, 1.0, 0), (0.0, 0.2, 1), (0.35, 0.9, 1), (0.75, 0.8, 1), (0.97, 0.2, 1),
               (1.0, -1.2, 1), (0.3, -4.2, 1)]
    points, tooth = [], []
    for along, out, is_tooth in profile:
        scallop = 1.1 * (1 - belly)
        inner = along >= 0.0
        y = gum + way * (along * length * (1 - 0.07 * (1 - belly)) if inner else along) + (way * scallop if -0.5 < along < 0.1 else 0)
        valley = (1.2 * (1 - belly)) if is_tooth and out > -2 else 0.35 * (1 - belly)
        points.append(base + normal * (out - valley)[:, None] + np.stack([0 * a, y + 0 * a, 0 * a], 1))
        tooth.append(np.full(len(s), float(is_tooth)))
    faces = _sheet(len(profile), len(s))
    return np.concatenate(points), faces if upper else faces[:, ::-1], np.concatenate(tooth)


def tongue() -> tuple[Floats, Ints, Floats]:
    """(N, 3) mm, triangles, colours that multiply the tongue's."""
    rows, around = 11, 16
    points, shade = [], []
    for i in range(rows):
        t = i / (rows - 1)
        z = 36 + 51 * np.sin(t * np.pi / 2)
        width = 19.0 * np.sqrt(max(1 - (max(t - 0.35, 0) / 0.65) ** 3.2, 0)) + 0.05
        tall = 5.2 * np.sqrt(max(1 - t**6, 0)) + 0.05
        middle = -80.5 + 2.5 * t - 3.0 * (1 - t) ** 2
        phi = 2 * np.pi * np.arange(around) / around
        x = width * np.cos(phi)
        groove = -1.3 * np.exp(-((x / 3.5) ** 2)) * (np.sin(phi) > 0.3) * (1 - t**3)
        points.append(np.stack([x, middle + tall * np.sin(phi) + groove, z + 0 * x], 1))
        shade.append(np.full((around, 3), 0.45 + 0.55 * t))
    faces = []
    for i in range(rows - 1):
        for k in range(around):
            n = (k + 1) % around
            a, b, c, d = i * around + k, i * around + n, (i + 1) * around + n, (i + 1) * around + k
            faces += [[a, b, c], [a, c, d]]
    return np.concatenate(points), np.array(faces), np.concatenate(shade)
