"""ARKit ⇄ the expression presets of VRM avatars, 1.0 and 0.x."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from artalk.channels import ARKIT, ARKIT_SHAPES, HEAD, Channels, Group
from artalk.motion import Motion
from artalk.retarget.solve import minimise
from artalk.retarget.visemes import funnel, mixing_matrix, parted, sides

_MOODS = ("happy", "angry", "sad", "relaxed", "surprised")
VOWELS = ("aa", "ih", "ou", "ee", "oh")
_BLINKS = ("blink", "blinkLeft", "blinkRight")
_LOOKS = ("lookUp", "lookDown", "lookLeft", "lookRight")

VRM = Channels(
    "vrm",
    (
        Group("moods", 5),
        Group("vowels", 5),
        Group("blinks", 3),
        Group("looks", 4),
        Group("neutral", 1),
        Group("head", 3, "rotvec"),
    ),
    (*_MOODS, *VOWELS, *_BLINKS, *_LOOKS, "neutral", *HEAD),
)
"""VRM 1.0's presets, then the head's rotation vector in radians."""

OLD_NAMES = {
    "Joy": "happy",
    "Angry": "angry",
    "Sorrow": "sad",
    "Fun": "relaxed",
    "A": "aa",
    "I": "ih",
    "U": "ou",
    "E": "ee",
    "O": "oh",
    "Blink": "blink",
    "Blink_L": "blinkLeft",
    "Blink_R": "blinkRight",
    "LookUp": "lookUp",
    "LookDown": "lookDown",
    "LookLeft": "lookLeft",
    "LookRight": "lookRight",
    "Neutral": "neutral",
}
"""VRM 0.x's presets and what they are called in 1.0; 0.x has no surprise."""

VRM0 = Channels(
    "vrm0",
    (
        Group("moods", 4),
        Group("vowels", 5),
        Group("blinks", 3),
        Group("looks", 4),
        Group("neutral", 1),
        Group("head", 3, "rotvec"),
    ),
    (*OLD_NAMES, *HEAD),
)
"""VRM 0.x's presets, in the order of 1.0, then the head."""

# How avatars' makers shape these presets, in ARKit's terms; a name without a side means both sides. The vowels are
# Japanese ones: ih is narrow and wide (い), ee is half open (え).
_MIXES: dict[str, dict[str, float]] = {
    "happy": {"mouthSmile": 0.8, "cheekSquint": 0.5, "eyeSquint": 0.3},
    "angry": {"browDown": 0.9, "noseSneer": 0.3, "mouthFrown": 0.3, "eyeSquint": 0.2},
    "sad": {"browInnerUp": 0.8, "mouthFrown": 0.6},
    "relaxed": {"mouthSmile": 0.35, "eyeSquint": 0.2},
    "surprised": {"browInnerUp": 0.6, "browOuterUp": 0.8, "eyeWide": 0.7, "jawOpen": 0.15},
    "aa": {"jawOpen": 0.6},
    "ih": {"jawOpen": 0.1, "mouthStretch": 0.7},
    "ou": {"jawOpen": 0.1, "mouthPucker": 0.8},
    "ee": {"jawOpen": 0.4, "mouthStretch": 0.5},
    "oh": {"jawOpen": 0.4, "mouthFunnel": 0.6},
    "blink": {"eyeBlink": 1},
    "blinkLeft": {"eyeBlinkLeft": 1},
    "blinkRight": {"eyeBlinkRight": 1},
    "lookUp": {"eyeLookUp": 1},
    "lookDown": {"eyeLookDown": 1},
    "lookLeft": {"eyeLookOutLeft": 1, "eyeLookInRight": 1},
    "lookRight": {"eyeLookInLeft": 1, "eyeLookOutRight": 1},
    "neutral": {},
}
PRESETS = tuple(_MIXES)
"""The presets in the order of `MIXES`' rows."""

MIXES = mixing_matrix(_MIXES)
"""The (18, 52) ARKit weights of each preset."""


def to_arkit(motion: Motion) -> Motion:
    """ARKit motion of VRM presets (1.0's or 0.x's): the sum of their mixes, and the head."""
    values = np.zeros((len(motion), len(ARKIT)), np.float32)
    names = [name for name in motion.channels.names if name not in HEAD]
    rows = [list(_MIXES).index(OLD_NAMES.get(name, name)) for name in names]
    weights = motion.values[:, motion.channels.indices(names)].clip(0, 1)
    values[:, : len(ARKIT_SHAPES)] = (weights @ MIXES[rows]).clip(0, 1)
    values[:, ARKIT.slice("head")] = motion.group("head")
    return Motion(values, ARKIT, motion.fps, motion.start)


def from_arkit(motion: Motion, to: Channels = VRM) -> Motion:
    """VRM presets of ARKit motion: vowels by bounded least squares, blinks, looks and the head.

    Vowels see how far the lips are apart, spread and rounded. Both lids' common part is `blink`, what one has more is
    its own: an avatar that only has `blink` then blinks as well. Moods and `neutral` stay 0, because avatars may
    declare that a mood above 0 blocks the mouth or the lids (`overrideMouth`, `overrideBlink`): a smile while speaking
    would stop the lips.
    """
    made: dict[str, NDArray[np.float64]] = dict(zip(VOWELS, _vowels(motion).T, strict=True))
    left, right = (motion.channel(f"eyeBlink{side}").astype(np.float64).clip(0, 1) for side in ("Left", "Right"))
    both = np.minimum(left, right)
    made |= {"blink": both, "blinkLeft": left - both, "blinkRight": right - both}
    up, to_left = gaze(motion).T
    made |= {"lookUp": up, "lookDown": -up, "lookLeft": to_left, "lookRight": -to_left}
    values = np.zeros((len(motion), len(to)), np.float32)
    for name in to.names:
        preset = OLD_NAMES.get(name, name)
        if preset in made:
            values[:, to.index(name)] = made[preset].clip(0, 1)
    values[:, to.slice("head")] = motion.group("head")
    return Motion(values, to, motion.fps, motion.start)


def gaze(motion: Motion) -> NDArray[np.float64]:
    """Where both eyes of ARKit motion look together, (frames, 2): up and to the subject's left, -1..1."""

    def look(where: str, side: Literal["Left", "Right"]) -> NDArray[np.float64]:
        return motion.channel(f"eyeLook{where}{side}").astype(np.float64)

    up = (look("Up", "Left") - look("Down", "Left") + look("Up", "Right") - look("Down", "Right")) / 2
    to_left = (look("Out", "Left") - look("In", "Left") + look("In", "Right") - look("Out", "Right")) / 2
    return np.stack([up, to_left], axis=-1)


TELLS = ("jawOpen", "mouthStretchLeft", "mouthFunnel", "mouthPucker")
"""What the vowels are told apart by: opening, spreading, funnel, pucker."""


def _vowels(motion: Motion) -> NDArray[np.float64]:
    """The (frames, 5) vowels nearest to the mouth, in 0..1 and together at most 1."""
    # Lips spread by smiling and by dimpling as well as by stretching.
    spread = np.maximum.reduce(
        [sides(motion, "mouthStretch"), sides(motion, "mouthSmile") * 0.6, sides(motion, "mouthDimple") * 0.6]
    )
    told = np.stack([parted(motion), spread, funnel(motion), motion.channel("mouthPucker")], axis=-1)
    basis = MIXES[[list(_MIXES).index(name) for name in VOWELS]][:, ARKIT.indices(TELLS)]
    # Spread lips alone are a smile, not a vowel: spreading counts as far as the mouth is open.
    told[:, 1] *= (told[:, 0] / 0.1).clip(0, 1)
    # The constant is half an L1 term: of mixes that fit alike, that of fewer vowels.
    found = minimise(basis @ basis.T + 1e-4 * np.eye(len(VOWELS)), told.clip(0, 1) @ basis.T - 0.003)
    return found / np.maximum(found.sum(axis=1, keepdims=True), 1.0)
