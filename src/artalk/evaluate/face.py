"""A face to measure on: sampled vertices of a rig in millimetres, its regions, the gap and the width of the mouth."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from artalk.channels import ARKIT
from artalk.errors import BadInput
from artalk.rigs.blendshape import BlendshapeRig

Float = NDArray[np.float32]

UPPER = ("browInnerUp", "browDown", "browOuterUp", "eyeBlink", "eyeSquint", "eyeWide")
"""Shapes whose skin is the upper face: FLAME's "eye_region" and "forehead" of the paper."""

INSIDE = ("teeth", "gums", "tongue", "mouth", "sclera", "iris", "pupil", "shirt", "hair", "lashes")
"""Materials that are not the face's surface."""


@dataclass(frozen=True, eq=False)
class Face:
    """A linear face: vertices = `neutral` + weights · `deltas`, in millimetres, the head held still.

    `neutral` (V, 3), `deltas` (channels, V, 3); `lips` and `upper` (V,) regions without duplicates; `gap` and
    `corners` the vertices of the middle of the inner lips (upper, lower) and of the mouth's ends.
    """

    neutral: Float
    deltas: Float
    lips: NDArray[np.bool_]
    upper: NDArray[np.bool_]
    gap: tuple[int, int]
    corners: tuple[int, int]

    def vertices(self, values: Float) -> Float:
        """(frames, V, 3) millimetres of ARKit `values` (frames, channels)."""
        return np.einsum("tc,cvx->tvx", np.asarray(values, np.float32), self.deltas, optimize=True) + self.neutral

    def only(self, kept: NDArray[np.bool_]) -> "Face":
        """The face of some vertices (V,); the mouth's points are kept anyway."""
        kept = kept.copy()
        kept[[*self.gap, *self.corners]] = True
        number = np.cumsum(kept) - 1
        gap, corners = number[list(self.gap)], number[list(self.corners)]
        return replace(
            self,
            neutral=self.neutral[kept],
            deltas=self.deltas[:, kept],
            lips=self.lips[kept],
            upper=self.upper[kept],
            gap=(int(gap[0]), int(gap[1])),
            corners=(int(corners[0]), int(corners[1])),
        )

    def aperture(self, values: Float) -> Float:
        """(frames,) millimetres between the middles of the inner lips."""
        return self._apart(values, self.gap)

    def width(self, values: Float) -> Float:
        """(frames,) millimetres between the corners of the mouth."""
        return self._apart(values, self.corners)

    def _apart(self, values: Float, pair: tuple[int, int]) -> Float:
        ends = np.einsum("tc,cvx->tvx", np.asarray(values, np.float32), self.deltas[:, list(pair)])
        ends = ends + self.neutral[list(pair)]
        return np.linalg.norm(ends[:, 0] - ends[:, 1], axis=-1).astype(np.float32)


def of_rig(rig: BlendshapeRig, most: int = 400) -> Face:
    """The face of a rig that names its mouth's landmarks, with at most about `most` vertices a region.

    Lips are the rig's material "lips", or the skin that mouthFunnel moves by two fifths of the most; the upper face is
    the skin that lids and brows move by a fifth of it. Of each region every n-th vertex is taken.
    """
    if rig.landmarks is None:
        raise BadInput("measuring a mouth needs a rig that names its lips' middle and corners, this one does not")
    deltas = np.zeros((len(ARKIT), len(rig.mesh.vertices), 3), np.float32)
    deltas[ARKIT.indices(rig.shapes)] = rig.deltas * 1000
    skin, lips = _materials(rig)
    moved = np.linalg.norm(deltas, axis=-1)
    lips = lips if lips.any() else skin & _moves(moved, ("mouthFunnel",), 0.4)
    upper = skin & ~lips & _moves(moved, UPPER, 0.2)
    others = skin & ~lips & ~upper & (moved.max(axis=0) > 0.5)
    marks = rig.landmarks
    face = Face(
        rig.mesh.vertices.astype(np.float32) * 1000,
        deltas,
        lips,
        upper,
        (marks.inner_upper_lip, marks.inner_lower_lip),
        (marks.left_mouth_corner, marks.right_mouth_corner),
    )
    return face.only(_thinned(lips, most) | _thinned(upper, most) | _thinned(others, most))


def _materials(rig: BlendshapeRig) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    names = [material.name for material in rig.mesh.materials]
    skin = np.zeros(len(rig.mesh.vertices), bool)
    lips = np.zeros(len(rig.mesh.vertices), bool)
    for number, name in enumerate(names):
        own = rig.mesh.faces[rig.mesh.face_materials == number].ravel()
        skin[own] |= name not in INSIDE
        lips[own] |= name == "lips"
    return skin, lips


def _moves(moved: Float, shapes: tuple[str, ...], share: float) -> NDArray[np.bool_]:
    """The vertices that any shape whose name begins so moves by at least this share of its largest movement."""
    found = np.zeros(moved.shape[1], bool)
    for column, name in enumerate(ARKIT.names):
        if name.startswith(shapes) and moved[column].max() > 0:
            found |= moved[column] >= share * moved[column].max()
    return found


def _thinned(region: NDArray[np.bool_], most: int) -> NDArray[np.bool_]:
    """Every n-th vertex of a region, so that at most `most` remain."""
    places = np.flatnonzero(region)
    kept = np.zeros_like(region)
    kept[places[:: max(1, -(-len(places) // most))]] = True
    return kept
