"""Recordings that tests make: a voice of syllables and a mouth that follows it, as a Live Link take with its sound."""

import wave
from fractions import Fraction
from pathlib import Path

import numpy as np

from artalk.audio import Audio
from artalk.channels import ARKIT
from artalk.formats import livelink
from artalk.motion import Motion

RATE = 16000


def voice(seconds, seed=0):
    """Samples and, 60 times a second, how wide the mouth is open: syllables between pauses."""
    rng = np.random.default_rng(seed)
    time = np.arange(int(seconds * RATE)) / RATE
    envelope = np.zeros_like(time)
    at = 0.25
    while at < seconds - 0.3:
        near = slice(max(int((at - 0.3) * RATE), 0), int((at + 0.3) * RATE))
        envelope[near] += np.exp(-(((time[near] - at) / 0.06) ** 2)) * rng.uniform(0.5, 1.0)
        at += rng.choice([0.2, 0.24, 0.6], p=[0.5, 0.35, 0.15])
    envelope = envelope.clip(0, 1)
    tone = sum(np.sin(2 * np.pi * 130 * k * time + k) / k for k in range(1, 12))
    samples = 0.25 * envelope * tone + 0.0005 * rng.standard_normal(len(time))
    frames = np.arange(int(seconds * 60)) / 60
    return samples.astype(np.float32), np.interp(frames, time, envelope).astype(np.float32)


def performance(opening, fps=60):
    """ARKit motion of a mouth that opens so, with a blink and a nod."""
    values = np.zeros((len(opening), len(ARKIT)), np.float32)
    values[:, ARKIT.index("jawOpen")] = 0.6 * opening
    for name in ("mouthLowerDownLeft", "mouthLowerDownRight"):
        values[:, ARKIT.index(name)] = 0.3 * opening
    values[5:9, ARKIT.indices(("eyeBlinkLeft", "eyeBlinkRight"))] = 0.9
    values[:, ARKIT.index("headX")] = 0.05 * np.sin(np.arange(len(opening)) / 20)
    return Motion(values, ARKIT, Fraction(fps))


def write_wav(path: Path, samples, rate=RATE):
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((np.asarray(samples).clip(-1, 1) * 32767).astype("<i2").tobytes())


def write_take(folder: Path, name: str, seconds=2.0, seed=0):
    """A Live Link take with its sound."""
    samples, opening = voice(seconds, seed)
    folder.mkdir(parents=True, exist_ok=True)
    write_wav(folder / f"{name}.wav", samples)
    livelink.write(performance(opening), folder / f"{name}.csv")


def sound(seconds, seed=0):
    return Audio(voice(seconds, seed)[0], RATE)
