"""ARKit ⇄ the 61 curves of Live Link Face: 52 weights, then the angles of head and eyes.

The angles' signs are measured in a take that the app recorded: positive pitch looks down (-0.54 radians per unit of
eyeLookUp - eyeLookDown, correlation 0.995) and positive yaw turns to the subject's *right* (-0.59 per unit of
eyeLookOut - eyeLookIn of the left eye, 0.999); roll, the product of both, then fits our order of rotations seen in a
mirror. The head's curves were zero in all takes at hand; they are given the eyes' signs.
"""

import numpy as np
from numpy.typing import NDArray

from artalk import rotation
from artalk.channels import ARKIT, ARKIT_SHAPES, Channels, Group
from artalk.motion import Motion
from artalk.retarget.joints import joint_rotations

ANGLES: tuple[str, ...] = tuple(
    joint + angle for joint in ("Head", "LeftEye", "RightEye") for angle in ("Yaw", "Pitch", "Roll")
)

LIVELINK61 = Channels(
    "livelink61",
    (Group("shapes", 52), Group("head", 3, "angle"), Group("eyes", 6, "angle")),
    (*(name[0].upper() + name[1:] for name in ARKIT_SHAPES), *ANGLES),
)
"""Unreal's curves in the order of `EARFaceBlendShape` and of the Live Link packet; angles in radians."""


def from_arkit(motion: Motion) -> Motion:
    """The 61 curves of ARKit motion."""
    turns = joint_rotations(motion.values)
    angles = [_angles(turns[joint]) for joint in ("head", "leftEye", "rightEye")]
    values = np.concatenate([motion.values[:, : len(ARKIT_SHAPES)], *angles], axis=1)
    return Motion(values.astype(np.float32), LIVELINK61, motion.fps, motion.start)


def to_arkit(motion: Motion) -> Motion:
    """ARKit motion of the 61 curves; the eyes' angles say the same as the eyeLook weights and are left out."""
    values = np.concatenate([motion.group("shapes"), head(motion.group("head"))], axis=1)
    return Motion(values.astype(np.float32), ARKIT, motion.fps, motion.start)


def head(angles: NDArray[np.floating]) -> NDArray[np.float64]:
    """Rotation vectors (..., 3) of yaw, pitch and roll (..., 3) as Live Link has them, in radians."""
    yaw, pitch, roll = np.moveaxis(np.asarray(angles, np.float64), -1, 0)
    return rotation.quat_to_rotvec(rotation.euler_to_quat(pitch, -yaw, -roll))


def _angles(rotvec: NDArray[np.floating]) -> NDArray[np.float64]:
    pitch, yaw, roll = np.moveaxis(rotation.quat_to_euler(rotation.rotvec_to_quat(rotvec)), -1, 0)
    return np.stack([-yaw, pitch, -roll], axis=-1)
