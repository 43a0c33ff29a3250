"""Likeness: what a clip's way of moving has that the model's own following of it has not brought over.

A style vector says which of the ways that a model has learnt is meant. Of somebody whom no training saw it says little,
but a clip of them says directly where each part of the mouth rests and how far it moves. Once the model has followed
the clip as well as it can, the moments of every channel are matched to the clip's: what AdaIN (Huang & Belongie 2017,
eq. 8) does to features, done to motion. For known ways the model is there already, and the map is nearly the identity.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, final

import numpy as np
from numpy.typing import NDArray

from artalk.audio import Audio, load
from artalk.channels import ARKIT
from artalk.errors import BadInput
from artalk.generators.generator import Condition, FloatArray, Generator
from artalk.motion import Motion

SPEECH = Path(__file__).parents[1] / "weights" / "speech.flac"
"""Five sentences in three languages, by which a model shows how it moves in a style; speech.md says whose they are."""

BREAK = 0.5
"""Seconds of silence between them."""

PARTS = ("jaw", "mouth", "brows")
"""What is matched. Lids, gaze and head have moments of their own in every clip, which are not habits."""

COLUMNS = np.array([column for part in PARTS for column in range(len(ARKIT))[ARKIT.slice(part)]])
LIPS = np.array([column for part in ("jaw", "mouth") for column in range(len(ARKIT))[ARKIT.slice(part)]])
JAW, CLOSED = ARKIT.index("jawOpen"), ARKIT.index("mouthClose")
PARTING = np.array(
    [k for k, name in enumerate(ARKIT.names) if name.startswith(("mouthLowerDown", "mouthUpperUp", "mouthFunnel"))]
)
"""Shapes that open sealed lips."""

DOUBT = 3.0
"""Seconds of a clip that are believed by half: what it shows may be what was said and not who said it."""

BROWS_AFTER = 5.0
"""Seconds of a clip of which nothing is believed of brows, and so many more by half: they move seldom. Taken from clips
of three seconds, their dynamics got worse (FDD 0.031 to 0.038 mm)."""

ALIKE, NEAR = 0.25, 0.3
"""How far deviations (natural logarithm) and means (in deviations) may lie apart by what was said alone: no habit.

Without it the lips of people whom the model knows get worse (1.41 to 1.53 mm on GRID, 2.12 to 2.31 on FACEGOOD).
"""

SMALLEST = 0.005
"""Added to deviations, so that a shape that hardly moves is not blown up."""

GAINS = 0.3, 3.5
"""The least and the most that a channel's motion is scaled by."""

SPEAKING = 0.25
"""Of how fast lips usually move at their fastest, the share from which on somebody speaks."""

REMEMBERED = 8
"""Clips of which the map is kept."""


@dataclass(frozen=True, eq=False)
class Map:
    """Motion → motion: `gain` (channels,) times each frame plus `shift` (channels,)."""

    gain: FloatArray
    shift: FloatArray

    def laid_over(self, frames: FloatArray) -> FloatArray:
        """(frames, channels) mapped, weights in 0..1; where lips were sealed they stay sealed, without a leap."""
        if (self.gain == 1).all() and not self.shift.any():
            return frames
        made = frames * self.gain + self.shift
        # 1 where mouthClose takes back all of the jaw's opening, 0 from where it takes back 4/5 and less.
        sealed = ((frames[:, CLOSED] + 0.01) / (frames[:, JAW] + 0.01) * 5 - 4).clip(0, 1)[:, None]
        made[:, PARTING] -= sealed * (made[:, PARTING] - frames[:, PARTING]).clip(0, None)
        made[:, COLUMNS] = made[:, COLUMNS].clip(0, 1)
        made[:, CLOSED] = np.maximum(made[:, CLOSED], sealed[:, 0] * made[:, JAW])
        return made


NOTHING = Map(np.ones(len(ARKIT), np.float32), np.zeros(len(ARKIT), np.float32))
"""The map that changes nothing."""


class Fitted(NamedTuple):
    """The model's state, and the map of the style that it follows."""

    model: Any
    map: Map


@final
class Likened(Generator):
    """`model` in ARKit's channels; where its style is a clip, with that clip's moments."""

    accepts: ClassVar[frozenset[str]] = frozenset({"style"})

    def __init__(self, model: Generator) -> None:
        if model.channels != ARKIT:
            raise BadInput(f"likeness is a matter of {ARKIT.name} motion, {model.name!r} makes {model.channels.name}")
        self.model = model
        self.name, self.channels, self.fps, self.styles = model.name, model.channels, model.fps, model.styles
        self.version = model.version
        self.sample_rate, self.window, self.lookahead = model.sample_rate, model.window, model.lookahead
        self._maps: OrderedDict[tuple[bytes, float], Map] = OrderedDict()

    def begin(self, condition: Condition, seed: int) -> Fitted:
        """A clip costs some seconds of speech, which the model performs in its style to show how it moves in it."""
        return Fitted(self.model.begin(condition, seed), self._map(condition))

    def change(self, state: Fitted, condition: Condition, seed: int) -> Fitted:
        """The model goes on as it can."""
        return Fitted(self.model.change(state.model, condition, seed), self._map(condition))

    def step(self, state: Fitted, samples: FloatArray) -> tuple[FloatArray, Fitted]:
        """The model's frames, mapped."""
        return self.step_many([(state, samples)])[0]

    def step_many(self, jobs: Sequence[tuple[Fitted, FloatArray]]) -> list[tuple[FloatArray, Fitted]]:
        """The model works on all streams together."""
        return [(frames, state) for frames, _, state in self.heard_many(jobs)]

    def heard_many(
        self, jobs: Sequence[tuple[Fitted, FloatArray]]
    ) -> list[tuple[FloatArray, FloatArray | None, Fitted]]:
        """What the model hears stays as it is."""
        made = self.model.heard_many([(state.model, samples) for state, samples in jobs])
        return [
            (state.map.laid_over(frames), spoken, Fitted(after, state.map))
            for (state, _), (frames, spoken, after) in zip(jobs, made, strict=True)
        ]

    def _map(self, condition: Condition) -> Map:
        clip, strength = condition.style, condition.style_strength
        if not isinstance(clip, Motion) or not strength:
            return NOTHING
        key = clip.values.tobytes(), strength
        if key not in self._maps:
            # What guidance exaggerates beyond the clip is wanted, and not to be taken back.
            usual = self.model.generate(speech(), Condition(clip, min(strength, 1.0)))
            even = clip if clip.fps == self.fps else clip.resample(self.fps)
            self._maps[key] = between(usual, even, strength)
            while len(self._maps) > REMEMBERED:
                self._maps.popitem(last=False)
        return self._maps[key]


def between(usual: Motion, clip: Motion, strength: float = 1.0) -> Map:
    """The map from the moments of `usual` motion towards those of a clip, as far as its length is to be believed.

    A channel that stands still in the clip was not measured, and stays.
    """
    mean, deviation = moments(usual.values)
    wanted_mean, wanted_deviation = moments(clip.values)
    # What goes beyond the clip is the model's guidance: a map that went on would leave what a face can do.
    share = np.minimum(strength * _believed(float(clip.duration)), 1.0)
    shown = np.zeros(len(ARKIT), np.bool_)
    shown[COLUMNS] = np.ptp(clip.values[:, COLUMNS], axis=0) > 1e-6
    livelier = _beyond(np.log((wanted_deviation + SMALLEST) / (deviation + SMALLEST)), ALIKE)
    elsewhere = _beyond(wanted_mean - mean, NEAR * np.sqrt(deviation * wanted_deviation))
    gain = np.where(shown, np.exp(share * livelier).clip(*GAINS), 1.0)
    shift = np.where(shown, mean + share * elsewhere - gain * mean, 0.0)
    return Map(gain.astype(np.float32), shift.astype(np.float32))


def _believed(seconds: float) -> FloatArray:
    """(channels,) the share, 0..1, of what a clip of so many seconds shows."""
    late = max(seconds - BROWS_AFTER, 0.0)
    share = np.full(len(ARKIT), seconds / (seconds + DOUBT), np.float32)
    share[ARKIT.slice("brows")] = late / (late + BROWS_AFTER)
    return share


def _beyond(apart: NDArray[np.floating], allowed: NDArray[np.floating] | float) -> NDArray[np.floating]:
    """What of a difference goes beyond what is allowed."""
    return np.sign(apart) * np.maximum(np.abs(apart) - allowed, 0)


def moments(values: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The mean and the deviation (channels,) of motion (frames, channels) while somebody speaks.

    How long somebody is silent in between says nothing of how they move.
    """
    speed = np.abs(np.diff(values[:, LIPS], axis=0, prepend=values[:1, LIPS])).sum(axis=1)
    around = np.convolve(np.pad(speed, 5, mode="edge"), np.full(11, 1 / 11), "valid")
    speaking = values[around >= SPEAKING * np.quantile(around, 0.9)]
    return speaking.mean(axis=0), speaking.std(axis=0)


@cache
def speech() -> Audio:
    """The sentences that a model shows its moments with."""
    return load(SPEECH)
