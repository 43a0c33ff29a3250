"""The contract of everything that turns speech into motion, and `Stream`, the one loop for live and offline."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, fields
from fractions import Fraction
from typing import Any, ClassVar, final

import numpy as np
from numpy.typing import NDArray

from artalk.audio import Audio, Resampler
from artalk.channels import Channels
from artalk.errors import BadInput, Unsupported
from artalk.motion import Motion

FloatArray = NDArray[np.float32]

LONGEST_BLOCK = 256
"""Windows handed to one step at most, so that a long file is worked through in constant memory."""


LONGEST_FEED = 1 << 20
"""Samples of a whole sound that are fed at once, so that it is not copied as a whole."""


@dataclass(frozen=True, eq=False)
class Condition:
    """What the animator asks for besides the speech; None leaves it to the model.

    `style` is a sample clip whose way of moving is to be followed; `keyframes` is (frames, channels) with NaN where the
    model is free.
    """

    style: Motion | None = None
    keyframes: FloatArray | None = None

    @property
    def asked(self) -> frozenset[str]:
        """The names of the fields that are set."""
        return frozenset(field.name for field in fields(self) if getattr(self, field.name) is not None)


FREE = Condition()


class Generator(ABC):
    """Speech to motion, window by window.

    A subclass sets the class or instance attributes below and writes `begin` and `step`. One window is `window` frames;
    making it needs the sound of those frames and of `lookahead` frames more. `sample_rate / fps` is whole.
    """

    accepts: ClassVar[frozenset[str]] = frozenset()
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

    @property
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
        """A live session; `sample_rate` is that of the sound to come (default: the generator's own)."""
        unknown = condition.asked - self.accepts
        if unknown:
            can = f"it honours {', '.join(sorted(self.accepts))}" if self.accepts else "it takes no conditions"
            raise Unsupported(f"generator {self.name!r} cannot honour {', '.join(sorted(unknown))}; {can}")
        return Stream(self, condition, seed, sample_rate or self.sample_rate)

    @final
    def generate(self, audio: Audio, condition: Condition = FREE, seed: int = 0) -> Motion:
        """The motion for a whole sound: ceil(duration · fps) frames, the sum of the stream."""
        stream = self.stream(condition, seed, audio.sample_rate)
        pieces = [stream.nothing]
        for start in range(0, len(audio), LONGEST_FEED):
            pieces += stream.feed(audio.samples[start : start + LONGEST_FEED])
        return Motion.join([*pieces, *stream.finish()])


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
        self._sample_rate = sample_rate
        self._heard = 0
        self._made = 0
        self._finished = False

    def __enter__(self) -> "Stream":
        return self

    def __exit__(self, *error: object) -> None:
        self._finished = True

    @property
    def latency(self) -> float:
        """Seconds from a window's first frame to the newest sound that it needs, the resampler's reach included."""
        return float(self._generator.latency) + self._resampler.delay

    @property
    def nothing(self) -> Motion:
        """A piece of no frames at the place where the stream stands."""
        return self._piece(np.zeros((0, len(self._generator.channels)), np.float32))

    def feed(self, samples: FloatArray) -> list[Motion]:
        """The pieces that `samples` (n,), mono float in -1..1 at the stream's rate, complete; often none.

        Raises `BadInput` for another shape, for values that are not finite, and after `finish`.
        """
        if self._finished:
            raise BadInput("this stream is finished: begin another one for more sound")
        block = np.asarray(samples, np.float32)
        if block.ndim != 1:
            raise BadInput(f"a stream is fed mono sound (samples,), got shape {block.shape}")
        if not np.isfinite(block).all():
            raise BadInput("sound is finite, got NaN or infinite samples")
        self._heard += len(block)
        self._buffer = np.concatenate([self._buffer, self._resampler.feed(block)])
        return list(self._step_all())

    def finish(self) -> list[Motion]:
        """The remaining pieces; the stream ends."""
        if self._finished:
            return []
        self._finished = True
        self._buffer = np.concatenate([self._buffer, self._resampler.finish()])
        total = -(-self._heard * self._generator.fps // self._sample_rate)
        pieces: list[Motion] = []
        while self._made < total:
            pieces += self._step_all()
            if self._made < total:
                self._pad()
        overshoot = self._made - total
        if overshoot:
            pieces[-1] = pieces[-1].cut(0, len(pieces[-1]) - overshoot)
            self._made = total
        return pieces

    def _pad(self) -> None:
        """Silence up to one whole step."""
        need = (self._generator.window + self._generator.lookahead) * self._generator.hop
        self._buffer = np.concatenate([self._buffer, np.zeros(max(need - len(self._buffer), 0), np.float32)])

    def _step_all(self) -> Iterator[Motion]:
        generator = self._generator
        window, ahead = generator.window * generator.hop, generator.lookahead * generator.hop
        while (ready := min((len(self._buffer) - ahead) // window, LONGEST_BLOCK)) >= 1:
            frames, self._state = generator.step(self._state, self._buffer[: ready * window + ahead])
            self._buffer = self._buffer[ready * window :]
            piece = self._piece(frames)
            self._made += len(frames)
            yield piece

    def _piece(self, frames: FloatArray) -> Motion:
        return Motion(frames, self._generator.channels, self._generator.fps, self._made)
