"""What the shapes measure on the neutral skin before they move it."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from artalk.rigs.head.cage import step
from artalk.rigs.head.part import Floats, Ints
from artalk.rigs.head.skin import Skin

Vector = tuple[float, float, float]


def vector(*xyz: float) -> Floats:
    """Three millimetres as an array."""
    return np.array(xyz, float)


def near(points: Floats, centre: Floats, radii: Vector) -> Floats:
    """(N,) soft spot: 1 at `centre`, e⁻¹ at `radii`, 0 beyond 2.2 of them."""
    square = (((points - centre) / np.array(radii)) ** 2).sum(1)
    least = np.exp(-4.84)
    return np.maximum(np.exp(-square) - least, 0) / (1 - least)


@dataclass(eq=False)
class Face:
    """The neutral skin with its landmarks (all of the left side or the middle, mm)."""

    skin: Skin

    @cached_property
    def points(self) -> Floats:
        """(N, 3) mm."""
        return self.skin.points

    @cached_property
    def normals(self) -> Floats:
        """(N, 3) unit normals."""
        return self.skin.normals()

    def at(self, row: float, column: float) -> Floats:
        """The skin's point at a crossing of the cage's grid, on the left side."""
        found = (self.skin.row == row) & (self.skin.column == column) & (self.points[:, 0] > -1e-6)
        found &= (self.skin.mouth_ring < 0.5) & (self.skin.eye_ring > 5.5)
        return self.points[np.flatnonzero(found)[0]]

    def lip(self, ring: float, spoke: float) -> Floats:
        """The point of a mouth ring (2 border, 4 where the lips touch) at a spoke (0 middle above, 8 below)."""
        found = np.isclose(self.skin.mouth_ring, ring) & np.isclose(self.skin.mouth_spoke, spoke)
        return self.points[np.flatnonzero(found & (self.points[:, 0] > -1e-6))[0]]

    def lip_curve(self, ring: float) -> tuple[Floats, Floats]:
        """Spokes (K,) and left points (K, 3) of a mouth ring, from the middle above to the middle below."""
        found = np.flatnonzero(np.isclose(self.skin.mouth_ring, ring) & (self.points[:, 0] > -1e-6))
        found = found[np.argsort(self.skin.mouth_spoke[found])]
        return self.skin.mouth_spoke[found], self.points[found]

    @cached_property
    def corner(self) -> Floats:
        """The left corner of the mouth."""
        return self.lip(4, 4)

    @cached_property
    def mouth(self) -> Floats:
        """Where the lips touch in the middle."""
        return 0.5 * (self.lip(4, 0) + self.lip(4, 8))

    @cached_property
    def left(self) -> Floats:
        """(N,) share of the left side: with the right's it makes 1 everywhere."""
        return step(-11, 11, self.points[:, 0])

    @cached_property
    def front(self) -> Floats:
        """(N,) 0 behind the cheeks, 1 on the face."""
        return step(20, 50, self.points[:, 2])

    @cached_property
    def bare(self) -> Floats:
        """(N,) 1 on plain skin, 0 on lips and inside the mouth."""
        return 1 - step(0.6, 2.0, self.skin.mouth_ring)

    @cached_property
    def lidless(self) -> Floats:
        """(N,) 1 outside the orbits, 0 on the lids."""
        return step(3.6, 6.2, self.skin.eye_ring)

    @cached_property
    def upper(self) -> Floats:
        """(N,) 1 on the upper lip, 0 on the lower, half at the corners; only where mouth spokes are known."""
        return step(4.9, 3.1, self.skin.mouth_spoke)

    @cached_property
    def along(self) -> Floats:
        """(N,) 0 in the middle of a lip, 1 at its corners and beyond.

        By place and not by spoke: all rings meet within a millimetre at the corners, and must move alike there.
        """
        return np.minimum(np.abs(self.points[:, 0]) / self.corner[0], 1)

    @cached_property
    def margin(self) -> Ints:
        """The left eye's lid margin, ordered from the inner to the outer corner."""
        found = np.flatnonzero(np.isclose(self.skin.eye_ring, 2.0) & (self.points[:, 0] > 0))
        return found[np.argsort(self.points[found, 0])]

    def spot(self, centre: Floats, radii: Vector) -> Floats:
        """(N,) a soft spot on plain skin."""
        return near(self.points, centre, radii) * self.bare


def push(weight: Floats, *xyz: float) -> Floats:
    """(N, 3) displacement along one direction by `weight` (N,)."""
    return weight[:, None] * np.array(xyz, float)
