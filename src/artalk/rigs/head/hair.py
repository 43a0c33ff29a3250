"""Short hair, swept back from the forehead: a shell round the skull whose surface is combed into locks."""

import numpy as np
from numpy.typing import NDArray

from artalk.rigs.head.part import Floats, Ints, sheet

CENTRE = np.array([0.0, 26.0, -6.0])
ACROSS = 68
"""Lines of the half shell, front midline to back midline; each runs from the hairline to the crown."""
ALONG = 15
CROWN = np.radians(62.0)
"""Elevation of the whorl, at the back of the head."""

# The hairline, as azimuth and elevation (degrees) seen from the centre: forehead, temple, sideburn, ear, nape.
HAIRLINE = np.array(
    [
        [0, 19.4], [10, 20.8], [20, 23.3], [29, 24.6], [37, 22.4], [44, 17.2], [50, 11.0], [55, 4.5], [60, -4.0],
        [65, -13.0], [70, -18.5], [76, -18.0], [82, -12.0], [90, -5.5], [99, -6.5], [107, -13.0], [114, -24.0],
        [122, -33.0], [135, -39.0], [155, -43.5], [180, -45.0],
    ]
)  # fmt: skip


def hair(skull: Floats) -> tuple[Floats, Ints, Floats]:
    """Half of the shell (x >= 0): points (N, 3) mm, triangles (F, 3), colours (N, 3); midline points have x = 0.

    `skull` are skin points of the head above the neck (N, 3), whose form the hair follows.
    """
    line = np.linspace(0, 1, ACROSS)
    v = np.linspace(0, 1, ALONG) ** 1.3
    azimuth = np.radians(np.interp(line, [0, 0.4, 0.68, 1], [0, 48, 106, 180]))
    ridge, fine = _locks(line[:, None], v[None])
    front = np.exp(-((azimuth / 0.8) ** 4))
    broken = (0.8 + 1.6 * front) * ridge[:, 0]
    start = _direction(azimuth, np.radians(_smooth_hairline(np.degrees(azimuth)) - broken))
    direction = _between(start, np.array([0.0, np.sin(CROWN), -np.cos(CROWN)]), v)
    fade = np.clip((1 - v) / 0.3, 0, 1) * np.clip(v / 0.1, 0.35, 1)
    deep = 2.2 + 2.2 * front[:, None] * np.exp(-(((v - 0.2) / 0.3) ** 2))
    thick = _volume(azimuth[:, None], v[None]) + fade * (deep * ridge + 0.6 * fine)
    thick[:, 0] = -2.0
    points = CENTRE + direction * (_distance(direction, skull) + thick)[..., None]
    points[[0, -1], :, 0] = 0.0
    points[:, -1] = points[:, -1].mean(0) * [0, 1, 1]
    faces = sheet(ACROSS, ALONG)[:, ::-1]
    at_crown = (faces % ALONG == ALONG - 1).sum(1) > 1
    return points.reshape(-1, 3), faces[~at_crown], _shade(ridge, fine, v).reshape(-1, 3)


def _direction(azimuth: Floats, elevation: Floats) -> Floats:
    flat = np.cos(elevation)
    return np.stack([np.sin(azimuth) * flat, np.sin(elevation), np.cos(azimuth) * flat], -1)


def covered(points: Floats, margin: float) -> NDArray[np.bool_]:
    """(N,) which points lie under the hair, more than `margin` degrees inside the hairline."""
    away = points - CENTRE
    azimuth = np.degrees(np.arctan2(np.abs(away[:, 0]), away[:, 2]))
    elevation = np.degrees(np.arctan2(away[:, 1], np.hypot(away[:, 0], away[:, 2])))
    return elevation > _smooth_hairline(azimuth) + margin


def _smooth_hairline(degrees: Floats) -> Floats:
    fine = np.linspace(0, 180, 361)
    height = np.interp(fine, HAIRLINE[:, 0], HAIRLINE[:, 1])
    window: Floats = np.hanning(17)
    padded = np.concatenate([height[8:0:-1], height, height[-2:-10:-1]])
    smooth: Floats = np.lib.stride_tricks.sliding_window_view(padded, 17) @ (window / window.sum())
    height = np.interp(degrees, fine, smooth)
    return height


def _between(start: Floats, end: Floats, share: Floats) -> Floats:
    """Great circles from unit `start` (A, 3) to unit `end` (3,) at `share` (B,): (A, B, 3)."""
    angle = np.arccos(np.clip(start @ end, -1, 1))[:, None]
    a: Floats = np.sin((1 - share) * angle) / np.sin(angle)
    b: Floats = np.sin(share * angle) / np.sin(angle)
    return a[..., None] * start[:, None] + b[..., None] * end


def _distance(direction: Floats, skull: Floats) -> Floats:
    """Distance from the centre to the skull along unit `direction` (..., 3), smoothed over the neighbourhood."""
    away = skull - CENTRE
    distance = np.linalg.norm(away, axis=1)
    close = np.exp((direction.reshape(-1, 3) @ (away / distance[:, None]).T - 1) / 0.0035)
    return ((close @ distance) / close.sum(1)).reshape(direction.shape[:-1])


def _locks(line: Floats, v: Floats) -> tuple[Floats, Floats]:
    """Rounded locks with narrow valleys, -0.5 to 0.5, and the strands in them; the locks sway on their way back."""
    sway = 0.03 * np.sin(2.6 * v - 0.2) * np.sin(np.pi * line)
    phase = 13.0 * (line + sway)
    phase = phase + 0.24 * np.sin(1.9 * phase + 0.6) + 0.2 * np.sin(0.83 * phase)
    wave = np.abs(np.cos(np.pi * phase))
    strand = np.sin(2.4 * np.arange(len(line))) * np.sin(1.1 * np.arange(len(line)) + 0.4)
    return np.sqrt(wave + 0.02) - 0.65, strand[:, None] + 0 * v


def _volume(azimuth: Floats, v: Floats) -> Floats:
    """Thickness over the skull in mm: full over the forehead and on top, close at the sides and the nape."""
    front = np.exp(-((azimuth / 0.72) ** 4))
    back = np.clip(-np.cos(azimuth), 0, 1)
    side = 1 - front - back * (1 - front)
    rise = 1 - np.exp(-v / (0.045 * front + 0.10 * side + 0.34 * back + 0.01))
    quiff = front * 7.5 * np.exp(-(((v - 0.16) / 0.22) ** 2))
    top = 12.0 * front + (7.0 + 5.5 * v) * side + (9.0 + 3.0 * v) * back
    crown = 11.5
    blend = np.clip(v, 0, 1) ** 3
    return 1.0 + rise * (top * (1 - blend) + crown * blend) + quiff * rise


def _shade(ridge: Floats, fine: Floats, v: Floats) -> Floats:
    root = 0.55 + 0.45 * np.clip(v / 0.16, 0, 1)
    light = (0.95 + 0.95 * ridge + 0.26 * fine) * root
    return np.repeat(light[..., None], 3, axis=2)
