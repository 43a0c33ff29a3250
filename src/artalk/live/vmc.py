"""VMC, the protocol of VTubers' tools: expressions and bones as OSC over UDP, to port 39539.

Names are VRM 0's presets ("A", "Blink_L", …), which every receiver knows, VRM 1's, or the 52 of "perfect sync" for
avatars that have them. Space is Unity's: left-handed, +Y up, +Z forward, so that x is mirrored. The protocol wants a
bone's position beside its rotation; receivers that apply it get that of a usual avatar.
"""

from collections.abc import Callable
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from artalk import rotation
from artalk.channels import ARKIT, ARKIT_SHAPES
from artalk.errors import BadInput
from artalk.live import osc
from artalk.motion import Motion
from artalk.retarget import vrm
from artalk.retarget.joints import joint_rotations

PORT = 39539

BONES = {
    "Head": ("head", (0.0, 0.08, 0.0)),
    "LeftEye": ("leftEye", (-0.02, 0.06, 0.02)),
    "RightEye": ("rightEye", (0.02, 0.06, 0.02)),
}
"""Unity's names of bones, our joints, and where such a bone lies from its parent in metres."""

LOOKS = ("lookUp", "lookDown", "lookLeft", "lookRight", "LookUp", "LookDown", "LookLeft", "LookRight")
"""Expressions that turn the eyes once more where their bones are turned."""


WHOLE = ("perfectsync", "arkit")
"""Names that go out for all 52 shapes, looks among them."""


def _presets(channels: vrm.Channels) -> Callable[[Motion], dict[str, float]]:
    # Moods are the performer's own, by the keys of their tool: a 0 from us would take them back at each frame.
    names = [name for group in ("vowels", "blinks", "looks") for name in channels.names[channels.slice(group)]]
    columns = channels.indices(names)
    return lambda motion: dict(zip(names, vrm.from_arkit(motion, channels).values[0, columns].tolist(), strict=True))


def _shapes(spell: Callable[[str], str]) -> Callable[[Motion], dict[str, float]]:
    names = [spell(name) for name in ARKIT_SHAPES]
    return lambda motion: dict(zip(names, motion.values[0, : len(names)].tolist(), strict=True))


NAMES: dict[str, Callable[[Motion], dict[str, float]]] = {
    "vrm0": _presets(vrm.VRM0),
    "vrm1": _presets(vrm.VRM),
    "perfectsync": _shapes(lambda name: name[0].upper() + name[1:]),
    "arkit": _shapes(lambda name: name),
}
"""What expressions can be called."""


BONE_CHOICES = ("all", "head", "none")
"""Which bones can be turned."""


class Vmc:
    """Writes the datagrams of one performer.

    `bones` is "all" (head and eyes), "head" or "none"; by default the head alone where names are those of the 52
    shapes, whose looks turn the eyes, and all where they are a preset's. Raises `BadInput` for what is none of them.
    """

    def __init__(self, names: str = "vrm0", bones: str = "") -> None:
        if names not in NAMES:
            raise BadInput(f"names of expressions are {', '.join(NAMES)}, got {names!r}")
        bones = bones or ("head" if names in WHOLE else "all")
        if bones not in BONE_CHOICES:
            raise BadInput(f"bones are {', '.join(BONE_CHOICES)}, got {bones!r}")
        self._expressions = NAMES[names]
        self._bones = {
            bone: row for bone, row in BONES.items() if bones == "all" or (bones == "head" and bone == "Head")
        }
        self._left_out = LOOKS if bones == "all" else ()

    def packets(self, pose: NDArray[np.float32], frame: int, fps: Fraction) -> list[bytes]:
        """The datagrams of one ARKit pose (55,), to be applied once the last has come."""
        motion = Motion(pose[None], ARKIT, fps)
        messages = [osc.message("/VMC/Ext/OK", 1), osc.message("/VMC/Ext/T", float(frame / fps))]
        if self._bones:
            turns = joint_rotations(pose)
            for bone, (joint, place) in self._bones.items():
                messages.append(osc.message("/VMC/Ext/Bone/Pos", bone, *place, *_unity(turns[joint])))
        for name, value in self._expressions(motion).items():
            if name not in self._left_out:
                messages.append(osc.message("/VMC/Ext/Blend/Val", name, float(value)))
        messages.append(osc.message("/VMC/Ext/Blend/Apply"))
        return osc.bundles(messages)


def _unity(rotvec: NDArray[np.float64]) -> tuple[float, float, float, float]:
    """Our rotation as Unity's quaternion x, y, z, w: x is mirrored."""
    x, y, z, w = rotation.rotvec_to_quat(rotvec).tolist()
    return x, -y, -z, w
