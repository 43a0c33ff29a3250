"""ARKit ⇄ the fifteen visemes of Oculus/OVR LipSync, as avatars of Ready Player Me and others have them."""

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from artalk.channels import ARKIT, ARKIT_SHAPES, Channels, Group
from artalk.motion import Motion
from artalk.retarget.solve import minimise

_KK = {"mouthLowerDown": 0.4, "mouthDimple": 0.3, "mouthFunnel": 0.3, "mouthPucker": 0.3, "jawOpen": 0.15}

# TalkingHead, blender/build-visemes-from-arkit.py (Mika Suominen, MIT); a name without a side means both sides.
_MIXES: dict[str, dict[str, float]] = {
    "sil": {},
    "PP": {"mouthRollLower": 0.8, "mouthRollUpper": 0.8, "mouthUpperUp": 0.3},
    "FF": {"mouthPucker": 1, "mouthShrugUpper": 1, "mouthLowerDown": 0.2, "mouthDimple": 1, "mouthRollLower": 1},
    "TH": {"mouthRollUpper": 0.6, "jawOpen": 0.2, "tongueOut": 0.4},
    "DD": {"mouthPress": 0.8, "mouthFunnel": 0.5, "jawOpen": 0.2},
    "kk": _KK,
    "CH": {"mouthPucker": 0.5, "jawOpen": 0.2},
    "SS": {"mouthPress": 0.8, "mouthLowerDown": 0.5, "jawOpen": 0.1},
    "nn": {**_KK, "tongueOut": 0.2},
    "RR": {"mouthPucker": 0.5, "jawOpen": 0.2},
    "aa": {"jawOpen": 0.6},
    "E": {"mouthPress": 0.8, "mouthDimple": 1, "jawOpen": 0.3},
    "I": {"mouthPress": 0.6, "mouthDimple": 0.6, "jawOpen": 0.2},
    "O": {"mouthPucker": 1, "jawForward": 0.6, "jawOpen": 0.2},
    "U": {"mouthFunnel": 1},
}

OCULUS = Channels(
    "oculus",
    (Group("visemes", 15),),
    tuple(f"viseme_{name}" for name in _MIXES),
)
"""The visemes in Oculus' order and in the spelling of meshes, where ih, oh and ou are I, O and U."""


def mixing_matrix(mixes: dict[str, dict[str, float]]) -> NDArray[np.float64]:
    """The (poses, 52) ARKit weights of named mixes; a shape named without its side is set on both."""
    matrix = np.zeros((len(mixes), len(ARKIT_SHAPES)))
    for row, mix in enumerate(mixes.values()):
        for name, weight in mix.items():
            for shape in (name, f"{name}Left", f"{name}Right"):
                if shape in ARKIT_SHAPES:
                    matrix[row, ARKIT_SHAPES.index(shape)] = weight
    return matrix


MIXES = mixing_matrix(_MIXES)
"""The (15, 52) ARKit weights of each viseme."""

SEALED = 0.1
"""mouthClose at which lips that meet count as a full PP, and the opening at which they no longer do."""

PRESSED = 0.3
"""mouthPress, or mouthRoll of both lips, at which lips that meet count as a full PP."""


PARTING = 0.15
"""How far a lowered or raised lip parts the mouth beside jawOpen: 6 mm of the built-in head's 42."""

FOLLOWED = 2.0
"""mouthLowerDown that comes with each unit of opening in speech (GRID's reader: 0.24 to 0.37 with 0.12 to 0.18)."""


def to_arkit(motion: Motion) -> Motion:
    """ARKit motion of viseme weights: the sum of the visemes' mixes; the rest of the face and the head are still."""
    values = np.zeros((len(motion), len(ARKIT)), np.float32)
    values[:, : len(ARKIT_SHAPES)] = (motion.values @ MIXES).clip(0, 1)
    return Motion(values, ARKIT, motion.fps, motion.start)


def from_arkit(motion: Motion) -> Motion:
    """Viseme weights of ARKit motion: the mix of visemes nearest to the mouth, by bounded least squares.

    Weights lie in 0..1 and sum to 1: `viseme_sil` has what the others leave. ARKit's mouthClose keeps lips together
    over an open jaw, which no mix has: the jaw counts as open only beyond it, and lips that meet and press are PP. CH
    and RR have the same mix and share what they get.
    """
    aperture = opening(motion)
    weights = told(motion)
    used = MIXES.any(axis=0)
    basis = told(posed(MIXES))[1:, used]
    # The ridge only decides between mixes that fit alike.
    spoken = minimise(basis @ basis.T + 1e-5 * np.eye(14), weights[:, used] @ basis.T)
    sealed = _sealed(motion, aperture)
    spoken *= (1 - sealed)[:, None]
    spoken[:, 0] += sealed
    spoken /= np.maximum(spoken.sum(axis=1, keepdims=True), 1.0)
    silence = 1 - spoken.sum(axis=1, keepdims=True)
    values = np.concatenate([silence, spoken], axis=1).clip(0, 1)
    return Motion(values.astype(np.float32), OCULUS, motion.fps, motion.start)


def posed(weights: NDArray[np.floating]) -> Motion:
    """Poses of (poses, 52) ARKit weights as motion, a frame each."""
    values = np.zeros((len(weights), len(ARKIT)), np.float32)
    values[:, : len(ARKIT_SHAPES)] = weights
    return Motion(values, ARKIT, Fraction(25))


def opening(motion: Motion) -> NDArray[np.float64]:
    """The (frames,) jawOpen that parts the lips: what mouthClose does not take back."""
    return (motion.channel("jawOpen").astype(np.float64) - motion.channel("mouthClose")).clip(0, 1)


def parted(motion: Motion) -> NDArray[np.float64]:
    """How far lips are apart, (frames,), as the jawOpen that would part them so: by the jaw, and by themselves."""
    return (opening(motion) + PARTING * (sides(motion, "mouthLowerDown") + sides(motion, "mouthUpperUp"))).clip(0, 1)


def funnel(motion: Motion) -> NDArray[np.float64]:
    """The (frames,) mouthFunnel that rounds the lips.

    Solved faces show a funnel with any open vowel whose lower lip comes down and turns outwards (0.25 of it in the "e"
    of GRID's reader, whose "u" has 0.02): that is no rounding.
    """
    return (motion.channel("mouthFunnel") - sides(motion, "mouthLowerDown")).clip(0, 1)


def told(motion: Motion) -> NDArray[np.float64]:
    """The (frames, 52) weights by which speech is told: lips that the jaw opens come down and out along with it."""
    weights = motion.values[:, : len(ARKIT_SHAPES)].astype(np.float64).clip(0, 1)
    weights[:, ARKIT_SHAPES.index("jawOpen")] = parted(motion)
    weights[:, ARKIT_SHAPES.index("mouthFunnel")] = funnel(motion)
    for side in ("Left", "Right"):
        lowered = weights[:, ARKIT_SHAPES.index(f"mouthLowerDown{side}")]
        lowered -= np.minimum(lowered, FOLLOWED * opening(motion))
    return weights


def sides(motion: Motion, name: str) -> NDArray[np.float64]:
    """The (frames,) mean of a shape's left and right side."""
    return (motion.channel(f"{name}Left").astype(np.float64) + motion.channel(f"{name}Right")) / 2


def _sealed(motion: Motion, aperture: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far lips are pressed together, (frames,) 0..1."""
    rolled = np.minimum(motion.channel("mouthRollLower"), motion.channel("mouthRollUpper")).astype(np.float64)
    pressed = np.maximum.reduce(
        [motion.channel("mouthClose") / SEALED, sides(motion, "mouthPress") / PRESSED, rolled / PRESSED]
    )
    apart = np.maximum(aperture, sides(motion, "mouthLowerDown"))
    return pressed.clip(0, 1) * (1 - apart / SEALED).clip(0, 1)
