"""The lips: moves by spoke and ring, carried out into the skin around them."""

from functools import cached_property

import numpy as np

from artalk.rigs.head.cage import step
from artalk.rigs.head.part import Floats, Ints
from artalk.rigs.head.shapes.face import Face

Reach = tuple[float, float, float]
"""How many mm a move fades over above, beside and below the lips."""


class Lips:
    """The mouth's rings and what lies around them."""

    def __init__(self, face: Face) -> None:
        self.face = face
        skin = face.skin
        self.count = len(face.points)
        self.ring, self.spoke = skin.mouth_ring, skin.mouth_spoke
        self.x = face.points[:, 0]
        self.half = float(face.corner[0])
        self.upper, self.lower, self.along = face.upper, 1 - face.upper, face.along
        self.side = np.sign(self.x) * np.minimum(np.abs(self.x) / 2, 1)

    @cached_property
    def border(self) -> Ints:
        """Vertices of the vermilion's border, all round."""
        return np.flatnonzero(np.isclose(self.ring, 2.0))

    @cached_property
    def around(self) -> tuple[Ints, Floats, Floats, Floats]:
        """Vertices outside the lips, their (M, B) shares of the border, distance (M,) and direction (M, 2) from it."""
        p = self.face.points
        edge = p[self.border]
        used = np.flatnonzero((self.ring < 2.0) & (p[:, 2] > 5) & (np.abs(p[:, 1] - self.face.mouth[1]) < 75))
        used = used[self.face.skin.eye_ring[used] > 4]
        flat = p[used, None, :] - edge[None]
        square = (flat**2).sum(2)
        distance = np.sqrt(square.min(1))
        width = 1.2 + 0.45 * distance
        share = np.exp(-(square - square.min(1, keepdims=True)) / (2 * width[:, None] ** 2))
        share /= share.sum(1, keepdims=True)
        away = p[used, :2] - share @ edge[:, :2]
        return used, share, distance, away / np.maximum(np.linalg.norm(away, axis=1, keepdims=True), 1e-6)

    def carry(self, moved: Floats, reach: Reach = (17, 30, 24)) -> Floats:
        """Carry a displacement (N, 3) of the rings into the mouth and to the skin outside, fading over `reach`."""
        used, share, distance, way = self.around
        up, beside, down = reach
        fade = np.where(way[:, 1] > 0, up, down) * way[:, 1] ** 2 + beside * (1 - way[:, 1] ** 2)
        t = np.clip(distance / fade, 0, 1)
        soft = (1 - t**1.7) ** 2 * self._not_nose[used]
        on = step(0.9, 1.9, self.ring)[:, None]
        out = moved * on * (1 - step(5.8, 7.6, self.ring))[:, None]
        out[used] += (1 - on[used]) * soft[:, None] * (share @ moved[self.border])
        return out

    @cached_property
    def _not_nose(self) -> Floats:
        tip, base = self.face.at(9, 0), self.face.at(7, 0)
        p = self.face.points
        nose = (
            np.exp(-(((p[:, 0]) / 17) ** 4))
            * step(base[1] - 4, base[1] + 7, p[:, 1])
            * step(tip[2] - 28, tip[2] - 12, p[:, 2])
        )
        return 1 - 0.9 * nose

    def roll(self, upper: float, lower: float) -> Floats:
        """(N, 3) displacement of the lips' cross-sections turning inwards by angles (radians), outwards if below 0."""
        s2, c2 = self.face.lip_curve(2)
        s6, c6 = self.face.lip_curve(6)
        pivot, tangent = self._frame(0.55 * c2 + 0.45 * _resampled(s6, c6, s2), s2)
        fade = np.interp(self.ring, [0.8, 2, 3, 5, 6, 7], [0, 0.85, 1, 1, 0.6, 0])
        angle = (self.upper * upper - self.lower * lower) * fade * (1 - 0.9 * step(0.3, 1.0, self.along))
        away = self.face.points - pivot
        along = (away * tangent).sum(1, keepdims=True) * tangent
        across = away - along
        turned = np.cos(angle)[:, None] * across + np.sin(angle)[:, None] * np.cross(tangent, across)
        return np.where(fade[:, None] > 0, turned - across, 0)

    @cached_property
    def red(self) -> Floats:
        """(N,) 1 at the border of the vermilion, 0 where the lips touch and on the skin outside."""
        return np.interp(self.ring, [0.8, 2, 3, 4], [0, 1, 0.6, 0])

    def _frame(self, curve: Floats, spokes: Floats) -> tuple[Floats, Floats]:
        """Pivot and unit tangent (towards the left) of each vertex's spoke, (N, 3) each."""
        slope = np.gradient(curve, axis=0)
        slope *= np.where(spokes < 4, 1.0, -1.0)[:, None]
        slope[np.isclose(spokes, 4)] = [1.0, 0, -0.6]
        slope[[0, -1]] = [1.0, 0, 0]
        flip = np.where(self.x < 0, -1.0, 1.0)[:, None]
        pivot, tangent = (_at(self.spoke, spokes, line) for line in (curve, slope))
        pivot = pivot * np.concatenate([flip, 0 * flip + 1, 0 * flip + 1], 1)
        tangent = tangent * np.concatenate([0 * flip + 1, flip, flip], 1)
        return pivot, tangent / np.linalg.norm(tangent, axis=1, keepdims=True)

    def sealed(self, moved: Floats, *axes: int) -> Floats:
        """`moved` (N, 3) with the lips kept together: what parts them along `axes` is shared by both and taken back."""
        on = np.flatnonzero(np.isclose(self.ring, 4))
        out = moved.copy()
        side = np.where(self.x < -1e-6, -1.0, 1.0)
        for way in (1.0, -1.0):
            seam = on[(side[on] == way) | (np.abs(self.x[on]) < 1e-6)]
            seam = seam[np.argsort(self.spoke[seam])]
            here = side == way
            spoke = np.minimum(self.spoke, 8 - self.spoke)[here]
            for axis in axes:
                line: Floats = moved[seam, axis]
                above: Floats = np.interp(spoke, self.spoke[seam], line)
                gap = above - np.interp(8 - spoke, self.spoke[seam], line)
                out[here, axis] += np.where(self.spoke[here] < 4, -0.5, 0.5) * gap
        return out

    def squeeze(self, share: float) -> Floats:
        """(N, 3) displacement that makes the mouth narrower by `share`, following the curve of the lips in depth."""
        return self.slide(-share * self.x)

    def slide(self, aside: Floats) -> Floats:
        """(N, 3) displacement of `aside` (N,) mm to the left along the curve of the lips in depth."""
        return np.stack([aside, 0 * aside, self._depth(self.x + aside) - self._depth(self.x)], 1)

    def _depth(self, x: Floats) -> Floats:
        """How far the lips lie back at `x`: a parabola between the corners, a gentler slope beyond."""
        t = np.abs(x) / self.half
        deep = self.face.mouth[2] - self.face.corner[2]
        return -deep * np.where(t < 1, t * t, 1 + 0.8 * (t - 1))

    def move(self, weight: Floats, *xyz: float) -> Floats:
        """(N, 3) displacement along one direction; x counts away from the middle."""
        return weight[:, None] * np.stack([self.side * xyz[0], 0 * self.x + xyz[1], 0 * self.x + xyz[2]], 1)


def _at(x: Floats, known: Floats, line: Floats) -> Floats:
    return np.stack([np.interp(x, known, line[:, i]) for i in range(3)], 1)


def _resampled(known: Floats, line: Floats, wanted: Floats) -> Floats:
    return _at(wanted, known, line)
