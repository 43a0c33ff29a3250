"""Change the sample rate of a sound while it comes in, to the same numbers however it is cut."""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import ArrayLike, NDArray

from artalk.errors import BadInput

LOWEST_RATE, HIGHEST_RATE = 1_000, 768_000
"""Samples a second that sound may have here."""

LONGEST_DELAY = 0.004
"""Seconds of sound past an output sample that it may depend on."""

ZERO_CROSSINGS = 64
"""Zero crossings of the lower rate's sinc on either side; at low rates `LONGEST_DELAY` allows fewer."""

STOPBAND = 80.0
"""Decibels by which what the new rate cannot carry is held down."""

MOST_PHASES = 1024
"""Rows of the filter bank; a ratio with more phases takes the two nearest rows, wrong by less than 1e-6."""

BLOCK = 1 << 16
"""Input samples worked on at a time, so that a long sound needs no long temporaries."""


def whole_rate(rate: Any) -> int | None:
    """`rate` as an int, or None unless it is a whole number in 1000..768000."""
    try:
        whole = int(rate)
        fits = bool(whole == rate) and LOWEST_RATE <= whole <= HIGHEST_RATE
    except (TypeError, ValueError, OverflowError):
        return None
    return whole if fits else None


@dataclass(frozen=True, eq=False)
class Place:
    """Where a resampler stands: the sound it still needs and its counters."""

    tail: NDArray[np.float32]
    tail_start: int
    heard: int
    made: int
    finished: bool


class Resampler:
    """Sound at `rate_in` in, the same sound at `rate_out` out, both in pieces.

    Output sample k is the sound at k / rate_out seconds, so that nothing is shifted; after `finish` there are
    ceil(samples in · rate_out / rate_in) of them. The joined output is the same to the last bit however the input is
    cut, because each output sample is one dot product of fixed length. Beyond both ends the sound counts as silence.

    The filter is a sinc under a Kaiser window (Kaiser, "Nonrecursive digital filter design using the I0-sinh window
    function", 1974) with 80 dB of stopband that begins at half of the lower rate; the pass band ends about 630 Hz
    below it at 16 kHz and below. Equal rates pass the samples through.

    Raises `BadInput` for rates that are not whole numbers in 1000..768000.
    """

    def __init__(self, rate_in: int, rate_out: int) -> None:
        given = whole_rate(rate_in), whole_rate(rate_out)
        if given[0] is None or given[1] is None:
            raise BadInput(
                f"sound is resampled between whole rates in {LOWEST_RATE}..{HIGHEST_RATE}, "
                f"got {rate_in!r} to {rate_out!r}"
            )
        self.rate_in, self.rate_out = given[0], given[1]
        common = math.gcd(self.rate_in, self.rate_out)
        self._up, self._down = self.rate_out // common, self.rate_in // common
        self._reach = _reach(self.rate_in, self.rate_out)
        if self._reach:
            self._bank = _filter_bank(self.rate_in, self.rate_out, min(self._up, MOST_PHASES), self._reach)
        self._tail = np.zeros(max(self._reach - 1, 0), np.float32)
        """Sound still needed: it begins at input sample `_tail_start`."""
        self._tail_start = -len(self._tail)
        self._heard = 0
        self._made = 0
        self._finished = False

    @property
    def delay(self) -> float:
        """Seconds from an output sample to the newest sound that it needs; at most 0.004."""
        return self._reach / self.rate_in

    @property
    def place(self) -> Place:
        """Where this stands; set on another resampler of the same rates, that one goes on from here."""
        return Place(self._tail, self._tail_start, self._heard, self._made, self._finished)

    @place.setter
    def place(self, place: Place) -> None:
        self._tail, self._tail_start, self._finished = place.tail, place.tail_start, place.finished
        self._heard, self._made = place.heard, place.made

    def hush(self) -> None:
        """Forget the sound that is still needed: it counts as silence."""
        self._tail = np.zeros_like(self._tail)

    def feed(self, samples: ArrayLike) -> NDArray[np.float32]:
        """The output that (n,) more samples make certain; often fewer than n · rate_out / rate_in.

        Raises `BadInput` for another shape and after `finish`.
        """
        block = np.asarray(samples, np.float32)
        if block.ndim != 1:
            raise BadInput(f"a resampler is fed mono sound (samples,), got shape {block.shape}")
        if self._finished:
            raise BadInput("this resampler is finished: make another one for more sound")
        if self._up == self._down:
            self._heard += len(block)
            return block.copy()
        pieces = [self._push(block[at : at + BLOCK]) for at in range(0, len(block), BLOCK)]
        return pieces[0] if len(pieces) == 1 else np.concatenate([np.zeros(0, np.float32), *pieces])

    def finish(self) -> NDArray[np.float32]:
        """The rest of the output; the sound ends. A second call gives nothing."""
        if self._finished:
            return np.zeros(0, np.float32)
        self._finished = True
        if self._up == self._down:
            return np.zeros(0, np.float32)
        total = -(-self._heard * self._up // self._down)
        due = total - self._made
        return self._push(np.zeros(self._reach + 1, np.float32))[:due]

    def _push(self, block: NDArray[np.float32]) -> NDArray[np.float32]:
        sound = np.concatenate([self._tail, block])
        self._heard += len(block)
        # Output k needs input up to floor(k · down / up) + reach, which has to be below `heard`.
        end = max(-(-(self._heard - self._reach) * self._up // self._down), self._made)
        many = self._up <= MOST_PHASES and end - self._made > 32 * self._up
        output = self._by_phase(sound, end) if many else self._one_by_one(sound, end)
        self._made = end
        oldest = end * self._down // self._up - self._reach + 1
        self._tail = sound[oldest - self._tail_start :].copy()
        self._tail_start = oldest
        return output

    def _by_phase(self, sound: NDArray[np.float32], end: int) -> NDArray[np.float32]:
        """Samples `_made` to before `end`; those of one phase are dot products with one row, `_down` inputs apart."""
        output = np.empty(end - self._made, np.float32)
        for first in range(min(self._up, len(output))):
            at, phase = divmod((self._made + first) * self._down, self._up)
            count = -(-(len(output) - first) // self._up)
            _dot(self._windows(sound, at, self._down, count), self._bank[phase], output[first :: self._up])
        return output

    def _one_by_one(self, sound: NDArray[np.float32], end: int) -> NDArray[np.float32]:
        """The same for few samples a phase: each with a row of its own, or between two rows where phases are many."""
        output = np.empty(end - self._made, np.float32)
        rows = len(self._bank) - 1
        for first in range(0, len(output), 256):
            ticks = (self._made + np.arange(first, min(first + 256, len(output)))) * self._down
            at, fine = ticks // self._up, ticks % self._up * rows
            windows = self._windows(sound, int(at[0]), 1, int(at[-1] - at[0]) + 1)[at - at[0]]
            row, past = fine // self._up, fine % self._up
            piece = _dot(windows, self._bank[row], output[first : first + 256])
            if rows < self._up:
                above = _dot(windows, self._bank[row + 1], np.empty(len(at), np.float32))
                piece += (past / self._up).astype(np.float32) * (above - piece)
        return output

    def _windows(self, sound: NDArray[np.float32], at: int, step: int, count: int) -> NDArray[np.float32]:
        """(count, taps) views of what the outputs at input sample `at`, `at` + `step`, … depend on."""
        first = at - self._reach + 1 - self._tail_start
        assert first >= 0, "sound that is still needed was dropped"
        assert first + (count - 1) * step + 2 * self._reach <= len(sound), "sound is needed that has not come"
        return as_strided(sound[first:], (count, 2 * self._reach), (sound.itemsize * step, sound.itemsize))


def _dot(
    windows: NDArray[np.float32], weights: NDArray[np.float32], output: NDArray[np.float32]
) -> NDArray[np.float32]:
    # vecdot calls one BLAS dot product a row, so a row's sum does not depend on how many rows there are; matmul and
    # einsum choose their order of summation by shape.
    return np.vecdot(windows, weights, out=output)


def _reach(rate_in: int, rate_out: int) -> int:
    """Input samples on either side of an output sample."""
    if rate_in == rate_out:
        return 0
    seconds = min(LONGEST_DELAY, ZERO_CROSSINGS / min(rate_in, rate_out))
    return int(seconds * rate_in + 1e-9)


@lru_cache(maxsize=8)
def _filter_bank(rate_in: int, rate_out: int, phases: int, reach: int) -> NDArray[np.float32]:
    """Row p, of phases + 1, holds the weights for an output p / phases input samples after the window's middle."""
    lower = min(rate_in, rate_out) / rate_in
    # Kaiser's formula for the width of the transition, in parts of the input rate.
    transition = (STOPBAND - 7.95) / (2.285 * 2 * math.pi * 2 * reach)
    cutoff = max(lower - transition, lower / 2)
    beta = 0.1102 * (STOPBAND - 8.7)
    offset = np.arange(-reach + 1, reach + 1) - np.arange(phases + 1)[:, None] / phases
    window = np.i0(beta * np.sqrt(np.clip(1 - (offset / reach) ** 2, 0, None)))
    weights = np.sinc(cutoff * offset) * window
    # Every row sums to one, so that a constant stays constant whatever its phase.
    bank: NDArray[np.float32] = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
    bank.flags.writeable = False  # it is shared
    return bank
