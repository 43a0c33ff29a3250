"""iFacialMocap's frames: one line of text a datagram, to port 49983.

    mouthSmile_R-0|eyeLookOut_L-0|…|=head#rx,ry,rz,tx,ty,tz|rightEye#rx,ry,rz|leftEye#rx,ry,rz|

Weights are whole numbers 0 to 100, angles degrees, the head's place 0. The app leaves the angles' signs undocumented:
ours are turns about x (down), y (to the subject's left) and z (to the subject's right shoulder).
"""

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from artalk import rotation
from artalk.channels import ARKIT_SHAPES
from artalk.retarget.joints import joint_rotations

PORT = 49983


def _spelt(name: str) -> str:
    """`mouthSmileRight` as `mouthSmile_R`; jawLeft and its like are whole shapes, not sides of one."""
    for side in ("Left", "Right"):
        stem = name.removesuffix(side)
        if stem != name and stem not in ("jaw", "mouth"):
            return f"{stem}_{side[0]}"
    return name


NAMES = tuple(_spelt(name) for name in ARKIT_SHAPES)
"""ARKit's 52 in order U, as the app spells them."""


class IFacialMocap:
    """Writes the datagrams of one phone."""

    def packets(self, pose: NDArray[np.float32], frame: int, fps: Fraction) -> list[bytes]:
        """The datagram of one ARKit pose (55,)."""
        weights = np.rint(100 * pose[: len(NAMES)]).astype(int).clip(0, 100).tolist()
        shapes = "".join(f"{name}-{weight}|" for name, weight in zip(NAMES, weights, strict=True))
        turns = joint_rotations(pose)
        head, right, left = (_degrees(turns[joint]) for joint in ("head", "rightEye", "leftEye"))
        return [f"{shapes}=head#{head},0,0,0|rightEye#{right}|leftEye#{left}|".encode()]


def _degrees(rotvec: NDArray[np.float64]) -> str:
    angles = np.degrees(rotation.quat_to_euler(rotation.rotvec_to_quat(rotvec)))
    return ",".join(f"{angle + 0.0:.4f}" for angle in angles.tolist())
