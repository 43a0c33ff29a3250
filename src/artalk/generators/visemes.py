"""Speech to motion by rules: no weights, no words, 80 ms of delay. docs/visemes.md says where the figures come from."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import islice
from typing import ClassVar, final

import numpy as np
from numpy.typing import NDArray

from artalk.channels import ARKIT
from artalk.errors import BadInput
from artalk.generators import hearing
from artalk.generators.generator import Condition, FloatArray, Generator
from artalk.generators.idle import SPEAKING, Life, Look, Voice
from artalk.rigs.blendshape import GAZE

DoubleArray = NDArray[np.float64]


@dataclass(frozen=True)
class VisemeSettings:
    """How strongly each part of the face acts: 1 is natural, 0 is still; lips and jaw bear about 1.5, the rest 2.

    `lips` scales the shaping of the lips (rounding, spreading, teeth), `jaw` how far the mouth opens, `blinks` how far
    lids close, `blink_rate` is blinks a minute; `sway` is what of the head's motion is not nods to the voice. A closed
    mouth is closed at any setting.
    """

    lips: float = 1.0
    jaw: float = 1.0
    brows: float = 1.0
    blinks: float = 1.0
    gaze: float = 1.0
    head: float = 1.0
    sway: float = 1.0
    blink_rate: float = 15.0

    def __post_init__(self) -> None:
        for name in ("lips", "jaw", "brows", "blinks", "gaze", "head", "sway"):
            if not 0 <= getattr(self, name) <= 3:
                raise BadInput(f"{name} is a strength from 0 (still) over 1 (natural) to 3, got {getattr(self, name)}")
        if not 1 <= self.blink_rate <= 60:
            raise BadInput(f"blink_rate is between 1 and 60 blinks a minute, got {self.blink_rate}")


CUES = ("open", "part", "back", "front", "spread", "hiss", "bite", "loud")

# How each band (rows of nine, from voice bar to the hiss of s: `hearing.EDGES`) speaks for a cue. "open" follows the
# lip gap of tracked sentences, "back" to "bite" part the phones of an aligned corpus; all were then rounded.
WEIGHTS = np.array(
    [
        [0.00, 0.45, 0.65, -0.50, 0.20, -0.10, 0.60, 0.60, -0.40],  # open: F1 high, F2 not low, no hiss
        [-0.05, 0.25, 0.40, -0.20, 0.00, 0.00, 0.30, 0.35, 0.20],  # part: what sealed lips would keep in
        [0.00, 1.00, 1.00, -0.50, 0.00, 0.00, 0.00, 0.00, 0.00],  # back: F1 and F2 low, as where lips are round
        [0.00, 0.00, 0.00, 0.00, 1.00, 1.00, 1.00, 0.50, 0.50],  # front: anything above, which round lips shut in
        [0.10, 0.20, -0.40, -0.70, 0.10, 0.85, 0.70, 0.10, 0.00],  # spread: F2 and F3 high, nothing around 1 kHz
        [-0.70, -0.40, -0.15, 0.00, 0.00, 0.15, 0.25, 0.50, 0.80],  # hiss: s, sh, z, t
        [-0.80, -0.80, -0.10, 0.90, 0.90, 0.40, 0.40, 0.00, -0.70],  # bite: the faint flat noise of f and v
        [0.15, 0.15, 0.15, 0.15, 0.15, 0.15, 0.10, 0.00, 0.00],  # loud
    ]
)

TAPS = 24


def _bell(peak: float, rise: float, fall: float) -> DoubleArray:
    """A raised cosine over the newest `TAPS` slices, newest first; all three in slices of 10 ms."""
    off = np.arange(TAPS) - peak
    bell = np.cos(np.clip(off / np.where(off < 0, rise, fall), -1, 1) * np.pi / 2) ** 2
    return bell / bell.sum()


# Lips move ahead of the sound and dwell after it: the newest slice is 65 ms ahead of the pose, a bell's peak 5 or 15.
MOVES = np.stack(
    [
        _bell(5, 6, 15),  # open
        _bell(6, 6, 10),  # part: a closure is short
        _bell(6, 7, 14),  # back
        _bell(6, 7, 14),  # front
        _bell(6, 7, 14),  # spread
        _bell(6, 6, 9),  # hiss
        _bell(6, 6, 9),  # bite
        _bell(6, 7, 14),  # loud
    ]
)

SLUR = 0.3
"""The share of the frame before in each pose of the mouth: lips are heavy, but where they close they do it at once."""


# What cues are while an average voice speaks: those of a bright or a dull one are brought towards it.
USUAL = {"open": 0.64, "part": 0.25, "spread": 0.38}

LEARNS = 4.0
"""Seconds of speech in which a speaker's usual cues are learnt."""


@dataclass(frozen=True, eq=False)
class Heard:
    """The state between steps.

    Levels so far (None before the first sound), the newest cues (TAPS - 1, cues), what is usual for this speaker, the
    last mouth (channels,) before it was slurred, life.
    """

    levels: hearing.Levels | None
    cues: DoubleArray
    usual: tuple[float, ...]
    mouth: DoubleArray
    life: Life


@final
class Visemes(Generator):
    """Lips from the spectrum by rules; blinks, gaze, brows and head from prosody and counted chance.

    The motion is ARKit's at 25 fps, one frame a step, with one frame of look-ahead: 80 ms. The seed changes blinks,
    gaze, brows and head, never the lips. Closed lips, quiet speech and a telephone's band are told from the levels of
    the speaker so far, so that neither gain nor a steady noise matters.
    """

    accepts: ClassVar[frozenset[str]] = frozenset()
    name = "visemes"
    channels = ARKIT
    fps = Fraction(25)
    sample_rate = 16000
    window = 1
    lookahead = 1

    def __init__(self, settings: VisemeSettings | None = None) -> None:
        self.settings = settings or VisemeSettings()

    def begin(self, condition: Condition, seed: int) -> Heard:
        """The state before any sound: a closed mouth, nothing known of the speaker."""
        return Heard(
            levels=None,
            cues=np.zeros((TAPS - 1, len(CUES))),
            usual=tuple(USUAL.values()),
            mouth=np.zeros(len(self.channels)),
            life=Life(seed, self.settings.blink_rate, self.settings.sway),
        )

    def change(self, state: Heard, condition: Condition, seed: int) -> Heard:
        """What was heard of the speaker stays; the life beside it is another if the seed is."""
        if seed == state.life.seed:
            return state
        return replace(state, life=Life(seed, self.settings.blink_rate, self.settings.sway))

    def step(self, state: Heard, samples: FloatArray) -> tuple[FloatArray, Heard]:
        """Make a frame for each whole frame of `samples` but the last; see `Generator.step`."""
        return self.step_many([(state, samples)])[0]

    def step_many(self, jobs: Sequence[tuple[Heard, FloatArray]]) -> list[tuple[FloatArray, Heard]]:
        """All streams are heard and posed together: a stream's few numbers cost less than calling for them."""
        return [(frames, state) for frames, _, state in self.heard_many(jobs)]

    def heard_many(self, jobs: Sequence[tuple[Heard, FloatArray]]) -> list[tuple[FloatArray, FloatArray | None, Heard]]:
        """What rules take for speech is a voice: how clear one is there, 0 to 1, whosever and whatever's it is."""
        states, seconds = [state for state, _ in jobs], 1 / float(self.fps)
        rows = [self._rows(samples) for _, samples in jobs]
        counts = np.array([len(part) for part in rows])
        ends = np.cumsum(counts)
        spectra = hearing.spectra(np.concatenate(rows), self.sample_rate)
        bands, levels = hearing.by_speaker(spectra, counts, [state.levels for state in states], seconds)
        said = np.split(_cues(bands.reshape(-1, hearing.BANDS)), hearing.SLICES * ends[:-1])
        cues = [np.concatenate([state.cues, new]) for state, new in zip(states, said, strict=True)]
        moved, usual = _as_usual(_smooth(cues), counts, [state.usual for state in states], seconds)
        lives = [state.life.copy() for state in states]
        looks = _live(lives, counts, spectra, moved[:, CUES.index("loud")], seconds)
        mouths = self._columns(_mouth(moved, self.settings), len(moved))
        before = np.concatenate([np.zeros((1, len(self.channels))), mouths[:-1]])
        before[ends - counts] = [state.mouth for state in states]
        slur = SLUR * _free(moved)[:, None]
        values = (1 - slur) * mouths + slur * before + self._columns(_rest(looks, self.settings), len(moved))
        weights = self.channels.of_kind("weight")
        values[:, weights] = values[:, weights].clip(0.0, 1.0)
        frames = np.split(values.astype(np.float32), ends[:-1])
        newest = [part[-(TAPS - 1) :].copy() for part in cues]
        after = map(Heard, levels, newest, usual, mouths[ends - 1], lives)
        voicing = np.split(spectra.voicing.astype(np.float32), ends[:-1])
        return list(zip(frames, voicing, after, strict=True))

    def _rows(self, samples: FloatArray) -> DoubleArray:
        """(frames, samples): the sound of each frame and of the next one."""
        frames = np.asarray(samples, np.float64)[: len(samples) // self.hop * self.hop].reshape(-1, self.hop)
        return np.concatenate([frames[:-1], frames[1:]], axis=1)

    def _columns(self, pose: dict[str, DoubleArray], frames: int) -> DoubleArray:
        values = np.zeros((frames, len(self.channels)))
        for name, value in pose.items():
            values[:, self.channels.index(name)] = value
        return values


def _live(
    lives: Sequence[Life], counts: NDArray[np.intp], spectra: hearing.Spectra, loud: DoubleArray, seconds: float
) -> list[Look]:
    """The looks of all streams, one after the other, each `counts` frames; their lives go on by so much."""
    semitones = 12 * np.log2(spectra.pitch)
    voices = map(Voice, loud.tolist(), semitones.tolist(), spectra.voicing.tolist())
    frames = zip(np.repeat(np.arange(len(lives)), counts).tolist(), voices, strict=True)
    return [lives[stream].advance(voice, seconds) for stream, voice in frames]


def _cues(bands: DoubleArray) -> DoubleArray:
    """The (slices, cues) that bands (slices, bands) speak for.

    Added band by band: a matrix product may add in another order for another number of rows.
    """
    return sum(bands[:, band, None] * WEIGHTS[:, band] for band in range(hearing.BANDS)) + np.zeros(len(CUES))


def _smooth(cues: Sequence[DoubleArray]) -> DoubleArray:
    """Cues (frames, cues) of all streams as lips follow them, from the slices (TAPS - 1 + slices, cues) before and in
    each frame."""
    frames = np.array([len(part) - (TAPS - 1) for part in cues]) // hearing.SLICES
    # A frame's newest slice is the last of its four; each stream begins with its old ones.
    stream = np.repeat(np.arange(len(cues)), frames)
    newest = hearing.SLICES * (np.arange(len(stream)) + 1) + (TAPS - 1) * (stream + 1) - 1
    taps = np.concatenate(cues)[newest[:, None] - np.arange(TAPS)] * MOVES.T
    # Along an axis that is not the last numpy adds one after the other, however many frames there are.
    return np.add.reduce(taps, axis=1)


def _as_usual(
    cues: DoubleArray, counts: NDArray[np.intp], usual: Sequence[tuple[float, ...]], seconds: float
) -> tuple[DoubleArray, list[tuple[float, ...]]]:
    """Cues (frames, cues) as if an average voice spoke, and what is usual for each stream's after its `counts` frames.

    "open" and "part" are scaled, "spread" is shifted half the way, by what was usual in speech so far.
    """
    learnt: list[tuple[float, ...]] = []
    after: list[tuple[float, ...]] = []
    frames = iter(cues[:, [CUES.index(name) for name in (*USUAL, "loud")]].tolist())
    for known, count in zip(usual, counts.tolist(), strict=True):
        for *heard, loud in islice(frames, count):
            share = seconds / LEARNS if loud > SPEAKING else 0.0
            known = tuple([old + share * (new - old) for old, new in zip(known, heard, strict=True)])
            learnt.append(known)
        after.append(known)
    adapted = cues.copy()
    for (name, average), theirs in zip(USUAL.items(), np.array(learnt).T, strict=True):
        if name in ("open", "part"):
            adapted[:, CUES.index(name)] *= np.clip(average / np.maximum(theirs, 0.01), 0.55, 1.4)
        else:
            adapted[:, CUES.index(name)] -= 0.5 * (theirs - average)
    return adapted, after


def _ramp(values: DoubleArray, low: float, high: float) -> DoubleArray:
    """0 below `low`, 1 above `high`, smooth between."""
    share = np.clip((values - low) / (high - low), 0.0, 1.0)
    return share * share * (3 - 2 * share)


CLOSED, OPEN = 0.10, 0.22
"""The cue "part" below which lips are sealed, and from which nothing of the seal is left."""


def _free(cues: DoubleArray) -> DoubleArray:
    """0 where lips are sealed, 1 where nothing holds them: (frames,) from cues (frames, cues)."""
    return _ramp(cues[:, CUES.index("part")], CLOSED, OPEN)


def _mouth(cues: DoubleArray, settings: VisemeSettings) -> dict[str, DoubleArray]:
    """Jaw and lips (frames,) by channel, from cues (frames, cues) alone."""
    cue = dict(zip(CUES, np.ascontiguousarray(cues.T), strict=True))
    talks = _ramp(cue["loud"], 0.02, 0.12)
    free = _free(cues)
    gap = np.clip(cue["open"], 0.0, 1.3) * free
    sealed = (1 - free) * talks
    contrast = (cue["back"] - cue["front"]) / (np.maximum(cue["back"], 0.0) + cue["front"] + 0.2)
    rounded = _ramp(contrast, 0.0, 0.5) * talks * (0.5 + 0.5 * free)
    spread = np.clip(1.2 * cue["spread"] - 0.1, 0.0, 1.0) * talks
    hiss = np.clip(1.3 * cue["hiss"], 0.0, 1.0)
    bite = np.clip(2.0 * cue["bite"] - 0.1, 0.0, 1.0) * (1 - hiss) * (1 - _ramp(cue["open"], 0.25, 0.55))
    lips, jaw = settings.lips, settings.jaw
    both = {
        "mouthSmile": lips * 0.10 * spread,
        "mouthDimple": lips * 0.06 * spread,
        "mouthStretch": lips * 0.12 * spread,
        "mouthPress": 0.22 * sealed,
        "mouthLowerDown": lips * free * (0.10 * gap + 0.08 * spread + 0.18 * hiss),
        "mouthUpperUp": lips * free * (0.05 * gap + 0.06 * spread + 0.12 * hiss + 0.10 * bite),
    }
    return {
        "jawOpen": jaw * 0.32 * gap * (1 - 0.4 * rounded) * (1 - 0.4 * hiss),
        "mouthFunnel": lips * free * rounded * (0.10 + 0.35 * gap),
        # Speaking draws the corners in a little, whatever the sound: a resting mouth is wider.
        "mouthPucker": lips * (0.50 * rounded + 0.24 * np.clip(cue["loud"], 0.0, 1.0) * (1 - 0.4 * spread)),
        "mouthRollLower": 0.15 * sealed + lips * 0.30 * bite,
        "mouthRollUpper": 0.12 * sealed,
        **{name + side: value for name, value in both.items() for side in ("Left", "Right")},
    }


def _rest(looks: list[Look], settings: VisemeSettings) -> dict[str, DoubleArray]:
    """Lids, gaze, brows and head (frames,) by channel."""

    def each(name: str) -> DoubleArray:
        return np.array([getattr(look, name) for look in looks], np.float64)

    down = settings.gaze * each("gaze_down") / GAZE
    left = settings.gaze * each("gaze_left") / GAZE
    lids = settings.blinks * each("lids")
    brows, inner, frown = (settings.brows * each(name) for name in ("brows", "brow_inner", "frown"))
    head = settings.head * each("head")
    pose: dict[str, DoubleArray] = {"browInnerUp": inner, "headX": head[:, 0], "headY": head[:, 1], "headZ": head[:, 2]}
    for side, lid, outwards in (("Left", lids[:, 0], left), ("Right", lids[:, 1], -left)):
        pose |= {
            # Lids follow the gaze down, on top of a blink.
            f"eyeBlink{side}": np.maximum(lid, 0.25 * np.clip(down, 0.0, 1.0)),
            f"eyeLookDown{side}": np.maximum(down, 0.0),
            f"eyeLookUp{side}": np.maximum(-down, 0.0),
            f"eyeLookOut{side}": np.maximum(outwards, 0.0),
            f"eyeLookIn{side}": np.maximum(-outwards, 0.0),
            f"eyeWide{side}": 0.15 * brows,
            f"browOuterUp{side}": 0.7 * brows,
            f"browDown{side}": frown,
        }
    return pose
