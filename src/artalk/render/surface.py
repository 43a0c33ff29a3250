"""A mesh made ready to draw: one vertex a material, and normals that follow the pose."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from artalk.errors import BadInput
from artalk.render.openness import INSIDE, openness
from artalk.rigs.rig import FloatArray, IntArray, Mesh

WELD = np.cos(np.radians(60))
"""Vertices at one place whose normals lie closer than this are one in the light: the seams of textures vanish."""


class Surface:
    """What of a mesh stays the same from frame to frame.

    `source` (P,) is the mesh's vertex behind each drawn vertex, `faces` (F, 3) count drawn vertices, `albedo` (P, 3)
    is linear RGB, `finish` (P, 3) roughness, specular and subsurface, `open` (P,)
    how much of the sky it sees (0 to 1), `kinds` (F,) are the materials' numbers. Of the first `single` faces only the
    fronts are drawn.
    """

    source: IntArray
    faces: IntArray
    albedo: FloatArray
    finish: FloatArray
    open: FloatArray
    kinds: IntArray

    def __init__(self, mesh: Mesh) -> None:
        _check(mesh)
        self.count = len(mesh.vertices)
        double = np.array([material.double_sided for material in mesh.materials])[mesh.face_materials]
        self.single = int((~double).sum())
        order = np.argsort(double, kind="stable")
        pairs = mesh.faces[order].astype(np.int64) * len(mesh.materials) + mesh.face_materials[order, None]
        kept, corners = np.unique(pairs, return_inverse=True)
        self.source = (kept // len(mesh.materials)).astype(np.int32)
        self.faces = corners.reshape(-1, 3).astype(np.int32)
        used = kept % len(mesh.materials)
        tint = np.array([material.color for material in mesh.materials], np.float32)
        finish = [(m.roughness, m.specular, m.subsurface) for m in mesh.materials]
        self.albedo = np.clip(mesh.colors[self.source] * tint[used], 0, 1).astype(np.float32)
        self.finish = np.clip(np.array(finish, np.float32), 0, [1, 4, 1]).astype(np.float32)[used]
        self.kinds = mesh.face_materials[order].astype(np.int32)
        self._corners = mesh.faces.astype(np.int64)
        self._at = self._corners.T.reshape(-1)
        self._at = _welded(mesh.vertices, self._normals(mesh.vertices))[self._at]
        self._owner = np.zeros(self.count, np.int64)
        self._owner[self._corners.T.reshape(-1)] = self._at
        least = np.array([INSIDE if m.inside else 0 for m in mesh.materials], np.float32)[used]
        self.open = np.maximum(openness(mesh, self.normals(mesh.vertices))[self.source], least)

    def positions(self, vertices: NDArray[np.floating[Any]]) -> FloatArray:
        """The posed `vertices` (V, 3) as float32. Raises `BadInput` for another shape and for what is not finite."""
        given = np.asarray(vertices)
        if given.shape != (self.count, 3):
            raise BadInput(f"a frame is the ({self.count}, 3) vertices of the mesh, got {given.shape}")
        found = np.ascontiguousarray(given, np.float32)
        if not np.isfinite(found).all():
            raise BadInput("a frame's vertices are finite numbers, got NaN or infinity")
        return found

    def normals(self, vertices: FloatArray) -> FloatArray:
        """The (V, 3) unit normals of posed `vertices` (V, 3): those of the faces, weighted by area."""
        return self._normals(vertices)[self._owner]

    def _normals(self, vertices: FloatArray) -> FloatArray:
        columns = np.ascontiguousarray(vertices.T, np.float64)
        a, b, c = columns[:, self._corners[:, 0]], columns[:, self._corners[:, 1]], columns[:, self._corners[:, 2]]
        ux, uy, uz = b - a
        wx, wy, wz = c - a
        across = (uy * wz - uz * wy, uz * wx - ux * wz, ux * wy - uy * wx)
        summed = np.stack([np.bincount(self._at, np.tile(part, 3), self.count) for part in across], axis=1)
        length = np.sqrt(np.einsum("vi,vi->v", summed, summed))[:, None]
        return np.divide(summed, length, out=np.zeros_like(summed), where=length > 0).astype(np.float32)


def _check(mesh: Mesh) -> None:
    vertices, faces = mesh.vertices, mesh.faces
    if vertices.ndim != 2 or vertices.shape[1:] != (3,) or faces.ndim != 2 or faces.shape[1:] != (3,):
        raise BadInput(f"a mesh has (V, 3) vertices and (F, 3) faces, got {vertices.shape} and {faces.shape}")
    if not len(faces) or not mesh.materials:
        raise BadInput("a mesh to draw has at least one triangle and one material")
    if faces.min() < 0 or faces.max() >= len(vertices):
        raise BadInput(f"faces count vertices from 0 to {len(vertices) - 1}, got {faces.min()} to {faces.max()}")
    if mesh.face_materials.shape != faces.shape[:1] or mesh.colors.shape != vertices.shape:
        raise BadInput("a mesh has a material for each face and a colour for each vertex")
    if mesh.face_materials.min() < 0 or mesh.face_materials.max() >= len(mesh.materials):
        raise BadInput(f"a face's material is one of {len(mesh.materials)}, got number {mesh.face_materials.max()}")
    if not np.isfinite(vertices).all():
        raise BadInput("a mesh's vertices are finite numbers, got NaN or infinity")


def _welded(vertices: FloatArray, normals: FloatArray) -> NDArray[np.int64]:
    """For each vertex the first one at its place whose normal is near its own."""
    step = max(float(np.ptp(vertices, axis=0).max()) * 1e-6, 1e-12)
    near: NDArray[np.floating[Any]] = np.subtract(vertices, vertices.min(axis=0)) / step
    places = (near + 0.5).astype(np.int64)
    # 21 bits a side: one number a place sorts much faster than three.
    keys = (places[:, 0] << 42) | (places[:, 1] << 21) | places[:, 2]
    _, place = np.unique(keys, return_inverse=True)
    owner = np.arange(len(vertices))
    left = np.flatnonzero(np.bincount(place)[place] > 1)
    # Lips that touch at rest lie at one place with opposite normals: they stay apart, each with its own leader.
    while len(left):
        _, first, group = np.unique(place[left], return_index=True, return_inverse=True)
        leader = left[first][group.reshape(-1)]
        same = (np.einsum("vi,vi->v", normals[left], normals[leader]) > WELD) | (leader == left)
        owner[left[same]] = leader[same]
        left = left[~same]
    return owner
