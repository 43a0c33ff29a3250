"""Everything joined: mesh, shapes, joints, landmarks."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from artalk.rigs.head import marks
from artalk.rigs.head.assemble import parts
from artalk.rigs.head.deltas import deltas
from artalk.rigs.head.materials import MATERIALS
from artalk.rigs.head.part import Ints, Part, opposite
from artalk.rigs.rig import Joint, Landmarks, Mesh


@dataclass(frozen=True, eq=False)
class HeadData:
    """The head: mesh, (52, V, 3) shape deltas in metres, joints, (V, J) skin weights, landmarks, (V,) mirror map."""

    mesh: Mesh
    shapes: NDArray[np.float32]
    joints: tuple[Joint, ...]
    skin: NDArray[np.float32]
    landmarks: Landmarks
    mirror: NDArray[np.int32]


def build() -> HeadData:
    """Generate the head; deterministic."""
    pieces, skin, used = parts()
    mirror = _mirror(pieces)
    moved = (deltas(pieces, skin, used, mirror) / 1000).astype(np.float32)
    marked = marks.landmarks(skin, used, mirror)
    return HeadData(_mesh(pieces), moved, marks.joints(), marks.weights(pieces), marked, mirror.astype(np.int32))


def _starts(pieces: list[Part]) -> Ints:
    return np.concatenate([[0], np.cumsum([len(part.points) for part in pieces])[:-1]])


def _mirror(pieces: list[Part]) -> Ints:
    start = dict(zip((part.name for part in pieces), _starts(pieces), strict=True))
    return np.concatenate([part.mirror + start[opposite(part.name)] for part in pieces])


def _mesh(pieces: list[Part]) -> Mesh:
    starts = _starts(pieces)
    return Mesh(
        (np.concatenate([part.points for part in pieces]) / 1000).astype(np.float32),
        np.concatenate([part.faces + start for part, start in zip(pieces, starts, strict=True)]).astype(np.int32),
        np.concatenate([part.materials for part in pieces]).astype(np.int32),
        MATERIALS,
        np.clip(np.concatenate([part.colors for part in pieces]), 0, 1).astype(np.float32),
    )
