"""Figures for motion: how near lips are, how alive the rest is. Pure numpy; units stand with every figure.

Motions are (frames, 55) ARKit values at `FPS` frames a second, head pose never enters vertices. Where the paper
(ARTalk, arXiv 2502.20323) and its code differ, the docstring says which one this is.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from artalk.channels import ARKIT
from artalk.data.clips import Phone
from artalk.data.phones import BILABIAL, SILENCE
from artalk.evaluate.face import Face

Float = NDArray[np.floating]
Figures = dict[str, float]
Spread = tuple[float, float, float]
"""A figure and the ends of its 95 % interval."""

FPS = 25.0

CLOSED = 0.2
"""Of a clip's usual opening (the 90th percentile of its gap), the share below which lips count as closed."""

SETTLE = 0.2
"""Seconds after the beginning of a silence in which the mouth may still be closing."""

PAUSE = 0.3
"""Seconds that a silence lasts at least for the mouth to be expected shut in it."""

QUIET = 20.0
"""Decibels above -60 dB of the loudest frame below which a recording without phones counts as silent."""


def correlation(made: Float, true: Float) -> float:
    """Pearson's r at zero lag; NaN where either is constant (moves by less than 1e-4 of its unit)."""
    a, b = np.asarray(made, np.float64), np.asarray(true, np.float64)
    if len(a) < 2 or min(a.std(), b.std()) < 1e-4:
        return float("nan")
    a, b = a - a.mean(), b - b.mean()
    return float(np.sum(a * b) / np.sqrt(np.sum(a * a) * np.sum(b * b)))


def lips(face: Face, made: Float, true: Float) -> Figures:
    """What lip-reading sees: `aperture` and `width` correlation, `lve` and `mod` in mm."""
    gap, wanted = face.aperture(np.asarray(made, np.float32)), face.aperture(np.asarray(true, np.float32))
    wide, wanted_wide = face.width(np.asarray(made, np.float32)), face.width(np.asarray(true, np.float32))
    return {
        "aperture": correlation(gap, wanted),
        "width": correlation(wide, wanted_wide),
        "lve": lve(face, made, true),
        "mod": float(np.mean(np.abs(gap - wanted))),
    }


def lve(face: Face, made: Float, true: Float) -> float:
    """Lip vertex error in mm: each frame's largest distance of a lip vertex, averaged over frames (the paper's)."""
    moved = np.asarray(made - true, np.float32) @ face.deltas[:, face.lips].reshape(made.shape[1], -1)
    distance = np.linalg.norm(moved.reshape(len(made), -1, 3), axis=-1)
    return float(distance.max(axis=1).mean())


def fdd(face: Face, made: Float, true: Float) -> float:
    """Upper-face dynamics deviation in mm: |std_t of the motion made - of the true one|, the mean over vertices.

    The paper's formula with std of a vertex' distance from rest (CodeTalker's motion norm, square root taken); the
    official code takes the std of the *sum* of x, y and z, times 100. Figures of papers, some 18 to 30, are of FLAME's
    upper face with frames of 25 and 30 fps, and not comparable.
    """
    deltas = face.deltas[:, face.upper].reshape(made.shape[1], -1)

    def liveliness(values: Float) -> NDArray[np.float32]:
        moved = (np.asarray(values, np.float32) @ deltas).reshape(len(values), -1, 3)
        return np.linalg.norm(moved, axis=-1).std(axis=0)

    return float(np.abs(liveliness(made) - liveliness(true)).mean())


def vertex_error(face: Face, made: Float, true: Float) -> float:
    """The mean distance of all sampled vertices in mm (the code's MHD without its squares)."""
    moved = np.asarray(made - true, np.float32) @ face.deltas.reshape(made.shape[1], -1)
    return float(np.linalg.norm(moved.reshape(len(made), -1, 3), axis=-1).mean())


def closures(face: Face, values: Float, phones: Sequence[Phone]) -> tuple[int, int]:
    """Bilabials (p, b, m) whose lips come together, and all of them.

    Together: within the phone and one frame about it, the gap falls below `CLOSED` of the clip's usual opening.
    """
    gap = face.aperture(np.asarray(values, np.float32))
    limit = _closed(gap)
    spans = [(start, end) for start, end, label in phones if label in BILABIAL]
    met = [gap[max(round(start * FPS) - 1, 0) : round(end * FPS) + 2] for start, end in spans]
    return sum(bool(len(part)) and bool(part.min() <= limit) for part in met), len(spans)


def leakage(face: Face, values: Float, phones: Sequence[Phone]) -> float:
    """The share of silent frames, `SETTLE` after speech ends and as long before it begins, in which the mouth is open.

    Open: a gap above twice `CLOSED` of the usual opening. Without phones, or without silence, NaN.
    """
    gap = face.aperture(np.asarray(values, np.float32))
    limit = 2 * _closed(gap)
    open_frames, frames = 0, 0
    for start, end, label in phones:
        if label == SILENCE:
            part = gap[round((start + SETTLE * (start > 0)) * FPS) : max(round((end - SETTLE) * FPS), 0)]
            open_frames, frames = open_frames + int((part > limit).sum()), frames + len(part)
    return open_frames / frames if frames else float("nan")


def settled(face: Face, values: Float, phones: Sequence[Phone]) -> tuple[int, int]:
    """Pauses after speech in which the mouth shuts in time, and all of them.

    In time: `SETTLE` after the pause begins, or a frame later, the gap is no wider than what `leakage` calls open.
    """
    gap = face.aperture(np.asarray(values, np.float32))
    limit = 2 * _closed(gap)
    pauses = [start for start, end, label in phones if label == SILENCE and start > 0 and end - start >= PAUSE]
    places = [round((start + SETTLE) * FPS) for start in pauses]
    met = [gap[place : place + 2] for place in places if place < len(gap)]
    return sum(bool(part.min() <= limit) for part in met), len(met)


def pauses(sound: Float) -> list[Phone]:
    """The pauses of 16 kHz sound of which no phones are known, as phones: where it is `QUIET` for long enough."""
    frames = -(-len(sound) // 640)
    calm = np.concatenate([[0], (loudness(sound, frames) < QUIET).astype(int), [0]])
    edges = np.flatnonzero(np.diff(calm)) / FPS
    return [(float(a), float(b), SILENCE) for a, b in zip(edges[::2], edges[1::2], strict=True) if b - a >= PAUSE]


def _closed(gap: Float) -> float:
    return CLOSED * max(float(np.percentile(gap, 90)), 1.0)


def jitter(face: Face, values: Float) -> float:
    """The 99th percentile of the lip gap's acceleration, in mm a frame²: beside real motion's it says smooth or not."""
    return sharpest([bends(face, values)])


def bends(face: Face, values: Float) -> NDArray[np.float64]:
    """(frames - 2,) sizes of the lip gap's second difference, in mm a frame²."""
    return np.abs(np.diff(face.aperture(np.asarray(values, np.float32)).astype(np.float64), n=2))


def sharpest(clips: Sequence[NDArray[np.float64]]) -> float:
    """The 99th percentile of the `bends` of some clips together; NaN where there are none."""
    together = np.concatenate(clips)
    return float(np.percentile(together, 99)) if len(together) else float("nan")


def blinks(values: Float) -> list[float]:
    """The seconds that each blink lasts: from where the lids pass half closed until they pass it back."""
    shut = values[:, ARKIT.indices(("eyeBlinkLeft", "eyeBlinkRight"))].mean(axis=1) > 0.5
    edges = np.flatnonzero(np.diff(np.concatenate([[0], shut.astype(int), [0]])))
    return [float(b - a) / FPS for a, b in zip(edges[::2], edges[1::2], strict=True)]


def loudness(sound: Float, frames: int) -> NDArray[np.float64]:
    """(frames,) root mean square of 16 kHz sound around each frame, in decibels above -60 dB of the loudest."""
    hop = 640
    padded = np.pad(sound.astype(np.float64), (0, max(frames * hop - len(sound), 0)))[: frames * hop]
    level = np.sqrt(np.mean(padded.reshape(frames, hop) ** 2, axis=1))
    decibels = 20 * np.log10(np.maximum(level, 1e-9) / max(float(level.max(initial=0)), 1e-9))
    return (np.maximum(decibels, -60) + 60).astype(np.float64)


def beats(values: Float, sound: Float, tolerance: float = 0.2) -> float:
    """Head and prosody: the mean of exp(-d² / 2 tolerance²), d seconds from a head's beat to the nearest of loudness.

    Beats of the head are peaks of its angular speed above the median, beats of loudness its rises' peaks (beat
    alignment of Li et al. 2021, AIST++, with speech for music). NaN for a still head or no speech.
    """
    turn = values[:, ARKIT.slice("head")]
    speed = np.linalg.norm(np.diff(turn, axis=0), axis=1)
    rise = np.diff(_smoothed(loudness(sound, len(values))))
    head, voice = _peaks(_smoothed(speed), float(np.median(speed))), _peaks(rise, 1.0)
    if not len(head) or not len(voice) or speed.max() < 1e-5:
        return float("nan")
    nearest = np.abs(head[:, None] - voice[None]).min(axis=1) / FPS
    return float(np.exp(-(nearest**2) / (2 * tolerance**2)).mean())


def chance_beats(values: Float, sound: Float, shifts: int = 12) -> float:
    """What `beats` comes to by chance: the mean with the sound turned round by so many parts of its length."""
    steps = [len(sound) * k // (shifts + 1) for k in range(1, shifts + 1)]
    found = [score for step in steps if np.isfinite(score := beats(values, np.roll(sound, step)))]
    return float(np.mean(found)) if found else float("nan")


def _smoothed(curve: Float) -> NDArray[np.float64]:
    padded: NDArray[np.float64] = np.pad(curve.astype(np.float64), 2, mode="edge")
    shares = np.array([1, 2, 3, 2, 1], np.float64) / 9
    return np.asarray(np.lib.stride_tricks.sliding_window_view(padded, 5) @ shares, np.float64)


def _peaks(curve: Float, above: float) -> NDArray[np.int64]:
    inner = (curve[1:-1] > curve[:-2]) & (curve[1:-1] >= curve[2:]) & (curve[1:-1] > above)
    return np.flatnonzero(inner) + 1


def diversity(face: Face, takes: Sequence[Float]) -> Figures:
    """Between seeds of one sound: `lips_between` the least aperture correlation of two; `head_between` and
    `upper_between` the mean distance of two, in degrees and in mm of the upper face."""
    pairs = [(a, b) for i, a in enumerate(takes) for b in takes[i + 1 :]]
    deltas = face.deltas[:, face.upper].reshape(takes[0].shape[1], -1)

    def upper(difference: Float) -> float:
        moved = np.asarray(difference, np.float32) @ deltas
        return float(np.linalg.norm(moved.reshape(len(difference), -1, 3), axis=-1).mean())

    head = ARKIT.slice("head")
    heads = [float(np.linalg.norm((a - b)[:, head], axis=1).mean()) for a, b in pairs]
    gaps = [face.aperture(np.asarray(take, np.float32)) for take in takes]
    return {
        "lips_between": min(correlation(a, b) for i, a in enumerate(gaps) for b in gaps[i + 1 :]),
        "head_between": math.degrees(sum(heads) / len(heads)),
        "upper_between": float(np.mean([upper(a - b) for a, b in pairs])),
    }


def interval(
    values: Sequence[float],
    level: float = 0.95,
    rounds: int = 1000,
    statistic: Callable[..., Float] = np.mean,
) -> Spread:
    """The mean over clips, and the ends of its bootstrap interval: clips drawn again with replacement, NaN left out.

    One clip alone has a mean and no interval: its ends are NaN.
    """
    known = np.array([value for value in values if np.isfinite(value)])
    if not len(known):
        return float("nan"), float("nan"), float("nan")
    if len(known) == 1:
        return float(known[0]), float("nan"), float("nan")
    drawn = known[np.random.default_rng(0).integers(len(known), size=(rounds, len(known)))]
    spread = statistic(drawn, axis=1)
    low, high = np.quantile(spread, [(1 - level) / 2, (1 + level) / 2])
    return float(statistic(known)), float(low), float(high)


def ratio(some: Sequence[float], others: Sequence[float], rounds: int = 1000) -> Spread:
    """The mean of `some` over that of `others`, clip by clip the same sound, and its 95 % interval over clips."""
    pairs = np.array([pair for pair in zip(some, others, strict=True) if np.isfinite(pair).all()])
    if not len(pairs):
        return float("nan"), float("nan"), float("nan")
    drawn = pairs[np.random.default_rng(0).integers(len(pairs), size=(rounds, len(pairs)))].mean(axis=1)
    low, high = np.quantile(drawn[:, 0] / drawn[:, 1], [0.025, 0.975])
    mean = pairs.mean(axis=0)
    return float(mean[0] / mean[1]), float(low), float(high)


def alone(face: Face, made: Float, phones: Sequence[Phone]) -> Figures:
    """Figures of one clip that need no true motion; NaN where there is nothing to measure on."""
    closed, bilabials = closures(face, made, phones)
    shut, pauses = settled(face, made, phones)
    return {
        "closures": closed / bilabials if bilabials else float("nan"),
        "settled": shut / pauses if pauses else float("nan"),
        "leakage": leakage(face, made, phones),
        "jitter": jitter(face, made),
    }


def life(made: Float, sound: Float) -> Figures:
    """What takes a minute to be seen: blinks, and a head that moves with the voice."""
    seconds = blinks(made)
    turn = made[:, ARKIT.slice("head")].astype(np.float64)
    return {
        "blink_rate": 60 * len(seconds) / max(len(made) / FPS, 1e-9),
        "blink_seconds": float(np.mean(seconds)) if seconds else float("nan"),
        "beats": (met := beats(made, sound)),
        "beats_lead": met - chance_beats(made, sound),
        "head_degrees": math.degrees(math.sqrt(float(turn.var(axis=0).sum()))),
        "head_most": math.degrees(float(np.linalg.norm(turn, axis=1).max(initial=0.0))),
    }


def compared(face: Face, made: Float, true: Float) -> Figures:
    """Figures of one clip beside the true motion, both (frames, 55)."""
    real = jitter(face, true)
    return {
        **lips(face, made, true),
        "fdd": fdd(face, made, true),
        "vertex_error": vertex_error(face, made, true),
        "jitter_ratio": jitter(face, made) / real if real > 1e-6 else float("nan"),
    }
