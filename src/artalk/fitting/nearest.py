"""The points of a triangle mesh nearest to others, with numpy alone."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]
Int = NDArray[np.int64]

NEIGHBOURS = 5
"""Nearest vertices whose triangles are tried: the nearest triangle of a tidy mesh has one of them as a corner."""

_CHUNK = 512
"""Points that are measured against all vertices at a time."""


@dataclass(frozen=True, eq=False)
class Nearest:
    """For each of N points: a triangle's corners (N, 3), their shares (N, 3), the point (N, 3), the triangle (N)."""

    corners: Int
    shares: Float
    points: Float
    triangle: Int


class Surface:
    """Triangles to be measured against: `vertices` (V, 3), `faces` (F, 3) of them; the other vertices do not count."""

    def __init__(self, vertices: Float, faces: Int) -> None:
        self.vertices = vertices
        self.faces = faces
        self.used = np.unique(faces)
        self._around = _triangles_around(faces, len(vertices))
        corners = vertices[faces]
        across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        self.normals: Float = across / np.maximum(np.linalg.norm(across, axis=1, keepdims=True), 1e-15)

    def nearest(self, points: Float, allowed: NDArray[np.bool_] | None = None) -> Nearest:
        """The nearest point of the surface for each of `points` (N, 3); `allowed` (V,) limits the vertices tried."""
        candidates = self.used if allowed is None else self.used[allowed[self.used]]
        triangles = self._around[_nearest_vertices(points, self.vertices, candidates)].reshape(len(points), -1)
        corners = self.vertices[self.faces[triangles]]
        shares = _closest_shares(points[:, None], corners)
        found = (shares[..., None] * corners).sum(axis=2)
        distance = np.square(found - points[:, None]).sum(axis=2)
        best = np.where(triangles < 0, np.inf, distance).argmin(axis=1)
        row = np.arange(len(points))
        triangle = triangles[row, best]
        return Nearest(self.faces[triangle], shares[row, best], found[row, best], triangle)


def _triangles_around(faces: Int, vertices: int) -> Int:
    """The triangles that have each vertex as a corner, (V, most), filled up with -1."""
    corner = faces.reshape(-1)
    order = np.argsort(corner, kind="stable")
    counts = np.bincount(corner, minlength=vertices)
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    place = np.arange(len(corner)) - np.repeat(starts, counts)
    around = np.full((vertices, int(counts.max(initial=1))), -1)
    around[corner[order], place] = order // 3
    return around


def _nearest_vertices(points: Float, vertices: Float, candidates: Int) -> Int:
    """The numbers of the few vertices nearest to each point, (N, NEIGHBOURS)."""
    tried = vertices[candidates]
    length = np.square(tried).sum(axis=1)
    few = min(NEIGHBOURS, len(candidates))
    found = np.empty((len(points), few), np.int64)
    for first in range(0, len(points), _CHUNK):
        distance = length - 2 * points[first : first + _CHUNK] @ tried.T
        found[first : first + _CHUNK] = np.argpartition(distance, few - 1, axis=1)[:, :few]
    return candidates[found]


def _closest_shares(point: Float, corners: Float) -> Float:
    """Shares (..., 3) of the `corners` (..., 3, 3) whose mean is the triangle's point nearest to `point` (..., 3)."""
    a, b, c = corners[..., 0, :], corners[..., 1, :], corners[..., 2, :]
    inside = _plane_shares(point, a, b, c)
    best = np.where((inside >= 0).all(axis=-1, keepdims=True), inside, np.nan)
    least = np.where(np.isnan(best[..., 0]), np.inf, -1.0)
    for first, second in ((0, 1), (1, 2), (2, 0)):
        start, along = corners[..., first, :], corners[..., second, :] - corners[..., first, :]
        share = ((point - start) * along).sum(axis=-1) / np.maximum(np.square(along).sum(axis=-1), 1e-18)
        share = np.clip(share, 0, 1)
        distance = np.square(start + share[..., None] * along - point).sum(axis=-1)
        on_edge = np.zeros_like(inside)
        on_edge[..., first], on_edge[..., second] = 1 - share, share
        nearer = distance < least
        best = np.where(nearer[..., None], on_edge, best)
        least = np.where(nearer, distance, least)
    return best


def _plane_shares(point: Float, a: Float, b: Float, c: Float) -> Float:
    """Barycentric coordinates (..., 3) of the foot of `point` on the triangle's plane; negative outside."""
    u, v, w = b - a, c - a, point - a
    uu, uv, vv = (u * u).sum(-1), (u * v).sum(-1), (v * v).sum(-1)
    wu, wv = (w * u).sum(-1), (w * v).sum(-1)
    area = uu * vv - uv * uv
    flat = area < 1e-24
    area = np.where(flat, 1.0, area)
    second, third = (vv * wu - uv * wv) / area, (uu * wv - uv * wu) / area
    shares = np.stack([1 - second - third, second, third], axis=-1)
    return np.where(flat[..., None], -1.0, shares)
