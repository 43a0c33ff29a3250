"""Mouth motion from phones: coarticulation by dominance functions whose targets real faces have given.

Each phone pulls the mouth towards its target with a dominance that fades before and after it; the mouth is where the
pulls balance (Löfqvist 1990; Cohen & Massaro, "Modeling coarticulation in synthetic visual speech", 1993). Given the
dominances the targets are a linear least-squares problem; the few numbers of a dominance are found by coordinate search
on the error that is left. Blinks, gaze, brows and head come from the rule-based generator, which hears the prosody.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from artalk.audio import Audio
from artalk.channels import ARKIT
from artalk.data.phones import BILABIAL, LABIODENTAL, NUMBERS, PHONES, SILENCE
from artalk.data.styles import OWN, Style, styled
from artalk.errors import BadFile, BadInput, MissingFile
from artalk.formats.atomic import atomic
from artalk.generators.visemes import Visemes, VisemeSettings
from artalk.motion import Motion

Float = NDArray[np.float64]
Phone = tuple[float, float, str]

FPS = Fraction(25)

MOUTH: tuple[str, ...] = (*ARKIT.names[ARKIT.slice("jaw")], *ARKIT.names[ARKIT.slice("mouth")])
"""The channels that the teacher knows from real faces."""

_COLUMNS = ARKIT.indices(MOUTH)
_JAW = MOUTH.index("jawOpen")

CLASSES: dict[str, tuple[str, ...]] = {
    "silence": (SILENCE,),
    "bilabial": BILABIAL,
    "labiodental": LABIODENTAL,
    "dental": ("θ", "ð"),
    "alveolar": ("t", "d", "n"),
    "lateral": ("l",),
    "sibilant": ("s", "z"),
    "palatal": ("ʃ", "ʒ", "tʃ", "dʒ", "ɹ"),
    "velar": ("k", "ɡ", "ŋ", "x", "h", "j"),
    "labial glide": ("w",),
    "reduced vowel": ("ə", "ɪ", "ʊ"),
    "full vowel": ("i", "e", "ɛ", "æ", "a", "ɑ", "ʌ", "ɔ", "o", "u", "y", "ø", "œ", "ɜ"),
}
"""Phones that share a dominance."""

_CLASS = {phone: number for number, members in enumerate(CLASSES.values()) for phone in members}

BORROWED: dict[str, tuple[tuple[str, float], ...]] = {
    "ʃ": (("tʃ", 1.0),),
    "ʒ": (("dʒ", 1.0),),
    "tʃ": (("dʒ", 1.0),),
    "ŋ": (("ɡ", 0.5), ("k", 0.5)),
    "x": (("ɡ", 0.5), ("k", 0.5)),
    "m": (("b", 0.5), ("p", 0.5)),
    "h": (("ʌ", 1.0),),
    "ə": (("ʌ", 0.5), ("ɪ", 0.5)),
    "ɜ": (("ʌ", 0.6), ("ɔ", 0.4)),
    "y": (("i", 0.25), ("u", 0.75)),
    "ø": (("e", 0.35), ("u", 0.65)),
    "œ": (("ɛ", 0.45), ("ɔ", 0.55)),
}
"""What stands for a phone that the real recordings (nearly) lack: mixtures of others' targets."""

ENOUGH = 25
"""Times a phone is to occur for a target of its own."""

SHARPNESS = 1.5
"""Exponent of distance in a dominance: between a cusp (1) and a bell (2)."""

RIDGE = 4.0
"""Frames' worth of the mean mouth that every target holds: rare phones stay near it."""

LONG_PAUSE = 0.15
"""Seconds of silence in which the mouth goes to rest."""

STRESS = 0.4
"""The share of the jaw that follows the sound, as the rule-based generator hears it, and not the phone.

A stressed vowel is wider and a mumbled one narrower than its phone's target. On GRID's held-out sentences the gap of
the lips comes from r 0.862 to 0.878 with it (0.3 to 0.5 are level); the more a speaker stresses, the more it matters.
"""

LEAST, MOST = np.array([-1.5, np.log(0.012), np.log(0.012), -0.5]), np.array([3.0, np.log(0.25), np.log(0.25), 0.5])
"""Bounds of a dominance: log strength, log seconds of its fading before and after, where in the phone it is centred."""


@dataclass(frozen=True, eq=False)
class Taught:
    """What is learnt from: `phones` of a sentence and its real `motion` (frames, 55) at 25 fps."""

    phones: tuple[Phone, ...]
    motion: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Teacher:
    """`targets` (phones, mouth channels) and `dominance` (classes, 4)."""

    targets: Float
    dominance: Float

    def mouth(self, phones: Sequence[Phone], frames: int, stress: Float | None = None) -> Float:
        """(frames, mouth channels) of aligned phones.

        `stress` (frames,) is the jaw that the sound asks for, 0 to 1, of which the mouth takes the share `STRESS`.
        """
        shares = pulls(_sorted_pauses(phones), frames, self.dominance)
        values = np.clip(shares @ self.targets, 0.0, 1.0)
        if stress is not None:
            values[:, _JAW] += STRESS * (stress - values[:, _JAW])
        _seal(values, _closures(phones, frames))
        return values

    def motion(self, audio: Audio, phones: Sequence[Phone], style: Style = OWN, seed: int = 0) -> Motion:
        """A whole face for a recording whose phones are known: ceil(duration · 25) frames of ARKit motion."""
        settings = VisemeSettings(blink_rate=style.blinks)
        rest = Visemes(settings).generate(audio, seed=seed)
        values = rest.values.copy()
        values[:, _COLUMNS] = self.mouth(phones, len(rest), rest.channel("jawOpen").astype(np.float64))
        return styled(replace(rest, values=values), style)

    def save(self, path: str | Path) -> None:
        """Write it as JSON that a person can read."""
        data = {
            "format": "artalk-teacher",
            "channels": list(MOUTH),
            "targets": {phone: _rounded(row) for phone, row in zip(PHONES, self.targets, strict=True)},
            "dominance": {name: _rounded(row) for name, row in zip(CLASSES, self.dominance, strict=True)},
        }
        with atomic(path) as temporary:
            temporary.write_text(json.dumps(data, ensure_ascii=False, indent=1), encoding="utf-8")

    @classmethod
    def load(cls, path: str | Path) -> "Teacher":
        """Read what `save` wrote."""
        if not Path(path).is_file():
            raise MissingFile(f"no teacher at {str(path)!r}")
        try:
            data: dict[str, Any] = json.loads(Path(path).read_text(encoding="utf-8"))
            if tuple(data["channels"]) != MOUTH:
                raise BadFile(f"{str(path)!r} is a teacher of other channels")
            targets = np.array([data["targets"][phone] for phone in PHONES], np.float64)
            dominance = np.array([data["dominance"][name] for name in CLASSES], np.float64)
        except (ValueError, KeyError, TypeError) as error:
            raise BadFile(f"{str(path)!r} is not a teacher: {error}") from error
        return cls(targets, dominance)


def learn(real: Sequence[Taught], weights: Float, rounds: int = 2, searched: int = 60) -> Teacher:
    """A teacher from real sentences.

    `weights` (measures, 55) are linear measures of a face that must come out right: each channel's size on a rig, the
    gap and the width of its mouth. The dominances are sought on `searched` sentences, the targets on all.
    """
    if not real:
        raise BadInput("a teacher learns from real sentences, got none")
    measure = weights[:, _COLUMNS]
    chosen = real[:: max(1, len(real) // searched)]
    dominance = _search(chosen, measure, rounds)
    targets, counts = _targets(real, dominance)
    return Teacher(_complete(targets, counts), dominance)


def pulls(phones: Sequence[Phone], frames: int, dominance: Float) -> Float:
    """(frames, PHONES) shares, of sum 1, by which each phone has the mouth."""
    if not phones:
        return np.eye(len(PHONES))[np.zeros(frames, np.int64)]
    times = np.arange(frames)[:, None] / float(FPS)
    start, end = (np.array([span[k] for span in phones], np.float64) for k in (0, 1))
    classes = [_CLASS[phone] for _, _, phone in phones]
    strength, before, after, centre = (dominance[classes, k] for k in range(4))
    middle = start + (end - start) * np.clip(0.5 + centre, 0.0, 1.0)
    fading = np.where(times < middle, np.exp(before) + 0.5 * (middle - start), np.exp(after) + 0.5 * (end - middle))
    pull: Float = strength - (np.abs(times - middle) / fading) ** SHARPNESS
    pull = np.exp(pull - pull.max(axis=1, keepdims=True))
    shares = np.zeros((frames, len(PHONES)))
    for column, (_, _, phone) in enumerate(phones):
        shares[:, NUMBERS[phone]] += pull[:, column]
    return shares / shares.sum(axis=1, keepdims=True)


def measures(sizes: Mapping[str, float], gap: Mapping[str, float], width: Mapping[str, float]) -> Float:
    """(measures, 55) for `learn`, of each channel's size and its part in the mouth's gap and width, on a rig (mm)."""
    rows = [np.eye(len(ARKIT))[ARKIT.index(name)] * sizes.get(name, 0.0) for name in MOUTH]
    for part in (gap, width):
        rows.append(np.array([part.get(name, 0.0) for name in ARKIT.names]))
    return np.stack(rows)


def _search(real: Sequence[Taught], measure: Float, rounds: int) -> Float:
    dominance = np.tile([0.0, np.log(0.05), np.log(0.05), 0.0], (len(CLASSES), 1))
    dominance[list(CLASSES).index("bilabial"), 0] = 1.5
    best, steps = _error(real, dominance, measure), np.array([0.6, 0.35, 0.35, 0.12])
    for _ in range(rounds):
        for row in range(len(CLASSES)):
            for column in range(4):
                for sign in (1.0, -1.0):
                    while True:
                        tried = dominance.copy()
                        tried[row, column] += sign * steps[column]
                        tried = np.clip(tried, LEAST, MOST)
                        error = _error(real, tried, measure)
                        if error >= best - 1e-5 * abs(best):
                            break
                        best, dominance = error, tried
        steps *= 0.6
    return dominance


def _error(real: Sequence[Taught], dominance: Float, measure: Float) -> float:
    """The squared error of the measures with the best targets."""
    square, product, total = _sums(real, dominance, measure)
    targets = np.linalg.solve(square, product)
    return float(total - (targets * product).sum())


def _sums(real: Sequence[Taught], dominance: Float, measure: Float) -> tuple[Float, Float, float]:
    mean = np.mean(np.concatenate([one.motion[:, _COLUMNS] for one in real]), axis=0, dtype=np.float64) @ measure.T
    square, product = RIDGE * np.eye(len(PHONES)), RIDGE * np.tile(mean, (len(PHONES), 1))
    total = RIDGE * len(PHONES) * float((mean**2).sum())
    for one in real:
        shares = pulls(one.phones, len(one.motion), dominance)
        wanted = one.motion[:, _COLUMNS].astype(np.float64) @ measure.T
        square += shares.T @ shares
        product += shares.T @ wanted
        total += float((wanted**2).sum())
    return square, product, total


def _targets(real: Sequence[Taught], dominance: Float) -> tuple[Float, NDArray[np.int64]]:
    square, product, _ = _sums(real, dominance, np.eye(len(MOUTH)))
    counts = np.zeros(len(PHONES), np.int64)
    for one in real:
        for _, _, phone in one.phones:
            counts[NUMBERS[phone]] += 1
    return np.asarray(np.linalg.solve(square, product), np.float64), counts


def _complete(targets: Float, counts: NDArray[np.int64]) -> Float:
    """Targets for phones that were too seldom heard, and a resting mouth for silence."""
    whole = targets.copy()
    seldom = [phone for phone in BORROWED if counts[NUMBERS[phone]] < ENOUGH]
    for phone in sorted(seldom, key=list(BORROWED).index):
        whole[NUMBERS[phone]] = sum(share * whole[NUMBERS[other]] for other, share in BORROWED[phone])
    whole[NUMBERS[SILENCE]] = 0.0
    return whole


def _sorted_pauses(phones: Sequence[Phone]) -> list[Phone]:
    """Phones without the pauses too short for a mouth to close in: their time goes to their neighbours' fading."""
    kept = [span for span in phones if span[2] != SILENCE or span[1] - span[0] >= LONG_PAUSE]
    return kept or [(0.0, 1.0, SILENCE)]


def _closures(phones: Sequence[Phone], frames: int) -> Float:
    """(frames,) 1 where lips are sealed for p, b, m, fading to 0 within two frames."""
    times = np.arange(frames) / float(FPS)
    sealed = np.zeros(frames)
    for start, end, phone in phones:
        if phone in BILABIAL:
            # The frame nearest to the middle is sealed, however short the phone.
            middle, half = (start + end) / 2, max((end - start) / 2, 0.021)
            distance = np.maximum(np.abs(times - middle) - half, 0.0)
            sealed = np.maximum(sealed, np.clip(1.0 - distance / 0.07, 0.0, 1.0) ** 2)
    return sealed


def _seal(values: Float, sealed: Float) -> None:
    """Close the lips of mouth values (frames, mouth channels) by `sealed` (frames,)."""
    closed = MOUTH.index("mouthClose")
    values[:, closed] = np.minimum(values[:, closed], values[:, _JAW])
    values[:, closed] += sealed * (values[:, _JAW] - values[:, closed])
    for name in PARTING:
        values[:, MOUTH.index(name)] *= 1 - sealed


PARTING = ("mouthFunnel", "mouthLowerDownLeft", "mouthLowerDownRight", "mouthUpperUpLeft", "mouthUpperUpRight")
"""What parts lips beside the jaw."""


def _rounded(row: Float) -> list[float]:
    return [round(float(value), 5) for value in row]
