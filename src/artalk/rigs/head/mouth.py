"""Teeth with gums, and the tongue."""

import numpy as np

from artalk.rigs.head.part import Floats, Ints, sheet

WIDTH = np.array([8.4, 6.8, 7.6, 7.0, 6.8, 9.2, 8.8])
"""Widths of the upper teeth from the middle outwards, mm."""
LOWER = 0.86
"""Size of the lower teeth to the upper ones."""
UPPER_LENGTH = [9.7, 9.3, 9.6, 9.0, 8.5, 7.9, 7.4]
LOWER_LENGTH = [8.5, 8.5, 8.7, 8.4, 8.1, 7.8, 7.4]
SHADE = {True: 1.0, False: 0.86}
"""Upper teeth stand in the light, lower ones in the lip's shadow."""
INSIDE = np.array([0.0, 0.11, 0.89])
"""Where the columns stand in the width of a tooth: the gap, then the two shoulders of its flat front."""

# Rows from the gum over the front to the back of a tooth: distance along it (mm above its neck, then in tooth
# lengths), outwards offset (mm), 1 where it is tooth, openness to the light.
PROFILE = (
    (-6.5, -0.8, 0, 0.70), (-1.2, 0.9, 0, 0.90), (0.0, 0.35, 1, 0.80), (0.3, 0.95, 1, 0.96), (0.92, 0.45, 1, 1.0),
    (1.0, -1.2, 1, 0.92), (0.4, -3.4, 1, 0.70), (-2.5, -4.6, 0, 0.50),
)  # fmt: skip


def teeth(upper: bool) -> tuple[Floats, Ints, Floats, Floats]:
    """One arch: (N, 3) mm, triangles, (N,) 0 for gum to 1 for tooth, (N,) shade."""
    along_arch, gap, number = _columns(1.0 if upper else LOWER)
    angle = along_arch / (31.0 if upper else 29.0)
    wide, deep = (25.0, 33.0) if upper else (22.4, 29.6)
    normal = np.stack([np.sin(angle) * deep, 0 * angle, np.cos(angle) * wide], 1)
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    base = np.stack([wide * np.sin(angle), 0 * angle, 61.0 + deep * np.cos(angle)], 1)
    length = np.interp(number, np.arange(7), UPPER_LENGTH if upper else LOWER_LENGTH)
    thick = np.interp(number, [1, 4], [1.0, 1.5])
    way, neck = (-1.0, -61.6) if upper else (1.0, -77.0)
    points: list[Floats] = []
    shade: list[Floats] = []
    for along, out, is_tooth, light in PROFILE:
        step = along * length * (1 - (0.045 if along > 0.5 else 0.03) * gap) if along >= 0 else along + 0 * gap
        scallop = (1.0 if is_tooth and along == 0 else 0.4 if along > -2 and not is_tooth else 0.0) * gap
        height = neck + way * (step + scallop)
        offset = (out * thick if out < -1 else out + 0 * gap) - (0.35 if is_tooth and out > -2 else 0.2) * gap
        points.append(base + normal * offset[:, None] + height[:, None] * [0.0, 1.0, 0.0])
        shade.append(SHADE[upper] * light * (1 - (0.26 if is_tooth else 0.08) * gap))
    faces = sheet(len(PROFILE), len(angle))
    kind = np.repeat([float(row[2]) for row in PROFILE], len(angle))
    return np.concatenate(points), faces[:, ::-1] if upper else faces, kind, np.concatenate(shade)


def _columns(size: float) -> tuple[Floats, Floats, Floats]:
    """Along the whole arch: distance from the middle (mm), 1 at gaps between teeth, and the tooth's number."""
    width = size * WIDTH
    start = np.concatenate([[0], np.cumsum(width)])
    half = np.concatenate([(start[:-1, None] + width[:, None] * INSIDE).reshape(-1), start[-1:]])
    gap = np.concatenate([np.tile(INSIDE == 0, len(width)).astype(float), [1.0]])
    number = np.concatenate([np.repeat(np.arange(len(width)), len(INSIDE)), [len(width) - 1]]).astype(float)
    return (
        np.concatenate([-half[:0:-1], half]),
        np.concatenate([gap[:0:-1], gap]),
        np.concatenate([number[:0:-1], number]),
    )


def tongue() -> tuple[Floats, Ints, Floats]:
    """(N, 3) mm, triangles, colours that multiply the tongue's: at rest, its back arched, its tip behind the teeth."""
    rows, around = 12, 16
    t = np.arange(rows)[:, None] / (rows - 1)
    phi = 2 * np.pi * np.arange(around)[None] / around
    wide = 17.2 * np.sqrt(np.maximum(1 - (np.maximum(t - 0.3, 0) / 0.7) ** 2.6, 0)) + 0.05
    tall = 5.2 * np.sqrt(np.maximum(1 - t**6, 0)) + 0.05
    middle = -72.2 + 4.0 * np.sin(np.pi * (0.12 + 0.60 * t)) - 5.0 * (1 - t) ** 2
    x = wide * np.cos(phi)
    groove = -1.5 * np.exp(-((x / 5.0) ** 2)) * (np.sin(phi) > 0.3) * (1 - t**8)
    z = 36 + 45.5 * np.sin(t * np.pi / 2)
    points = np.stack([x, middle + tall * np.sin(phi) + groove, z + 0 * x], -1)
    shade = (0.35 + 0.65 * t) * (0.9 + 0.1 * np.sin(phi)) * (1 + 0.24 * groove)
    colors = shade.reshape(-1, 1) ** [0.8, 1.0, 1.0]
    return points.reshape(-1, 3), sheet(rows, around, closed=True), colors
