"""ARKit ⇄ the mouth shapes A to H and X of Rhubarb Lip Sync, for drawn characters."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from artalk.channels import ARKIT, ARKIT_SHAPES, Channels, Group
from artalk.motion import Motion
from artalk.retarget.solve import minimise
from artalk.retarget.visemes import funnel, mixing_matrix, parted, sides

LETTERS = tuple("ABCDEFGHX")

RHUBARB = Channels("rhubarb", (Group("letters", len(LETTERS)),), LETTERS)
"""Rhubarb's mouth shapes: A closed (P B M), B clenched (K S T EE), C open (EH AE), D wide (AA), E rounded (AO ER), F
puckered (UW OW W), G teeth on lip (F V), H tongue raised (L), X at rest. One is 1 in each frame, the others 0."""

# After Rhubarb's own drawings; a name without a side means both sides.
_POSES: dict[str, dict[str, float]] = {
    "A": {"mouthPress": 0.4, "mouthRollLower": 0.2, "mouthRollUpper": 0.2, "mouthClose": 0.05, "jawOpen": 0.05},
    "B": {"jawOpen": 0.08, "mouthStretch": 0.25, "mouthLowerDown": 0.3, "mouthUpperUp": 0.2},
    "C": {"jawOpen": 0.28, "mouthStretch": 0.15, "mouthLowerDown": 0.25, "mouthUpperUp": 0.1},
    "D": {"jawOpen": 0.6, "mouthLowerDown": 0.35, "mouthUpperUp": 0.15},
    "E": {"jawOpen": 0.28, "mouthFunnel": 0.5, "mouthPucker": 0.15},
    "F": {"jawOpen": 0.08, "mouthPucker": 0.75, "mouthFunnel": 0.3},
    "G": {"jawOpen": 0.06, "mouthRollLower": 0.6, "mouthUpperUp": 0.35},
    "H": {"jawOpen": 0.25, "mouthLowerDown": 0.25, "tongueOut": 0.3},
    "X": {},
}
POSES = mixing_matrix(_POSES)
"""The (9, 52) ARKit weights of each letter."""

MOUTHS: tuple[tuple[str, tuple[float, ...]], ...] = (
    ("A", (0.0, 0.0, 0.0, 1.0, 0.0, 0.0)),
    ("A", (0.0, 0.3, 0.0, 1.0, 0.0, 0.0)),
    ("A", (0.0, 0.5, 0.0, 1.0, 0.0, 0.0)),
    ("B", (0.12, 0.05, 0.0, 0.0, 0.0, 0.2)),
    ("B", (0.12, 0.25, 0.0, 0.0, 0.0, 0.0)),
    ("C", (0.33, 0.05, 0.0, 0.0, 0.0, 0.1)),
    ("D", (0.6, 0.05, 0.0, 0.0, 0.0, 0.0)),
    ("E", (0.33, 0.45, 0.0, 0.0, 0.0, 0.0)),
    ("F", (0.1, 0.75, 0.0, 0.0, 0.0, 0.0)),
    ("G", (0.1, 0.0, 0.5, 0.0, 0.0, 0.0)),
    ("H", (0.29, 0.0, 0.0, 0.0, 0.3, 0.0)),
    ("X", (0.0, 0.0, 0.0, 0.0, 0.0, 0.0)),
)
"""Mouths that are drawn as a letter: how far open (as jawOpen), rounded (as mouthPucker), with the lower lip under the
teeth, closed, with the tongue out, spread. Lips close round (in "boo") and flat."""

EMPHASIS = (1.6, 0.8, 1.0, 0.5, 1.2, 0.3)
"""How much a difference in each of these counts."""

WIDE, ROUND = 0.6, 0.75
"""Opening of a D and rounding of an F."""

MOST = 98
"""The percentile of a take's opening and rounding that are drawn so."""

OPENINGS, ROUNDINGS, BEND = (0.15, 0.6), (0.2, 0.75), 2.0
"""Within which these lie, and the bend of `Range`: consonants of a sentence are half as wide as its vowels, not nearly
shut (chosen by `benchmarks/mouth_cues.py`)."""

ALIKE, LOOKED_AT = 0.02, 500
"""Weights as near to a mix of letters were made of them, and how many frames are asked at most."""

IN_USE = 0.05
"""Opening or rounding from which on a mouth is in use: silence says nothing of how wide a take's D is."""

SHORTEST = 0.04
"""Seconds, and two frames, that a letter lasts at least: animators draw no mouth for a single frame."""

STICKY = 0.7
"""A new letter has to be nearer than this share of the present one's distance."""

FADE = 0.1
"""Seconds in which one letter's pose becomes the next one's."""


def to_arkit(motion: Motion) -> Motion:
    """ARKit motion of letters: each letter's pose, with soft changes of `FADE` seconds between them."""
    half = int(round(FADE * float(motion.fps) / 2))
    window = np.hanning(2 * half + 3)[1:-1]
    padded = np.pad(motion.values.astype(np.float64), ((half, half), (0, 0)), mode="edge") if len(motion) else None
    values = np.zeros((len(motion), len(ARKIT)), np.float32)
    if padded is not None:
        faded = np.stack([np.convolve(column, window / window.sum(), mode="valid") for column in padded.T], axis=-1)
        values[:, : len(ARKIT_SHAPES)] = (faded @ POSES).clip(0, 1)
    return Motion(values, ARKIT, motion.fps, motion.start)


def from_arkit(motion: Motion) -> Motion:
    """The letter nearest to the mouth in each frame of ARKit motion.

    Letters are drawn wider than people speak, so that a take is measured by itself: how far its mouth opens and rounds
    at most while it is in use is what an animator draws as D and F. What was made of letters is read as it was drawn. A
    letter stays until another is clearly nearer (`STICKY`) and lasts at least `SHORTEST`, so that cues do not flicker.
    """
    distances = _distances(_tells(motion, _range(motion)))
    letters = _lasting(_sticky(distances), distances, max(2, math.ceil(SHORTEST * motion.fps)))
    values = np.zeros((len(motion), len(LETTERS)), np.float32)
    values[np.arange(len(motion)), letters] = 1.0
    return Motion(values, RHUBARB, motion.fps, motion.start)


def runs(letters: NDArray[np.int64]) -> list[tuple[int, int]]:
    """First and last + 1 of each stretch of equal numbers."""
    edges = np.flatnonzero(np.diff(letters)) + 1
    bounds = [0, *edges.tolist(), len(letters)]
    return list(zip(bounds[:-1], bounds[1:], strict=True)) if len(letters) else []


@dataclass(frozen=True)
class Range:
    """What a take's mouth does at most: `opening` and `rounding` that are drawn as `WIDE` and `ROUND`; `bend` above 1
    calls more of what is between them nearly shut."""

    opening: float = WIDE
    rounding: float = ROUND
    bend: float = 1.0


DRAWN = Range()
"""That of motion which was made of letters."""


def _range(motion: Motion) -> Range:
    if not len(motion):
        return DRAWN
    weights = motion.values[:, : len(ARKIT_SHAPES)]
    moved = weights[weights.max(axis=1) > ALIKE].astype(np.float64)
    if not len(moved) or _is_drawn(moved[:: math.ceil(len(moved) / LOOKED_AT)]):
        return DRAWN
    apart, rounded = parted(motion), _rounded(motion)
    used = (apart > IN_USE) | (rounded > IN_USE)
    if not used.any():
        return DRAWN
    opening, rounding = (float(np.percentile(values[used], MOST)) for values in (apart, rounded))
    return Range(float(np.clip(opening, *OPENINGS)), float(np.clip(rounding, *ROUNDINGS)), BEND)


def _is_drawn(weights: NDArray[np.float64]) -> bool:
    """Whether most of (frames, 52) weights are letters, or lie between letters that fade into one another."""
    shares = minimise(POSES @ POSES.T + 1e-9 * np.eye(len(POSES)), weights @ POSES.T)
    apart: NDArray[np.float64] = np.abs(shares @ POSES - weights).max(axis=1)
    return float(np.mean(apart < ALIKE)) > 0.5


def _rounded(motion: Motion) -> NDArray[np.float64]:
    return motion.channel("mouthPucker").astype(np.float64) + 0.6 * funnel(motion)


def _tells(motion: Motion, most: Range) -> NDArray[np.float64]:
    """What letters are told apart by, (frames, 6), in the order and the units of `MOUTHS`."""
    apart, rounded = parted(motion), _rounded(motion)
    upper, lower = (motion.channel(f"mouthRoll{lip}").astype(np.float64) for lip in ("Upper", "Lower"))
    rolled = np.minimum(upper, lower)
    # A light press is as closed as a hard one: an M is no rest.
    pressed = np.maximum.reduce([4 * sides(motion, "mouthPress"), 4 * rolled, 8 * motion.channel("mouthClose")])
    spread = np.maximum(sides(motion, "mouthStretch"), 0.6 * sides(motion, "mouthSmile"))
    return np.stack(
        [
            WIDE * (apart / most.opening).clip(0, 1.2) ** most.bend,
            ROUND * (rounded / most.rounding).clip(0, 1.2),
            0.7 * (lower - rolled) + 0.3 * sides(motion, "mouthUpperUp"),
            pressed.clip(0, 1) * (1 - apart / 0.08).clip(0, 1),
            motion.channel("tongueOut"),
            spread,
        ],
        axis=-1,
    ).astype(np.float64)


def _distances(told: NDArray[np.float64]) -> NDArray[np.float64]:
    """(frames, 9): how far each letter is from what is told, that of its nearest mouth."""
    found = np.full((len(told), len(LETTERS)), np.inf)
    for letter, mouth in MOUTHS:
        distance = np.linalg.norm((told - np.array(mouth)) * EMPHASIS, axis=-1)
        column = LETTERS.index(letter)
        found[:, column] = np.minimum(found[:, column], distance)
    return found


def _sticky(distances: NDArray[np.float64]) -> NDArray[np.int64]:
    nearest = distances.argmin(axis=1)
    kept = nearest.copy()
    for frame in range(1, len(kept)):
        before = kept[frame - 1]
        if distances[frame, nearest[frame]] > STICKY * distances[frame, before]:
            kept[frame] = before
    return kept


def _lasting(letters: NDArray[np.int64], distances: NDArray[np.float64], shortest: int) -> NDArray[np.int64]:
    """Give stretches that are too short to the neighbour that fits better, from the first to the last."""
    letters = letters.copy()
    start = 0
    for first, end in runs(letters):
        start = first if first == 0 or letters[first] != letters[first - 1] else start
        # A stretch that took over its predecessor began earlier than it looks.
        if end - start >= shortest or (start == 0 and end == len(letters)):
            continue
        around = [int(letters[frame]) for frame in (start - 1, end) if 0 <= frame < len(letters)]
        letters[start:end] = min(around, key=lambda letter: float(distances[start:end, letter].sum()))
        while start > 0 and letters[start - 1] == letters[start]:
            start -= 1
    return letters
