"""A person's motion in the terms of the model that is to follow it: as its corpus would show that person.

The models that ship are why. Their real faces were solved on ICT-FaceKit, and the same lips have other weights on
another face model: what is pucker on the one is partly funnel on the other. A style encoder takes that for a habit:
GRID's reader, solved on the built-in head, was to it a rounded mumbler. The map is linear, fitted to sentences that
were solved on both and to their mirror images. Lids and gaze moved in taught motion alone, so who blinks was to it a
taught voice; they stand at their mean. A model of another corpus follows a style as it is (`of`, `fitting`).

    python -m artalk.prepare.terms --tracks GRID_S1/tracks --face ict.npz --corpus CORPUS
"""

import argparse
import json
import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from artalk import config
from artalk.channels import ARKIT
from artalk.data import tracks
from artalk.data.clips import Corpus
from artalk.data.landmarks import head_face, ict_face
from artalk.data.tracks import OBSERVED
from artalk.errors import MissingFile
from artalk.formats.atomic import atomic
from artalk.motion import Motion
from artalk.rigs import ict
from artalk.rigs.head import head

log = logging.getLogger(__name__)

Float = NDArray[np.float64]

TABLE = Path(__file__).with_name("terms.json")
"""What comes with the package: of every twelfth sentence of GRID's speaker 1 (CC BY 4.0) and of the default corpus."""

KNOWN = "grid_s1"
"""The source of the default corpus whose faces were solved on ICT-FaceKit, and show no lids: see docs/data.md."""

SHOWN = ("jaw", "mouth", "brows")

NAMES: tuple[str, ...] = tuple(
    name for part in SHOWN for name in ARKIT.names[ARKIT.slice(part)] if OBSERVED[ARKIT.index(name)]
)
"""The channels that landmarks show; lids, gaze and head are measured alike on any face model."""

RIDGE = 1e-4
"""How strongly, in squared weights a frame, the map is held to change nothing."""

EVERY = 12
"""Of the tracks, one of so many is solved."""


@dataclass(frozen=True)
class Table:
    """`matrix` (31, 31) from weights of `NAMES` on the built-in head to those on ICT's; `eyes` (14,) of the corpus."""

    matrix: tuple[tuple[float, ...], ...]
    eyes: tuple[float, ...]


def on_ict(motion: Motion) -> Motion:
    """ARKit motion solved on the built-in head as it would have come out on ICT-FaceKit."""
    values, columns = motion.values.copy(), ARKIT.indices(NAMES)
    values[:, columns] = values[:, columns] @ np.array(_table().matrix, np.float32)
    return replace(motion, values=values).clipped()


def still_eyes(motion: Motion) -> Motion:
    """ARKit motion with lids and gaze at the mean of the corpus, which is what it shows where none were measured."""
    values = motion.values.copy()
    values[:, ARKIT.slice("eyes")] = _table().eyes
    return replace(motion, values=values)


@dataclass(frozen=True)
class Terms:
    """What a model learnt from: the `face` model that its faces were solved on ("" where nobody says), and the groups
    of channels that were `unseen` on all of them.
    """

    face: str = ""
    unseen: frozenset[str] = frozenset()


def of(card: Mapping[str, Any], rules: Collection[str] = ()) -> Terms:
    """The terms of a model, by its card, or by that of the model it was adapted from; `rules` are those of its config.

    Its sources say what their motion was solved on, as far as their corpus said it: where that is one face, it is the
    model's. The corpus of docs/data.md is older than that, and known by its source.
    """
    while "base" in card:
        card = cast("Mapping[str, Any]", card["base"])
    sources = cast("Sequence[Mapping[str, Any]]", card.get("sources", ()))
    if any(row["source"] == KNOWN for row in sources):
        return Terms("ict", frozenset((*rules, "eyes")))
    faces = {row["face"] for row in sources if row.get("face")}
    return Terms(faces.pop() if len(faces) == 1 else "", frozenset(rules))


def fitting(motion: Motion, face: str, wanted: Terms) -> Motion:
    """ARKit motion solved on `face` as what a model learnt from would show that person.

    What was solved on nobody knows what, or is for a model of which nobody knows it, keeps its lips.
    """
    motion = on_ict(motion) if (face, wanted.face) == ("head", "ict") else motion
    return still_eyes(motion) if "eyes" in wanted.unseen else motion


def fit(ours: Float, theirs: Float) -> Float:
    """(31, 31) such that `ours` @ it is near `theirs`: (frames, 31) weights of `NAMES` of the same faces."""
    mirror = [NAMES.index(mirrored(name)) for name in NAMES]
    ours, theirs = (np.concatenate([part, part[:, mirror]]) for part in (ours, theirs))
    held = RIDGE * len(ours) * np.eye(len(NAMES))
    return np.asarray(np.linalg.solve(ours.T @ ours + held, ours.T @ theirs + held), np.float64)


def mirrored(name: str) -> str:
    """The channel of the other side; a channel without sides itself."""
    for side, other in (("Left", "Right"), ("Right", "Left")):
        if name.endswith(side):
            return name.removesuffix(side) + other
    return name


@cache
def _table() -> Table:
    return config.from_dict(Table, json.loads(TABLE.read_text(encoding="utf-8")))


def main(arguments: Sequence[str] | None = None) -> None:
    """Solve tracks on both faces, fit the table and write it."""
    parser = argparse.ArgumentParser(prog="python -m artalk.prepare.terms", description="Fit the table of terms.")
    parser.add_argument("--tracks", type=Path, required=True, help="a folder of MediaPipe's landmarks, NAME.npz")
    parser.add_argument("--face", type=Path, required=True, help="ICT-FaceKit: its folder or a packed .npz")
    parser.add_argument("--corpus", type=Path, required=True, help="the corpus of the model that ships")
    parser.add_argument("--out", type=Path, default=TABLE, help="where it goes (default: the package's own)")
    options = parser.parse_args(arguments)
    files = sorted(options.tracks.glob("*.npz"))[::EVERY]
    if not files:
        raise MissingFile(f"no tracks (.npz) in {str(options.tracks)!r}")
    takes = [tracks.read(path) for path in files]
    solved: list[Float] = []
    for face, others in ((head_face(), ()), (ict_face(ict.load(options.face)), (head(),))):
        tracker = tracks.Tracker(face, tracks.know(takes, face), others)
        motion = np.concatenate([tracker.solve(take).values for take in takes])
        solved.append(motion[:, ARKIT.indices(NAMES)].astype(np.float64))
    matrix = tuple(tuple(round(float(value), 4) for value in row) for row in fit(*solved))
    eyes = tuple(round(float(value), 4) for value in Corpus(options.corpus).mean()[ARKIT.slice("eyes")])
    with atomic(options.out) as temporary:
        temporary.write_text(json.dumps(config.to_dict(Table(matrix, eyes))), encoding="utf-8")
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    log.info("wrote %s: %d frames of %d tracks", options.out, len(solved[0]), len(takes))


if __name__ == "__main__":
    main()
