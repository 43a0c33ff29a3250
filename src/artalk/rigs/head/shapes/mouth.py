"""The shapes of the mouth, left ones of pairs."""

import numpy as np

from artalk.rigs.head.cage import step
from artalk.rigs.head.part import Floats
from artalk.rigs.head.shapes import jaw
from artalk.rigs.head.shapes.cheeks import apple
from artalk.rigs.head.shapes.face import Face, push
from artalk.rigs.head.shapes.lips import Lips


def fields(face: Face, lips: Lips) -> dict[str, Floats]:
    """(N, 3) displacements of the mouth's shapes."""
    left = face.left[:, None]
    return {
        "mouthClose": close(face, lips),
        "mouthFunnel": funnel(lips),
        "mouthPucker": pucker(lips),
        "mouthLeft": aside(lips, 1.0),
        "mouthRight": aside(lips, -1.0),
        "mouthSmileLeft": left * smile(face, lips),
        "mouthFrownLeft": left * frown(lips),
        "mouthDimpleLeft": left * dimple(lips),
        "mouthStretchLeft": left * stretch(lips),
        "mouthRollLower": roll_lower(lips),
        "mouthRollUpper": roll_upper(lips),
        "mouthShrugLower": shrug_lower(face, lips),
        "mouthShrugUpper": shrug_upper(lips),
        "mouthPressLeft": left * press(lips),
        "mouthLowerDownLeft": left * lower_down(lips),
        "mouthUpperUpLeft": left * upper_up(face, lips),
    }


CLOSED_MIDDLE, CLOSED_CORNER = 0.18, 0.27
"""How far closed lips go down with an open jaw, as a share of its turn."""


def close(face: Face, lips: Lips) -> Floats:
    """Takes back the gap that jawOpen makes, so that at equal weights the lips touch as they do at rest."""
    skin = face.skin
    line = np.flatnonzero(np.isclose(skin.mouth_ring, 4) & (face.points[:, 0] > -1e-6))
    line = line[np.argsort(skin.mouth_spoke[line])]
    share = CLOSED_MIDDLE + (CLOSED_CORNER - CLOSED_MIDDLE) * face.along[line] ** 2
    # Both lips go where the mean of the two goes, or their own little distance at rest would grow.
    rest = 0.5 * (face.points[line] + face.points[line[::-1]])
    back = share[:, None] * jaw.turn(rest, jaw.OPEN) - jaw.fields(face)["jawOpen"][line]
    moved = np.stack([np.interp(lips.spoke, skin.mouth_spoke[line], back[:, i]) for i in range(3)], 1)
    moved[:, 0] *= np.where(lips.x < 0, -1.0, 1.0)
    return lips.carry(moved, (17, 28, 34))


def funnel(lips: Lips) -> Floats:
    """An open round mouth, lips forward and turned out."""
    middle = (1 - lips.along**2) ** 0.7
    moved = lips.squeeze(0.36) + lips.roll(-0.24, -0.30)
    moved += lips.move(1 - 0.55 * lips.along**2, 0, 0, 6.5) + lips.move(lips.along**2, 0, -1.2, 0)
    moved += lips.move(lips.upper * middle, 0, 2.6, 0.5) + lips.move(lips.lower * middle, 0, -6.0, -0.4)
    return lips.carry(moved, (17, 34, 26))


def pucker(lips: Lips) -> Floats:
    """A kiss: lips narrow, forward, closed."""
    moved = lips.squeeze(0.40) + lips.roll(-0.20, -0.22)
    moved += lips.move(1 - 0.35 * lips.along**2, 0, 0, 7.5)
    return lips.carry(lips.sealed(moved, 0, 1, 2), (17, 38, 26))


def aside(lips: Lips, way: float) -> Floats:
    """The whole mouth goes to one side round the teeth."""
    leading = step(-1.2, 1.2, way * lips.x / lips.half)
    moved = lips.slide(0 * lips.x + way * 9.5)
    moved[:, 1] += 1.4 * leading * lips.along
    return lips.carry(lips.sealed(moved, 0, 1, 2), (22, 40, 32))


def smile(face: Face, lips: Lips) -> Floats:
    """The corner goes out, up and back; the cheek rises over it."""
    pull = lips.along**1.35
    moved = lips.move(pull, 8.5, 8.8, -5.6) + lips.move(1 - pull, 1.5, 1.0, -1.2)
    moved += lips.move(lips.lower * lips.along * (1 - lips.along), 0, -3.0, 0)
    return lips.carry(lips.sealed(moved, 1, 2), (26, 34, 27)) + push(apple(face), 1.0, 3.6, 2.8)


def frown(lips: Lips) -> Floats:
    """The corner goes down."""
    pull = lips.along**1.6
    moved = lips.move(pull, 1.6, -6.0, -2.0) + lips.move(lips.lower * (1 - lips.along), 0, 0.5, 0)
    return lips.carry(lips.sealed(moved, 1, 2), (16, 24, 26))


def dimple(lips: Lips) -> Floats:
    """The corner is drawn back into the cheek."""
    pull = lips.along**1.8
    moved = lips.move(pull, 4.5, 2.0, -5.0) + lips.move(1 - pull, 0.6, 0, -0.8)
    return lips.carry(lips.sealed(moved, 1, 2), (14, 20, 18))


def stretch(lips: Lips) -> Floats:
    """The corner is drawn out and a little down, lips get thin."""
    pull = lips.along**1.2
    moved = lips.move(pull, 8.0, -2.2, -5.4) + lips.move(1 - pull, 1.0, 0, -1.4)
    moved += lips.move(lips.lower * (1 - lips.along) * lips.along, 0, -2.0, 0)
    return lips.carry(lips.sealed(moved, 1, 2), (17, 30, 32))


def roll_lower(lips: Lips) -> Floats:
    """The lower lip curls in over its teeth."""
    inner = lips.lower * (1 - lips.along**2)
    moved = lips.roll(0, 0.58) + lips.move(inner, 0, 2.0, -0.9) + lips.move(inner * lips.red, 0, 1.8, 0.3)
    return lips.carry(lips.sealed(moved, 1), (10, 16, 22))


def roll_upper(lips: Lips) -> Floats:
    """The upper lip curls in over its teeth."""
    inner = lips.upper * (1 - lips.along**2)
    moved = lips.roll(0.78, 0) + lips.move(inner, 0, -1.6, 0) + lips.move(inner * lips.red, 0, -2.2, 0.3)
    return lips.carry(lips.sealed(moved, 1), (15, 16, 10))


def shrug_lower(face: Face, lips: Lips) -> Floats:
    """The chin pushes the lower lip up and out."""
    middle = lips.lower * (1 - 0.75 * lips.along**2)
    moved = lips.roll(0, -0.28) + lips.move(middle, 0, 5.8, 3.0)
    moved += lips.move(lips.upper * (1 - lips.along**2), 0, 4.0, 1.0)
    chin = face.spot(face.at(4, 0), (22, 15, 20))
    return lips.carry(lips.sealed(moved, 1, 2), (12, 22, 20)) + push(chin, 0, 6.5, 1.2)


def shrug_upper(lips: Lips) -> Floats:
    """The upper lip goes up and out."""
    middle = 1 - 0.8 * lips.along**2
    moved = lips.roll(-0.2, 0) + lips.move(lips.upper * middle, 0, 4.6, 1.6)
    moved += lips.move(lips.lower * middle, 0, 3.2, 0.8)
    return lips.carry(lips.sealed(moved, 1, 2), (14, 20, 18))


def press(lips: Lips) -> Floats:
    """Lips pressed on each other."""
    middle = 1 - lips.along**2
    moved = lips.roll(0.30, 0.32) + lips.move(lips.along**2, 0.8, 0.4, -1.4)
    moved += lips.move(lips.upper * middle, 0, -0.9, -0.8) + lips.move(lips.lower * middle, 0, 1.1, -0.8)
    return lips.carry(lips.sealed(moved, 1, 2), (13, 20, 18))


def lower_down(lips: Lips) -> Floats:
    """The lower lip goes down and shows the teeth."""
    t = 1 - lips.along**2.2
    moved = lips.roll(0, -0.12) + lips.move(lips.lower * t, 1.0, -6.4, -0.6)
    return lips.carry(moved, (10, 18, 22))


def upper_up(face: Face, lips: Lips) -> Floats:
    """The upper lip goes up and shows the teeth; the fold beside the nose deepens."""
    t = 1 - lips.along**2.4
    moved = lips.roll(-0.10, 0) + lips.move(lips.upper * t, 0.8, 6.8, -0.2)
    wing = face.at(9, 2)
    fold = face.spot(wing + np.array([10, -7, -9]), (11, 12, 16))
    return lips.carry(moved, (16, 20, 10)) + push(fold, 0.3, 2.6, 1.0)
