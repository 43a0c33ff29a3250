"""Changes to motion that an animator makes after the fact."""

from collections.abc import Mapping

import numpy as np

from artalk.channels import ARKIT, Channels
from artalk.errors import BadInput, Unsupported
from artalk.motion import Motion


def _arkit(*prefixes: str) -> tuple[int, ...]:
    return tuple(k for k, name in enumerate(ARKIT.names) if name.startswith(prefixes))


PARTS: dict[str, tuple[int, ...]] = {
    "lips": _arkit("jaw", "mouth", "tongue"),
    "cheeks": _arkit("cheek", "nose"),
    "brows": _arkit("brow"),
    "blinks": _arkit("eyeBlink"),
    "lids": _arkit("eyeSquint", "eyeWide"),
    "gaze": _arkit("eyeLook"),
    "head": _arkit("head"),
}
"""Parts of a face, as columns of ARKit motion, that `scaled` strengthens or calms."""


def check(gains: Mapping[str, float], channels: Channels = ARKIT) -> None:
    """Raise `BadInput` for an unknown part or a gain outside 0..10, `Unsupported` where `channels` have no parts."""
    if gains and channels != ARKIT:
        raise Unsupported(f"gains are for {ARKIT.name} motion, got {channels.name}; retarget it first")
    for part, gain in gains.items():
        if part not in PARTS:
            raise BadInput(f"a gain is for one of {', '.join(PARTS)}, got {part!r}")
        if not 0 <= gain <= 10:
            raise BadInput(f"a gain lies between 0 and 10, got {part}={gain}")


def scaled(motion: Motion, gains: Mapping[str, float]) -> Motion:
    """ARKit motion with whole `PARTS` multiplied: `scaled(motion, {"head": 0, "brows": 1.5})`.

    Weights stay in 0..1. Raises `BadInput` for an unknown part or a gain outside 0..10.
    """
    check(gains, motion.channels)
    values = motion.values.copy()
    for part, gain in gains.items():
        values[:, PARTS[part]] *= np.float32(gain)
    return Motion(values, motion.channels, motion.fps, motion.start).clipped()
