"""The joints of a face, from ARKit weights: what an eyeLook or a jawOpen weight means as a rotation."""

import numpy as np
from numpy.typing import NDArray

from artalk.channels import ARKIT, HEAD, Channels

GAZE = 0.5
"""Radians that an eye turns at eyeLook weight 1: what recorded Live Link takes regress to (about 29 degrees)."""

JAW = 0.4
"""Radians that the jaw drops at jawOpen 1 (about 23 degrees), for what is attached to the jaw joint."""


def joint_rotations(values: NDArray[np.floating], channels: Channels = ARKIT) -> dict[str, NDArray[np.float64]]:
    """Rotation vectors (..., 3) of the joints "head", "jaw", "leftEye" and "rightEye", relative to their parents.

    `values` (..., channels) is ARKit motion. Eyes turn by the difference of opposite eyeLook weights times `GAZE`,
    the jaw by jawOpen times `JAW`; the skin of the jaw moves by blendshapes, so the jaw joint serves beards and props.
    What other `channels` lack of these is 0.
    """
    all_values = np.asarray(values, np.float64)
    zero = np.zeros(all_values.shape[:-1])

    def weight(name: str) -> NDArray[np.float64]:
        return all_values[..., channels.index(name)] if name in channels else zero

    def eye(side: str, outwards: float) -> NDArray[np.float64]:
        pitch = weight(f"eyeLookDown{side}") - weight(f"eyeLookUp{side}")
        yaw = (weight(f"eyeLookOut{side}") - weight(f"eyeLookIn{side}")) * outwards
        return GAZE * np.stack([pitch, yaw, np.zeros_like(yaw)], axis=-1)

    return {
        "head": np.stack([weight(name) for name in HEAD], axis=-1),
        "jaw": JAW * np.stack([weight("jawOpen"), zero, zero], axis=-1),
        "leftEye": eye("Left", 1.0),
        "rightEye": eye("Right", -1.0),
    }
