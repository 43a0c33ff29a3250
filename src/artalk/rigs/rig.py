"""What a face is made of: materials, a mesh, joints, and the abstract `Rig` that motion poses.

Space is glTF's: metres, +Y up, right-handed, the face looks along +Z, so the subject's left is +X. Colours are
linear RGB in 0..1.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from artalk.channels import Channels

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int32]


Box = tuple[tuple[float, float, float], tuple[float, float, float]]
"""The lowest and the highest corner of an axis-aligned box, in metres."""


@dataclass(frozen=True)
class Material:
    """How a part of the surface takes light.

    `color` is linear RGB; `roughness` 0 (mirror) to 1 (matt); `subsurface` 0 to 1 is how softly light wraps round
    the form, as in skin; `specular` scales the highlight (1 is a common dielectric). The back of a surface that is not
    `double_sided` is never drawn: a closed part needs none, and draws in half the time. What is `inside` lies in a
    mouth that the pose opens: how little light reaches it at rest says nothing of later, so its colours hold its shade.
    """

    name: str
    color: tuple[float, float, float]
    roughness: float = 0.6
    specular: float = 1.0
    subsurface: float = 0.0
    double_sided: bool = True
    inside: bool = False


@dataclass(frozen=True, eq=False)
class Mesh:
    """Triangles with materials and vertex colours.

    `vertices` (V, 3) in metres, `faces` (F, 3) counter-clockwise from outside, `face_materials` (F,) indices into
    `materials`, `colors` (V, 3) linear RGB that multiply the material's colour.
    """

    vertices: FloatArray
    faces: IntArray
    face_materials: IntArray
    materials: tuple[Material, ...]
    colors: FloatArray


@dataclass(frozen=True)
class Joint:
    """A pivot: `position` in metres in the neutral pose, `parent` by name (None for the root); parents stand first."""

    name: str
    position: tuple[float, float, float]
    parent: str | None = None


@dataclass(frozen=True)
class Landmarks:
    """Vertex numbers that measure a face, whatever its topology.

    `inner_upper_lip` and `inner_lower_lip` are the middle of the inner lip contour, `left_mouth_corner` and
    `right_mouth_corner` its ends (subject's sides); `extra` holds further named vertices.
    """

    inner_upper_lip: int
    inner_lower_lip: int
    left_mouth_corner: int
    right_mouth_corner: int
    extra: dict[str, int] = field(default_factory=dict[str, int])


class Rig(ABC):
    """A face that can be posed by motion in its `channels`."""

    channels: Channels
    mesh: Mesh
    joints: tuple[Joint, ...]
    landmarks: Landmarks | None
    focus: Box | None
    """What a camera should frame: the head's box where the mesh is more than a head, else None."""

    @abstractmethod
    def pose(self, values: FloatArray) -> FloatArray:
        """Return the (V, 3) vertices for one frame of `values` (channels,), head pose included."""
