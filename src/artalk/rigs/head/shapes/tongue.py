"""The tongue comes out over the lower lip."""

import numpy as np

from artalk.rigs.head.cage import step
from artalk.rigs.head.part import Floats
from artalk.rigs.head.shapes import jaw
from artalk.rigs.head.shapes.face import Face
from artalk.rigs.head.shapes.lips import Lips

OUT = 23.0
"""How far its tip passes the lower lip, mm, at jawOpen of a quarter."""

SPAN = 0.25
"""The jawOpen at which it has the way free."""


ROOT = 6.0
"""How far its root comes forward, mm."""

OVER = 4.2
"""How high over the lip its middle passes, mm."""

YIELDS = 2.0
"""How far it presses the lower lip down, mm."""


def fields(lips: Lips) -> dict[str, Floats]:
    """(N, 3) displacement of the lower lip below the tongue."""
    return {"tongueOut": lips.carry(lips.move(lips.lower * (1 - lips.along**2), 0, -YIELDS, 0.6), (8, 16, 18))}


def out(face: Face, points: Floats) -> Floats:
    """(N, 3) displacement of the tongue's `points`.

    Each slice of the tongue goes to its place on a path over the lower lip and then down, turning with the path and
    getting thinner and narrower.
    """
    lip = face.lip(4, 8)
    lip = lip + SPAN * jaw.turn(lip[None], jaw.OPEN)[0] - [0, YIELDS, 0]
    back, tip = points[:, 2].min(), points[:, 2].max()
    t = (points[:, 2] - back) / (tip - back)
    middle = _middle(points[:, 1], t)
    z = back + ROOT + (lip[2] + OUT - back - ROOT) * t
    height, slope = _path(z, lip)
    raised = np.clip((z - back) / (lip[2] - 22 - back), 0, 1)
    lean = np.arctan(slope)
    thin = (points[:, 1] - middle) * (1 - 0.45 * step(0.2, 0.7, t) - 0.2 * step(0.7, 1, t))
    wide = points[:, 0] * (1 - 0.12 * step(0.2, 0.6, t) - 0.42 * step(0.55, 1.0, t))
    y = middle + raised * (height - middle) + thin * np.cos(lean)
    goal = np.stack([wide, y, z - thin * np.sin(lean)], 1)
    # The jaw brings its own share at that opening.
    return goal - points - SPAN * jaw.turn(points, jaw.OPEN)


def _path(z: Floats, lip: Floats) -> tuple[Floats, Floats]:
    """Height (N,) and slope (N,) of the tongue's middle line over the `lip`: level inside, bending down outside."""
    past = np.maximum(z - lip[2] + 6, 0)
    height = lip[1] + OVER - 0.001 * past**2 - 0.00017 * past**3
    return height, -0.002 * past - 0.00051 * past**2


def _middle(heights: Floats, t: Floats) -> Floats:
    """(N,) the height of the tongue's middle line at each point's place `t` (N,) from root to tip."""
    slices = np.round(t, 3)
    places = np.unique(slices)
    middles = np.array([0.5 * (heights[slices == s].max() + heights[slices == s].min()) for s in places])
    smooth = np.convolve(np.pad(middles, 1, mode="edge"), [0.25, 0.5, 0.25], mode="valid")
    return np.interp(t, places, smooth)
