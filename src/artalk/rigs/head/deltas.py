"""The fields of `shapes` carried to every part of the head."""

import numpy as np

from artalk.channels import ARKIT_SHAPES
from artalk.rigs.head.cage import EYE
from artalk.rigs.head.part import Floats, Ints, Part
from artalk.rigs.head.shapes import jaw, skin_fields, tongue_out
from artalk.rigs.head.skin import Skin

NEIGHBOURS = 6
"""Skin vertices whose mean move a brow's point takes."""

AROUND = 15.0
"""How far from a brow they are looked for, mm."""


def deltas(pieces: list[Part], skin: Skin, used: Ints, mirror: Ints) -> Floats:
    """(52, V, 3) mm over the joined `pieces`; `used` are the kept vertices of `skin`, `mirror` the whole mirror map."""
    fields = skin_fields(skin)
    start = np.concatenate([[0], np.cumsum([len(part.points) for part in pieces])])
    found = np.zeros((len(ARKIT_SHAPES), len(mirror), 3))
    for i, part in enumerate(pieces):
        for name, moved in _part_fields(part, skin, used, fields).items():
            found[ARKIT_SHAPES.index(name), start[i] : start[i + 1]] = moved
    for k, name in enumerate(ARKIT_SHAPES):
        if name in fields:
            continue
        left = ARKIT_SHAPES.index(name.removesuffix("Right") + "Left")
        found[k] = found[left][mirror] * [-1, 1, 1]
    return _symmetric(found, mirror)


def _part_fields(part: Part, skin: Skin, used: Ints, fields: dict[str, Floats]) -> dict[str, Floats]:
    """(n, 3) displacements of one part by shape."""
    if part.name == "skin":
        return {name: field[used] for name, field in fields.items()}
    if part.rides is not None:
        ride = _lashes if part.name.startswith("lashes") else _strip
        return ride(part, part.rides, skin, fields)
    if part.name == "lowerTeeth":
        return jaw.rigid(part.points)
    if part.name == "tongue":
        return jaw.rigid(part.points) | {"tongueOut": tongue_out(skin, part.points)}
    return {}


def _strip(part: Part, rides: Ints, skin: Skin, fields: dict[str, Floats]) -> dict[str, Floats]:
    """A strip on plain skin takes the mean move of the skin vertices near each of its points."""
    bare = np.flatnonzero((skin.eye_ring > 4.9) & (skin.mouth_ring < 0.5))
    low, high = part.points.min(0) - AROUND, part.points.max(0) + AROUND
    bare = bare[((skin.points[bare] > low) & (skin.points[bare] < high)).all(1)]
    square = ((part.points[:, None] - skin.points[bare][None]) ** 2).sum(2)
    close = np.argpartition(square, NEIGHBOURS, axis=1)[:, :NEIGHBOURS]
    share = 1 / (np.take_along_axis(square, close, 1) + 0.5)
    share /= share.sum(1, keepdims=True)
    return {name: (share[..., None] * field[bare[close]]).sum(1) for name, field in fields.items()}


def _lashes(part: Part, rides: Ints, skin: Skin, fields: dict[str, Floats]) -> dict[str, Floats]:
    """Lashes go with the lid margin under them and turn with it about the eyeball."""
    centre = EYE * [np.sign(part.points[:, 0].mean()), 1, 1]
    root = skin.points[rides]
    lash = part.points - root
    moves: dict[str, Floats] = {}
    for name, field in fields.items():
        start, end = root - centre, root + field[rides] - centre
        angle = np.arctan2(end[:, 1], end[:, 2]) - np.arctan2(start[:, 1], start[:, 2])
        cos, sin = np.cos(angle), np.sin(angle)
        y, z = cos * lash[:, 1] + sin * lash[:, 2], cos * lash[:, 2] - sin * lash[:, 1]
        moves[name] = field[rides] + np.stack([lash[:, 0], y, z], 1) - lash
    return moves


def _symmetric(found: Floats, mirror: Ints) -> Floats:
    """Take out the rounding that keeps shapes of the middle and pairs from being exact mirror images."""
    partner = [ARKIT_SHAPES.index(_other(name)) for name in ARKIT_SHAPES]
    return 0.5 * (found + found[partner][:, mirror] * [-1, 1, 1])


def _other(name: str) -> str:
    if name.endswith("Left"):
        return name.removesuffix("Left") + "Right"
    return name.removesuffix("Right") + "Left" if name.endswith("Right") else name
