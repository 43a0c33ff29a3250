"""Other voices, rooms and microphones for the same words: what a speech encoder must not care about.

Everything is numpy on a whole piece at once; chance comes from the generator that is handed in.
"""

import numpy as np
from numpy.typing import NDArray

from artalk.train.recipe import Sound

Samples = NDArray[np.float32]

RATE = 16000
SIZE, HOP = 512, 128
HANN = np.hanning(SIZE).astype(np.float32)
TURNING = 1600
"""Samples in which somebody turns away from the microphone, or back."""

LIFTER = 26
"""Cepstral coefficients (1.6 ms) that are a voice's formants and not its pitch."""


def changed(sound: Samples, settings: Sound, rng: np.random.Generator, babble: Samples | None = None) -> Samples:
    """`sound` (n,) at 16 kHz as another person might have said it elsewhere: the same length and timing, -1..1."""
    if rng.random() < settings.voice:
        pitch, formants = (
            rng.uniform(-settings.pitch, settings.pitch),
            rng.uniform(-settings.formants, settings.formants),
        )
        sound = revoiced(sound, float(np.exp(pitch)), float(np.exp(formants)))
    noisy = rng.random() < settings.noise
    below = rng.uniform(settings.loudest, settings.quietest)
    noise = _noise(len(sound), rng, babble) if noisy else None
    if rng.random() < settings.room:
        sound = _filtered(sound, *_room(rng))
    if noise is not None:
        share = np.float32(_level(sound) * 10 ** (-below / 20) / max(_level(noise), 1e-9))
        sound = (sound + noise * share).astype(np.float32)
    if rng.random() < settings.band:
        sound = _through(sound, _microphone(rng))
    if settings.codec and rng.random() < settings.codec:  # no chance is spent where nobody asks: old runs stay the same
        sound = companded(sound) if rng.random() < 0.5 else thinned(sound, float(rng.uniform(0.05, 0.3)))
    if settings.levels and rng.random() < settings.levels:  # here, too, none
        sound = sound * _turned_away(len(sound), settings.drop, rng)
    wanted = 10 ** (rng.uniform(*settings.gain) / 20)
    peak = float(np.abs(sound).max(initial=1e-6))
    return np.clip(sound * min(wanted, 4.0) * (0.7 / peak), -1, 1).astype(np.float32)


def _turned_away(length: int, drop: float, rng: np.random.Generator) -> Samples:
    """Factors (length,) of a sound that is softer by up to `drop` decibels after some moment of it, or before."""
    share = 10 ** (-rng.uniform(0, drop) / 20)
    at = rng.uniform(0.15, 0.85) * length
    after = np.clip((np.arange(length, dtype=np.float32) - at) / TURNING, 0, 1)
    softer = after if rng.random() < 0.5 else 1 - after
    return (1 + (share - 1) * softer).astype(np.float32)


def revoiced(sound: Samples, pitch: float, formants: float) -> Samples:
    """Pitch times `pitch` and formants times `formants`, the time kept (a phase vocoder with a lifted envelope).

    The spectrum's fine structure is stretched by `pitch` and its cepstral envelope by `formants`; phases advance by
    the stretched frequencies (Laroche & Dolson 1999, without their peak tracking: for training, not for ears).
    """
    if len(sound) < SIZE:
        return sound
    spectra = _analysed(sound)
    size, phase = np.abs(spectra) + np.float32(1e-7), np.angle(spectra)
    envelope = _envelope(size)
    bins = np.arange(float(size.shape[1]))
    fine = _stretched(size / envelope, bins / pitch)
    # The true frequency of each bin from its phase's advance, then carried to where the bin goes.
    expected = 2 * np.pi * HOP * bins / SIZE
    advance = expected + _wrapped(np.diff(phase, axis=0, prepend=phase[:1]) - expected)
    moved = advance[:, np.clip(np.round(bins / pitch), 0, bins[-1]).astype(np.int64)] * pitch
    moved[0] = phase[0]
    turned = _wrapped(np.cumsum(moved, axis=0)).astype(np.float32)
    mended = fine * _stretched(envelope, bins / formants)
    return _synthesised(mended * (np.cos(turned) + np.complex64(1j) * np.sin(turned)), len(sound))


def companded(sound: Samples) -> Samples:
    """What eight bits of a telephone's µ-law leave (ITU-T G.711, as the continuous law)."""
    peak = np.float32(max(float(np.abs(sound).max(initial=0.0)), 1e-6))
    law = np.log1p(255 * np.abs(sound) / peak) / np.log(256.0)
    steps: NDArray[np.float64] = np.rint(127 * law) / 127
    return (np.sign(sound) * peak * (np.power(256.0, steps) - 1) / 255).astype(np.float32)


def thinned(sound: Samples, share: float) -> Samples:
    """What a music codec leaves that has few bits: of each moment's spectrum the strongest `share` of its bins."""
    if len(sound) < SIZE:
        return sound
    spectra = _analysed(sound)
    size = np.abs(spectra)
    kept = max(round(share * size.shape[1]), 1)
    least = np.partition(size, -kept, axis=1)[:, -kept][:, None]
    return _synthesised(np.where(size >= least, spectra, np.complex64(0)), len(sound))


def sped(values: NDArray[np.float32], speed: float, count: int) -> NDArray[np.float32]:
    """(count, …) rows of `values` read `speed` times as fast, between neighbours linearly; held at the end."""
    place = np.minimum(np.arange(count) * speed, len(values) - 1)
    left = np.minimum(place.astype(np.int64), max(len(values) - 2, 0))
    share = (place - left).astype(np.float32).reshape(-1, *([1] * (values.ndim - 1)))
    right = np.minimum(left + 1, len(values) - 1)
    return (values[left] * (1 - share) + values[right] * share).astype(np.float32)


def _wrapped(angle: NDArray[np.float64]) -> NDArray[np.float64]:
    """Angles as -π..π."""
    return angle - 2 * np.pi * np.rint(angle / (2 * np.pi))


def _analysed(sound: Samples) -> NDArray[np.complex64]:
    padded = np.pad(sound, (SIZE - HOP, SIZE + HOP))
    rows = np.lib.stride_tricks.sliding_window_view(padded, SIZE)[::HOP]
    return np.fft.rfft(rows * HANN, axis=1).astype(np.complex64)


def _synthesised(spectra: NDArray[np.complex64], length: int) -> Samples:
    rows = np.fft.irfft(spectra, SIZE, axis=1) * HANN
    quarter = SIZE // HOP
    out = np.zeros((len(rows) + quarter, HOP), np.float32)
    for part in range(quarter):
        out[part : part + len(rows)] += rows[:, part * HOP : (part + 1) * HOP]
    # Four overlapping squared Hann windows add up to 1.5.
    return (out.reshape(-1)[SIZE - HOP : SIZE - HOP + length] / 1.5).astype(np.float32)


def _envelope(size: Samples) -> Samples:
    cepstra = np.fft.irfft(np.log(size), axis=1)
    cepstra[:, LIFTER:-LIFTER] = 0
    return np.exp(np.fft.rfft(cepstra, axis=1).real).astype(np.float32)


def _stretched(rows: Samples, at: NDArray[np.float64]) -> Samples:
    """Rows read at fractional columns; beyond the last column it is held."""
    left = np.clip(at.astype(int), 0, rows.shape[1] - 2)
    share = np.clip(at - left, 0, 1).astype(np.float32)
    return (rows[:, left] * (1 - share) + rows[:, left + 1] * share).astype(np.float32)


def _level(sound: Samples) -> float:
    return float(np.sqrt(np.mean(np.square(sound, dtype=np.float64)))) if len(sound) else 0.0


def _noise(count: int, rng: np.random.Generator, babble: Samples | None) -> Samples:
    """Coloured hiss, mains hum, or other talkers."""
    kind = rng.integers(4)
    if kind == 3 and babble is not None and len(babble):
        return np.resize(babble, count).astype(np.float32)
    if kind == 2:
        time, base = np.arange(count) / RATE, rng.choice([50.0, 60.0])
        waves = [np.sin(2 * np.pi * base * k * time + rng.uniform(0, 6.3)) / k for k in (1, 2, 3, 5)]
        return (np.sum(waves, axis=0) + 0.1 * rng.standard_normal(count)).astype(np.float32)
    slope = rng.uniform(0, 1.2)
    spectrum = np.fft.rfft(rng.standard_normal(count))
    return np.fft.irfft(spectrum / np.arange(1, len(spectrum) + 1) ** (slope / 2), count).astype(np.float32)


def _room(rng: np.random.Generator) -> tuple[Samples, float]:
    """A decaying tail of 0.1 to 0.6 s (to -60 dB), and how loud it is beside the direct sound."""
    seconds = rng.uniform(0.1, 0.6)
    time = np.arange(int(seconds * RATE)) / RATE
    tail = rng.standard_normal(len(time)) * 10 ** (-3 * time / seconds) * (time > 0.002)
    return (tail / np.sqrt(np.sum(tail**2))).astype(np.float32), float(rng.uniform(0.1, 0.7))


def _filtered(sound: Samples, tail: Samples, share: float) -> Samples:
    size = 1 << (len(sound) + len(tail)).bit_length()  # a fast length
    wet = np.fft.irfft(np.fft.rfft(sound, size) * np.fft.rfft(tail, size), size)[: len(sound)]
    return (sound + share * wet).astype(np.float32)


def _microphone(rng: np.random.Generator) -> tuple[float, float, float]:
    """Lowest and highest hertz that come through, and a tilt in decibels an octave."""
    if rng.random() < 0.35:
        return float(rng.uniform(200, 320)), float(rng.uniform(3200, 3500)), 0.0
    return float(rng.uniform(20, 150)), float(rng.uniform(3800, 8000)), float(rng.uniform(-4, 4))


def _through(sound: Samples, band: tuple[float, float, float]) -> Samples:
    low, high, tilt = band
    spectrum = np.fft.rfft(sound)
    hertz = np.fft.rfftfreq(len(sound), 1 / RATE)
    keep = 1 / (1 + (low / np.maximum(hertz, 1.0)) ** 6) / (1 + (hertz / high) ** 12)
    slope = 10 ** (tilt * np.log2(np.maximum(hertz, 50.0) / 1000) / 20)
    return np.fft.irfft(spectrum * keep * slope, len(sound)).astype(np.float32)
