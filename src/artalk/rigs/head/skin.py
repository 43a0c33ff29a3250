"""The skin of head and neck: cage, subdivision, then fine forms laid on with soft brushes."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from artalk.rigs.head import cage as c
from artalk.rigs.head.subdivide import Level, level

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(eq=False)
class Skin:
    """Subdivided skin in mm: points (N, 3), quads, attributes by name, mirror map."""

    points: Floats
    quads: Ints
    eye_ring: Floats
    mouth_ring: Floats
    mouth_spoke: Floats
    row: Floats
    column: Floats
    mirror: Ints

    def normals(self) -> Floats:
        """(N, 3) unit vertex normals."""
        return vertex_normals(self.points, self.quads)


def vertex_normals(points: Floats, quads: Ints) -> Floats:
    """(N, 3) unit normals from quad diagonals."""
    across = np.cross(points[quads[:, 2]] - points[quads[:, 0]], points[quads[:, 3]] - points[quads[:, 1]])
    total = np.zeros_like(points)
    for corner in range(4):
        np.add.at(total, quads[:, corner], across)
    return total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-9)


def _interpolating(targets: Floats, levels: list[Level], rounds: int, strength: float) -> Floats:
    """Move the cage so that the subdivided surface runs (nearly) through the hand-placed points."""
    points = targets.copy()
    for _ in range(rounds):
        fine = points
        for step in levels:
            fine = step.smooth(fine)
        points += strength * (targets - fine[: len(targets)])
    return points


Point = tuple[float, float, float]

# Brushes on the left half: centre, radii (mm), direction, height (mm); mirrored. Negative heights carve.
BRUSHES: list[tuple[Point, Point, Point, float]] = [
    ((14.2, -40.8, 98.5), (4.6, 4.8, 6.5), (0.85, 0.05, 0.5), 2.6),  # wing of the nose
    ((19.2, -39.5, 92), (2.8, 6.5, 6), (-0.2, 0, 1), -2.8),  # groove behind the wing
    ((12.5, -32.2, 101), (4.5, 2.8, 7), (0.7, 0, 0.6), -1.3),  # groove above the wing
    ((0, -37.5, 115), (8.5, 8, 9), (0, 0.1, 1), 1.7),  # tip
    ((7.4, -46.2, 103.5), (3.3, 3.0, 5.0), (-0.1, 1, -0.1), 5.2),  # nostril, pressed up
    ((0, -54, 100), (2.7, 5, 6), (0, 0, 1), -1.3),  # philtrum
    ((4.6, -54, 100), (1.8, 5.5, 6), (0, 0, 1), 0.5),  # its ridge
    ((28.0, -67.5, 87), (4.6, 5.0, 7), (0, 0, 1), -0.7),  # dimple of the mouth corner
    ((0, -84.5, 95), (14, 4.5, 10), (0, 0, 1), -1.2),  # fold over the chin
    ((53, -25, 71), (13, 10, 16), (0.7, 0.1, 0.7), 2.2),  # cheekbone
    ((38, -36, 86), (13, 11, 14), (0.25, 0, 1), 1.6),  # apple of the cheek
    ((56, -54, 52), (14, 14, 22), (0.9, 0, 0.4), -1.4),  # hollow under the cheekbone
    ((58, -76, 14), (14, 20, 22), (1, -0.1, -0.1), 1.3),  # angle of the jaw
    ((0, -101, 96), (13, 8, 12), (0, -0.2, 1), 3.0),  # chin
    ((27, -52, 90), (3.5, 14, 12), (0.3, 0, 1), -0.6),  # nasolabial softness
    ((20, 13, 92), (7, 6, 9), (0, -0.3, 1), -0.8),  # inner corner of the orbit
]


def _sculpt(points: Floats, weight: Floats) -> Floats:
    moved = points.copy()
    for centre, radii, direction, height in BRUSHES:
        way = np.array(direction) / np.linalg.norm(direction)
        for side in (1.0, -1.0) if centre[0] != 0 else (1.0,):
            flip = np.array([side, 1, 1])
            near = (((points - np.array(centre) * flip) / np.array(radii)) ** 2).sum(1)
            moved += (height * np.exp(-near) * weight)[:, None] * way * flip
    return moved


def build() -> Skin:
    """The neutral skin."""
    targets, faces, attributes, mirror = c.whole(c.half_cage())
    first = level(faces, len(targets), mirror)
    coarse = len(targets) + len(first.edges) + len(first.face_size)
    second = level(first.quads, coarse, first.mirror)
    points = _interpolating(targets, [first, second], 4, 0.8)
    for step in (first, second):
        points = step.smooth(points)
        attributes = step.linear(attributes)
    eye_ring, mouth_ring, mouth_spoke, row, column = attributes.T.copy()
    points = _sculpt(points, ((mouth_ring < 4) & (eye_ring > 5)).astype(float))
    points = _keep_off_eyeballs(points, eye_ring)
    points = c.shortened(0.5 * (points + points[second.mirror] * [-1, 1, 1]))
    return Skin(points, second.quads, eye_ring, mouth_ring, mouth_spoke, row, column, second.mirror)


def _keep_off_eyeballs(points: Floats, ring: Floats) -> Floats:
    """Push lids out to at least their thickness over the eyeball."""
    out = points.copy()
    least = np.interp(ring, [0, 1, 2, 3, 4, 5, 6], [0.25, 0.3, 1.4, 1.9, 1.9, 1.9, 0.5]) + c.EYE_RADIUS
    for side in (1.0, -1.0):
        centre = c.EYE * [side, 1, 1]
        away = points - centre
        distance = np.linalg.norm(away, axis=1)
        near = (ring < 6.5) & (points[:, 0] * side > 0) & (distance < least)
        out[near] = centre + away[near] * (least[near] / distance[near])[:, None]
    return out
