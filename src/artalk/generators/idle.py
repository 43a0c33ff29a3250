"""What a face does besides speaking: it blinks, looks about, breathes, and its head and brows go with the voice.

Chance is counted, not drawn: event number n of a kind is a function of the seed, the kind and n, so that it does not
matter in which pieces the time is worked through.
"""

import math
from dataclasses import dataclass, field
from functools import lru_cache

MASK = (1 << 64) - 1
REMEMBERED = 4096
"""Chance is asked for again in each frame of an event; this many answers are kept."""
DEGREE = math.pi / 180

BLINK, GAZE, BROW, POSTURE, SWAY = 14, 2, 3, 4, 5
"""The kinds of events; each has its own numbers."""


@lru_cache(REMEMBERED)
def uniform(seed: int, kind: int, number: int, which: int = 0) -> float:
    """A number in 0..1 for value `which` of event `number` of this kind (SplitMix64 of Steele et al. 2014).

    Seeds are whole numbers modulo 2 to the 64th.
    """
    x = (seed * 0x9E3779B97F4A7C15 + kind * 0xD1342543DE82EF95 + number * 0xBF58476D1CE4E5B9 + which + 1) & MASK
    for _ in range(2):
        x = (x + 0x9E3779B97F4A7C15) & MASK
        x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & MASK
        x ^= x >> 31
    return (x >> 11) / (1 << 53)


@lru_cache(REMEMBERED)
def normal(seed: int, kind: int, number: int, which: int = 0) -> float:
    """A normally distributed number, cut at ±2.5, for value `which` of an event (Box and Muller 1958)."""
    radius = math.sqrt(-2 * math.log(1 - uniform(seed, kind, number, 2 * which + 100)))
    return max(-2.5, min(2.5, radius * math.cos(2 * math.pi * uniform(seed, kind, number, 2 * which + 101))))


@lru_cache(REMEMBERED)
def lognormal(seed: int, kind: int, number: int, mean: float, spread: float) -> float:
    """A duration with this mean; `spread` is the standard deviation of its logarithm."""
    return mean * math.exp(spread * normal(seed, kind, number) - spread**2 / 2)


@dataclass
class Spring:
    """A critically damped follower: what it carries arrives without overshoot and never jumps."""

    at: float = 0.0
    speed: float = 0.0

    def towards(self, target: float, pull: float, seconds: float) -> float:
        """Move for some seconds; `pull` is the natural frequency in radians a second."""
        off, decay = self.at - target, math.exp(-pull * seconds)
        push = (self.speed + pull * off) * seconds
        self.at = target + (off + push) * decay
        self.speed = (self.speed - pull * push) * decay
        return self.at

    def copy(self) -> "Spring":
        """The same, to go on from twice."""
        return Spring(self.at, self.speed)


@dataclass(frozen=True)
class Voice:
    """What life goes by in one frame: `loudness` 0..1, `pitch` in semitones above 1 Hz, `voicing` 0..1."""

    loudness: float
    pitch: float
    voicing: float


@dataclass(frozen=True)
class Look:
    """A face but for its mouth: lids 0 (open) to 1, gaze and head in radians, brows 0..1 (`frown` lowers them).

    Gaze is relative to the head: `gaze_down` and `gaze_left` (the subject's left). The head's rotation is glTF's.
    """

    lids: tuple[float, float]
    gaze_down: float
    gaze_left: float
    brows: float
    brow_inner: float
    frown: float
    head: tuple[float, float, float]


@dataclass
class Life:
    """Where all this stands. `copy` it before `advance` where the old one is still needed."""

    seed: int
    blink_rate: float
    sway: float = 1.0
    time: float = 0.0
    blinks: int = 0
    blink_at: float = 0.0
    last_blink: float = -10.0
    fixations: int = 0
    fixate_until: float = 1.0
    gaze_target: tuple[float, float] = (0.0, 0.0)
    gaze: tuple[float, float] = (0.0, 0.0)
    quiet: float = 10.0
    phrases: int = 0
    usual_loudness: float = 0.0
    usual_pitch: float = 0.0
    accents: int = 0
    accent_at: float = -10.0
    accent: float = 0.0
    nod: Spring = field(default_factory=Spring)
    lift: Spring = field(default_factory=Spring)
    posture: tuple[Spring, Spring, Spring] = field(default_factory=lambda: (Spring(), Spring(), Spring()))
    stir: Spring = field(default_factory=Spring)

    def __post_init__(self) -> None:
        if self.blinks == 0:
            self.blink_at = 0.4 + self._pause(0) * uniform(self.seed, BLINK, 0, 1)

    def copy(self) -> "Life":
        """The same, to go on from twice."""
        twin = object.__new__(Life)  # `copy` and its like would take a tenth of a live frame's time
        vars(twin).update(vars(self))
        twin.nod, twin.lift, twin.stir = self.nod.copy(), self.lift.copy(), self.stir.copy()
        first, second, third = self.posture
        twin.posture = first.copy(), second.copy(), third.copy()
        return twin

    def advance(self, voice: Voice, seconds: float) -> Look:
        """The look at this time, under this voice; then time goes on by some seconds."""
        self._listen(voice, seconds)
        head = self._head(seconds)
        down, left = self._gaze(head, seconds)
        lids = self._lids()
        brows = self.lift.towards(self._brow_target(), 14.0, seconds)
        idle = 0.5 + 0.5 * self._wave(4, 0.11)
        look = Look(lids, down, left, brows, 0.03 * idle + 0.6 * brows, 0.04 * (1 - idle), head)
        self.time += seconds
        return look

    def _listen(self, voice: Voice, seconds: float) -> None:
        """Find phrases and accents."""
        if voice.loudness > SPEAKING:
            if self.quiet > PAUSE:
                self.phrases += 1
            self.quiet = 0.0
        else:
            before, self.quiet = self.quiet, self.quiet + seconds
            if before < BOUNDARY <= self.quiet:
                self._end_phrase()
        share = seconds / 1.0
        self.usual_loudness += share * (voice.loudness - self.usual_loudness)
        if voice.voicing > 0.5 and voice.loudness > SPEAKING:
            self.usual_pitch = self.usual_pitch or voice.pitch
            self.usual_pitch += seconds / 2.0 * (voice.pitch - self.usual_pitch)
        rise = max(-6.0, min(6.0, voice.pitch - self.usual_pitch)) * voice.voicing if self.usual_pitch else 0.0
        loud = voice.loudness - self.usual_loudness
        self.accent = max(0.0, min(1.0, 1.6 * loud + 0.10 * rise)) if self.quiet == 0.0 else 0.0
        if self.accent > ACCENT and self.time - self.accent_at > 0.5:
            self.accents += 1
            self.accent_at = self.time

    def _end_phrase(self) -> None:
        """A blink that was due soon comes at the end of the phrase."""
        due = self.blink_at - self.time
        if self.time - self.last_blink > 1.0 and 0 < due < 2.5 and uniform(self.seed, BLINK, self.phrases, 2) < 0.6:
            self.blink_at = self.time

    def _pause(self, number: int) -> float:
        usual = 60 / self.blink_rate
        return 0.15 * usual + lognormal(self.seed, BLINK, number, 0.85 * usual, 0.6)

    def _lids(self) -> tuple[float, float]:
        """Both lids: a blink closes in a third of its time and opens in the rest; the right eye is a little behind."""
        if self.time >= self.blink_at:
            self.last_blink = self.blink_at
            self.blinks += 1
            self.blink_at = self.last_blink + max(0.45, self._pause(self.blinks))
        since = self.time - self.last_blink
        length = 0.15 + 0.12 * uniform(self.seed, BLINK, self.blinks, 3)
        late = 0.012 * uniform(self.seed, BLINK, self.blinks, 4)
        deep = 0.94 + 0.06 * uniform(self.seed, BLINK, self.blinks, 5)
        return _lid(since, length), deep * _lid(since - late, length)

    def _gaze(self, head: tuple[float, float, float], seconds: float) -> tuple[float, float]:
        """Rest on a place, then leap to another; the eyes hold it while the head turns."""
        if self.time >= self.fixate_until:
            number = self.fixations = self.fixations + 1
            # Mostly it is the listener's face; a glance away is wider and shorter.
            away = uniform(self.seed, GAZE, number, 1) < 0.2
            wide = (3.5, 7.0) if away else (1.0, 2.0)
            self.fixate_until = self.time + 0.4 + lognormal(self.seed, GAZE, number, 0.7 if away else 1.6, 0.6)
            down = wide[0] * normal(self.seed, GAZE, number, 1)
            left = wide[1] * normal(self.seed, GAZE, number, 2)
            leap = math.hypot(down - self.gaze_target[0] / DEGREE, left - self.gaze_target[1] / DEGREE)
            self.gaze_target = (down * DEGREE, left * DEGREE)
            # A long way is often covered by a blink.
            if leap > 10 and self.time - self.last_blink > 1.0 and uniform(self.seed, GAZE, number, 6) < 0.4:
                self.blink_at = min(self.blink_at, self.time)
        share = 1 - math.exp(-seconds / 0.033)
        self.gaze = (
            self.gaze[0] + share * (self.gaze_target[0] - self.gaze[0]),
            self.gaze[1] + share * (self.gaze_target[1] - self.gaze[1]),
        )
        return self.gaze[0] - 0.8 * head[0], self.gaze[1] - 0.8 * head[1]

    def _brow_target(self) -> float:
        """Up for an accent, by another amount each time, and not for every one."""
        since = self.time - self.accent_at
        if not 0 <= since < 0.3:
            return 0.0
        return max(0.0, 0.6 * uniform(self.seed, BROW, self.accents) - 0.1)

    def _head(self, seconds: float) -> tuple[float, float, float]:
        """Nods on accents; a posture for each phrase, breath and sway as far as `sway` says."""
        nod = self.nod.towards(5.0 * self.accent, 9.0, seconds)
        if not self.sway:
            return nod * DEGREE, 0.0, 0.0
        stir = self.stir.towards(1.0 if self.quiet < 0.5 else 0.0, 3.0, seconds)
        rest = 1.0 if self.quiet < 1.0 else 0.4
        posture = [
            part.towards(rest * wide * normal(self.seed, POSTURE, self.phrases, axis), 3.5, seconds)
            for axis, (part, wide) in enumerate(zip(self.posture, (1.0, 2.2, 1.1), strict=True))
        ]
        breath = 0.35 * math.sin(2 * math.pi * (0.24 * self.time + uniform(self.seed, SWAY, 9)))
        pitch = posture[0] + breath + (0.5 + 0.4 * stir) * self._wave(0, 0.17)
        yaw = posture[1] + (0.8 + 0.7 * stir) * self._wave(1, 0.13)
        roll = posture[2] + (0.4 + 0.5 * stir) * self._wave(2, 0.15)
        still = self.sway * DEGREE
        return still * pitch + nod * DEGREE, still * yaw, still * roll

    def _wave(self, number: int, hertz: float) -> float:
        """A slow movement in -1..1 that does not repeat: three sines whose periods share nothing."""
        total = 0.0
        for part, (share, faster) in enumerate(((0.5, 1.0), (0.3, 1.618), (0.2, 2.886))):
            phase = uniform(self.seed, SWAY, number, part)
            speed = hertz * faster * (0.85 + 0.3 * uniform(self.seed, SWAY, number, part + 3))
            total += share * math.sin(2 * math.pi * (speed * self.time + phase))
        return total


SPEAKING = 0.12
"""Loudness above which somebody speaks."""

PAUSE, BOUNDARY = 0.3, 0.2
"""Seconds of quiet after which speech is a new phrase; after which the old one has ended."""

ACCENT = 0.45
"""Strength from which an accent moves the brows."""


def _lid(since: float, length: float) -> float:
    """How far a lid is closed, seconds after a blink of this length began."""
    closing, closed = 0.3 * length, 0.3 * length + 0.045
    if since <= 0 or since >= length + 0.045:
        return 0.0
    if since < closing:
        return _ease(since / closing)
    return 1.0 if since < closed else _ease(1 - (since - closed) / (0.7 * length))


def _ease(share: float) -> float:
    return share * share * (3 - 2 * share)
