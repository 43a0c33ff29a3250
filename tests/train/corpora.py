"""A corpus of made-up speech whose mouth follows its sound: tones that grow loud open the jaw."""

from fractions import Fraction

import numpy as np

from artalk.audio import Audio
from artalk.channels import ARKIT
from artalk.data.clips import SAMPLE_RATE, Clip, Entry, Writer
from artalk.motion import Motion

PHONES = ((0.0, 0.4, "sil"), (0.4, 0.6, "b"), (0.6, 1.4, "a"), (1.4, 2.0, "sil"))


def made_corpus(folder, clips=10, seconds=2.0):
    """Two speakers with a habit of smiling each; every fifth clip is held out."""
    writer = Writer(folder)
    rng = np.random.default_rng(0)
    observed = np.ones(len(ARKIT), bool)
    observed[ARKIT.index("tongueOut")] = False
    for number in range(clips):
        speaker = "ab"[number % 2]
        writer.add(
            made_clip(rng, f"clip{number}", speaker, "validation" if number % 5 < 2 else "train", seconds, observed)
        )
    return writer.finish()


def made_clip(rng, name, speaker, split, seconds, observed):
    frames = int(seconds * 25)
    time = np.arange(frames * 640) / SAMPLE_RATE
    opening = np.clip(np.sin(2 * np.pi * (1.5 * time + rng.random())), 0, 1)
    sound = opening * np.sin(2 * np.pi * (200 if speaker == "a" else 320) * time) * 0.5
    sound = sound + 0.001 * rng.standard_normal(len(time))
    jaw = opening.reshape(frames, 640).mean(axis=1)
    values = np.zeros((frames, len(ARKIT)), np.float32)
    values[:, ARKIT.index("jawOpen")] = 0.5 * jaw
    values[:, ARKIT.index("mouthLowerDownLeft")] = values[:, ARKIT.index("mouthLowerDownRight")] = 0.3 * jaw
    smile = 0.4 if speaker == "b" else 0.05
    values[:, ARKIT.indices(("mouthSmileLeft", "mouthSmileRight"))] = smile + 0.1 * jaw[:, None]
    values[:, ARKIT.index("headX")] = 0.05 * np.sin(np.arange(frames) / 5)
    entry = Entry(name, "made", speaker, "en", name, frames, seconds, "real", split, "", "CC0", "nobody")
    return Clip(
        entry, Audio(sound.astype(np.float32), SAMPLE_RATE), Motion(values, ARKIT, Fraction(25)), observed, PHONES
    )
