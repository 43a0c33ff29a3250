"""The contract of everything that turns speech into motion, and `Stream`, the one loop for live and offline."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any, ClassVar, final

import numpy as np
from numpy.typing import NDArray

from artalk.audio import Audio, Resampler
from artalk.channels import Channels
from artalk.errors import BadInput, Unsupported
from artalk.generators.smoothing import Smoothing
from artalk.motion import Motion
from artalk.resampler import Place

FloatArray = NDArray[np.float32]

LONGEST_BLOCK = 256
"""Windows handed to one step at most, so that a long file is worked through in constant memory."""


LONGEST_FEED = 1 << 20
"""Samples of a whole sound that are fed at once, so that it is not copied as a whole."""

Named = str | Mapping[str, float]
"""A style that a model knows by name, or several with their shares."""

STRONGEST = 10.0
"""The most that guidance exaggerates."""

LOUDEST = 1e6
"""Samples are cut off there (1 is full scale): the power of what broken clients send would be no number any more."""


@dataclass(frozen=True, eq=False)
class Condition:
    """What the animator asks for besides the speech; None leaves it to the model.

    `style` is a sample clip whose way of moving is to be followed, a style that the model knows by name, or several
    with their shares; `style_strength` 0 ignores it, 1 follows it, above 1 exaggerates it. `keyframes` is (frames,
    channels) with NaN where the model is free.
    """

    style: Motion | Named | None = None
    style_strength: float = 1.0
    keyframes: FloatArray | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.style_strength <= STRONGEST:
            raise BadInput(f"style_strength lies within 0 and {STRONGEST:g}, got {self.style_strength}")

    @property
    def asked(self) -> frozenset[str]:
        """The names of what is asked for."""
        wishes = {"style": self.style, "keyframes": self.keyframes}
        return frozenset(name for name, wish in wishes.items() if wish is not None)


FREE = Condition()


class Generator(ABC):
    """Speech to motion, window by window.

    A subclass sets the class or instance attributes below and writes `begin` and `step`. One window is `window` frames;
    making it needs the sound of those frames and of `lookahead` frames more. `sample_rate / fps` is whole. `version`
    tells it from others of its name, which do not understand its states. Several threads may call it at once: what a
    stream goes by is in its state.
    """

    accepts: ClassVar[frozenset[str]] = frozenset()
    styles: tuple[str, ...] = ()
    version: str = ""
    name: str
    channels: Channels
    fps: Fraction
    sample_rate: int
    window: int
    lookahead: int

    @abstractmethod
    def begin(self, condition: Condition, seed: int) -> Any:
        """The state before the first window."""

    @abstractmethod
    def step(self, state: Any, samples: FloatArray) -> tuple[FloatArray, Any]:
        """Make the next windows.

        `samples` holds the sound of n ≥ 1 whole windows and of the look-ahead: ((n · window + lookahead) · hop,)
        float32 with hop = sample_rate / fps. Returns (n · window, channels) frames and the next state; the old state
        is not changed. n windows in one step are the same numbers, to the last bit, as n steps of one.
        """

    def step_many(self, jobs: Sequence[tuple[Any, FloatArray]]) -> list[tuple[FloatArray, Any]]:
        """`step` for several streams, each with its own state and sound: the same numbers, to the last bit.

        A generator that can work on several at once overrides this.
        """
        return [self.step(state, samples) for state, samples in jobs]

    def heard_many(self, jobs: Sequence[tuple[Any, FloatArray]]) -> list[tuple[FloatArray, FloatArray | None, Any]]:
        """`step_many`, and between frames and state how surely somebody speaks: (frames,), 0 to 1.

        None is what a generator says that cannot tell.
        """
        return [(frames, None, state) for frames, state in self.step_many(jobs)]

    def change(self, state: Any, condition: Condition, seed: int) -> Any:
        """The state from which a running stream goes on under another condition and seed.

        Here it begins anew; a generator that can keep what it has heard so far overrides this.
        """
        return self.begin(condition, seed)

    @property
    def smoothing(self) -> Smoothing | None:
        """What goes over the frames of a stream once they are made; None is nothing."""
        return None

    @cached_property
    def hop(self) -> int:
        """Samples a frame."""
        hop = self.sample_rate / self.fps
        assert hop.denominator == 1, (
            f"{self.name}: {self.sample_rate} Hz is no whole number of samples at {self.fps} fps"
        )
        return int(hop)

    @property
    def latency(self) -> Fraction:
        """Seconds from a window's first frame to the newest sound that it needs."""
        return (self.window + self.lookahead) / self.fps

    @final
    def stream(self, condition: Condition = FREE, seed: int = 0, sample_rate: int | None = None) -> "Stream":
        """A live stream; `sample_rate` is that of the sound to come (default: the generator's own)."""
        self.check(condition)
        return Stream(self, condition, seed, self.sample_rate if sample_rate is None else sample_rate)

    @final
    def check(self, condition: Condition) -> None:
        """Raise `Unsupported` for a condition that this generator cannot honour."""
        unknown = condition.asked - self.accepts
        if unknown:
            can = f"it honours {', '.join(sorted(self.accepts))}" if self.accepts else "it takes no conditions"
            raise Unsupported(f"generator {self.name!r} cannot honour {', '.join(sorted(unknown))}; {can}")

    @final
    def generate(
        self,
        audio: Audio,
        condition: Condition = FREE,
        seed: int = 0,
        progress: Callable[[int, int], None] | None = None,
    ) -> Motion:
        """The motion for a whole sound: ceil(duration · fps) frames, the sum of the stream.

        `progress` is told how many frames are made and how many there will be.
        """
        stream = self.stream(condition, seed, audio.sample_rate)
        pieces = [stream.nothing]
        longest = LONGEST_FEED if progress is None else 10 * audio.sample_rate
        for start in range(0, len(audio), longest):
            pieces += stream.feed(audio.samples[start : start + longest])
            if progress is not None:
                progress(stream.made, audio.frames_at(self.fps))
        return Motion.join([*pieces, *stream.finish()])


@dataclass(frozen=True, eq=False)
class Standing:
    """Where a stream stands, but for its generator's state."""

    buffer: FloatArray
    heard: int
    made: int
    total: int | None
    resampler: Place
    given: int
    tail: Any


class Stream:
    """Sound in, motion out, in pieces that follow one another without a gap.

    However the sound is cut, the pieces join to the same motion. `finish` ends the sound: the last window is padded
    with silence and trimmed to ceil(samples · fps / sample_rate) frames.
    """

    def __init__(self, generator: Generator, condition: Condition, seed: int, sample_rate: int) -> None:
        self._generator = generator
        self._state = generator.begin(condition, seed)
        self._resampler = Resampler(sample_rate, generator.sample_rate)
        self._buffer = np.zeros(0, np.float32)
        self._sample_rate = self._resampler.rate_in
        self._heard = 0
        self._made = 0
        self._total: int | None = None
        self._smoothing = generator.smoothing
        self._tail = None if self._smoothing is None else self._smoothing.begin()
        self._given = 0

    def __enter__(self) -> "Stream":
        return self

    def __exit__(self, *error: object) -> None:
        self._total = self._made

    @property
    def latency(self) -> float:
        """Seconds from a window's first frame to the newest sound that it needs, the resampler's reach included."""
        held = 0 if self._smoothing is None else self._smoothing.delay
        return self.reach + float(held / self._generator.fps)

    @property
    def reach(self) -> float:
        """Seconds from a window's first frame to the newest sound that its making needs."""
        return float(self._generator.latency) + self._resampler.delay

    @property
    def nothing(self) -> Motion:
        """A piece of no frames at the place where the stream stands."""
        return self._piece(np.zeros((0, len(self._generator.channels)), np.float32))

    def feed(self, samples: FloatArray) -> list[Motion]:
        """The pieces that `samples` (n,), mono float in -1..1 at the stream's rate, complete; often none.

        Raises `BadInput` for another shape, for values that are not finite, and after `finish`.
        """
        self.push(samples)
        return list(self._step_all())

    def finish(self) -> list[Motion]:
        """The remaining pieces; the stream ends."""
        self.end()
        return [*self._step_all(), *self.rest()]

    # `feed` and `finish` in their parts, for who steps several streams together.

    @property
    def heard(self) -> int:
        """Samples pushed so far."""
        return self._heard

    @property
    def made(self) -> int:
        """Frames made so far."""
        return self._made

    @property
    def given(self) -> int:
        """Frames given out so far: smoothing holds some back."""
        return self._given

    @property
    def ended(self) -> bool:
        """Whether the sound has ended."""
        return self._total is not None

    @property
    def state(self) -> Any:
        """The generator's state; set, the next step goes on from it."""
        return self._state

    @state.setter
    def state(self, state: Any) -> None:
        self._state = state

    @property
    def standing(self) -> Standing:
        """Where this stands; set, with the state, on another stream of the same generator, that one goes on here."""
        return Standing(
            self._buffer, self._heard, self._made, self._total, self._resampler.place, self._given, self._tail
        )

    @standing.setter
    def standing(self, standing: Standing) -> None:
        self._buffer, self._heard, self._made = standing.buffer, standing.heard, standing.made
        self._total, self._resampler.place = standing.total, standing.resampler
        self._given, self._tail = standing.given, standing.tail

    @property
    def waiting(self) -> int:
        """Whole windows whose sound is there."""
        generator = self._generator
        return max(len(self._buffer) // generator.hop - generator.lookahead, 0) // generator.window

    def push(self, samples: FloatArray) -> None:
        """Take sound in without making frames; see `feed`."""
        if self._total is not None:
            raise BadInput("this stream is finished: begin another one for more sound")
        block = np.asarray(samples, np.float32)
        if block.ndim != 1:
            raise BadInput(f"a stream is fed mono sound (samples,), got shape {block.shape}")
        if not np.isfinite(block).all():
            raise BadInput("sound is finite, got NaN or infinite samples")
        self._heard += len(block)
        block = block.clip(-LOUDEST, LOUDEST)
        self._buffer = np.concatenate([self._buffer, self._resampler.feed(block)])

    def hush(self) -> None:
        """Forget the sound of which no frame was made yet: it counts as silence."""
        self._buffer = np.zeros_like(self._buffer)
        self._resampler.hush()

    def end(self) -> None:
        """End the sound: silence up to the last window that is needed."""
        if self._total is not None:
            return
        generator = self._generator
        self._total = -(-self._heard * generator.fps // self._sample_rate)
        self._buffer = np.concatenate([self._buffer, self._resampler.finish()])
        windows = -(-(self._total - self._made) // generator.window)
        need = (windows * generator.window + generator.lookahead) * generator.hop
        self._buffer = np.concatenate([self._buffer, np.zeros(max(need - len(self._buffer), 0), np.float32)])

    def due(self, most: int = LONGEST_BLOCK) -> tuple[Any, FloatArray] | None:
        """The state and the sound of the next step of at most so many windows, or None where more sound is needed."""
        ready = min(self.waiting, most)
        if ready < 1 or self._made == self._total:
            return None
        generator = self._generator
        return self._state, self._buffer[: (ready * generator.window + generator.lookahead) * generator.hop]

    def done(self, frames: FloatArray, state: Any) -> Motion:
        """Take in what `Generator.step` made of `due`: the piece that it is."""
        self._state = state
        self._buffer = self._buffer[len(frames) * self._generator.hop :]
        if self._total is not None:
            frames = frames[: self._total - self._made]
        self._made += len(frames)
        if self._smoothing is not None:
            frames, self._tail = self._smoothing.feed(self._tail, frames)
        return self._piece(frames)

    def rest(self) -> list[Motion]:
        """The piece that smoothing still holds back once all steps are done, if there is one; the stream ends."""
        if self._smoothing is None or self._given == self._made:
            return []
        return [self._piece(self._smoothing.finish(self._tail))]

    def _step_all(self) -> Iterator[Motion]:
        while (step := self.due()) is not None:
            yield self.done(*self._generator.step(*step))

    def _piece(self, frames: FloatArray) -> Motion:
        piece = Motion(frames, self._generator.channels, self._generator.fps, self._given)
        self._given += len(frames)
        return piece
