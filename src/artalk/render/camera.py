"""Where the picture is taken from, and how a head is framed."""

import math
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from artalk.errors import BadInput
from artalk.rigs.rig import Box, Mesh

Matrix = NDArray[np.float64]

Point = tuple[float, float, float]

LENS = math.radians(22)
"""The vertical field of view of a portrait: a long lens, which keeps the nose from growing."""

HEAD = 1.3
"""A head, crown to chin, is about this many times as high as it is wide, ears included."""

BODY = 0.15
"""What is longer than this below a head, in heads, is a neck; less is the head's own."""

AIR = 0.1
"""Empty space above the crown, in heads."""

NECK = 0.25
"""What shows below the chin, in heads, where there is so much."""

CUT = 0.03
"""How far above a mesh's lower end the picture stops, in heads: the hole of a cut neck is not seen."""


@dataclass(frozen=True)
class Camera:
    """A pinhole at `position` that looks at `target`, +Y up; metres.

    `view_angle` is the vertical field of view in radians; nothing nearer than `near` or beyond `far` is seen.
    """

    position: Point
    target: Point
    view_angle: float = LENS
    near: float = 0.05
    far: float = 100.0

    def __post_init__(self) -> None:
        numbers = np.array([*self.position, *self.target, self.view_angle, self.near, self.far])
        if not np.isfinite(numbers).all():
            raise BadInput(f"a camera's numbers are finite, got {self}")
        if not 0 < self.view_angle < math.pi:
            raise BadInput(f"a camera's view_angle is radians between 0 and pi, got {self.view_angle}")
        if not 0 < self.near < self.far:
            raise BadInput(f"a camera sees from near to far, 0 < near < far, got {self.near} and {self.far}")
        away = np.subtract(self.position, self.target)
        if math.hypot(away[0], away[2]) < 1e-6 * math.hypot(*away) or not away.any():
            raise BadInput("a camera looks at something other than itself, and not straight up or down")

    @classmethod
    def portrait(cls, mesh: Mesh, focus: Box | None = None, aspect: float = 1.0, turn: float = 0.0) -> Self:
        """Frame a head: the whole of it, some air above, the neck below, from eye level.

        `focus` is the box of the head where the mesh is more than that; without it the head is found as the upper
        part that is `HEAD` times as high as it is wide. `aspect` is width / height of the picture. `turn` (radians)
        walks round the head, towards the subject's left.
        """
        if not len(mesh.vertices) or not np.isfinite(mesh.vertices).all():
            raise BadInput("a portrait needs a mesh with vertices, all of them finite")
        box, is_part = (np.array(focus, np.float64), True) if focus is not None else _head(mesh)
        low, high = box
        height, width, depth = high[1] - low[1], high[0] - low[0], high[2] - low[2]
        size = max(height, width, depth, 1e-9)
        top = high[1] + AIR * size
        floor = float(mesh.vertices[:, 1].min())
        # Where the mesh goes on below the head, the picture stops above the hole of its cut neck.
        bottom = max(low[1] - NECK * size, floor + CUT * size) if is_part else low[1] - AIR * size
        frame = max(top - bottom, 1.15 * max(width, depth if turn else 0.0) / aspect)
        middle = np.array([(low[0] + high[0]) / 2, (top + bottom) / 2, (low[2] + high[2]) / 2])
        away = frame / 2 / math.tan(LENS / 2)
        position = middle + away * np.array([math.sin(turn), 0.0, math.cos(turn)])
        reach = float(np.ptp(mesh.vertices, axis=0).max())
        return cls(_point(position), _point(middle), LENS, away / 50, away + 10 * max(reach, size))

    def frame(self) -> Matrix:
        """The camera's own axes in the world: rows right, up and backwards."""
        backwards = _unit(np.subtract(self.position, self.target))
        right = _unit(np.cross([0.0, 1.0, 0.0], backwards))
        return np.stack([right, np.cross(backwards, right), backwards])

    def matrix(self, aspect: float) -> Matrix:
        """The (4, 4) matrix from world to clip space (OpenGL's: x, y and z in -w..w)."""
        axes = self.frame()
        view = np.eye(4)
        view[:3, :3] = axes
        view[:3, 3] = -axes @ np.array(self.position)
        scale = 1 / math.tan(self.view_angle / 2)
        near, far = self.near, self.far
        project = np.zeros((4, 4))
        project[0, 0] = scale / aspect
        project[1, 1] = scale
        project[2, 2:] = (far + near) / (near - far), 2 * far * near / (near - far)
        project[3, 2] = -1
        return project @ view


def _head(mesh: Mesh) -> tuple[Matrix, bool]:
    """The box of the part of a mesh from its top that has a head's proportions, and whether there is more below."""
    points = np.asarray(mesh.vertices, np.float64)
    points = points[np.argsort(-points[:, 1], kind="stable")]
    below = points[0, 1] - points[:, 1]
    width = np.maximum.accumulate(points[:, 0]) - np.minimum.accumulate(points[:, 0])
    # The first tenth is skipped: a strand of hair at the very top is high and thin.
    tall = np.flatnonzero((below >= HEAD * width) & (below > 0.1 * below[-1]))
    is_part = len(tall) > 0 and below[-1] > (1 + BODY) * below[tall[0]]
    part = points[: tall[0] + 1] if is_part else points
    return np.stack([part.min(axis=0), part.max(axis=0)]), is_part


def _unit(vector: Matrix) -> Matrix:
    return vector / np.linalg.norm(vector)


def _point(vector: Matrix) -> Point:
    x, y, z = (float(part) for part in vector)
    return x, y, z
