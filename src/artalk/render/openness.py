"""How much of the sky each vertex sees: what keeps mouths, nostrils and the neck below the chin from glowing.

Depth maps from directions all round tell which vertices something hides (ambient occlusion by shadow maps, Landis
2002). It is found once, on the mesh at rest: lids and lips that open later keep a little of the dark they lay in,
which is why it is not taken whole (`LEAST`).
"""

import weakref

import numpy as np
from numpy.typing import NDArray

from artalk.render.zbuffer import DEEP, EMPTY, Triangles, fill
from artalk.rigs.rig import FloatArray, IntArray, Mesh

DIRECTIONS = 40
"""Directions that are looked from; half of them see a given side."""

FEW = 8
"""Directions below which the answer would be too rough to use."""

WORK = DIRECTIONS * 60_000
"""Triangles that are drawn in all: larger meshes are looked at from fewer directions, the largest from none."""

MAP = 192
"""Samples a side of a depth map."""

LEAST = 0.1
"""Openness of what is wholly hidden: light comes through lips and lids, and the pose moves."""

INSIDE = 0.4
"""The least openness of materials that are `inside`: the lips that shut them in at rest part later."""

_known: "weakref.WeakKeyDictionary[Mesh, FloatArray]" = weakref.WeakKeyDictionary()


def openness(mesh: Mesh, normals: FloatArray) -> FloatArray:
    """The share (V,) of sky that vertices with `normals` (V, 3) see at rest, `LEAST` to 1; kept while `mesh` lives.

    Meshes of more than 300,000 triangles count as open everywhere: looking would take too long.
    """
    found = _known.get(mesh)
    if found is None:
        found = _known[mesh] = _openness(mesh, normals)
    return found


def _openness(mesh: Mesh, normals: FloatArray) -> FloatArray:
    directions = min(DIRECTIONS, WORK // len(mesh.faces))
    if directions < FEW:
        return np.ones(len(mesh.vertices), np.float32)
    vertices = np.asarray(mesh.vertices, np.float64)
    middle = (vertices.min(axis=0) + vertices.max(axis=0)) / 2
    radius = max(float(np.linalg.norm(vertices - middle, axis=1).max()), 1e-9) * 1.02
    buffer = np.empty(MAP * MAP, np.uint64)
    seen = np.zeros(len(vertices))
    total = np.full(len(vertices), 1e-6)
    for direction in _around(directions):
        matrix = _towards(direction, middle, radius)
        fill(Triangles(mesh.vertices, mesh.faces, matrix, MAP, MAP), buffer, MAP, MAP)
        facing = np.maximum(normals @ direction, 0)
        seen += facing * _visible(vertices, matrix, buffer)
        total += facing
    return _smoothed(LEAST + (1 - LEAST) * seen / total, mesh.faces).astype(np.float32)


def _visible(
    vertices: NDArray[np.float64], matrix: NDArray[np.float64], buffer: NDArray[np.uint64]
) -> NDArray[np.float64]:
    """0 to 1: how many of the four nearest samples of the depth map do not hide a vertex."""
    clip = vertices @ matrix[:3, :3].T + matrix[:3, 3]
    x, y = (clip[:, 0] + 1) * (MAP / 2) - 0.5, (1 - clip[:, 1]) * (MAP / 2) - 0.5
    left, top = np.clip(x, 0, MAP - 2).astype(np.int64), np.clip(y, 0, MAP - 2).astype(np.int64)
    depth = np.where(buffer == EMPTY, 2.0, (buffer >> np.uint64(32)) / DEEP)
    own = clip[:, 2] * 0.5 + 0.5 - 2.5 / MAP
    found = np.zeros(len(vertices))
    for down in (0, 1):
        for right in (0, 1):
            found += own < depth[(top + down) * MAP + left + right]
    return found / 4


def _towards(direction: NDArray[np.float64], middle: NDArray[np.float64], radius: float) -> NDArray[np.float64]:
    """The parallel projection (4, 4) of a ball as it is seen from `direction`."""
    side = np.cross(direction, [0.0, 0.0, 1.0] if abs(direction[2]) < 0.9 else [1.0, 0.0, 0.0])
    side /= np.linalg.norm(side)
    axes = np.stack([side, np.cross(direction, side), -direction]) / radius
    matrix = np.eye(4)
    matrix[:3, :3] = axes
    matrix[:3, 3] = -axes @ middle
    return matrix


def _around(count: int) -> NDArray[np.float64]:
    """Unit vectors (count, 3) evenly round a sphere: Fibonacci's spiral."""
    step = np.arange(count) + 0.5
    height = 1 - 2 * step / count
    turn = np.pi * (1 + np.sqrt(5)) * step
    ring = np.sqrt(1 - height * height)
    return np.stack([ring * np.cos(turn), height, ring * np.sin(turn)], axis=1)


def _smoothed(values: NDArray[np.float64], faces: IntArray) -> NDArray[np.float64]:
    """Each vertex mixed with the mean of its triangles, twice: what few directions leave uneven."""
    at = faces.T.reshape(-1)
    count = np.bincount(at, minlength=len(values))
    for _ in range(2):
        mean = np.bincount(at, np.tile(values[faces].mean(axis=1), 3), len(values))
        values = np.where(count > 0, 0.4 * values + 0.6 * mean / np.maximum(count, 1), values)
    return values
