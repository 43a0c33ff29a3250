"""ARKit ⇄ the mouth shapes A to H and X of Rhubarb Lip Sync, for drawn characters."""

import math

import numpy as np
from numpy.typing import NDArray

from artalk.channels import ARKIT, ARKIT_SHAPES, Channels, Group
from artalk.motion import Motion
from artalk.retarget.visemes import mixing_matrix, opening

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

    A letter stays until another is clearly nearer (`STICKY`) and lasts at least `SHORTEST`, so that cues do not
    flicker.
    """
    told = _tells(motion.values[:, : len(ARKIT_SHAPES)], opening(motion))
    posed = np.concatenate([POSES, np.zeros((len(POSES), 3))], axis=1)
    poses = _tells(POSES, opening(Motion(posed.astype(np.float32), ARKIT, motion.fps)))
    distances = np.linalg.norm(told[:, None] - poses, axis=-1)
    letters = _lasting(_sticky(distances), distances, max(2, math.ceil(SHORTEST * motion.fps)))
    values = np.zeros((len(motion), len(LETTERS)), np.float32)
    values[np.arange(len(motion)), letters] = 1.0
    return Motion(values, RHUBARB, motion.fps, motion.start)


def runs(letters: NDArray[np.int64]) -> list[tuple[int, int]]:
    """First and last + 1 of each stretch of equal numbers."""
    edges = np.flatnonzero(np.diff(letters)) + 1
    bounds = [0, *edges.tolist(), len(letters)]
    return list(zip(bounds[:-1], bounds[1:], strict=True)) if len(letters) else []


def _tells(weights: NDArray[np.floating], aperture: NDArray[np.float64]) -> NDArray[np.float64]:
    """What letters are told apart by: (…, 8), each about 0..1."""

    def shape(*names: str) -> NDArray[np.float64]:
        return np.mean([weights[..., ARKIT_SHAPES.index(name)] for name in names], axis=0)

    def sides(name: str) -> NDArray[np.float64]:
        return shape(f"{name}Left", f"{name}Right")

    rolled = np.minimum(shape("mouthRollLower"), shape("mouthRollUpper"))
    # A light press is as closed as a hard one: an M is no rest.
    pressed = np.maximum.reduce([4 * sides("mouthPress"), 4 * rolled, 8 * shape("mouthClose")]).clip(0, 1)
    closing = pressed * (1 - aperture / 0.05).clip(0, 1)
    return np.stack(
        [
            1.6 * aperture,
            0.6 * shape("mouthFunnel"),
            0.8 * shape("mouthPucker"),
            0.5 * np.maximum(sides("mouthStretch"), 0.6 * sides("mouthSmile")) * (aperture / 0.05).clip(0, 1),
            0.7 * (shape("mouthRollLower") - rolled) + 0.3 * sides("mouthUpperUp"),
            1.2 * shape("tongueOut"),
            0.5 * closing,
            0.4 * sides("mouthLowerDown"),
        ],
        axis=-1,
    )


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
