"""Ways of moving drawn by lot: what makes a style encoder hear more ways than a corpus has people.

A planted style (`data.styles`) is one of eight; a corpus of few faces and eight styles teaches a model to tell them
apart, not to follow somebody new. Habits laid over motion and over its style clip alike are a new way in every row.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from artalk.channels import ARKIT
from artalk.data.styles import Style, styled
from artalk.motion import Motion

Float = NDArray[np.float32]

JAW, CLOSED = ARKIT.index("jawOpen"), ARKIT.index("mouthClose")

OFTEN = 0.3
"""The chance of each habit that is added: a smile, raised brows, a mouth that hangs to one side …"""

GAIN = 0.3
"""Deviation (natural log) of how much livelier one channel is than another."""

IDLE = 0.15
"""The chance of a shape that a face, or who tracked it, does not use at all."""

RESTING = (
    "mouthSmile", "mouthFrown", "mouthStretch", "mouthDimple", "mouthPress", "mouthRollUpper", "mouthRollLower",
    "mouthShrugUpper", "mouthShrugLower", "mouthPucker",
)  # fmt: skip
"""Shapes in which a face may rest. What opens the lips is not among them: sealed lips stay sealed."""

RESTS = 0.2
"""The farthest that a shape rests from 0; below it, only what passes this is seen at all."""


@dataclass(frozen=True, eq=False)
class Habits:
    """A planted `style` with `gains` (55,) of each channel, and `rests` (55,) that are added.

    With `sparse` the jaw opens no farther than the lips do and mouthClose is 0, as animators and some trackers have it.
    """

    style: Style
    gains: Float
    rests: Float
    sparse: bool = False

    def worn(self, motion: Motion) -> Motion:
        """Motion with these habits, its weights in 0..1."""
        values = styled(motion, self.style).values * self.gains + self.rests
        if self.sparse:
            values[:, JAW] -= values[:, CLOSED]
            values[:, CLOSED] = 0
        return Motion(values, motion.channels, motion.fps, motion.start).clipped()


def drawn(rng: np.random.Generator) -> Habits:
    """Habits drawn by lot; left and right differ a little."""

    def seldom(most: float, least: float = 0.0) -> float:
        return float(rng.uniform(least, most)) if rng.random() < OFTEN else 0.0

    def around(spread: float) -> float:
        return float(np.exp(rng.normal(0.0, spread)))

    style = Style(
        "drawn",
        mouth=around(0.25),
        smile=seldom(0.35),
        sideways=seldom(0.6, -0.6),
        rounding=around(0.3),
        brows=around(0.5),
        raised=seldom(0.2),
        lowered=seldom(0.35),
        head=around(0.5),
        narrow=seldom(0.15),
    )
    gains, rests = np.ones(len(ARKIT), np.float32), np.zeros(len(ARKIT), np.float32)
    for name in _pairs("mouth"):
        if name == "mouthClose":  # goes with the jaw, or it would break seals
            continue
        gain = 0.0 if rng.random() < IDLE else around(GAIN)
        rest = seldom(RESTS, -RESTS) if name in RESTING else 0.0
        for column in _sides(name):
            gains[column] = gain * around(GAIN / 4)
            rests[column] = rest * around(GAIN / 4)
    gains[[JAW, CLOSED]] = around(GAIN)
    return Habits(style, gains, rests, rng.random() < OFTEN)


def _pairs(group: str) -> list[str]:
    """The names of a group without their side, each once."""
    names = ARKIT.names[ARKIT.slice(group)]
    return list(dict.fromkeys(name if name in ("mouthLeft", "mouthRight") else _plain(name) for name in names))


def _plain(name: str) -> str:
    return name.removesuffix("Left").removesuffix("Right")


def _sides(name: str) -> list[int]:
    return [ARKIT.index(found) for found in (name, f"{name}Left", f"{name}Right") if found in ARKIT]
