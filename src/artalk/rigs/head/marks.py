"""Joints, skin weights and landmarks of the head."""

import numpy as np
from numpy.typing import NDArray

from artalk.rigs.head.cage import EYE, step
from artalk.rigs.head.part import Floats, Ints, Part
from artalk.rigs.head.skin import Skin
from artalk.rigs.rig import Joint, Landmarks


def joints() -> tuple[Joint, ...]:
    """Neck, head, jaw and eyes, in metres."""
    x, y, z = (float(v) / 1000 for v in EYE)
    return (
        Joint("neck", (0.0, -0.185, -0.025)),
        Joint("head", (0.0, -0.07, -0.03), "neck"),
        Joint("jaw", (0.0, -0.006, 0.008), "head"),
        Joint("leftEye", (x, y, z), "head"),
        Joint("rightEye", (-x, y, z), "head"),
    )


def weights(pieces: list[Part]) -> NDArray[np.float32]:
    """(V, J) shares of the joints: the skin blends from neck to head, every other part follows one joint."""
    names = [joint.name for joint in joints()]
    rows: list[Floats] = []
    for part in pieces:
        share = np.zeros((len(part.points), len(names)))
        if part.name == "skin":
            head = _head_share(part.points)
            share[:, 0], share[:, 1] = 1 - head, head
        else:
            share[:, names.index(part.joint)] = 1
        rows.append(share)
    return np.concatenate(rows).astype(np.float32)


def _head_share(points: Floats) -> Floats:
    # The nape follows the head further down than the throat does: the hinge lies at the back of the neck.
    # Its lower border lies in the collar and must stay there.
    low = points[:, 1] + 0.06 * np.clip(60 - points[:, 2], 0, 140)
    return step(-157, -102, low)


def landmarks(skin: Skin, used: Ints, mirror: Ints) -> Landmarks:
    """Vertices that measure the face; `used` are the kept vertices of `skin`, `mirror` the head's mirror map."""
    p = skin.points
    place = {int(v): i for i, v in enumerate(used)}

    def at(mask: NDArray[np.bool_], score: Floats) -> int:
        inside = np.flatnonzero(mask)
        return place[int(inside[score[inside].argmax()])]

    seam = np.abs(skin.mouth_ring - 4) < 1e-6
    lid = (np.abs(skin.eye_ring - 2) < 1e-6) & (p[:, 0] > 0)
    bare = (skin.mouth_ring < 0.5) & (skin.eye_ring > 6.5)

    def near(x: float, y: float) -> int:
        return at(bare & (p[:, 2] > 40), -((p[:, 0] - x) ** 2) - (p[:, 1] - y) ** 2)

    corner = at(seam, p[:, 0])
    left = {
        "UpperLid": at(lid, p[:, 1]),
        "LowerLid": at(lid, -p[:, 1]),
        "Cheek": near(42, -33),
        "InnerBrow": near(16, 21),
        "OuterBrow": near(47, 24),
    }
    extra = {"noseTip": at(bare, p[:, 2]), "chin": near(0, -99)}
    for name, vertex in left.items():
        extra["left" + name], extra["right" + name] = vertex, int(mirror[vertex])
    upper = at(seam & (skin.mouth_spoke == 0), p[:, 1])
    lower = at(seam & (skin.mouth_spoke == 8), -p[:, 1])
    return Landmarks(upper, lower, corner, int(mirror[corner]), extra)
