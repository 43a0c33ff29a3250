"""What is judged: anything that turns sound into ARKit motion, baselines among them.

A performer is made once and performs clip after clip. Names that `performer` knows: "rest", "mean", "rules", "nearest",
a generator's `.onnx`, a training's `.safetensors` (model or regression).
"""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, cast, final

import numpy as np
from numpy.typing import NDArray

from artalk.audio import Audio
from artalk.channels import ARKIT
from artalk.data.clips import FPS, Corpus
from artalk.errors import BadInput, MissingFile, needs
from artalk.generators import hearing
from artalk.generators.generator import FREE, Condition, Generator
from artalk.generators.shipped import SHIPPED, shipped
from artalk.motion import Motion

Float = NDArray[np.float32]

BASELINES = ("rest", "mean", "rules", "nearest", *SHIPPED)
"""Performers that need no file: baselines, and what ships."""


class Performer(ABC):
    """Sound to motion. `styled` says whether a sample clip changes anything, `chancy` whether the seed does."""

    name: str
    styled: bool = False
    chancy: bool = False

    @abstractmethod
    def perform(self, audio: Audio, style: Motion | None = None, seed: int = 0) -> Float:
        """(frames, 55) values at 25 fps, ceil(duration · 25) of them, for sound at 16 kHz."""


def performer(name: str, corpus: Corpus) -> Performer:
    """The performer of a name; baselines that learn do so from the corpus' training split."""
    if name == "rest":
        return Constant("rest", np.zeros(len(ARKIT), np.float32))
    if name == "mean":
        return Constant("mean", _mean(corpus))
    if name == "rules":
        from artalk.generators.visemes import Visemes

        return Generated("rules", Visemes())
    if name == "nearest":
        return Nearest(corpus)
    if name in SHIPPED:
        return Generated(name, shipped(name))
    path = Path(name)
    if path.suffix not in (".onnx", ".safetensors"):
        raise BadInput(f"what is judged is one of {', '.join(BASELINES)}, a .onnx or a .safetensors, got {name!r}")
    if not path.is_file():
        raise MissingFile(f"no model at {name!r}")
    if path.suffix == ".onnx":
        from artalk.generators.exported import Exported
        from artalk.generators.living import alive

        return Generated(path.stem, alive(Exported.load(path)))
    return _trained(path)


@final
class Constant(Performer):
    """The same pose whatever is said."""

    def __init__(self, name: str, pose: Float) -> None:
        self.name, self._pose = name, pose

    def perform(self, audio: Audio, style: Motion | None = None, seed: int = 0) -> Float:
        """The pose, for as long as the sound lasts."""
        return np.repeat(self._pose[None], _frames(audio), axis=0)


@final
class Generated(Performer):
    """A generator of the package."""

    chancy = True

    def __init__(self, name: str, generator: Generator) -> None:
        self.name, self._generator = name, generator
        self.styled = "style" in generator.accepts

    def perform(self, audio: Audio, style: Motion | None = None, seed: int = 0) -> Float:
        """What the generator makes of it."""
        condition = Condition(style=style) if style is not None and self.styled else FREE
        return self._generator.generate(audio, condition, seed).values


@final
class Nearest(Performer):
    """For each frame the motion of the training frames that sounded most alike, averaged.

    Alike in the nine bands of `hearing`, over `AROUND` frames to either side, levelled by the clip's own mean.
    """

    name = "nearest"
    AROUND, NEIGHBOURS, MOST = 4, 8, 40000

    def __init__(self, corpus: Corpus) -> None:
        sounds: list[Float] = []
        motions: list[Float] = []
        for entry in corpus.select("train", kind="real"):
            clip = corpus.read(entry)
            sounds.append(self._heard(clip.audio)[: len(clip.motion)])
            motions.append(clip.motion.values[: len(sounds[-1])])
        if not sounds:
            raise BadInput("the nearest neighbour needs real motion in the training split")
        every = max(1, sum(map(len, sounds)) // self.MOST)
        self._sounds = np.concatenate(sounds)[::every]
        self._motions = np.concatenate(motions)[::every]
        self._squares = np.square(self._sounds).sum(axis=1)

    def perform(self, audio: Audio, style: Motion | None = None, seed: int = 0) -> Float:
        """The mean of the nearest frames' motion."""
        heard = self._heard(audio)
        far = self._squares[None] - 2 * heard @ self._sounds.T
        nearest = np.argpartition(far, self.NEIGHBOURS, axis=1)[:, : self.NEIGHBOURS]
        return self._motions[nearest].mean(axis=1)

    def _heard(self, audio: Audio) -> Float:
        frames, hop = _frames(audio), int(audio.sample_rate / FPS)
        sound = np.pad(audio.samples.astype(np.float64), (0, (frames + 1) * hop - len(audio.samples)))
        rows = np.lib.stride_tricks.sliding_window_view(sound, 2 * hop)[::hop][:frames]
        bands = np.asarray(hearing.spectra(rows, audio.sample_rate).levels).reshape(frames, -1)
        loud = bands.mean(axis=1)
        bands = bands - bands[loud >= np.median(loud)].mean(axis=0)
        padded = np.pad(bands, ((self.AROUND, self.AROUND), (0, 0)), mode="edge")
        stacked = np.lib.stride_tricks.sliding_window_view(padded, 2 * self.AROUND + 1, axis=0)
        return stacked.reshape(frames, -1).astype(np.float32)


@final
class Trained(Performer):
    """A model of a training, in torch: a whole ARTalk (at its own temperatures), or the regression baseline."""

    def __init__(self, name: str, model: Any) -> None:
        self.name, self._model = name, model
        self.styled = self.chancy = hasattr(model, "steer")

    def perform(self, audio: Audio, style: Motion | None = None, seed: int = 0) -> Float:
        """The model's motion, cut to the sound's length."""
        torch = needs("torch", "train", "judging a .safetensors")
        sound = torch.from_numpy(audio.samples)[None]
        if not self.styled:
            made = self._model.generate(sound)
        else:
            vector = None if style is None else self._style(torch, style)
            made = self._model.generate(sound, self._model.steer(1, vector), torch.Generator().manual_seed(seed))
        return cast(Float, made[0].numpy()[: _frames(audio)])

    def _style(self, torch: Any, style: Motion) -> Any:
        with torch.no_grad():
            return self._model.style(self._model.codec.normalise(torch.from_numpy(style.values)[None]))


def _trained(path: Path) -> Trained:
    needs("torch", "train", "judging a .safetensors")
    from artalk import checkpoint
    from artalk.models.artalk import Artalk
    from artalk.models.regression import Regression

    if Regression.holds(path):
        return Trained("regression", Regression.load(path))
    model = checkpoint.load(path).model
    if not isinstance(model, Artalk):
        raise BadInput(f"{str(path)!r} holds a codec, which makes no motion of sound")
    return Trained(path.stem, model)


def _frames(audio: Audio) -> int:
    return audio.frames_at(FPS)


def _mean(corpus: Corpus) -> Float:
    """The mean of each channel over the real motion of the training split, 0 where none was measured."""
    total, count = np.zeros(len(ARKIT)), np.zeros(len(ARKIT))
    for entry in corpus.select("train", kind="real"):
        clip = corpus.read(entry)
        total[clip.observed] += clip.motion.values.sum(axis=0)[clip.observed]
        count[clip.observed] += len(clip.motion)
    return (total / np.maximum(count, 1)).astype(np.float32)
