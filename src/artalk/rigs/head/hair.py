"""Short hair: a shell round the skull, combed into clumps, with a broken hairline."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
CENTRE = np.array([0.0, 26.0, -6.0])
AROUND = 47   # half turn, front midline to back midline
UP = 14


def _direction(azimuth: Floats, elevation: Floats) -> Floats:
    return np.stack([np.sin(azimuth) * np.cos(elevation), np.sin(elevation), np.cos(azimuth) * np.cos(elevation)], -1)


def _skull(direction: Floats, skin: Floats) -> Floats:
    """Distance from the centre to the skin along unit `direction` (..., 3), smoothed over the neighbourhood."""
    away = skin - CENTRE
    distance = np.linalg.norm(away, axis=1)
    unit = away / distance[:, None]
    close = np.exp((direction.reshape(-1, 3) @ unit.T - 1) / 0.0035)
    return ((close @ distance) / close.sum(1)).reshape(direction.shape[:-1])


def hair(skin: Floats) -> tuple[Floats, NDArray[np.int64], Floats]:
    """Half of the shell (x >= 0): points (N, 3) mm, triangles (F, 3), colours (N, 3); midline points have x = 0.

    `skin` are skin points of the head above the neck (N, 3), whose form the hair follows.
    """
    azimuth = np.radians(np.interp(np.linspace(0, 1, AROUND), [0, 0.2, 0.62, 1], [0, 36, 108, 180]))
    degrees = np.degrees(azimuth)
    # hairline elevation round the head: fringe, temple, sideburn, over the ear, nape
    line = np.radians(np.interp(degrees, [0, 14, 28, 42, 54, 63, 70, 78, 88, 100, 112, 122, 135, 155, 180],
                                [33, 34, 34.5, 31, 20, 3, -13, -17, -12, -10, -16, -29, -36, -39, -40]))
    v = np.linspace(0, 1, UP) ** 1.15
    clumps = 15
    # clumps lean backwards as they rise and are of uneven width
    az = azimuth[:, None] + 0 * v
    el = line[:, None] + (np.pi / 2 - line[:, None]) * v
    lean = (az + 0.5 * v * np.sin(az)) * clumps / np.pi
    lean = lean + 0.35 * np.sin(1.7 * lean + 0.8) + 0.2 * np.sin(0.9 * lean)
    ridge = np.sqrt(np.cos(np.pi * lean) ** 2 + 0.01)          # round locks with sharp valleys
    fine = np.abs(np.cos(np.pi * lean * 3 + 0.6))
    tip = np.radians(2.6) * (ridge[:, :1] - 0.55) * np.interp(degrees, [0, 50, 70, 180], [0.8, 0.2, 0.1, 0.05])[:, None]
    el = el - tip * np.clip(1 - v / 0.35, 0, 1)
    direction = _direction(az, el)
    skull = _skull(direction, skin)
    top = np.clip(np.sin(el), 0, 1)
    front = np.exp(-((az / 0.95) ** 2))
    back = np.clip(-np.cos(az), 0, 1)
    full = 5.5 + 6.0 * top - 1.5 * front * np.exp(-(((v - 0.18) / 0.28) ** 2)) + 1.5 * back + 2.0 * np.sin(az)
    taper = 1 - np.exp(-v / (0.055 + 0.2 * back))
    pole = 1 - v**6
    thick = full * taper + (1.9 * ridge * (0.35 + taper) + 0.55 * fine * taper) * pole + np.where(v < 0.001, -2.5, 1.8)
    points = CENTRE + direction * (skull + thick)[..., None]
    points[0, :, 0] = 0.0
    points[-1, :, 0] = 0.0
    points[:, -1, 0] = 0.0
    points[:, -1] = points[:, -1].mean(0)
    shade = (0.62 + 0.42 * ridge + 0.12 * fine) * (0.62 + 0.38 * taper)
    colors = np.repeat(shade[..., None], 3, axis=2)
    faces = []
    for i in range(AROUND - 1):
        for j in range(UP - 1):
            a, b, c, d = i * UP + j, (i + 1) * UP + j, (i + 1) * UP + j + 1, i * UP + j + 1
            faces.append([a, b, c])
            if j < UP - 2:
                faces.append([a, c, d])
    return points.reshape(-1, 3), np.array(faces), colors.reshape(-1, 3)


# Curtain locks, front to back: start elevation, bend (azimuth, elevation), end (azimuth, elevation), degrees; width mm
LOCKS = [
    ((0.5, 39), (16, 45), (40, 7), 17), ((0.5, 44), (24, 49), (49, 1), 16), ((0.5, 51), (32, 54), (57, -6), 17), ((0.5, 58), (43, 58), (64, -13), 18),
    ((0.5, 65), (53, 62), (71, -17), 18), ((2, 73), (64, 64), (78, -14), 18), ((2, 80), (84, 66), (94, 6), 19),
]
STATIONS = 10


def locks(skin: Floats) -> tuple[Floats, NDArray[np.int64], Floats]:
    """Left curtain locks that fall from the middle parting: points (N, 3) mm, triangles, colours."""
    t = np.linspace(0, 1, STATIONS)
    points, faces, shade = [], [], []
    for number, (start, bend, end, width) in enumerate(LOCKS):
        az, el = (np.radians((1 - t) ** 2 * a + 2 * t * (1 - t) * b + t**2 * c) for a, b, c in zip(start, bend, end, strict=True))
        direction = _direction(az, el)
        lift = np.interp(t, [0, 0.2, 0.55, 0.85, 1], [11.5, 18.5, 17.0, 9.5, 3.0]) + 0.9 * (number % 2)
        path = CENTRE + direction * (_skull(direction, skin) + lift)[:, None]
        along = np.gradient(path, axis=0)
        along /= np.linalg.norm(along, axis=1, keepdims=True)
        side = np.cross(direction, along)
        side /= np.linalg.norm(side, axis=1, keepdims=True)
        half = 0.5 * width * np.interp(t, [0, 0.15, 0.5, 0.8, 1], [0.8, 1.0, 1.05, 0.8, 0.06])
        first = sum(len(p) for p in points)
        section = [(-1.0, -3.5), (-0.62, 0.9), (0.0, 1.9), (0.62, 0.9), (1.0, -3.5)]
        for a, h in section:
            tall = h * np.interp(t, [0, 0.7, 1], [1.0, 1.0, 0.3])
            points.append(path + side * (a * half)[:, None] + direction * tall[:, None])
            shade.append(np.repeat((np.interp(h, [-3.5, 0.9, 1.9], [0.55, 0.92, 1.12]) * np.interp(t, [0, 0.2, 1], [0.7, 1, 0.85]))[:, None], 3, 1))
        for s in range(4):
            for k in range(STATIONS - 1):
                a, b = first + s * STATIONS + k, first + (s + 1) * STATIONS + k
                faces += [[a, b + 1, b], [a, a + 1, b + 1]]
    return np.concatenate(points), np.array(faces), np.concatenate(shade)
