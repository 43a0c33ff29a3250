"""A face of blendshapes and joints, driven by ARKit motion: the built-in head, ICT and users' avatars are its data."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from artalk import rotation
from artalk.channels import ARKIT, Channels
from artalk.errors import BadInput
from artalk.retarget.joints import GAZE as GAZE
from artalk.retarget.joints import JAW as JAW
from artalk.retarget.joints import joint_rotations as joint_rotations
from artalk.rigs.rig import Box, FloatArray, Joint, Landmarks, Mesh, Rig


@dataclass(frozen=True, eq=False)
class BlendshapeRig(Rig):
    """Neutral mesh + weighted shapes, then linear-blend skinning to the joints.

    `shapes` names S of the ARKit weights, `deltas` is (S, V, 3) metres, `skin` (V, J) sums to 1 in each row over
    `joints`. The head's rotation turns joint "head", eyeLook weights turn "leftEye" and "rightEye" (`joint_rotations`),
    each with all its descendants; a rig without such a joint, and a weight without a shape, has no such effect.
    """

    mesh: Mesh
    shapes: tuple[str, ...]
    deltas: FloatArray
    joints: tuple[Joint, ...]
    skin: FloatArray
    landmarks: Landmarks | None = None
    focus: Box | None = None
    channels: Channels = ARKIT

    def __post_init__(self) -> None:
        vertices = len(self.mesh.vertices)
        if self.deltas.shape != (len(self.shapes), vertices, 3):
            raise BadInput(
                f"{len(self.shapes)} shapes of a mesh of {vertices} vertices are "
                f"({len(self.shapes)}, {vertices}, 3), got {self.deltas.shape}"
            )
        if self.skin.shape != (vertices, len(self.joints)):
            raise BadInput(f"skin weights are ({vertices}, {len(self.joints)}), got {self.skin.shape}")

    @cached_property
    def _columns(self) -> NDArray[np.int64]:
        return np.array(self.channels.indices(self.shapes), np.int64)

    @cached_property
    def _flat(self) -> FloatArray:
        return np.ascontiguousarray(self.deltas.reshape(len(self.shapes), 3 * len(self.mesh.vertices)), np.float32)

    @cached_property
    def _carried(self) -> dict[str, FloatArray]:
        """For each joint, the (V, 1) share of each vertex that follows it or one of its descendants."""
        parent = {joint.name: joint.parent for joint in self.joints}
        carried = {joint.name: np.zeros((len(self.skin), 1), np.float32) for joint in self.joints}
        for column, joint in enumerate(self.joints):
            name: str | None = joint.name
            while name is not None:
                carried[name] += self.skin[:, column : column + 1]
                name = parent[name]
        return carried

    def morph(self, values: FloatArray) -> FloatArray:
        """The (V, 3) vertices with shapes applied and joints at rest."""
        weights = np.asarray(values, np.float32)[self._columns]
        used = np.flatnonzero(weights)
        return np.add(self.mesh.vertices, (weights[used] @ self._flat[used]).reshape(-1, 3), dtype=np.float32)

    def pose(self, values: FloatArray) -> FloatArray:
        """The (V, 3) vertices of one frame of `values` (channels,): shapes, then joints from the leaves to the root."""
        vertices = self.morph(values)
        rotations = joint_rotations(values, self.channels)
        for joint in reversed(self.joints):
            if joint.name in ("head", "leftEye", "rightEye"):
                vertices = self._turn(vertices, joint, rotations[joint.name])
        return vertices

    def _turn(self, vertices: FloatArray, joint: Joint, rotvec: NDArray[np.float64]) -> FloatArray:
        if not rotvec.any():
            return vertices
        matrix = rotation.rotvec_to_matrix(rotvec).astype(np.float32)
        origin = np.array(joint.position, np.float32)
        turned = (vertices - origin) @ matrix.T + origin
        return np.add(vertices, self._carried[joint.name] * (turned - vertices), dtype=np.float32)
