"""Catmull-Clark subdivision of polygon cages, with the topology worked out once and applied to many arrays.

Method: E. Catmull and J. Clark, "Recursively generated B-spline surfaces on arbitrary topological meshes" (1978);
borders follow the cubic B-spline curve rule (1/8, 3/4, 1/8).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Level:
    """One subdivision step: from `count` vertices to `count + edges + faces` vertices, all faces quads."""

    count: int
    corner_face: Ints
    corner_vertex: Ints
    face_size: Floats
    edges: Ints
    edge_faces: Ints
    border: NDArray[np.bool_]
    quads: Ints
    mirror: Ints

    def linear(self, values: Floats) -> Floats:
        """Carry (count, K) values to the finer vertices by plain midpoints, so that integer rings stay integer."""
        return np.concatenate([values, values[self.edges].mean(1), self._face_points(values)])

    def smooth(self, values: Floats) -> Floats:
        """Carry (count, K) positions to the finer vertices by the Catmull-Clark rules."""
        face = self._face_points(values)
        middle = values[self.edges].mean(1)
        edge = middle.copy()
        inner = ~self.border
        edge[inner] = 0.5 * middle[inner] + 0.5 * face[self.edge_faces[inner]].mean(1)
        return np.concatenate([self._vertex_points(values, face, middle), edge, face])

    def _face_points(self, values: Floats) -> Floats:
        total = np.zeros((len(self.face_size), values.shape[1]))
        np.add.at(total, self.corner_face, values[self.corner_vertex])
        return total / self.face_size[:, None]

    def _vertex_points(self, values: Floats, face: Floats, middle: Floats) -> Floats:
        valence = np.bincount(self.corner_vertex, minlength=self.count).astype(float)[:, None]
        faces = np.zeros_like(values)
        np.add.at(faces, self.corner_vertex, face[self.corner_face])
        edges = np.zeros_like(values)
        degree = np.zeros((self.count, 1))
        for side in (0, 1):
            np.add.at(edges, self.edges[:, side], middle)
            np.add.at(degree, self.edges[:, side], 1.0)
        n = np.maximum(valence, 1.0)
        points = (faces / n + 2.0 * edges / np.maximum(degree, 1.0) + (n - 3.0) * values) / n
        rim = np.unique(self.edges[self.border])
        if len(rim):
            curve = np.zeros_like(values)
            for side in (0, 1):
                np.add.at(curve, self.edges[self.border, side], middle[self.border])
            points[rim] = 0.5 * values[rim] + 0.25 * curve[rim]
        return points


def level(faces: Sequence[Sequence[int]] | Ints, count: int, mirror: Ints) -> Level:
    """Work out one step for polygons `faces` over `count` vertices; `mirror` (count,) pairs left with right."""
    sizes = np.array([len(face) for face in faces])
    corner_vertex = np.concatenate([np.asarray(face, dtype=np.int64) for face in faces])
    corner_face = np.repeat(np.arange(len(faces)), sizes)
    start = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    place = np.arange(len(corner_vertex)) - start[corner_face]
    after = start[corner_face] + (place + 1) % sizes[corner_face]
    before = start[corner_face] + (place - 1) % sizes[corner_face]
    key = _edge_key(corner_vertex, corner_vertex[after], count)
    keys, edge = np.unique(key, return_inverse=True)
    edges = np.stack([keys // count, keys % count], axis=1)
    uses = np.bincount(edge)
    edge_faces = np.zeros((len(keys), 2), dtype=np.int64)
    order = np.argsort(edge, kind="stable")
    first = np.concatenate([[0], np.cumsum(uses)[:-1]])
    edge_faces[:, 0] = corner_face[order[first]]
    edge_faces[:, 1] = corner_face[order[first + np.minimum(uses - 1, 1)]]
    quads = np.stack([corner_vertex, count + edge, count + len(keys) + corner_face, count + edge[before]], axis=1)
    return Level(
        count,
        corner_face,
        corner_vertex,
        sizes.astype(float),
        edges,
        edge_faces,
        uses == 1,
        quads,
        _mirror(faces, count, mirror, keys, edges),
    )


def _edge_key(a: Ints, b: Ints, count: int) -> Ints:
    return np.minimum(a, b) * count + np.maximum(a, b)


def _mirror(faces: Sequence[Sequence[int]] | Ints, count: int, mirror: Ints, keys: Ints, edges: Ints) -> Ints:
    edge = np.searchsorted(keys, _edge_key(mirror[edges[:, 0]], mirror[edges[:, 1]], count))
    number = {tuple(sorted(int(v) for v in face)): i for i, face in enumerate(faces)}
    face = np.array([number[tuple(sorted(int(mirror[v]) for v in face))] for face in faces])
    return np.concatenate([mirror, count + edge, count + len(keys) + face])
