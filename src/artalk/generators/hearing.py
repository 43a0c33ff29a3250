"""What a rule can hear: how loud each part of the spectrum is, as one speaker's own, and how high the voice.

Everything here reads only the sound of one frame and of the frame after it, and levels remembered from before.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

EDGES = (200.0, 450.0, 700.0, 1000.0, 1500.0, 2100.0, 2700.0, 3400.0, 5000.0, 8000.0)
"""Hz between the bands: voice bar and low F1; F1 of e and o; F1 of a; F2 of back vowels; F2 of central vowels; F2 of
front vowels; F3; hiss of sh; hiss of s. Below 200 Hz lie hum and rumble, which lips know nothing of. A telephone
(300 to 3400 Hz) loses the last two only."""

BANDS = len(EDGES) - 1

SLICES = 4
"""Spectra a frame: one every 10 ms at 25 fps."""

QUIETEST = -105.0
"""dB of full scale below which nothing is recorded: the dither of 16-bit sound lies above."""

SPAN = 30.0
"""dB between the loudest and the faintest sound of a band that moves a face."""

MARGIN = 4.0
"""dB above the noise floor where a band begins to count: noise swings by about that much from frame to frame."""

LEAST_SPAN = 18.0
"""dB by which speech stands out at least: what is less far above the floor is never taken for loud speech."""

EXPECTED = 38.0
"""dB above the first sound of a recording where speech is expected."""

OWN = 10.0
"""dB by which a band's own peak may lie below the loudest band's and still count as its full loudness."""


@dataclass(frozen=True, eq=False)
class Spectra:
    """`levels` (frames, SLICES, BANDS) dB, `pitch` (frames,) Hz, `voicing` (frames,) 0 (noise) to 1 (a clear voice)."""

    levels: FloatArray
    pitch: FloatArray
    voicing: FloatArray


@dataclass(frozen=True, eq=False)
class Levels:
    """The noise `floor` and the speech `peak` (…, BANDS) in dB, followed through time."""

    floor: FloatArray
    peak: FloatArray


def spectra(frames: FloatArray, sample_rate: int) -> Spectra:
    """Listen to `frames` (n, samples): each row holds the sound of its frame and of the next one, in -1..1.

    The slices of a row are centred 35, 45, 55 and 65 ms after the frame's own time, so that frame after frame they
    are 10 ms apart. Every row is treated alone: the numbers do not depend on how many come at once.
    """
    pitch, voicing = _pitch(frames, sample_rate)
    return Spectra(_levels(frames, sample_rate), pitch, voicing)


def _levels(frames: FloatArray, sample_rate: int) -> FloatArray:
    hop = frames.shape[1] // (2 * SLICES)
    size = sample_rate // 40
    first = (7 * hop - size) // 2
    points = 1 << (size - 1).bit_length()
    bins = _bins(points, sample_rate)
    window, weight = _slice_window(size)
    cut = np.stack([frames[:, first + i * hop : first + i * hop + size] for i in range(SLICES)], axis=1)
    power = _squared(np.fft.rfft(cut * window, points)) / weight
    bands = np.add.reduceat(power[..., : bins[-1]], bins[:-1], axis=-1)
    return 10 * np.log10(bands + 1e-12)


def _squared(spectrum: NDArray[np.complex128]) -> FloatArray:
    """Absolute values squared: without the root that `abs` takes, a third of the time."""
    return spectrum.real**2 + spectrum.imag**2


@cache
def _slice_window(size: int) -> tuple[FloatArray, float]:
    """A Hann window (size,) and the sum of its squares."""
    window = np.hanning(size)
    return window, float(np.sum(window**2))


@cache
def _bins(points: int, sample_rate: int) -> NDArray[np.intp]:
    """Where the bands' edges lie in a spectrum of so many points."""
    return np.searchsorted(np.fft.rfftfreq(points, 1 / sample_rate), EDGES)


LOWEST_VOICE, HIGHEST_VOICE = 70.0, 400.0
"""Hz between which a speaking voice lies."""


def _pitch(frames: FloatArray, sample_rate: int) -> tuple[FloatArray, FloatArray]:
    """Pitch in Hz and voicing 0..1 from the autocorrelation, divided by that of the window (Boersma 1993).

    Only 200 to 1500 Hz are used: hum is no voice, and a telephone keeps the harmonics of a fundamental that it loses.
    """
    size = frames.shape[1]
    points = 1 << (size + sample_rate // int(LOWEST_VOICE) - 1).bit_length()
    window, own = _window(size, points)
    heard = np.fft.rfft(frames * window, points)
    hertz = np.fft.rfftfreq(points, 1 / sample_rate)
    # Half the bins: the autocorrelation at half the sample rate is fine enough once a parabola is laid through it.
    half = points // 4 + 1
    power = _squared(heard[:, :half]) * ((hertz[:half] > 200) & (hertz[:half] < 1500))
    alike = np.fft.irfft(power, points // 2)
    rate = sample_rate / 2
    low, high = int(rate / HIGHEST_VOICE), int(rate / LOWEST_VOICE) + 1
    near, lags = slice(low - 1, high + 2), np.arange(low - 1, high + 2)
    score = alike[:, near] / (alike[:, :1] + 1e-12) * (own[0] / own[near])
    # A period fits twice as well as once: the shorter lag is preferred a little.
    peak = np.argmax(score[:, 1:-1] - 0.1 * (lags[1:-1] / high), axis=1) + 1
    rows = np.arange(len(frames))
    before, at, after = score[rows, peak - 1], score[rows, peak], score[rows, peak + 1]
    bend = before - 2 * at + after
    shift = np.where(bend < -1e-9, 0.5 * (before - after) / np.where(bend < -1e-9, bend, -1.0), 0.0)
    return rate / (lags[peak] + np.clip(shift, -0.5, 0.5)), np.clip((at - 0.35) / 0.4, 0.0, 1.0)


@cache
def _window(size: int, points: int) -> tuple[FloatArray, FloatArray]:
    """A Hann window (size,) and its autocorrelation at half the sample rate (points // 2,)."""
    window = np.hanning(size)
    return window, np.fft.irfft(np.abs(np.fft.rfft(window, points)[: points // 4 + 1]) ** 2, points // 2)


def by_speaker(
    spectra: Spectra, counts: NDArray[np.intp], known: Sequence[Levels | None], frame: float
) -> tuple[FloatArray, list[Levels | None]]:
    """How loud each band (frames, SLICES, BANDS) is by its speaker's levels so far; and the levels after it.

    The frames of several streams follow one another, `counts` of each; `known` is None before a stream's first sound.
    A frame is `frame` seconds long. Digital silence tells nothing of a room or a speaker.
    """
    heard, starts = np.zeros_like(spectra.levels), np.cumsum(counts) - counts
    fresh = np.array([levels is None for levels in known])
    unknown = Levels(np.zeros(BANDS), np.zeros(BANDS))
    floor = np.stack([(levels or unknown).floor for levels in known])
    peak = np.stack([(levels or unknown).peak for levels in known])
    sounds = spectra.levels.max(axis=(1, 2)) >= QUIETEST
    for k in range(max(counts.tolist())):
        streams = np.flatnonzero(counts > k)
        streams = streams[sounds[starts[streams] + k]]
        rows = starts[streams] + k
        levels, voicing = spectra.levels[rows], spectra.voicing[rows, None]
        new = fresh[streams]
        if new.any():
            first = first_levels(levels[new], voicing[new])
            floor[streams[new]], peak[streams[new]] = first.floor, first.peak
        now = follow(Levels(floor[streams], peak[streams]), levels, voicing, frame)
        floor[streams], peak[streams], fresh[streams] = now.floor, now.peak, False
        heard[rows] = loudness(levels, now)
    return heard, [None if new else Levels(*pair) for new, *pair in zip(fresh, floor, peak, strict=True)]


def first_levels(levels: FloatArray, voicing: FloatArray) -> Levels:
    """The levels believed before anything but one frame (…, SLICES, BANDS) of `voicing` (…, 1) is known.

    A recording mostly begins in its noise, so that speech is expected well above; if what is heard is a voice, the
    noise lies well below.
    """
    heard = levels.max(axis=-2)
    return Levels(np.maximum(heard - LEAST_SPAN * voicing, QUIETEST), heard + EXPECTED)


def follow(before: Levels, levels: FloatArray, voicing: FloatArray, frame: float) -> Levels:
    """The levels after one more frame of sound (…, SLICES, BANDS) of `voicing` (…, 1), `frame` seconds long.

    The floor falls at once and rises slowly, the slower the more voice there is: a fan that starts is noise after a
    second or two, a held vowel is not. The peak rises at once. It sinks by 10 dB a second as long as there is speech,
    since the end of a sentence is softer than its beginning, by 1 in a pause, and faster when a voice stays far below
    it in every band: then it was never this speaker's.
    """
    heard, loudest = levels.mean(axis=-2), levels.max(axis=-2)
    rise = (12.0 - 10.0 * voicing) * frame
    floor = np.where(heard < before.floor, (heard + before.floor) / 2, np.minimum(before.floor + rise, heard))
    floor = np.maximum(floor, QUIETEST)
    below = before.peak - loudest
    another = below.min(axis=-1, keepdims=True) > 12.0
    sink = np.where(below < SPAN, 10.0, 1.0) + np.where(another, 120.0 * voicing, 0.0)
    return Levels(floor, np.maximum(np.where(below < 0, loudest, before.peak - sink * frame), floor + LEAST_SPAN))


def loudness(levels: FloatArray, known: Levels) -> FloatArray:
    """How loud each band (…, SLICES, BANDS) is for this speaker: 0 is nothing, 1 as loud as it gets.

    The square root keeps a soft sound visible: lips open nearly as far for soft speech as for loud.
    """
    full = np.maximum(known.peak, known.peak.max(axis=-1, keepdims=True) - OWN)
    nothing = np.maximum(full - SPAN, known.floor + MARGIN)
    span = np.maximum(full - nothing, MARGIN)
    above = levels - nothing[..., None, :]
    return np.sqrt(np.clip(above / span[..., None, :], 0.0, 1.2))
