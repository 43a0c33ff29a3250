"""Which point of a head with ARKit's shapes belongs to which vertex of a FLAME head.

Landmarks and eyes give a similarity and a first bend; then points of the FLAME face pull themselves onto the head, a
few hundred at a time, with a field that grows less stiff (an ICP with a spline, after Amberg, Romdhani & Vetter,
"Optimal step nonrigid ICP algorithms for surface registration", 2007). What the jaw carries on one head may only land
on what the jaw carries on the other, so that lips that touch are not confused.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from artalk.errors import BadFile, BadInput
from artalk.fitting.nearest import Float, Nearest, Surface
from artalk.fitting.warp import Similarity, Warp, similarity, spread_out
from artalk.rigs.blendshape import BlendshapeRig
from artalk.rigs.flame import Flame, landmarks

SKIN = ("skin", "lips")
"""Materials of what FLAME has as well; a rig that names none so is taken whole, but for its eyes."""

STEPS = ((0.05, 0.04), (0.02, 0.02), (0.01, 0.012), (0.004, 0.008), (0.002, 0.006))
"""Stiffness of the field and the farthest partner that counts, in metres, step by step."""

LIKENESS = 0.02
"""Metres, root mean square, by which the landmarks of two faces may differ once turned and scaled alike."""

TRIED = 1500
"""Points of which those that find a partner may pull."""

CONTROLS = 500
"""Points that pull at a time."""

FACING = 0.4
"""Least cosine between the normals of partners."""

NEAR = 0.005
"""Metres beyond which a point has no partner in the end."""

FEWEST = 0.35
"""Least share of FLAME's skin that must find a partner: hair and clothes cover much of many heads."""


@dataclass(frozen=True, eq=False)
class Correspondence:
    """Partners of FLAME's `vertices` (K,): corners (K, 3) on the rig's mesh and their shares (K, 3).

    `similarity` brings FLAME's space to the rig's. `gap` is the mean distance in metres of partners once FLAME was bent
    onto the rig, `share` the part of FLAME's skin that found one.
    """

    vertices: NDArray[np.int64]
    corners: NDArray[np.int64]
    shares: Float
    similarity: Similarity
    gap: float
    share: float

    def carried(self, deltas: NDArray[np.floating]) -> Float:
        """Moves of the rig's vertices (..., V, 3), felt at FLAME's (..., K, 3) and in FLAME's size and direction."""
        felt = (deltas[..., self.corners, :] * self.shares[..., None]).sum(axis=-2, dtype=np.float64)
        return felt @ self.similarity.rotation / self.similarity.scale


def correspond(flame: Flame, rig: BlendshapeRig) -> Correspondence:
    """Partners on `rig`, at rest, of the vertices of `flame`'s skin.

    Raises `BadInput` for a rig without landmarks, eyes or jawOpen, `BadFile` where the surfaces do not meet.
    """
    if rig.landmarks is None or "jawOpen" not in rig.shapes:
        raise BadInput("FLAME is fitted to a rig with landmarks and jawOpen: head or ict")
    template = np.asarray(flame.template, np.float64)
    skin = np.flatnonzero(flame.weights[:, 3:].sum(axis=1) < 0.5)
    surface = Surface(np.asarray(rig.mesh.vertices, np.float64), _skin_faces(rig))
    source, target = _common(flame_marks(flame), rig_marks(rig))
    rigid = similarity(source, target)
    _check_marks(np.linalg.norm(rigid(source) - target, axis=1))
    normals = _vertex_normals(template, np.asarray(flame.faces))[skin] @ rigid.rotation.T
    moving = _Moving(rigid(template[skin]), normals, np.asarray(flame.weights, np.float64)[skin, 2] > 0.5)
    landing = _Landing(surface, _opening(rig))
    bent, found = _bent(moving, landing, rigid(source), target)
    good = landing.good(moving, found, bent, NEAR)
    if good.mean() < FEWEST:
        raise BadFile(
            f"this FLAME's face does not meet the head's: {good.mean():.0%} of its skin found a partner, at least "
            f"{FEWEST:.0%} must; is it a FLAME head in metres, +Y up?"
        )
    gap = float(np.linalg.norm(found.points - bent, axis=1)[good].mean())
    return Correspondence(skin[good], found.corners[good], found.shares[good], rigid, gap, float(good.mean()))


@dataclass(frozen=True, eq=False)
class _Moving:
    """Points of FLAME's skin (N, 3) in the rig's space, their normals, and which the jaw carries (N,)."""

    points: Float
    normals: Float
    lower: NDArray[np.bool_]

    def of(self, chosen: NDArray[np.int64]) -> "_Moving":
        return _Moving(self.points[chosen], self.normals[chosen], self.lower[chosen])


@dataclass(frozen=True, eq=False)
class _Landing:
    """The rig's skin, and how far jawOpen carries each of its vertices (V,), 0 to 1."""

    surface: Surface
    opening: Float

    def nearest(self, moving: _Moving, bent: Float) -> Nearest:
        """Where bent points land: those that a jaw carries on what a jaw carries, the rest on the rest."""
        empty = np.zeros((len(bent), 3))
        made = Nearest(empty.astype(np.int64), empty.copy(), empty.copy(), np.zeros(len(bent), np.int64))
        # Where the skin stretches between them, either side may land a little beyond the middle.
        kinds = ((moving.lower, self.opening > 0.35), (~moving.lower, self.opening < 0.65))
        for mine, theirs in kinds if moving.lower.any() else ((~moving.lower, None),):
            found = self.surface.nearest(bent[mine], theirs)
            made.corners[mine], made.shares[mine] = found.corners, found.shares
            made.points[mine], made.triangle[mine] = found.points, found.triangle
        return made

    def good(self, moving: _Moving, found: Nearest, bent: Float, reach: float) -> NDArray[np.bool_]:
        """Which partners are near and face the same way."""
        near = np.linalg.norm(found.points - bent, axis=1) < reach
        return near & ((self.surface.normals[found.triangle] * moving.normals).sum(axis=1) > FACING)


def _bent(moving: _Moving, landing: _Landing, marks: Float, target: Float) -> tuple[Float, Nearest]:
    """The points bent onto the rig, first by `marks` (M, 3) that are to reach `target` (M, 3), and where they land."""
    few = moving.of(spread_out(moving.points, TRIED))
    warp = Warp(marks, target - marks, np.full(len(marks), STEPS[0][0]))
    for stiffness, reach in STEPS:
        bent = warp(few.points)
        found = landing.nearest(few, bent)
        good = landing.good(few, found, bent, reach)
        chosen = np.flatnonzero(good)[spread_out(few.points[good], CONTROLS)]
        points = np.concatenate([marks, few.points[chosen]])
        goals = np.concatenate([target, found.points[chosen]])
        warp = Warp(points, goals - points, np.full(len(points), stiffness))
    bent = warp(moving.points)
    return bent, landing.nearest(moving, bent)


def _check_marks(apart: Float) -> None:
    likeness = float(np.sqrt(np.square(apart).mean()))
    if likeness > LIKENESS:
        raise BadFile(
            f"this FLAME's landmarks are no face like the head's: they are {1000 * likeness:.0f} mm apart, at most "
            f"{1000 * LIKENESS:.0f} are expected; is it a FLAME head in metres, +Y up?"
        )


def _opening(rig: BlendshapeRig) -> Float:
    """How far jawOpen carries each vertex (V,), 1 for what it carries most."""
    moved = np.linalg.norm(rig.deltas[rig.shapes.index("jawOpen")].astype(np.float64), axis=1)
    return moved / max(float(np.quantile(moved[moved > 0], 0.95)), 1e-12) if moved.any() else moved


def _skin_faces(rig: BlendshapeRig) -> NDArray[np.int64]:
    named = [number for number, material in enumerate(rig.mesh.materials) if material.name in SKIN]
    if named:
        return rig.mesh.faces[np.isin(rig.mesh.face_materials, named)].astype(np.int64)
    eyes = [column for column, joint in enumerate(rig.joints) if joint.name in ("leftEye", "rightEye")]
    eyeball = rig.skin[:, eyes].sum(axis=1) > 0.5
    return rig.mesh.faces[~eyeball[rig.mesh.faces].any(axis=1)].astype(np.int64)


def _vertex_normals(vertices: Float, faces: NDArray[np.int64]) -> Float:
    corners = vertices[faces]
    across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    summed = np.zeros_like(vertices)
    np.add.at(summed, faces, across[:, None])
    return summed / np.maximum(np.linalg.norm(summed, axis=1, keepdims=True), 1e-15)


Marks = dict[str, Float]


def rig_marks(rig: BlendshapeRig) -> Marks:
    """Named points of a rig at rest: its landmarks and the centres of its eyes."""
    marks = rig.landmarks
    assert marks is not None
    at = {
        "inner_upper_lip": marks.inner_upper_lip,
        "inner_lower_lip": marks.inner_lower_lip,
        "left_mouth_corner": marks.left_mouth_corner,
        "right_mouth_corner": marks.right_mouth_corner,
        **marks.extra,
    }
    points = {name: rig.mesh.vertices[vertex].astype(np.float64) for name, vertex in at.items()}
    eyes = {joint.name: np.array(joint.position) for joint in rig.joints if joint.name in ("leftEye", "rightEye")}
    return points | eyes


def flame_marks(flame: Flame) -> Marks:
    """The same names on a FLAME head: from the file's landmarks, or from what its joints and jaw tell."""
    template = np.asarray(flame.template, np.float64)
    centres = np.asarray(flame.regressor, np.float64) @ template
    eyes = {"leftEye": centres[3], "rightEye": centres[4]}
    marks = landmarks(flame)
    if marks is None:
        return eyes | _mouth(flame, eyes)
    at = {
        "inner_upper_lip": marks.inner_upper_lip,
        "inner_lower_lip": marks.inner_lower_lip,
        "left_mouth_corner": marks.left_mouth_corner,
        "right_mouth_corner": marks.right_mouth_corner,
        **marks.extra,
    }
    return eyes | {name: template[vertex] for name, vertex in at.items()}


def _mouth(flame: Flame, eyes: Marks) -> Marks:
    """Lips and nose without landmarks: where skin that the jaw carries touches skin that it does not is the mouth."""
    template = np.asarray(flame.template, np.float64)
    skin = flame.weights[:, 3:].sum(axis=1) < 0.5
    lower = np.flatnonzero(skin & (flame.weights[:, 2] > 0.7))
    upper = np.flatnonzero(skin & (flame.weights[:, 2] < 0.3))
    if not len(lower) or not len(upper):
        raise BadFile("this FLAME has neither landmarks nor a jaw that parts the lips, so it cannot be fitted")
    apart = np.linalg.norm(template[lower][:, None] - template[upper][None], axis=2)
    touching = apart.argmin(axis=1)
    # Half a millimetre more than the least gap, or four millimetres: lips of a template may stand a little open.
    near = np.flatnonzero(apart.min(axis=1) < max(0.004, float(apart.min()) + 0.0005))
    pairs = (template[lower[near]] + template[upper[touching[near]]]) / 2
    middle = (eyes["leftEye"] + eyes["rightEye"])[0] / 2
    centre = near[np.abs(pairs[:, 0] - middle).argmin()]
    between = np.abs(template[:, 0] - middle) < 0.008
    height = (template[:, 1] > pairs[:, 1].max()) & (template[:, 1] < eyes["leftEye"][1])
    nose = np.flatnonzero(between & height & skin)
    found = {
        "left_mouth_corner": pairs[pairs[:, 0].argmax()],
        "right_mouth_corner": pairs[pairs[:, 0].argmin()],
        "inner_lower_lip": template[lower[centre]],
        "inner_upper_lip": template[upper[touching[centre]]],
    }
    return found | ({"noseTip": template[nose[template[nose, 2].argmax()]]} if len(nose) else {})


def _common(flame: Marks, rig: Marks) -> tuple[Float, Float]:
    names = sorted(set(flame) & set(rig))
    if len(names) < 4:
        raise BadInput(f"a fit needs four points that both heads name, got {', '.join(names) or 'none'}")
    return np.stack([flame[name] for name in names]), np.stack([rig[name] for name in names])
