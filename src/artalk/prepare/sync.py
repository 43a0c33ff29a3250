"""Whether the lips move with the sound: the shift at which they agree best with what the sound lets expect.

The expectation is the rule-based generator's jaw and lips, which hear loudness and vowels; it knows no lag of its own
but the one found here on recordings that are in time.
"""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from artalk.generators.generator import FREE
from artalk.generators.visemes import Visemes
from artalk.motion import Motion
from artalk.prepare.film import BLOCK, SOUND_RATE, Sound

Float = NDArray[np.float64]

FURTHEST = 0.5
"""Seconds of shift that are looked at, to either side."""

USUAL = 0.012
"""Seconds by which tracked lips come after the rules' on recordings in time (GRID, 200 sentences)."""

ERROR, OVER = 0.047, 3.0
"""Standard deviation that what is found in so many seconds is given; it falls as 1/sqrt: 27 ms over 9 s, 15 over 30."""

CLEAR = 0.15
"""By how much lips and sound agree better once they are moved, or they are not: over 3 s a syllable passes for the next
in 3 of 100 sentences that are in time, by 0.06 as a rule. Of sentences that are 0.2 s late or early 90 % gain more.
"""

LEAST = 0.35
"""Correlation below which sound and lips are not taken to belong together."""

SHORTEST, SURE_FROM = 2.0, 3.0
"""Seconds of a seen face with sound below which nothing is said, and below which nothing is sure."""


@dataclass(frozen=True)
class Offset:
    """`seconds` by which the picture comes after the sound, how well the two agree there, -1..1, and in `heard` seconds
    of a face seen with sound; `unmoved` is how well they agree as they are.
    """

    seconds: float
    agreement: float
    heard: float
    unmoved: float = -1.0

    @property
    def error(self) -> float:
        """The standard deviation of `seconds`."""
        return ERROR * float(np.sqrt(OVER / self.heard))

    @property
    def told(self) -> bool:
        """Whether sound and lips agree enough to say anything."""
        return self.agreement >= LEAST

    @property
    def sure(self) -> bool:
        """Whether it is more than chance."""
        clear = abs(self.seconds) > 3 * self.error and self.agreement - self.unmoved > CLEAR
        return self.told and clear and self.heard >= SURE_FROM


def offset(motion: Motion, ok: NDArray[np.bool_], sound: Sound) -> Offset | None:
    """How far the lips of a motion are from its sound, by the frames that are `ok`; None where there is too little."""
    expected = heard(sound, motion.fps)
    count = min(len(expected), len(motion))
    if count < SHORTEST * motion.fps or ok[:count].sum() < SHORTEST * motion.fps or expected[:count].std() < 1e-3:
        return None
    return best(aperture(motion)[:count], expected[:count], ok[:count], motion.fps)


def best(lips: Float, expected: Float, ok: NDArray[np.bool_], fps: Fraction) -> Offset | None:
    """The shift at which two curves (frames,) agree best."""
    most = min(round(FURTHEST * float(fps)), len(lips) // 3)
    shifts = np.arange(-most, most + 1)
    agreement = np.array([_agreement(lips, expected, ok, int(shift)) for shift in shifts])
    top = int(agreement.argmax())
    if not np.isfinite(agreement[top]) or agreement[top] <= -1:
        return None
    # The peak of the parabola through three shifts tells parts of a frame.
    peak = 0.0
    if 0 < top < len(shifts) - 1:
        before, at, after = agreement[top - 1 : top + 2]
        bend = before - 2 * at + after
        peak = float(np.clip(0.5 * (before - after) / bend, -0.5, 0.5)) if bend < 0 else 0.0
    found = (float(shifts[top]) + peak) / float(fps) - USUAL
    return Offset(found, float(agreement[top]), float(ok.sum() / fps), float(agreement[most]))


def aperture(motion: Motion) -> Float:
    """(frames,) how far a mouth is open, by the weights that open it."""
    opens = sum(motion.channel(f"mouth{part}{side}") for part in ("LowerDown", "UpperUp") for side in ("Left", "Right"))
    jaw = motion.channel("jawOpen") - motion.channel("mouthClose")
    return np.asarray(jaw + 0.1 * opens, np.float64)


def heard(sound: Sound, fps: Fraction) -> Float:
    """(frames,) how far a mouth would be open that says a sound, by rules."""
    stream = Visemes().stream(FREE, 0, SOUND_RATE)
    pieces: list[Float] = []
    begins = _begins(sound)
    for block in sound.blocks(first=begins):
        pieces += [aperture(piece) for piece in stream.feed(block)]
    pieces += [aperture(piece) for piece in stream.finish()]
    curve = np.concatenate([np.zeros(0), *pieces])
    if not len(curve):
        return curve
    times = begins / SOUND_RATE + np.arange(len(curve)) / float(Visemes.fps)
    at = np.arange(int(times[-1] * float(fps)) + 1) / float(fps)
    return np.interp(at, times, curve, left=0.0)


def _begins(sound: Sound) -> int:
    """The first sample that is not nothing: next to true silence a room's noise would pass for a voice."""
    for number, block in enumerate(sound.blocks()):
        if block.any():
            return number * BLOCK + int(np.flatnonzero(block)[0])
    return 0


def _agreement(lips: Float, expected: Float, ok: NDArray[np.bool_], shift: int) -> float:
    """The correlation with the lips taken `shift` frames later."""
    moved = slice(max(shift, 0), len(lips) + min(shift, 0))
    still = slice(max(-shift, 0), len(lips) + min(-shift, 0))
    seen = ok[moved]
    one, other = lips[moved][seen], expected[still][seen]
    if len(one) < 10 or one.std() < 1e-6 or other.std() < 1e-6:
        return -1.0
    return float(np.corrcoef(one, other)[0, 1])
