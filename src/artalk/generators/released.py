"""The released model as one `.onnx` file, run by onnxruntime: no torch. And what any runner of it does alike."""

import base64
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, ClassVar, Self, cast, final

import numpy as np
from numpy.typing import NDArray

from artalk.channels import FLAME
from artalk.errors import BadInput, MissingFile
from artalk.generators.exported import open_session, read_facts
from artalk.generators.generator import Condition, Generator
from artalk.generators.smoothing import SavitzkyGolay, Smoothing
from artalk.motion import Motion

FloatArray = NDArray[np.float32]

FORMAT = 1
"""The version of the file's metadata that this module reads and `models.released.export` writes."""

GUIDANCE = 1.1
"""How far the release leads a style away from "no style" (1 is not at all)."""

STYLE_FRAMES = 50
"""Frames of every style clip that the release has ever used."""


def style_parts(style: object, name: str) -> list[FloatArray]:
    """A style clip as parts of 50 frames at 25 fps, whose styles are averaged; a shorter clip is one part."""
    if not isinstance(style, Motion):
        raise BadInput(f"the style of {name!r} is a clip of motion, it knows none by name; got {style!r}")
    if style.channels != FLAME:
        raise BadInput(f"a style clip for {name!r} is flame motion, got {style.channels.name}: retarget it first")
    frames = style.values if style.fps == 25 else style.resample(25).values
    if len(frames) < 2:
        raise BadInput(f"a style clip has at least 2 frames at 25 fps, got {len(frames)}")
    count = max(len(frames) // STYLE_FRAMES, 1)
    return np.array_split(frames[: count * STYLE_FRAMES].copy(), count)


@dataclass(frozen=True, eq=False)
class Progress:
    """Where a stream stands: the `style` (1, size) and its `guidance` (1, 1), the last window's `motion`."""

    style: FloatArray
    guidance: FloatArray
    motion: FloatArray


@final
class ReleasedOnnx(Generator):
    """The `.onnx` file that `models.released.export` wrote. Every seed gives the same motion."""

    accepts: ClassVar[frozenset[str]] = frozenset({"style"})

    def __init__(self, model: bytes | str, raw: bool = False, name: str = "artalk-released", threads: int = 1) -> None:
        self.name, self.raw, self.threads = name, raw, threads
        self._session = open_session(model, name, threads)
        metadata: Mapping[str, str] = self._session.get_modelmeta().custom_metadata_map
        facts = read_facts(metadata, "artalk.released", FORMAT, name)
        self.card: dict[str, Any] = json.loads(metadata.get("artalk.card", "{}"))
        self.channels, self.fps = FLAME, Fraction(facts["fps"])
        self.sample_rate, self.window, self.lookahead = facts["sample_rate"], facts["window"], 0
        self._style_size: int = facts["style"]
        self._style_session = open_session(base64.b64decode(metadata["artalk.style_encoder"]), name, threads)

    @classmethod
    def load(cls, path: str | os.PathLike[str], raw: bool = False, threads: int = 1) -> Self:
        """Read a model from a file (with the weights that lie beside it, if it is too large for one)."""
        file = Path(path)
        if not file.is_file():
            raise MissingFile(f"a model is an .onnx file, none is at {str(path)!r}")
        return cls(str(file), raw, file.stem, threads)

    @property
    def smoothing(self) -> Smoothing | None:
        """The official post-processing, unless it is switched off."""
        return None if self.raw else SavitzkyGolay()

    def begin(self, condition: Condition, seed: int) -> Progress:
        """The state before the first window; the seed has no say."""
        return self._progress(condition, np.zeros((1, self.window, len(FLAME)), np.float32))

    def change(self, state: Progress, condition: Condition, seed: int) -> Progress:
        """The same motion behind it, another style before it."""
        return self._progress(condition, state.motion)

    def _progress(self, condition: Condition, motion: FloatArray) -> Progress:
        if condition.style is None:
            return Progress(np.zeros((1, self._style_size), np.float32), np.zeros((1, 1), np.float32), motion)
        parts = style_parts(condition.style, self.name)
        styles = [cast(FloatArray, self._style_session.run(["style"], {"clip": part[None]})[0]) for part in parts]
        guidance = np.full((1, 1), GUIDANCE * condition.style_strength, np.float32)
        return Progress(np.concatenate(styles).mean(axis=0, keepdims=True), guidance, motion)

    def step(self, state: Progress, samples: FloatArray) -> tuple[FloatArray, Progress]:
        """One run of the model for each window."""
        made: list[FloatArray] = []
        for window in samples.reshape(-1, 1, self.window * self.hop):
            feed = {"sound": np.ascontiguousarray(window), "before": state.motion}
            feed |= {"style": state.style, "guidance": state.guidance}
            motion = cast(FloatArray, self._session.run(["motion"], feed)[0])
            state = Progress(state.style, state.guidance, motion)
            made.append(motion[0])
        return np.concatenate(made), state
