"""The fields of `shapes` carried to every part of the head."""

import numpy as np

from artalk.channels import ARKIT_SHAPES
from artalk.rigs.head import shapes
from artalk.rigs.head.part import Floats, Ints, Part
from artalk.rigs.head.skin import Skin


def deltas(pieces: list[Part], skin: Skin, used: Ints, mirror: Ints) -> Floats:
    """(52, V, 3) mm over the joined `pieces`; `used` are the kept vertices of `skin`, `mirror` the whole mirror map."""
    start = np.concatenate([[0], np.cumsum([len(p.points) for p in pieces])])
    found = np.zeros((len(ARKIT_SHAPES), len(mirror), 3))
    fields = {"eyeBlinkLeft": shapes.blink(skin), "mouthSmileLeft": shapes.smile(skin), "jawOpen": shapes.jaw_open(skin)}
    for name, field in fields.items():
        out = found[ARKIT_SHAPES.index(name)]
        for i, p in enumerate(pieces):
            if p.name == "skin":
                out[start[i] : start[i + 1]] = field[used]
            elif p.rides is not None:
                out[start[i] : start[i + 1]] = field[p.rides]
            elif name == "jawOpen" and p.name in ("lowerTeeth", "tongue"):
                out[start[i] : start[i + 1]] = shapes.jaw_turn(p.points, shapes.JAW_ANGLE)
    for k, name in enumerate(ARKIT_SHAPES):
        if name.endswith("Right") and name not in ("jawRight", "mouthRight"):
            found[k] = found[ARKIT_SHAPES.index(name[:-5] + "Left")][mirror] * [-1, 1, 1]
    return found
