"""The hand-placed control cage of half the face, in millimetres.

Origin: the middle between the ear canals, at the height of the eyes; x to the subject's left, y up, z forward.
The half head is a grid of columns (front midline to back midline) and rows (neck to crown) with two holes that
concentric rings fill: the eye (16 spokes) and the mouth (9 half spokes).
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

COLUMNS = 13
EYE = np.array([32.3, 0.0, 68.6])
"""Centre of the left eyeball."""
EYE_RADIUS = 16.0
TOP = (0.0, 117.0, -10.0)

# Each row from the front midline to the back midline; (x, y, z).
ROWS: list[list[tuple[float, float, float]]] = [
    # r0 neck base
    [(0, -200, 30), (13, -200, 29), (25, -200, 25), (35, -200, 19), (43, -200, 11), (50, -200, 0), (55, -200, -12),
     (58, -200, -24), (58, -200, -38), (54, -200, -53), (43, -200, -68), (24, -200, -78), (0, -200, -81)],
    # r1 neck middle
    [(0, -152, 27), (11, -152, 26), (21, -152, 22), (30, -151, 15.5), (37.5, -150, 7), (43.5, -149, -3),
     (47.5, -148, -14), (49.5, -146, -26), (49, -144, -38), (46, -142, -52), (36, -140, -66), (19, -138, -74),
     (0, -138, -76)],
    # r2 throat and under the jaw
    [(0, -119, 55), (10, -119, 54), (18, -118, 51), (25.5, -117, 45), (33, -115, 37), (39.5, -112, 27),
     (44.5, -108, 17), (48, -103, 6), (50, -98, -10), (50, -92, -36), (42, -84, -62), (23, -78, -77), (0, -76, -81)],
    # r3 lower edge of the jaw
    [(0, -113.5, 88), (9.5, -113.3, 87), (18.5, -112, 81.5), (27, -110, 72.5), (35, -107.5, 60), (42.5, -104, 46),
     (48.5, -99, 32), (53, -92, 18), (55, -80, 0), (54, -72, -34), (46, -64, -62), (26, -58, -79), (0, -56, -84)],
    # r4 chin front
    [(0, -102, 96), (9.5, -101.8, 95), (19, -101, 90), (28, -99.5, 81), (37, -97.5, 68.5), (45, -94.5, 53),
     (51.5, -90, 37), (56.5, -82, 21), (60, -68, 3), (62, -58, -30), (53, -48, -61), (30, -44, -81), (0, -42, -88)],
    # r5 fold between lip and chin
    [(0, -87, 93.5), (9.5, -87, 93), (19, -86.5, 90.5), (29.5, -85.5, 84.5), (40.5, -84, 73.5), (49, -82, 57.5),
     (55.5, -78, 41), (60, -71, 24), (63.5, -56, 6), (67, -44, -27), (58, -36, -60), (33, -32, -83), (0, -30, -91)],
    # r6 mouth corner
    [(0, 0, 0), (0, 0, 0), (0, 0, 0), (34.5, -69, 86), (45, -69.5, 76.5), (53, -68.5, 61), (59, -66, 45), (63, -60, 28),
     (66.5, -46, 9), (69.5, -34, -25), (60.5, -25, -60), (35, -21, -85), (0, -19, -93)],
    # r7 base of the nose
    [(0, -49.8, 100), (7, -49, 99), (13.8, -48, 95.0), (27.5, -53, 90.5), (42, -55.5, 82.5), (54, -54.5, 67),
     (61.5, -52, 49), (65.5, -47, 31), (68.5, -36, 11), (71.5, -24, -24), (62.5, -14, -60), (36, -10, -86), (0, -8, -95)],
    # r8 under the tip of the nose
    [(0, -45.0, 109.0), (6.2, -44.5, 105.5), (13.8, -42.5, 98.5), (21.8, -44, 89.6), (38, -44, 86), (52, -43, 72.5),
     (62, -40, 54), (67, -36, 35), (69.5, -27, 13), (72.8, -16, -24), (64, -5, -60), (37, 0, -87), (0, 2, -96)],
    # r9 tip of the nose and wings
    [(0, -37.0, 114.2), (6.8, -37.0, 110.2), (12.6, -34.5, 100.4), (20.8, -33.5, 89.2), (36, -33, 86.8), (50.5, -31.5, 76),
     (62, -28, 57.5), (67.8, -24, 38), (70, -18, 14), (73.6, -7, -24), (65, 4, -60), (37.5, 10, -88), (0, 12, -97)],
    # r10 lower rim of the orbit
    [(0, -24, 105.0), (5.4, -24, 101.8), (10.8, -23, 93.0), (21.5, -21, 86.5), (33, -22, 85.3), (47, -21, 78), (60, -16.5, 62),
     (67.5, -13, 41.5), (70.2, -9, 15), (74, 1, -24), (65.5, 13, -60), (38, 19, -89), (0, 21, -98)],
    # r11 bridge
    [(0, -11, 99.2), (5.2, -11, 96.4), (11, -11, 88.5)] + [(0, 0, 0)] * 3 + [(60.5, -7.5, 62.5),
     (67.2, -4, 43), (70.5, 0, 16), (74.6, 9, -24), (66, 21, -60), (38, 27, -89), (0, 29, -98)],
    # r12 root of the nose
    [(0, 1, 95.2), (5.6, 1, 93.0), (12, 0.5, 86.6)] + [(0, 0, 0)] * 3 + [(60, 2, 63.5),
     (66.5, 4, 45), (70.8, 9, 16), (75, 18, -24), (66.5, 30, -60), (38, 36, -89), (0, 38, -97.5)],
    # r13
    [(0, 11, 96), (6.5, 11, 94.6), (13.2, 11, 90)] + [(0, 0, 0)] * 3 + [(59, 11, 66),
     (65.7, 13, 47.5), (71, 18, 16), (75.2, 28, -24), (66.6, 39, -59), (38, 45, -87), (0, 47, -96)],
    # r14 brow
    [(0, 20, 97.3), (7.5, 20, 96.8), (15.5, 20, 95.2), (24.5, 22, 93.2), (35.5, 23.5, 90), (47.5, 22.5, 82), (58, 19, 68.5),
     (65.2, 21.5, 48.5), (71.2, 27.5, 16), (75.2, 37, -23), (66.4, 48, -58), (37.8, 53, -85), (0, 55, -93)],
    # r15 forehead
    [(0, 40, 98), (9, 40, 97.3), (18, 40, 95.3), (27, 40, 92.3), (37, 40, 87), (47.5, 38.5, 78.8), (57.5, 36, 66.5),
     (65, 37, 47), (70.8, 43, 16), (74, 52, -22), (64.5, 62, -55), (36.5, 66, -79), (0, 68, -86)],
    # r16
    [(0, 61, 93.5), (10, 61, 92.8), (20, 60.5, 90.6), (30, 60, 86.6), (39.5, 58.5, 80), (48.5, 57, 70.5), (56.5, 56, 57.5),
     (63, 57, 39.5), (67.5, 62, 12), (69, 69, -21), (59, 77, -48), (33, 81, -67), (0, 82, -73)],
    # r17 hairline
    [(0, 83, 80), (10, 83, 79.2), (19.5, 82.5, 77), (28.5, 81.5, 72.8), (37, 80.5, 66), (44.5, 79.5, 56.5), (51, 79, 44.5),
     (55.5, 80, 28), (58, 83, 6), (57, 87, -18), (48, 92, -39), (27, 95, -53), (0, 96, -58)],
    # r18 crown
    [(0, 104, 50), (7, 104, 49.4), (14, 103.6, 47.6), (20.5, 103, 44.4), (26, 102.5, 39.6), (31, 102, 33), (34.5, 102, 25),
     (37, 102.5, 14), (37, 104, 0), (34.5, 106, -14), (28, 108, -26), (16, 109, -34), (0, 109.5, -37)],
]

# The eye hole's rim: canthus first, over the upper side to the outer canthus, back along the lower side.
EYE_RIM = [(12, 2), (13, 2), (14, 2), (14, 3), (14, 4), (14, 5), (14, 6), (13, 6), (12, 6),
           (11, 6), (10, 6), (10, 5), (10, 4), (10, 3), (10, 2), (11, 2)]
MOUTH_RIM = [(7, 0), (7, 1), (7, 2), (7, 3), (6, 3), (5, 3), (5, 2), (5, 1), (5, 0)]
HOLES = {(12, 3), (12, 4), (12, 5), (11, 3), (11, 4), (11, 5), (13, 3), (13, 4), (13, 5), (6, 0), (6, 1), (6, 2)}

# Rings of the mouth, upper middle to corner to lower middle, from the skin inwards.
MOUTH_RINGS: list[list[tuple[float, float, float]]] = [
    # 1 skin next to the lips
    [(0.0, -58.3, 100.3), (5.0, -57.3, 100.5), (12.9, -59.0, 97.5), (21.2, -62.4, 92.2), (27.6, -65.9, 87.2),
     (22.4, -73.6, 90.2), (14.9, -78.8, 93.3), (7.3, -80.6, 95.3), (0.0, -81.0, 95.8)],
    # 2 border of the vermilion
    [(0.0, -62.0, 102.1), (4.4, -60.8, 102.4), (12.2, -62.6, 98.9), (19.2, -65.2, 93.5), (24.3, -65.6, 88.5),
     (19.6, -70.8, 92.3), (13.3, -74.4, 96.3), (6.6, -76.1, 98.8), (0.0, -76.4, 99.3)],
    # 3 fullest line
    [(0.0, -65.5, 103.9), (5.7, -64.7, 103.3), (12.5, -65.4, 99.9), (19.0, -66.5, 94.2), (23.8, -65.6, 88.9),
     (19.0, -69.3, 93.6), (12.9, -71.7, 98.7), (6.5, -72.3, 101.3), (0.0, -72.4, 101.9)],
    # 4 line where the lips touch
    [(0.0, -68.6, 102.2), (6.3, -68.0, 101.4), (12.7, -67.9, 98.4), (18.8, -67.2, 93.4), (23.4, -65.6, 89.2),
     (18.8, -67.2, 93.4), (12.7, -68.0, 98.4), (6.3, -68.1, 101.4), (0.0, -68.7, 102.2)],
    # 5 behind it
    [(0.0, -68.4, 98.4), (6.3, -67.9, 97.6), (12.5, -67.8, 94.6), (18.4, -67.9, 89.8), (23.1, -65.6, 86.4),
     (18.4, -68.2, 89.8), (12.5, -68.4, 94.6), (6.3, -68.6, 97.6), (0.0, -68.9, 98.4)],
    # 6 inner side of the lips
    [(0.0, -60.0, 97.0), (7.0, -60.0, 96.2), (15.0, -61.0, 92.6), (22.5, -64.0, 86.0), (27.0, -68.6, 81.0),
     (22.5, -73.0, 83.5), (15.0, -76.4, 88.6), (7.0, -77.4, 92.2), (0.0, -77.4, 93.0)],
    # 7 vestibule to throat
    [(0.0, -47.0, 75.0), (9.0, -47.0, 73.0), (18.0, -50.0, 68.0), (25.0, -57.0, 60.0), (27.0, -68.0, 52.0),
     (24.0, -80.0, 58.0), (17.0, -88.0, 66.0), (9.0, -90.0, 71.0), (0.0, -90.0, 73.0)],
]
CAVITY = (0.0, -70.0, 30.0)


def lid_margin(radius: float) -> Floats:
    """(16, 3) points of the open lid margin on a sphere of `radius` mm about the left eyeball's centre."""
    k = np.arange(16)
    s = 0.5 - 0.5 * np.cos(np.pi * np.where(k <= 8, k, 16 - k) / 8)
    x = EYE[0] + 16.7 * (2 * s - 1) + 0.2
    arch = 4 * s * (1 - s)
    skew = 1 + 0.22 * (1 - 2 * s)
    base = -2.2 + 3.2 * s
    y = np.where(k <= 8, base + 7.5 * skew * arch**0.62, base - 6.2 * (2 - skew) * arch**0.7)
    return on_sphere(x, y, radius)


def on_sphere(x: Floats, y: Floats, radius: float) -> Floats:
    """Front points (N, 3) at (x, y) on a sphere about the left eyeball, running off tangentially at its silhouette."""
    square = radius**2 - (x - EYE[0]) ** 2 - (y - EYE[1]) ** 2
    return np.stack([x, y, EYE[2] + np.sqrt(np.maximum(square, 42.0))], axis=1)


@dataclass(eq=False)
class Cage:
    """A polygon cage: target positions (mm), faces, per-vertex attributes and the mirror map."""

    points: list[tuple[float, float, float]] = field(default_factory=list)
    faces: list[list[int]] = field(default_factory=list)
    eye_ring: list[float] = field(default_factory=list)
    mouth_ring: list[float] = field(default_factory=list)
    mouth_spoke: list[float] = field(default_factory=list)
    row: list[float] = field(default_factory=list)
    column: list[float] = field(default_factory=list)

    def add(self, point: tuple[float, float, float], **at: float) -> int:
        """Append a vertex; attributes not named stay far outside the rings."""
        self.points.append((float(point[0]), float(point[1]), float(point[2])))
        for name, default in (("eye_ring", 7.0), ("mouth_ring", 0.0), ("mouth_spoke", 4.0), ("row", -1.0), ("column", -1.0)):
            getattr(self, name).append(at.get(name, default))
        return len(self.points) - 1


def half_cage() -> Cage:
    """The left half (x >= 0)."""
    cage = Cage()
    grid = {(r, c): cage.add(p, row=r, column=c) for r, row in enumerate(ROWS) for c, p in enumerate(row)
            if (r, c) not in HOLES}
    for r in range(len(ROWS) - 1):
        for c in range(COLUMNS - 1):
            corners = [(r, c), (r, c + 1), (r + 1, c + 1), (r + 1, c)]
            if all(corner in grid for corner in corners):
                if not (5 <= r < 7 and c < 3) and not (10 <= r < 14 and 2 <= c < 6):
                    cage.faces.append([grid[corner] for corner in corners])
    top = cage.add(TOP, row=len(ROWS), column=6)
    for c in range(COLUMNS - 1):
        cage.faces.append([grid[len(ROWS) - 1, c], grid[len(ROWS) - 1, c + 1], top])
    _eye(cage, [grid[at] for at in EYE_RIM])
    _mouth(cage, [grid[at] for at in MOUTH_RIM])
    return cage


def _eye(cage: Cage, rim: list[int]) -> None:
    outer = np.array([cage.points[v] for v in rim])
    for v in rim:
        cage.eye_ring[v] = 6.0
    loop = rim
    for number, ring in enumerate(eye_rings(outer)):
        inner = [cage.add(tuple(p), eye_ring=5.0 - number, row=12, column=4) for p in ring]
        for k in range(16):
            n = (k + 1) % 16
            cage.faces.append([inner[k], inner[n], loop[n], loop[k]])
        loop = inner


def eye_rings(rim: Floats) -> list[Floats]:
    """Rings 5 (orbit) to 0 (hidden behind the lid), each (16, 3), inside the hole's rim."""
    k = np.arange(16)
    upper = np.clip(np.sin(np.pi * k / 8), 0, 1)
    lower = np.clip(-np.sin(np.pi * k / 8), 0, 1)
    margin = lid_margin(EYE_RADIUS + 1.7)
    edge = lid_margin(EYE_RADIUS + 0.25)
    out = margin[:, :2] - EYE[:2] - np.array([0.0, -0.6])
    out = out / np.linalg.norm(out, axis=1, keepdims=True)
    plate_xy = margin[:, :2] + out * (1.3 + 0.3 * upper)[:, None]
    plate = on_sphere(plate_xy[:, 0], plate_xy[:, 1], EYE_RADIUS + 2.0)
    crease_xy = margin[:, :2] + out * (2.4 + 2.0 * upper + 2.4 * lower)[:, None]
    crease = on_sphere(crease_xy[:, 0], crease_xy[:, 1], EYE_RADIUS + 2.0)
    crease[:, 2] -= 0.5 * upper
    orbit = crease + (rim - crease) * (0.42 - 0.14 * upper)[:, None]
    orbit[:, 2] += 1.4 * upper + 0.2 * lower
    hidden_xy = margin[:, :2] + out * 3.0
    hidden = on_sphere(hidden_xy[:, 0], hidden_xy[:, 1], EYE_RADIUS + 0.3)
    hidden[:, 2] -= 1.5
    return [orbit, crease, plate, margin, edge, hidden]


def _mouth(cage: Cage, rim: list[int]) -> None:
    loop = rim
    for spoke, v in enumerate(rim):
        cage.mouth_spoke[v] = spoke
    for number, ring in enumerate(MOUTH_RINGS):
        inner = [cage.add(p, mouth_ring=number + 1.0, mouth_spoke=spoke, row=6, column=1) for spoke, p in enumerate(ring)]
        for j in range(8):
            cage.faces.append([inner[j], inner[j + 1], loop[j + 1], loop[j]])
        loop = inner
    end = cage.add(CAVITY, mouth_ring=len(MOUTH_RINGS) + 1.0, row=6, column=0)
    for j in range(8):
        cage.faces.append([end, loop[j + 1], loop[j]])


def step(low: float, high: float, x: Floats) -> Floats:
    """0 at `low`, 1 at `high` (which may be the smaller), smooth between."""
    t = np.clip((x - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


JAW_TAPER = 0.115
NECK_SLIM = 0.17
CHIN_SHORT = 0.10
UNDER_JAW = 0.11


def proportioned(points: Floats, row: Floats) -> Floats:
    """Apply the proportions that are easier to say as numbers: tapered jaw, slim neck, short chin."""
    x, y, z = points.T.copy()
    taper = JAW_TAPER * step(30, 100, -y) * step(8, 42, x) * step(0, 30, z) * (row > 2.5)
    slim = NECK_SLIM * (1 - step(1.5, 3.2, row)) * (row >= 0)
    slim = slim + UNDER_JAW * (row == 2) * step(0, 20, z) * step(5, 30, x)
    z = np.where((row < 1.5) & (row >= 0) & (z > 0), z - 5.0, z)
    jaw = (row >= 2.5) & (y < -84) & (z > 0)
    y = np.where(jaw, -84 + (y + 84) * (1 - CHIN_SHORT), y)
    y = np.where((row == 2) & (z > 0), y + 2.0, y)
    return np.stack([x * (1 - taper) * (1 - slim), y, z], axis=1)


MID_FACE = 4.0
"""How much shorter, in mm, the face is between eyes and mouth than the cage was placed."""


def shortened(points: Floats) -> Floats:
    """Lift all below the eyes: a shorter middle of the face is a younger one. Eyes and skull stay."""
    lift = MID_FACE * step(-12, -52, points[:, 1])
    return points + lift[:, None] * [0.0, 1.0, 0.0]


def whole(half: Cage) -> tuple[Floats, list[list[int]], Floats, NDArray[np.int64]]:
    """Mirror the half: (N, 3) targets, faces, (N, 5) attributes and the mirror map."""
    points = proportioned(np.array(half.points), np.array(half.row))
    middle = np.abs(points[:, 0]) < 1e-9
    count = len(points)
    mirror = np.arange(count)
    mirror[~middle] = count + np.arange((~middle).sum())
    full_mirror = np.concatenate([mirror, np.flatnonzero(~middle)])
    flipped = points[~middle] * [-1, 1, 1]
    attributes = np.stack([half.eye_ring, half.mouth_ring, half.mouth_spoke, half.row, half.column], axis=1)
    faces = half.faces + [[int(mirror[v]) for v in reversed(face)] for face in half.faces]
    return (np.concatenate([points, flipped]), faces, np.concatenate([attributes, attributes[~middle]]), full_mirror)
