"""A piece of the head, and how halves and pairs are mirrored."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(eq=False)
class Part:
    """A piece of the head in mm.

    `points` (N, 3), `faces` (F, 3), `materials` (F,), `colors` (N, 3), `mirror` (N,) numbers in the part of the other
    side (or in itself); `joint` turns it; `rides` (N,) are the skin vertices it moves with, if any.
    """

    name: str
    points: Floats
    faces: Ints
    materials: Ints
    colors: Floats
    mirror: Ints
    joint: str = "head"
    rides: Ints | None = None


def opposite(name: str) -> str:
    """The name of the part on the other side: itself for a part in the middle."""
    return name.replace("Left", "Right") if "Left" in name else name.replace("Right", "Left")


def pair(left: Part, skin_mirror: Ints | None = None) -> list[Part]:
    """A part of the left side (named without it) and its mirror image; `skin_mirror` maps what they ride on."""
    rides = None if left.rides is None or skin_mirror is None else skin_mirror[left.rides]
    same = np.arange(len(left.points))
    flipped = left.points * [-1, 1, 1]
    return [
        Part(left.name + "Left", left.points, left.faces, left.materials, left.colors, same, rides=left.rides),
        Part(left.name + "Right", flipped, left.faces[:, ::-1], left.materials, left.colors, same, rides=rides),
    ]


def welded(points: Floats, faces: Ints, colors: Floats) -> tuple[Floats, Ints, Floats, Ints]:
    """Mirror a half along x and weld its midline: points, faces, colours and the mirror map."""
    middle = np.abs(points[:, 0]) < 1e-6
    mirror = np.arange(len(points))
    mirror[~middle] = len(points) + np.arange((~middle).sum())
    both = np.concatenate([points, points[~middle] * [-1, 1, 1]])
    sides = np.concatenate([faces, mirror[faces][:, ::-1]])
    return both, sides, np.concatenate([colors, colors[~middle]]), np.concatenate([mirror, np.flatnonzero(~middle)])


def mirror_by_place(points: Floats) -> Ints:
    """Mirror map (N,) of a symmetric part by looking for the nearest reflected point."""
    reflected = points * [-1, 1, 1]
    square = (points**2).sum(1)[None] - 2 * reflected @ points.T
    return square.argmin(1)


def sheet(rows: int, columns: int, closed: bool = False) -> Ints:
    """Triangles of a grid of points numbered row by row; `closed` joins the last column to the first."""
    r, k = np.meshgrid(np.arange(rows - 1), np.arange(columns if closed else columns - 1), indexing="ij")
    n = (k + 1) % columns
    a, b, c, d = r * columns + k, r * columns + n, (r + 1) * columns + n, (r + 1) * columns + k
    return np.stack([a, b, c, a, c, d], axis=-1).reshape(-1, 3)
