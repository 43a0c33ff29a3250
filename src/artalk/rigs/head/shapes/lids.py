"""The left eye's lids: they glide on the eyeball."""

import numpy as np

from artalk.rigs.head.cage import EYE, EYE_RADIUS
from artalk.rigs.head.part import Floats, Ints
from artalk.rigs.head.shapes.face import Face, push

MEET = 0.13
"""Where the lids meet at a blink, from the lower (0) to the upper margin (1)."""

UPPER_FOLLOWS = ([0, 2, 3, 4, 5, 6], [1, 1, 0.92, 0.66, 0.24, 0])
UPPER_RISES = ([0, 2, 3, 4, 5, 6], [1, 1, 0.93, 0.74, 0.46, 0])
LOWER_FOLLOWS = ([0, 2, 3, 4, 5, 6], [1, 1, 0.82, 0.52, 0.18, 0])
"""How far each eye ring goes with the margin: coming down, going up (the fold above gives way), of the lower lid."""

CLEAR = 0.12
"""Least room, mm, between the eyeball and what glides over it, at any part of the way."""


class Lids:
    """The left lids: which vertices, above or below, and the opening over each."""

    def __init__(self, face: Face) -> None:
        p, ring = face.points, face.skin.eye_ring
        self.count = len(p)
        self.used: Ints = np.flatnonzero((ring < 6.0) & (p[:, 0] > 0))
        self.points = p[self.used]
        self.ring = ring[self.used]
        edge = p[face.margin]
        x = self.points[:, 0]
        chord = np.interp(edge[:, 0], edge[[0, -1], 0], edge[[0, -1], 1])
        self.above = self.points[:, 1] >= np.interp(x, edge[[0, -1], 0], edge[[0, -1], 1])
        self.opening = _opening(edge, chord, x, 1.5 * np.clip(self.ring - 2, 0, 1.5))

    def glide(self, upper: float, lower: float, aside: float = 0.0) -> Floats:
        """(N, 3) displacement: margins rise by `upper` and `lower` openings, and go `aside` mm."""
        over_it = np.interp(self.ring, *(UPPER_RISES if upper > 0 else UPPER_FOLLOWS))
        follow = np.where(self.above, over_it, np.interp(self.ring, *LOWER_FOLLOWS))
        rise = follow * np.where(self.above, upper, lower) * self.opening
        over = follow * aside * self.opening / self.opening.max()
        out = np.zeros((self.count, 3))
        out[self.used] = self._on_eyeball(np.stack([over, rise, 0 * rise], 1))
        return out

    def _on_eyeball(self, moved: Floats) -> Floats:
        """Bend a flat displacement round the eyeball, so that no part of the straight way enters it."""
        start = self.points - EYE
        end = start + moved
        distance = np.linalg.norm(start, axis=1)
        depth2 = distance**2 - end[:, 0] ** 2 - end[:, 1] ** 2
        end[:, 2] = np.sqrt(np.maximum(depth2, 0.2 * start[:, 2] ** 2))
        way = end / np.linalg.norm(end, axis=1, keepdims=True)
        wrap = np.interp(self.ring, [0, 3, 4, 5, 6], [1, 1, 0.8, 0.3, 0])
        # Half way between start and end lies on the chord: go out at the end by what the chord cuts off.
        toward = (start * way).sum(1)
        room = CLEAR + np.interp(self.ring, [0, 1, 2, 3, 5], [0.1, 0.4, 1.3, 1.9, 1.9])
        least = 2 * np.minimum(distance + 0.25, EYE_RADIUS + room)
        reach = -toward + np.sqrt(np.maximum(toward**2 - distance**2 + least**2, 0))
        out = np.maximum(reach, np.linalg.norm(end, axis=1))
        depth = np.sqrt(np.maximum(out**2 - end[:, 0] ** 2 - end[:, 1] ** 2, end[:, 2] ** 2))
        return np.stack([moved[:, 0], moved[:, 1], wrap * (depth - start[:, 2])], 1)


def _opening(edge: Floats, chord: Floats, x: Floats, blur: Floats) -> Floats:
    """(n,) the height of the eye's opening at `x` (n,), blurred by `blur` (n,) mm: away from the margin, the corners,
    where it grows from nothing at once, are softer."""
    upper, lower = edge[edge[:, 1] >= chord - 1e-9], edge[edge[:, 1] <= chord + 1e-9]
    total = np.zeros_like(x)
    for share in (-1.0, -0.5, 0.0, 0.5, 1.0):
        at = x + share * blur
        total += np.interp(at, upper[:, 0], upper[:, 1]) - np.interp(at, lower[:, 0], lower[:, 1])
    return total / 5


def fields(face: Face) -> dict[str, Floats]:
    """(N, 3) displacements of the left eye's shapes."""
    lids = Lids(face)
    return {
        "eyeBlinkLeft": lids.glide(MEET - 1, MEET),
        "eyeLookDownLeft": lids.glide(-0.53, -0.13),
        "eyeLookUpLeft": lids.glide(0.20, 0.05),
        "eyeLookInLeft": lids.glide(-0.02, 0.01, -1.5),
        "eyeLookOutLeft": lids.glide(-0.02, 0.01, 1.5),
        "eyeWideLeft": lids.glide(0.22, -0.07),
        "eyeSquintLeft": lids.glide(-0.17, 0.27) + _pouch(face),
    }


def _pouch(face: Face) -> Floats:
    """The fold below the lower lid that a squint pushes up."""
    centre = np.array([EYE[0] + 1, EYE[1] - 15.0, EYE[2] + 16.0])
    weight = face.spot(centre, (19, 7.5, 18)) * face.lidless * (face.points[:, 0] > 0)
    return push(weight, -0.8, 2.4, 0.8)
