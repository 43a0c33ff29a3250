"""Long recordings cut at their pauses, and how much of a sound is speech."""

import numpy as np
from numpy.typing import NDArray

from artalk.audio import Audio
from artalk.data.clips import FPS, SAMPLE_RATE

PIECE, LONGEST = 5.0, 9.0
"""Seconds after which a long recording is cut at the next pause, and after which it is cut anyway."""

FAINT, LOUD, ABOVE = -55.0, -35.0, 10.0
"""Decibels of full scale: nothing below `FAINT` is speech; room noise is not louder than `LOUD`; speech is this much
`ABOVE` it."""


def pieces(sound: Audio) -> list[tuple[int, int]]:
    """First and last frame (25 fps) of the pieces of a long recording, cut in the quietest places."""
    frames = sound.frames_at(FPS)
    level = np.convolve(_power(sound), np.ones(5) / 5, mode="same")
    cuts = [0]
    while frames - cuts[-1] > LONGEST * FPS:
        first, last = cuts[-1] + int(PIECE * FPS), cuts[-1] + int(LONGEST * FPS)
        cuts.append(first + int(level[first:last].argmin()))
    return list(zip(cuts, [*cuts[1:], frames], strict=True))


def speech(sound: Audio) -> NDArray[np.bool_]:
    """Which (frames,) at 25 fps carry a voice or anything as loud: those well above the recording's own quiet."""
    level = 10 * np.log10(_power(sound) + 1e-12)
    if not len(level):
        return np.zeros(0, bool)
    quiet = min(float(np.percentile(level, 10)), LOUD)
    return level > max(FAINT, quiet + ABOVE)


def _power(sound: Audio) -> NDArray[np.float64]:
    """The mean square (frames,) at 25 fps of a sound at 16 kHz."""
    frames, hop = sound.frames_at(FPS), SAMPLE_RATE // int(FPS)
    padded = np.zeros(frames * hop)
    padded[: len(sound)] = sound.samples
    return np.square(padded).reshape(frames, hop).mean(axis=1)
