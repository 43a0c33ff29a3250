"""The tongue comes out over the lower lip."""

import numpy as np

from artalk.rigs.head.cage import step
from artalk.rigs.head.part import Floats
from artalk.rigs.head.shapes import jaw
from artalk.rigs.head.shapes.face import Face
from artalk.rigs.head.shapes.lips import Lips

OUT = 27.0
"""How far its tip passes the lower lip, mm, at jawOpen of a quarter."""

SPAN = 0.25
"""The jawOpen at which it has the way free."""


YIELDS = 2.0
"""How far it presses the lower lip down, mm."""


def fields(face: Face) -> dict[str, Floats]:
    """(N, 3) displacement of the lower lip below the tongue."""
    lips = Lips(face)
    return {"tongueOut": lips.carry(lips.move(lips.lower * (1 - lips.along**2), 0, -YIELDS, 0.6), (8, 16, 18))}


def out(face: Face, points: Floats) -> Floats:
    """(N, 3) displacement of the tongue's `points`.

    Each slice of the tongue goes to its place on a path over the lower lip and then down, turning with it and
    getting thinner.
    """
    lip = face.lip(4, 8) + SPAN * jaw.turn(face.lip(4, 8)[None], jaw.OPEN)[0] - [0, YIELDS, 0]
    back, tip = points[:, 2].min(), points[:, 2].max()
    t = (points[:, 2] - back) / (tip - back)
    centre_y = _middle(points, t)
    z = back + 6 + (lip[2] + OUT - back - 6) * t
    past = np.maximum(z - lip[2] + 6, 0)
    floor = lip[1] + 4.2 - 0.0015 * past**2 - 0.00014 * past**3
    y = np.interp(z, [back, lip[2] - 22], [0.0, 1.0]) * (floor - centre_y) + centre_y
    lean = -0.003 * past - 0.00042 * past**2
    thin = 1 - 0.45 * step(0.2, 0.7, t) - 0.2 * step(0.7, 1, t)
    high = (points[:, 1] - centre_y) * thin
    narrow = 1 - 0.12 * step(0.2, 0.6, t) - 0.34 * step(0.62, 1.0, t)
    goal = np.stack([points[:, 0] * narrow, y + high * np.cos(np.arctan(lean)), z - high * np.sin(np.arctan(lean))], 1)
    # The jaw brings its own share at that opening.
    return goal - points - SPAN * jaw.turn(points, jaw.OPEN)


def _middle(points: Floats, t: Floats) -> Floats:
    """(N,) the height of the tongue's middle line under each point."""
    bins = np.linspace(0, 1, 9)
    which = np.clip(np.round(t * 8).astype(int), 0, 8)
    top = np.array([points[which == k, 1].max() if (which == k).any() else np.nan for k in range(9)])
    low = np.array([points[which == k, 1].min() if (which == k).any() else np.nan for k in range(9)])
    known = ~np.isnan(top)
    return np.interp(t, bins[known], 0.5 * (top + low)[known])
