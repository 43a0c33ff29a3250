"""The released model as a `Generator`: FLAME motion at 25 fps, 4 s at a time, the same live and offline."""

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property, lru_cache
from pathlib import Path
from typing import ClassVar, NamedTuple, Self, cast, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from artalk.audio import Audio
from artalk.channels import FLAME
from artalk.errors import BadInput, Unsupported
from artalk.generators.generator import FREE, Condition, Generator
from artalk.generators.released import GUIDANCE, style_parts
from artalk.generators.smoothing import SavitzkyGolay, Smoothing
from artalk.models.released import file
from artalk.models.released.autoregression import Manner
from artalk.models.released.config import FPS, SAMPLE_RATE, ReleasedConfig
from artalk.models.released.gpu import Captured
from artalk.models.released.model import ReleasedModel
from artalk.models.released.options import EXACT, Options
from artalk.models.released.precision import lower
from artalk.models.released.weights import tensor
from artalk.motion import Motion

FloatArray = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Progress:
    """Where a stream stands, as a session can be saved: its style as `Manner` has it, the last window's `motion` (1,
    window, 106) as it was made, None before the first.
    """

    token: FloatArray
    memory: FloatArray
    motion: FloatArray | None


class Standing(NamedTuple):
    """Where streams stand, side by side on the model's device; `motion` is (batch, window, 106)."""

    manner: Manner
    motion: Tensor | None


@final
class Released(Generator):
    """ARTalk's released model. Chance has no part in it: every seed gives the same motion.

    `hear`, `encode` and `perform` are a window's work as the options have it: sound → features, motion → its bits,
    features and the bits before with a style's token and memory → motion.
    """

    accepts: ClassVar[frozenset[str]] = frozenset({"style"})

    def __init__(self, model: ReleasedModel, options: Options = EXACT, name: str = "artalk-released") -> None:
        self.name, self.options = name, options
        self.channels, self.fps, self.sample_rate = FLAME, Fraction(FPS), SAMPLE_RATE
        self.config: ReleasedConfig = model.config
        self.window, self.lookahead = model.config.window, 0
        self.model = _moved(model, options.device)
        lower(self.model.speech, options.encoder)
        lower(self.model.generator, options.generator)
        self.hear: Callable[[Tensor], Tensor] = self.model.speech
        self.encode: Callable[[Tensor], Tensor] = self.model.codec.encode
        self.perform: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor] = self._performed
        if options.graphs:
            self.hear, self.encode, self.perform = map(Captured, (self.hear, self.encode, self.perform))
        if options.compiled:
            self.model.compile_layers()
        if options.compiled or options.on_gpu:
            self._warm()

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        options: Options = EXACT,
        config: str | os.PathLike[str] | None = None,
    ) -> Self:
        """The model in the official `.pt` or in a `.safetensors` that `artalk convert` made of it."""
        return cls(file.read(path, config).model(), options, Path(path).stem)

    @property
    def smoothing(self) -> Smoothing | None:
        """The official post-processing, unless it is switched off."""
        return None if self.options.raw else SavitzkyGolay()

    def begin(self, condition: Condition, seed: int) -> Progress:
        """The state before the first window; the seed has no say."""
        return self._progress(condition, None)

    def change(self, state: Progress, condition: Condition, seed: int) -> Progress:
        """The same motion behind it, another style before it."""
        return self._progress(condition, state.motion)

    def _progress(self, condition: Condition, motion: FloatArray | None) -> Progress:
        token, memory = (part.cpu().numpy() for part in self.manner(condition))
        return Progress(token, memory, motion)

    def standing(self, state: Progress) -> Standing:
        """The same on the model's device."""
        token, memory, motion = (
            None if part is None else tensor(part).to(self.options.device)
            for part in (state.token, state.memory, state.motion)
        )
        return Standing(Manner(cast(Tensor, token), cast(Tensor, memory)), motion)

    @torch.inference_mode()
    def manner(self, condition: Condition) -> Manner:
        """What the model makes of a condition's style; none is the style that it has for "no style"."""
        generator = self.model.generator
        if condition.style is None:
            return generator.manner(None)
        parts = [tensor(part).to(self.options.device) for part in style_parts(condition.style, self.name)]
        styles = torch.cat([self.model.style(part[None]) for part in parts])
        return generator.manner(styles.mean(dim=0, keepdim=True), GUIDANCE * condition.style_strength)

    @torch.inference_mode()
    def step(self, state: Progress, samples: FloatArray) -> tuple[FloatArray, Progress]:
        """One window after the other; each is encoded by itself, so that a stream gives the same numbers."""
        windows = tensor(np.ascontiguousarray(samples)).view(-1, 1, self.config.samples)
        made, standing = list[Tensor](), self.standing(state)
        for features in self._features(windows):
            motion, standing = self._next(standing, features)
            made.append(motion)
        values = torch.cat(made, dim=1).cpu().numpy()
        return values[0], replace(state, motion=values[:, -self.window :].copy())

    def _next(self, state: Standing, features: Tensor) -> tuple[Tensor, Standing]:
        # The last window's bits are wanted only if there is another window: they are made when it comes.
        last = state.motion
        before = self._rest.expand(len(features), -1, -1) if last is None else self.encode(last)
        motion = self.perform(features, before, *state.manner)
        return motion, Standing(state.manner, motion)

    def _performed(self, features: Tensor, before: Tensor, token: Tensor, memory: Tensor) -> Tensor:
        return self.model.window(features, before, Manner(token, memory))[0]

    @cached_property
    def _rest(self) -> Tensor:
        return self.model.rest()

    def _features(self, windows: Tensor) -> Iterator[Tensor]:
        """The speech features of windows (n, batch, samples), one by one, or one ahead in a thread of its own."""
        if not self.options.ahead or len(windows) < 2:
            yield from (self._heard(window) for window in windows)
            return
        with ThreadPoolExecutor(1) as worker:
            coming: deque[Future[Tensor]] = deque([worker.submit(self._heard, windows[0])])
            for window in windows[1:]:
                coming.append(worker.submit(self._heard, window))
                yield coming.popleft().result()
            yield coming.popleft().result()

    @torch.inference_mode()
    def _heard(self, window: Tensor) -> Tensor:
        return self.hear(window.to(self.options.device))

    def _warm(self) -> None:
        """Two windows of silence, one by one: what has to be compiled and recorded is, or is said to be impossible."""
        silence, state = np.zeros(self.config.samples, np.float32), self.begin(FREE, 0)
        try:
            for _ in range(2):
                _, state = self.step(state, silence)
        except RuntimeError as error:  # what torch.compile raises where it finds no compiler, and CUDA in every trouble
            asked = [name for name in ("compiled", "graphs") if getattr(self.options, name)]
            so = f" with {' and '.join(asked)}, which can be left out" if asked else ""
            needed = "; torch.compile needs a C++ compiler such as g++, on a GPU Triton too" * self.options.compiled
            raise Unsupported(
                f"the model does not run on {self.options.device}{so}{needed}: {_reason(error)}"
            ) from error

    @torch.inference_mode()
    def generate_many(self, sounds: Sequence[Audio], conditions: Sequence[Condition] = ()) -> list[Motion]:
        """Several utterances side by side as one batch, each as `generate` would make it but for rounding.

        The shorter ones leave the batch when they end. Sums of a batch are rounded otherwise: where two choices are
        all but tied, a bit may differ from `generate`'s.
        """
        if conditions and len(conditions) != len(sounds):
            raise BadInput(f"each sound has a condition or none has, got {len(conditions)} for {len(sounds)}")
        wishes = list(conditions) or [FREE] * len(sounds)
        for wish in wishes:
            self.check(wish)
        frames = [sound.frames_at(self.fps) for sound in sounds]
        # The longest first, so that those still running are the first rows.
        order = sorted(range(len(sounds)), key=lambda i: -frames[i])
        if not order:
            return []
        rows = [self._windows(sounds[i]) for i in order]
        state, made = Standing(_side_by_side([self.manner(wishes[i]) for i in order]), None), list[Tensor]()
        for k in range(len(rows[0])):
            running = sum(len(row) > k for row in rows)
            heard = self._heard(torch.stack([row[k] for row in rows[:running]]))
            motion, state = self._next(_first(state, running), heard)
            made.append(motion.cpu())
        result: dict[int, Motion] = {}
        for place, i in enumerate(order):
            parts = [part[place].numpy() for part in made if place < len(part)]
            values = np.concatenate([np.zeros((0, len(FLAME)), np.float32), *parts])[: frames[i]]
            result[i] = Motion(self._smoothed(values), FLAME, self.fps)
        return [result[i] for i in range(len(sounds))]

    def _windows(self, sound: Audio) -> Tensor:
        """(windows, samples), the last one padded with silence."""
        samples = sound.resampled(self.sample_rate).samples if sound.sample_rate != self.sample_rate else sound.samples
        count = -(-sound.frames_at(self.fps) // self.window)
        padded = np.zeros(count * self.config.samples, np.float32)
        padded[: len(samples)] = samples[: len(padded)]
        return tensor(padded).view(count, self.config.samples)

    def _smoothed(self, values: FloatArray) -> FloatArray:
        smoothing = self.smoothing
        if smoothing is None or not len(values):
            return values
        first, state = smoothing.feed(smoothing.begin(), values)
        return np.concatenate([first, smoothing.finish(state)])


def _moved(model: ReleasedModel, device: str) -> ReleasedModel:
    try:
        return model.to(device)
    except RuntimeError as error:  # too little memory, or a driver in trouble
        raise Unsupported(f"the model cannot be put on {device}: {_reason(error)}") from error


def _reason(error: RuntimeError) -> str:
    return " ".join(str(error).split())[:200]


def _side_by_side(manners: list[Manner]) -> Manner:
    return Manner(torch.cat([one.token for one in manners]), torch.cat([one.memory for one in manners], dim=2))


def _first(state: Standing, count: int) -> Standing:
    """The first streams of a batch."""
    manner = Manner(state.manner.token[:count], state.manner.memory[:, :, :count])
    return Standing(manner, None if state.motion is None else state.motion[:count])


def opened(path: str | os.PathLike[str], options: Options = EXACT) -> Released:
    """`Released.load`, once for each file in a process: it has 2 GB."""
    place = Path(path).resolve()
    stamp = (place.stat().st_mtime_ns, place.stat().st_size) if place.is_file() else (0, 0)
    return _opened(str(place), stamp, options)


@lru_cache(1)
def _opened(path: str, stamp: tuple[int, int], options: Options) -> Released:
    return Released.load(path, options)
