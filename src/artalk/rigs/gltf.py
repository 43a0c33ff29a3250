"""The user's own avatar as a rig: any `.glb`, `.gltf` or `.vrm` with morph targets or bones whose names we know.

Shapes are found by name, never by position (`artalk.rigs.matching`). What was found, replaced and missed is in
`AvatarRig.report`.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from artalk import rotation
from artalk.channels import ARKIT, Channels
from artalk.errors import BadFile
from artalk.retarget.joints import joint_rotations
from artalk.rigs import glb
from artalk.rigs.blendshape import BlendshapeRig
from artalk.rigs.flatten import flatten, head_box
from artalk.rigs.glb import Glb
from artalk.rigs.matching import Matching
from artalk.rigs.matching import Report as Report
from artalk.rigs.rig import Box, FloatArray, Joint, Landmarks, Mesh, Rig
from artalk.rigs.scene import Scene

_NOTHING = np.zeros((0, 0))


class AvatarRig(Rig):
    """An avatar that ARKit motion drives, in our space: metres, facing +Z.

    `document` is the file as it came; `report` says which channels it follows; `focus` is the box of the head, for
    a camera; `target_weights` and `bone_rotations` are motion in the document's own terms.
    """

    def __init__(self, document: Glb) -> None:
        scene = Scene(document)
        found = Matching(scene)
        self.document = document
        self.report = found.report
        self.channels: Channels = ARKIT
        self.landmarks: Landmarks | None = None
        self._found = found
        self._inner = flatten(scene, found)
        self.mesh: Mesh = self._inner.mesh
        self.joints: tuple[Joint, ...] = self._inner.joints
        self.focus: Box | None = head_box(self._inner)

    def pose(self, values: FloatArray) -> FloatArray:
        """Return the (V, 3) vertices for one frame of ARKit `values` (55,)."""
        return self._inner.pose(self.drive(np.asarray(values, np.float32)[None])[0])

    def drive(self, values: FloatArray) -> FloatArray:
        """ARKit `values` (frames, 55) and, after them, the weights of the avatar's other shapes that stand in."""
        values = np.asarray(values, np.float32)
        return np.concatenate([values, self._found.stand_ins(values)], axis=1, dtype=np.float32)

    @property
    def is_vrm(self) -> bool:
        """Whether the file is a VRM avatar (1.0 or 0.x), which says more of itself than glTF does."""
        return not {"VRM", "VRMC_vrm"}.isdisjoint(self.document.json.get("extensions", {}))

    @property
    def blendshapes(self) -> BlendshapeRig:
        """The avatar as one mesh with shapes, posed by what `drive` gives; its channels go beyond ARKit's."""
        return self._inner

    def target_weights(self, values: FloatArray) -> dict[int, FloatArray]:
        """The morph weights (frames, targets) of each node of the document that moves, from ARKit `values`."""
        driven = self.drive(values)
        scene = self._found.scene
        weights: dict[int, FloatArray] = {}
        for name, binds in self._found.binds.items():
            column = driven[:, self._inner.channels.index(name)]
            for bind in binds:
                for node in self._found.shown(bind):
                    if node not in weights:
                        weights[node] = self._rest(scene, node, len(driven))
                    weights[node][:, bind.target] += bind.weight * column
        return {node: np.clip(weight, 0, 1).astype(np.float32) for node, weight in sorted(weights.items())}

    def _rest(self, scene: Scene, node: int, frames: int) -> FloatArray:
        """Default weights, with zero where a channel of ours takes over."""
        rest = scene.default_weights(node)
        rest[[bind.target for bind in self._found.binds_of(node)]] = 0
        return np.tile(rest.astype(np.float32), (frames, 1))

    def bone_rotations(self, values: FloatArray) -> dict[int, NDArray[np.float64]]:
        """The local rotations (frames, 4), xyzw, of the document's bones, from ARKit `values` (frames, 55)."""
        turns = joint_rotations(np.asarray(values, np.float32))
        facing = self._found.facing
        rotations: dict[int, NDArray[np.float64]] = {}
        for name, bone in self._found.bones.items():
            if name in turns and (name != "jaw" or "jawOpen" not in self.report.matched):
                # A turn in our space, seen from the bone's parent, before the bone's own rest rotation.
                ours = bone.above.T @ facing.T @ rotation.rotvec_to_matrix(turns[name]) @ facing @ bone.above
                rotations[bone.node] = rotation.matrix_to_quat(ours @ bone.rest)
        return rotations

    def motion_values(self, moved: Mapping[tuple[int, str], NDArray[np.float64]], frames: int) -> FloatArray:
        """ARKit values (frames, 55) of an animation: what `target_weights` and `bone_rotations` would turn into it.

        `moved` has (frames, targets) for (node, "weights") and (frames, 4) for (node, "rotation"); shapes that are
        only approximated do not come back.
        """
        values = np.zeros((frames, len(ARKIT)), np.float32)
        for shape in self.report.matched:
            columns = [
                moved[node, "weights"][:, bind.target] / bind.weight
                for bind in self._found.binds[shape]
                for node in self._found.shown(bind)
                if bind.weight > 0 and bind.target < moved.get((node, "weights"), _NOTHING).shape[1]
            ]
            if columns:
                values[:, ARKIT.index(shape)] = np.mean(columns, axis=0)
        bone = self._found.bones.get("head")
        if bone is not None and (bone.node, "rotation") in moved:
            facing = self._found.facing
            local = rotation.quat_to_matrix(moved[bone.node, "rotation"]) @ bone.rest.T
            turn = facing @ bone.above @ local @ bone.above.T @ facing.T
            values[:, ARKIT.slice("head")] = rotation.matrix_to_rotvec(turn)
        return values


def load(path: str | Path) -> AvatarRig:
    """Read the avatar at `path`.

    Raises `MissingFile`, `BadFile` for what is no glTF 2.0 or holds no triangles, `Unsupported` for compressed meshes.
    """
    document = glb.read(path)
    try:
        return AvatarRig(document)
    except (KeyError, TypeError, IndexError, OverflowError) as error:
        # Documents from anywhere can break any rule of the format; what no check names is still the file's fault.
        raise BadFile(f"{Path(path).name} breaks the rules of glTF: {error!r}; try a validator on it") from error
