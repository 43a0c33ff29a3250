"""The hand-placed control cage of half the face, in millimetres.

Origin: the middle between the ear canals, at the height of the eyes; x to the subject's left, y up, z forward.
The half head is a grid of columns (front midline to back midline) and rows (neck to crown) with two holes that
concentric rings fill: the eye (16 spokes) and the mouth (9 half spokes).
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from artalk.rigs.head.placed import CAVITY, COLUMNS, EYE_RIM, HOLES, MOUTH_RIM, MOUTH_RINGS, ROWS, TOP, Point

Floats = NDArray[np.float64]

EYE = np.array([32.9, 0.0, 68.4])
"""Centre of the left eyeball."""
EYE_RADIUS = 16.5


def lid_margin(radius: float) -> Floats:
    """(16, 3) points of the open lid margin on a sphere of `radius` mm about the left eyeball's centre."""
    k = np.arange(16)
    s = 0.5 - 0.5 * np.cos(np.pi * np.where(k <= 8, k, 16 - k) / 8)
    x = EYE[0] + 17.6 * (2 * s - 1) + 0.2
    arch = 4 * s * (1 - s)
    skew = 1 + 0.22 * (1 - 2 * s)
    base = -2.2 + 3.2 * s
    y = np.where(k <= 8, base + 7.75 * skew * arch**0.62, base - 6.5 * (2 - skew) * arch**0.7)
    return on_sphere(x, y, radius)


def on_sphere(x: Floats, y: Floats, radius: float) -> Floats:
    """Front points (N, 3) at (x, y) on a sphere about the left eyeball, running off tangentially at its silhouette."""
    square = radius**2 - (x - EYE[0]) ** 2 - (y - EYE[1]) ** 2
    return np.stack([x, y, EYE[2] + np.sqrt(np.maximum(square, 42.0))], axis=1)


@dataclass(eq=False)
class Cage:
    """A polygon cage: target positions (mm), faces, per-vertex attributes and the mirror map."""

    points: list[Point] = field(default_factory=list[Point])
    faces: list[list[int]] = field(default_factory=list[list[int]])
    eye_ring: list[float] = field(default_factory=list[float])
    mouth_ring: list[float] = field(default_factory=list[float])
    mouth_spoke: list[float] = field(default_factory=list[float])
    row: list[float] = field(default_factory=list[float])
    column: list[float] = field(default_factory=list[float])

    def add(self, point: tuple[float, float, float], **at: float) -> int:
        """Append a vertex; attributes not named stay far outside the rings."""
        self.points.append((float(point[0]), float(point[1]), float(point[2])))
        for name, default in (
            ("eye_ring", 7.0),
            ("mouth_ring", 0.0),
            ("mouth_spoke", 4.0),
            ("row", -1.0),
            ("column", -1.0),
        ):
            getattr(self, name).append(at.get(name, default))
        return len(self.points) - 1


def half_cage() -> Cage:
    """The left half (x >= 0)."""
    cage = Cage()
    grid = {
        (r, c): cage.add(p, row=r, column=c)
        for r, row in enumerate(ROWS)
        for c, p in enumerate(row)
        if (r, c) not in HOLES
    }
    for r in range(len(ROWS) - 1):
        for c in range(COLUMNS - 1):
            corners = [(r, c), (r, c + 1), (r + 1, c + 1), (r + 1, c)]
            in_hole = (5 <= r < 7 and c < 3) or (10 <= r < 14 and 2 <= c < 6)
            if not in_hole and all(corner in grid for corner in corners):
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
    # Beyond the outer corner the skin falls back towards the temple.
    beyond = np.clip((crease_xy[:, 0] - EYE[0] - 16.4) / 3.5, 0, 1)
    crease[:, 2] -= 2.4 * beyond
    plate[:, 2] -= 1.0 * beyond
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
        inner = [
            cage.add(p, mouth_ring=number + 1.0, mouth_spoke=spoke, row=6, column=1) for spoke, p in enumerate(ring)
        ]
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
NAPE = 9.0


def proportioned(points: Floats, row: Floats) -> Floats:
    """Apply the proportions that are easier to say as numbers: tapered jaw, slim neck, short chin."""
    x, y, z = points[:, 0], points[:, 1], points[:, 2]
    taper = JAW_TAPER * step(30, 100, -y) * step(8, 42, x) * step(0, 30, z) * (row > 2.5)
    slim = NECK_SLIM * (1 - step(1.5, 3.2, row)) * (row >= 0)
    slim = slim + UNDER_JAW * (row == 2) * step(0, 20, z) * step(5, 30, x)
    z = z - 5.0 * ((row < 1.5) & (row >= 0) & (z > 0))
    z = z + NAPE * np.interp(row, [0, 1, 2, 3, 4, 5], [0.6, 1, 1, 0.7, 0.3, 0]) * (row >= 0) * step(-10, -75, z)
    jaw = (row >= 2.5) & (y < -84) & (z > 0)
    y = y - CHIN_SHORT * jaw * (y + 84) + 2.0 * ((row == 2) & (z > 0))
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
