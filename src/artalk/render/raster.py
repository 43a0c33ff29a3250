"""Pictures by numpy alone: for machines without OpenGL, in the same light.

There are 2 x 2 samples a pixel (3 x 3 in small pictures). As on a graphics card, a pixel inside a surface is shaded
once, and one that an edge crosses once a sample.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from artalk.errors import BadInput
from artalk.render.camera import Camera
from artalk.render.light import Look, display, shade
from artalk.render.picture import Picture, over
from artalk.render.renderer import Renderer
from artalk.render.surface import Surface
from artalk.render.zbuffer import EMPTY, Triangles, fill
from artalk.rigs.rig import FloatArray, Mesh

Steps = NDArray[np.floating[Any]]
Int = NDArray[np.int64]

SMALL = 600 * 600
"""Pictures of fewer pixels get 3 x 3 samples a pixel."""

BAND = 1 << 22
"""Samples that are drawn in one go: bounds the memory of large pictures."""


class RasterRenderer(Renderer):
    """Draws without any graphics library. Triangles that reach nearer than the camera's `near` are left out."""

    def __init__(self, mesh: Mesh, width: int, height: int, camera: Camera, look: Look) -> None:
        self.name = "raster (numpy)"
        self._surface = Surface(mesh)
        self._camera, self._look = camera, look
        self._size = width, height
        self._times = 3 if width * height < SMALL else 2
        self._background = None if look.background is None else look.background.picture(width, height)
        self._rows = min(height, max(1, BAND // (width * self._times**2)))
        self._buffer: NDArray[np.uint64] | None = np.empty(width * self._rows * self._times**2, np.uint64)

    def frame(self, vertices: NDArray[np.floating[Any]]) -> Picture:
        """See `Renderer.frame`."""
        if self._buffer is None:
            raise BadInput("a renderer draws until it is closed: open another")
        surface, (width, height) = self._surface, self._size
        posed = surface.positions(vertices)
        moving = posed[surface.source], surface.normals(posed)[surface.source]
        points = np.column_stack([*moving, surface.albedo, surface.finish, surface.open]).astype(np.float32)
        drawn = np.empty((height, width, 4), np.uint8)
        for top in range(0, height, self._rows):
            rows = min(self._rows, height - top)
            drawn[top : top + rows] = self._band(points, top, rows, self._buffer)
        return over(drawn, self._background)

    def close(self) -> None:
        """See `Renderer.close`."""
        self._buffer = None

    def _band(self, points: FloatArray, top: int, rows: int, buffer: NDArray[np.uint64]) -> Picture:
        """The premultiplied RGBA pixels of `rows` of the picture from `top`: a large picture is drawn in such bands."""
        (width, height), times = self._size, self._times
        matrix = _cropped(self._camera.matrix(width / height), top / height, rows / height)
        surface = self._surface
        triangles = Triangles(points[:, :3], surface.faces, matrix, width * times, rows * times, surface.single)
        buffer = buffer[: rows * width * times**2]
        fill(triangles, buffer, width * times, rows * times)
        return self._shaded(triangles, buffer, points).reshape(rows, width, 4)

    def _shaded(self, triangles: Triangles, buffer: NDArray[np.uint64], points: FloatArray) -> Picture:
        """The (pixels, 4) premultiplied colours of what the buffer's samples show."""
        width, times = self._size[0], self._times
        per = times * times
        keys = buffer.reshape(-1, times, width, times).transpose(1, 3, 0, 2).reshape(per, -1)
        drawn = np.zeros((keys.shape[1], 4), np.uint8)
        hit = np.flatnonzero(keys.min(axis=0) != EMPTY)
        keys = keys[:, hit]
        covered = keys != EMPTY
        number = np.where(covered, keys & np.uint64(0xFFFFFFFF), 0).astype(np.int64)
        smooth = self._smooth(triangles, number, covered)
        row, column = np.divmod(hit, width)
        inside = np.flatnonzero(smooth)
        middle = column[inside] * times + times / 2, row[inside] * times + times / 2
        drawn[hit[inside], :3] = self._colors(triangles, points, number[per // 2, inside], *middle)
        drawn[hit[inside], 3] = 255
        rough = np.flatnonzero(~smooth)
        sample, edge = np.nonzero(covered[:, rough])
        place = column[rough][edge] * times + sample % times + 0.5, row[rough][edge] * times + sample // times + 0.5
        colors = self._colors(triangles, points, number[sample, rough[edge]], *place)
        total = np.stack([np.bincount(edge, part, len(rough)) for part in colors.T], axis=1)
        drawn[hit[rough], :3] = np.round(total / per)
        drawn[hit[rough], 3] = np.round(covered[:, rough].sum(axis=0) * (255 / per))
        return drawn

    def _smooth(self, triangles: Triangles, number: Int, covered: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Which pixels show one surface: samples of one material and side, and at nearly one distance."""
        alike = (triangles.side * (self._surface.kinds + 1))[number]
        away = triangles.away[number]
        span = away.max(axis=0) - away.min(axis=0)
        pixel = 2 * np.tan(self._camera.view_angle / 2) / self._size[1]
        return covered.all(axis=0) & (alike == alike[0]).all(axis=0) & (span < 6 * pixel * away[0])

    def _colors(self, triangles: Triangles, points: FloatArray, number: Int, x: Steps, y: Steps) -> Picture:
        """The (n, 3) display colours of triangles `number` at sample positions `x`, `y`."""
        shares = triangles.shares(number, x, y)
        found = np.zeros((points.shape[1], len(number)), np.float32)
        for share, corner in zip(shares, self._surface.faces.T, strict=True):
            found += share * points[corner[number]].T
        normal = found[3:6]
        normal *= triangles.side[number] / np.maximum(np.sqrt((normal * normal).sum(axis=0)), 1e-6)
        eye = np.array(self._camera.position, np.float32)[:, None]
        lit = shade(self._look, self._camera.frame(), eye, found[:3], normal, found[6:9], found[9:12], found[12])
        return display(lit).T


def _cropped(matrix: NDArray[np.float64], top: float, height: float) -> NDArray[np.float64]:
    """A projection `matrix` that shows only the part of the picture `top` below its upper edge (shares of it)."""
    crop = np.eye(4)
    crop[1, 1] = 1 / height
    crop[1, 3] = (2 * top + height - 1) / height
    return crop @ matrix
