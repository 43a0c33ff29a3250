"""The built-in head: what each shape moves, that lids and lips meet, and that nothing folds or cuts through."""

from dataclasses import dataclass

import numpy as np
import pytest

from artalk.channels import ARKIT, ARKIT_SHAPES
from artalk.rigs import head as package
from artalk.rigs.blendshape import BlendshapeRig
from artalk.rigs.head import HeadData, build, head
from artalk.rigs.head.cage import EYE_RADIUS

Weights = dict[str, float]
Array = np.ndarray


def both(name: str, weight: float) -> Weights:
    return {name + "Left": weight, name + "Right": weight}


@dataclass(eq=False)
class Built:
    """The head in mm, with what the skin knows of itself: rings of eye and mouth, spokes of the mouth."""

    data: HeadData
    rig: BlendshapeRig
    rest: Array
    deltas: Array
    parts: dict[str, slice]
    eye_ring: Array
    mouth_ring: Array
    mouth_spoke: Array

    def morph(self, weights: Weights) -> Array:
        moved = self.rest.copy()
        for name, weight in weights.items():
            moved += weight * self.deltas[ARKIT_SHAPES.index(name)]
        return moved

    def pose(self, weights: Weights) -> Array:
        values = np.zeros(len(ARKIT), np.float32)
        for name, weight in weights.items():
            values[ARKIT.index(name)] = weight
        return self.rig.pose(values).astype(float) * 1000

    def joint(self, name: str) -> Array:
        return 1000 * np.array(next(joint.position for joint in self.data.joints if joint.name == name))

    @property
    def skin(self) -> slice:
        return self.parts["skin"]


@pytest.fixture(scope="module")
def built() -> Built:
    pieces, skin, used = package.parts()
    ends = np.cumsum([len(part.points) for part in pieces])
    parts = {part.name: slice(int(end) - len(part.points), int(end)) for part, end in zip(pieces, ends, strict=True)}
    data = build()
    return Built(
        data,
        head(),
        data.mesh.vertices.astype(float) * 1000,
        data.shapes.astype(float) * 1000,
        parts,
        skin.eye_ring[used],
        skin.mouth_ring[used],
        skin.mouth_spoke[used],
    )


# What is there


def test_it_is_a_head_of_human_size_with_all_shapes(built: Built) -> None:
    mesh = built.data.mesh
    count = len(mesh.vertices)
    assert 8_000 <= count <= 15_000
    assert built.data.shapes.shape == (52, count, 3)
    assert built.rig.shapes == ARKIT_SHAPES
    assert np.isfinite(mesh.vertices).all()
    assert np.isfinite(built.data.shapes).all()
    assert mesh.faces.min() >= 0
    assert mesh.faces.max() < count
    assert (built.deltas != 0).any(axis=(1, 2)).all()
    assert 0.13 < np.ptp(mesh.vertices[built.skin, 0][mesh.vertices[built.skin, 1] > -0.05]) < 0.17


def test_two_builds_are_the_same(built: Built) -> None:
    again = build()
    np.testing.assert_array_equal(again.mesh.vertices, built.data.mesh.vertices)
    np.testing.assert_array_equal(again.shapes, built.data.shapes)
    np.testing.assert_array_equal(again.mesh.colors, built.data.mesh.colors)


def test_skin_weights_sum_to_one_and_joints_stand_after_their_parents(built: Built) -> None:
    np.testing.assert_allclose(built.data.skin.sum(axis=1), 1, atol=1e-6)
    assert built.data.skin.min() >= 0
    known: set[str | None] = {None}
    for joint in built.data.joints:
        assert joint.parent in known
        known.add(joint.name)
    assert {"neck", "head", "jaw", "leftEye", "rightEye"} <= known
    jaw = [joint.name for joint in built.data.joints].index("jaw")
    assert not built.data.skin[:, jaw].any(), "the jaw moves by shapes alone"


def test_landmarks_lie_where_they_say(built: Built) -> None:
    marks, p = built.data.landmarks, built.rest
    assert np.linalg.norm(p[marks.inner_upper_lip] - p[marks.inner_lower_lip]) < 0.3
    assert p[marks.left_mouth_corner, 0] > 15
    np.testing.assert_array_equal(p[marks.right_mouth_corner] * [-1, 1, 1], p[marks.left_mouth_corner])
    extra = marks.extra
    assert p[extra["noseTip"], 2] > p[marks.inner_upper_lip, 2]
    assert p[extra["chin"], 1] < p[marks.inner_lower_lip, 1] - 20
    assert p[extra["leftUpperLid"], 1] > p[extra["leftLowerLid"], 1] + 8
    assert p[extra["leftInnerBrow"], 1] > p[extra["leftUpperLid"], 1]


# Left and right


def test_the_mirror_map_is_an_involution_that_reflects_the_mesh(built: Built) -> None:
    mirror = built.data.mirror
    np.testing.assert_array_equal(mirror[mirror], np.arange(len(mirror)))
    np.testing.assert_allclose(built.rest[mirror] * [-1, 1, 1], built.rest, atol=1e-4)
    np.testing.assert_array_equal(built.rest[built.skin][mirror[built.skin]] * [-1, 1, 1], built.rest[built.skin])


@pytest.mark.parametrize("name", ARKIT_SHAPES)
def test_shapes_mirror_exactly(built: Built, name: str) -> None:
    other = name
    if name.endswith("Left"):
        other = name.removesuffix("Left") + "Right"
    elif name.endswith("Right"):
        other = name.removesuffix("Right") + "Left"
    mine, theirs = (built.data.shapes[ARKIT_SHAPES.index(n)] for n in (name, other))
    np.testing.assert_array_equal(mine[built.data.mirror] * np.array([-1, 1, 1], np.float32), theirs)


# Each shape moves its own region in its own direction and nothing else

EYE = ((8, -35, 40), (62, 42, 110))
MOUTH = ((-75, -125, 0), (75, -25, 130))
LEFT_MOUTH = ((-14, -125, 0), (75, 5, 130))
BROW = ((-45, -4, 20), (75, 95, 115))

REGIONS: dict[str, tuple[tuple[tuple[int, int, int], tuple[int, int, int]], Array, tuple[float, float]]] = {
    "eyeBlinkLeft": (EYE, np.array([0, -1, 0]), (9, 16)),
    "eyeLookDownLeft": (EYE, np.array([0, -1, 0]), (4, 9)),
    "eyeLookInLeft": (EYE, np.array([-1, 0, 0]), (0.8, 3)),
    "eyeLookOutLeft": (EYE, np.array([1, 0, 0]), (0.8, 3)),
    "eyeLookUpLeft": (EYE, np.array([0, 1, 0]), (1.5, 4.5)),
    "eyeSquintLeft": (EYE, np.array([0, 1, 0.5]), (2, 5)),
    "eyeWideLeft": (EYE, np.array([0, 1, 0]), (2, 5)),
    "jawForward": (((-75, -170, -30), (75, 0, 130)), np.array([0, 0, 1]), (6, 12)),
    "jawLeft": (((-75, -170, -30), (75, 0, 130)), np.array([1, 0, 0]), (6, 12)),
    "jawOpen": (((-75, -170, -30), (75, 0, 130)), np.array([0, -1, -1]), (36, 50)),
    "mouthClose": (MOUTH, np.array([0, 1, 0.5]), (25, 42)),
    "mouthFunnel": (MOUTH, np.array([0, 0, 1]), (9, 17)),
    "mouthPucker": (MOUTH, np.array([0, 0, 1]), (9, 18)),
    "mouthLeft": (MOUTH, np.array([1, 0, 0]), (8, 19)),
    "mouthSmileLeft": (LEFT_MOUTH, np.array([0.6, 0.8, 0]), (10, 17)),
    "mouthFrownLeft": (LEFT_MOUTH, np.array([0, -1, 0]), (4, 8)),
    "mouthDimpleLeft": (LEFT_MOUTH, np.array([0.7, 0.2, -0.7]), (5, 9)),
    "mouthStretchLeft": (LEFT_MOUTH, np.array([0.8, -0.2, -0.6]), (8, 12)),
    "mouthRollLower": (MOUTH, np.array([0, 0, -1]), (5, 15)),
    "mouthRollUpper": (MOUTH, np.array([0, 0, -1]), (5, 12)),
    "mouthShrugLower": (MOUTH, np.array([0, 1, 0]), (5, 12)),
    "mouthShrugUpper": (MOUTH, np.array([0, 1, 0]), (4, 8)),
    "mouthPressLeft": (LEFT_MOUTH, np.array([0, 0, -1]), (2, 5)),
    "mouthLowerDownLeft": (LEFT_MOUTH, np.array([0, -1, 0]), (4, 8)),
    "mouthUpperUpLeft": (LEFT_MOUTH, np.array([0, 1, 0]), (5, 9)),
    "browDownLeft": (BROW, np.array([0, -1, 0]), (4, 9)),
    "browInnerUp": (BROW, np.array([0, 1, 0]), (5, 9)),
    "browOuterUpLeft": (BROW, np.array([0, 1, 0]), (5, 9)),
    "cheekPuff": (((-80, -115, -25), (80, -5, 125)), np.array([0, 0, 1]), (8, 15)),
    "cheekSquintLeft": (((5, -75, 20), (80, 5, 115)), np.array([0, 1, 0.3]), (3, 7)),
    "noseSneerLeft": (((-12, -75, 50), (50, 18, 125)), np.array([0, 1, 0]), (4, 11)),
    "tongueOut": (MOUTH, np.array([0, 0, 1]), (30, 60)),
}
"""Box (mm) outside which a shape moves nothing, direction it moves on average, and how far at the most (mm)."""


def test_the_table_of_regions_is_complete() -> None:
    rights = {name.removesuffix("Left") + "Right" for name in REGIONS if name.endswith("Left")}
    assert set(REGIONS) | rights == set(ARKIT_SHAPES)


@pytest.mark.parametrize("name", REGIONS)
def test_a_shape_moves_its_own_region_in_its_own_direction(built: Built, name: str) -> None:
    (low, high), direction, (least, most) = REGIONS[name]
    moved = built.deltas[ARKIT_SHAPES.index(name)]
    if name.startswith("brow"):
        box = ((low[0] if name == "browInnerUp" else -6), *low[1:])
        low = (-75, *low[1:]) if name == "browInnerUp" else box
    p = built.rest
    size = np.linalg.norm(moved, axis=1)
    outside = (p < np.array(low)).any(axis=1) | (p > np.array(high)).any(axis=1)
    if name.startswith("jaw") or name == "mouthClose" or name == "tongueOut":
        outside[built.parts["lowerTeeth"]] = outside[built.parts["tongue"]] = False
    assert size[outside].max() < 0.25, f"moves {p[outside][size[outside].argmax()]}"
    mean = moved[size > 0.3].sum(axis=0)
    assert mean @ direction > 0.6 * np.linalg.norm(mean) * np.linalg.norm(direction)
    assert least < size[built.skin].max() < most or name == "tongueOut"
    assert least < size.max() < most


STILL = {
    "jawOpen": ("upperTeeth", "eyeLeft", "eyeRight", "browLeft", "lashesLeft", "hair", "shirt"),
    "mouthClose": ("upperTeeth", "lowerTeeth", "tongue", "eyeLeft", "browLeft", "hair"),
    "eyeBlinkLeft": ("eyeLeft", "eyeRight", "lashesRight", "browRight", "upperTeeth", "tongue"),
    "browInnerUp": ("eyeLeft", "lashesLeft", "upperTeeth", "hair"),
    "cheekPuff": ("eyeLeft", "lashesLeft", "browLeft", "upperTeeth", "tongue"),
    "tongueOut": ("upperTeeth", "lowerTeeth", "browLeft", "eyeLeft"),
}


@pytest.mark.parametrize("name", STILL)
def test_a_shape_leaves_other_parts_still(built: Built, name: str) -> None:
    for part in STILL[name]:
        assert np.abs(built.deltas[ARKIT_SHAPES.index(name), built.parts[part]]).max() < 0.05, part


def test_a_wink_leaves_the_other_eye_still(built: Built) -> None:
    right = built.rest[:, 0] < 0
    assert not built.deltas[ARKIT_SHAPES.index("eyeBlinkLeft"), right].any()


def test_brows_and_lashes_go_with_the_skin(built: Built) -> None:
    raised = built.deltas[ARKIT_SHAPES.index("browInnerUp"), built.parts["browLeft"], 1]
    lowered = built.deltas[ARKIT_SHAPES.index("browDownLeft"), built.parts["browLeft"], 1]
    inner = built.rest[built.parts["browLeft"], 0] < 25
    assert raised[inner].min() > 2
    assert lowered[inner].max() < -2
    assert built.deltas[ARKIT_SHAPES.index("eyeBlinkLeft"), built.parts["lashesLeft"], 1].min() < -7


# Jaw and mouth


def gap(built: Built, vertices: Array) -> float:
    marks = built.data.landmarks
    return float(np.linalg.norm(vertices[marks.inner_upper_lip] - vertices[marks.inner_lower_lip]))


def test_the_lips_part_evenly_with_the_jaw(built: Built) -> None:
    gaps = [gap(built, built.morph({"jawOpen": w})) for w in np.linspace(0, 1, 11)]
    assert (np.diff(gaps) > 2).all()
    assert 35 < gaps[-1] < 42


def test_teeth_and_tongue_turn_rigidly_with_the_jaw(built: Built) -> None:
    teeth = built.parts["lowerTeeth"]
    at = np.arange(teeth.start, teeth.stop, 23)
    opened = built.morph({"jawOpen": 1})

    def lengths(p: Array) -> Array:
        return np.linalg.norm(p[at][:, None] - p[at][None], axis=2)

    np.testing.assert_allclose(lengths(opened), lengths(built.rest), atol=1e-3)
    assert np.linalg.norm(opened[at] - built.rest[at], axis=1).min() > 15


def seam(built: Built) -> tuple[Array, Array]:
    """The line where the lips touch: vertices of the upper lip, and for each the one of the lower lip under it."""
    line = np.flatnonzero(np.isclose(built.mouth_ring, 4))
    side = np.sign(np.round(built.rest[line, 0], 6))
    number = {(float(built.mouth_spoke[v]), float(s)): int(v) for v, s in zip(line, side, strict=True)}
    upper = [key for key in number if key[0] < 4]
    assert len(upper) > 20
    return np.array([number[key] for key in upper]), np.array([number[8 - key[0], key[1]] for key in upper])


CLOSED: dict[str, Weights] = {
    "rest": {},
    **{f"close {w:.2f}": {"jawOpen": w, "mouthClose": w} for w in np.linspace(0.1, 1, 10)},
    "pucker": {"mouthPucker": 1},
    "smile": both("mouthSmile", 1),
    "one smile": {"mouthSmileLeft": 1},
    "aside": {"mouthRight": 1},
    "puffed": {"cheekPuff": 1},
    "m": {**both("mouthPress", 0.6), "jawOpen": 0.1, "mouthClose": 0.1},
    "stretch": both("mouthStretch", 1),
    "frown": both("mouthFrown", 1),
}


@pytest.mark.parametrize("mix", CLOSED)
def test_the_lips_seal(built: Built, mix: str) -> None:
    upper, lower = seam(built)
    moved = built.morph(CLOSED[mix])
    assert np.linalg.norm(moved[upper] - moved[lower], axis=1).max() < 0.5


@pytest.mark.parametrize("name", ["mouthRollLower", "mouthRollUpper", "mouthShrugLower", "mouthShrugUpper"])
def test_rolled_and_shrugged_lips_show_no_slit(built: Built, name: str) -> None:
    upper, lower = seam(built)
    moved = built.morph({name: 1})
    assert np.abs(moved[upper, 1] - moved[lower, 1]).max() < 0.5


def depth_in_teeth(built: Built, vertices: Array, teeth: str) -> float:
    """How deep (mm) the outside of the lips lies behind the front of an arch of teeth, seen from the arch's middle."""
    lips = np.flatnonzero((built.mouth_ring > 1.9) & (built.mouth_ring < 4.1))
    tooth, lip = vertices[built.parts[teeth]].copy(), vertices[lips].copy()
    middle = tooth[:, 2].min()
    across = np.arctan2(tooth[:, 0], tooth[:, 2] - middle)
    here = np.arctan2(lip[:, 0], lip[:, 2] - middle)
    reach = np.hypot(tooth[:, 0], tooth[:, 2] - middle)
    near = (np.abs(across[None] - here[:, None]) < 0.06) & (np.abs(tooth[None, :, 1] - lip[:, None, 1]) < 1.2)
    front = np.where(near, reach[None], -np.inf).max(axis=1)
    return float((front - np.hypot(lip[:, 0], lip[:, 2] - middle)).max())


MIXES: dict[str, Weights] = {
    "rest": {},
    "ah": {"jawOpen": 0.5, **both("mouthLowerDown", 0.2)},
    "wide open": {"jawOpen": 1},
    "upper teeth": {"jawOpen": 0.3, **both("mouthUpperUp", 0.5)},
    "smile": both("mouthSmile", 1),
    "open smile": {"jawOpen": 0.3, **both("mouthSmile", 1)},
    "funnel": {"jawOpen": 0.3, "mouthFunnel": 0.5},
    "pucker": {"mouthPucker": 0.7},
    "m": {**both("mouthPress", 0.6), "mouthRollLower": 0.3, "mouthRollUpper": 0.3},
    "f": {"mouthRollLower": 0.6, **both("mouthUpperUp", 0.3)},
    "rolled in": {"mouthRollLower": 1, "mouthRollUpper": 1},
    "pressed": both("mouthPress", 1),
    "stretch": {**both("mouthStretch", 0.8), "jawOpen": 0.1},
    "dimples": both("mouthDimple", 1),
    "aside": {"mouthLeft": 1},
    "jaw aside": {"jawRight": 1},
    "jaw forward": {"jawForward": 1},
    "closed over the jaw": {"jawOpen": 0.3, "mouthClose": 0.3},
    "lower teeth": both("mouthLowerDown", 1),
}


@pytest.mark.parametrize("mix", MIXES)
def test_no_lip_goes_through_the_teeth(built: Built, mix: str) -> None:
    moved = built.morph(MIXES[mix])
    for teeth in ("upperTeeth", "lowerTeeth"):
        assert depth_in_teeth(built, moved, teeth) < 0.3


def test_the_measure_of_teeth_catches_a_lip_pushed_in(built: Built) -> None:
    pushed = built.rest.copy()
    pushed[built.skin][built.mouth_ring > 1] -= [0, 0, 9]
    assert depth_in_teeth(built, pushed, "upperTeeth") > 1


def test_the_tongue_comes_out_over_the_lip(built: Built) -> None:
    moved = built.morph({"tongueOut": 1, "jawOpen": 0.3})
    lips = moved[built.skin][(built.mouth_ring > 1.9) & (built.mouth_ring < 4.3) & (built.mouth_spoke > 6)]
    tongue = moved[built.parts["tongue"]]
    assert 20 < tongue[:, 2].max() - lips[:, 2].max() < 32
    over = tongue[(np.abs(tongue[:, 0]) < 8) & (np.abs(tongue[:, 2] - lips[:, 2].max()) < 4)]
    assert over[:, 1].min() > lips[:, 1].max() - 1.0
    tip = tongue[tongue[:, 2] > tongue[:, 2].max() - 2]
    assert tip[:, 1].mean() < over[:, 1].mean()


def test_half_out_the_tongue_lies_on_the_lip_rather_than_in_it(built: Built) -> None:
    moved = built.morph({"tongueOut": 0.5, "jawOpen": 0.3})
    lip = moved[built.skin][np.isclose(built.mouth_ring, 4) & np.isclose(built.mouth_spoke, 8)][0]
    tongue = moved[built.parts["tongue"]]
    over = tongue[(np.abs(tongue[:, 0]) < 8) & (np.abs(tongue[:, 2] - lip[2]) < 5)]
    assert len(over) > 4
    assert over[:, 1].max() > lip[1]
    assert over[:, 1].min() > lip[1] - 3.5


def test_the_lower_teeth_show_over_the_lip_with_the_tongue_behind_them(built: Built) -> None:
    lip = built.rest[built.data.landmarks.inner_lower_lip]
    teeth, tongue = built.rest[built.parts["lowerTeeth"]], built.rest[built.parts["tongue"]]
    front = teeth[np.abs(teeth[:, 0]) < 6]
    assert 0 < front[:, 1].max() - lip[1] < 3
    tip = tongue[tongue[:, 2].argmax()]
    assert 2 < front[:, 2].max() - tip[2] < 12
    assert tip[1] < front[:, 1].max()
    assert tongue[:, 1].max() > front[:, 1].max(), "its back is seen over the teeth"


def test_the_mouth_is_a_warm_red_that_darkens_towards_the_throat(built: Built) -> None:
    mesh = built.data.mesh
    names = [material.name for material in mesh.materials]
    base = np.array(mesh.materials[names.index("mouth")].color)
    color = mesh.colors[built.skin] * base
    means = [color[np.isclose(built.mouth_ring, ring)].mean(axis=0) for ring in (5, 6, 7, 8)]
    assert (np.diff([mean[0] for mean in means]) < 0).all()
    for red, green, blue in means:
        assert 0.05 < red < 0.6
        assert red > 2.5 * max(green, blue)
    for name in ("mouth", "teeth", "gums", "tongue"):
        assert mesh.materials[names.index(name)].inside


# Eyes

LIDS = [0.0, 0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875, 1.0]


def over_eyeball(built: Built, vertices: Array, least_ring: float) -> float:
    """The least height (mm) of the left lids' surface over the eyeball, posed with its cornea."""
    near = (built.eye_ring >= least_ring - 1e-6) & (built.eye_ring < 5) & (built.rest[built.skin, 0] > 0)
    centre = built.joint("leftEye")
    ball = vertices[built.parts["eyeLeft"]] - centre
    lids = vertices[built.skin][near] - centre
    way = lids / np.linalg.norm(lids, axis=1, keepdims=True)
    reach = np.linalg.norm(ball, axis=1)
    # The surface under a lid's vertex: the furthest of the eyeball's vertices in nearly its direction.
    under = np.where(way @ (ball / reach[:, None]).T > np.cos(0.14), reach[None], 0).max(axis=1)
    return float((np.linalg.norm(lids, axis=1) - under).min())


@pytest.mark.parametrize("weight", LIDS)
def test_no_eyeball_pokes_through_a_blink(built: Built, weight: float) -> None:
    closing = built.pose({"eyeBlinkLeft": weight})
    assert over_eyeball(built, closing, 2) > 0.5
    near = np.flatnonzero((np.isclose(built.eye_ring, 1)) & (built.rest[built.skin, 0] > 0))
    centre, radius = built.joint("leftEye"), EYE_RADIUS
    assert np.linalg.norm(closing[near] - centre, axis=1).min() > radius


GAZES: dict[str, Weights] = {
    "down": {"eyeLookDownLeft": 1},
    "up": {"eyeLookUpLeft": 1},
    "in": {"eyeLookInLeft": 1},
    "out": {"eyeLookOutLeft": 1},
    "down and out": {"eyeLookDownLeft": 0.7, "eyeLookOutLeft": 0.7},
    "wide": {"eyeWideLeft": 1},
    "squint": {"eyeSquintLeft": 1, "cheekSquintLeft": 1},
    "up, half closed": {"eyeLookUpLeft": 0.6, "eyeBlinkLeft": 0.5},
    "down, closed": {"eyeLookDownLeft": 0.8, "eyeBlinkLeft": 1},
    "up, closed": {"eyeLookUpLeft": 0.8, "eyeBlinkLeft": 1},
    "in, closed": {"eyeLookInLeft": 1, "eyeBlinkLeft": 1},
    "wide, closed": {"eyeWideLeft": 0.5, "eyeBlinkLeft": 1},
}


@pytest.mark.parametrize("mix", GAZES)
def test_no_eyeball_pokes_through_the_lids_of_a_gaze(built: Built, mix: str) -> None:
    assert over_eyeball(built, built.pose(GAZES[mix]), 2) > 0.1


def slit(built: Built, vertices: Array, side: float) -> Array:
    """The height (mm) of the open slit between the lid margins, at places across the eye; below 0 they overlap."""
    edge = np.flatnonzero(np.isclose(built.eye_ring, 2) & (built.rest[built.skin, 0] * side > 0))
    order = edge[np.argsort(np.abs(built.rest[edge, 0]))]
    ends = built.rest[order[[0, -1]]]
    line = np.interp(np.abs(built.rest[order, 0]), np.abs(ends[:, 0]), ends[:, 1])
    upper = order[built.rest[order, 1] >= line - 1e-9]
    lower = order[built.rest[order, 1] <= line + 1e-9]
    x = np.linspace(*np.abs(ends[:, 0]), 60)
    over, under = (np.interp(x, np.abs(vertices[lid, 0]), vertices[lid, 1]) for lid in (upper, lower))
    return over - under


def test_the_lids_meet_at_a_blink(built: Built) -> None:
    assert slit(built, built.rest, 1).max() > 9
    closed = built.morph(both("eyeBlink", 1))
    for side in (1, -1):
        assert np.abs(slit(built, closed, side)).max() < 0.3
    heights = [slit(built, built.morph({"eyeBlinkLeft": w}), 1).max() for w in LIDS]
    assert (np.diff(heights) < 0).all()


def test_the_upper_lid_does_most_of_a_blink(built: Built) -> None:
    extra = built.data.landmarks.extra
    moved = built.deltas[ARKIT_SHAPES.index("eyeBlinkLeft"), :, 1]
    upper, lower = -moved[extra["leftUpperLid"]], moved[extra["leftLowerLid"]]
    assert 0.8 < upper / (upper + lower) < 0.95


def test_lids_follow_the_gaze(built: Built) -> None:
    extra = built.data.landmarks.extra
    for name, least, most in (("eyeLookUpLeft", 1.5, 3.5), ("eyeLookDownLeft", -8, -4), ("eyeWideLeft", 2, 4)):
        assert least < built.deltas[ARKIT_SHAPES.index(name), extra["leftUpperLid"], 1] < most
    for name, sign in (("eyeLookInLeft", -1), ("eyeLookOutLeft", 1)):
        assert sign * built.deltas[ARKIT_SHAPES.index(name), extra["leftUpperLid"], 0] > 0.5


def test_the_eyes_rest_on_a_viewer(built: Built) -> None:
    ball = built.rest[built.parts["eyeLeft"]] - built.joint("leftEye")
    pupil = ball[np.linalg.norm(ball, axis=1).argmax()]
    inwards = np.degrees(np.arctan2(-pupil[0], pupil[2]))
    assert 1 < inwards < 2
    assert abs(pupil[1]) < 0.01


def test_eye_joints_turn_only_their_eyeball(built: Built) -> None:
    looking = {"eyeLookInLeft": 1.0, "eyeLookDownLeft": 0.5}
    turned = np.abs(built.pose(looking) - built.morph(looking)).max(axis=1)
    moved = np.zeros(len(turned), bool)
    moved[built.parts["eyeLeft"]] = True
    assert turned[moved].max() > 5
    assert turned[~moved].max() < 1e-3


# Folds


def visible_edges(built: Built) -> tuple[Array, Array, Array]:
    """Visible skin triangles (F, 3), and pairs of them that share an edge.

    Left out are what lies behind the line of the lips and inside the lids, where surfaces touch by design, and slivers
    at the corners of eyes and mouth.
    """
    mesh = built.data.mesh
    names = [material.name for material in mesh.materials]
    faces = mesh.faces[np.isin(mesh.face_materials, [names.index("skin"), names.index("lips")])]
    faces = faces[(faces < built.skin.stop).all(axis=1)]
    hidden = (built.mouth_ring > 3.99) | (built.eye_ring < 1.99)
    faces = faces[~hidden[faces].any(axis=1) & (areas(built.rest, faces) > 0.15)]
    edges = np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), axis=1)
    triangle = np.tile(np.arange(len(faces)), 3)
    key = edges[:, 0].astype(np.int64) * len(mesh.vertices) + edges[:, 1]
    order = np.argsort(key, kind="stable")
    shared = np.flatnonzero(np.diff(key[order]) == 0)
    return faces, triangle[order[shared]], triangle[order[shared + 1]]


def normals(vertices: Array, faces: Array) -> Array:
    return np.cross(vertices[faces[:, 1]] - vertices[faces[:, 0]], vertices[faces[:, 2]] - vertices[faces[:, 0]])


def areas(vertices: Array, faces: Array) -> Array:
    return np.linalg.norm(normals(vertices, faces), axis=1) / 2


def folds(built: Built, vertices: Array) -> tuple[int, int]:
    """How many edges are bent back on themselves (over 143 degrees, not so at rest), how many triangles collapsed."""
    faces, one, other = visible_edges(built)

    def bend(p: Array) -> Array:
        unit = normals(p, faces)
        unit /= np.maximum(np.linalg.norm(unit, axis=1, keepdims=True), 1e-9)
        return (unit[one] * unit[other]).sum(axis=1)

    bent = (bend(vertices) < -0.8) & (bend(built.rest) > -0.3)
    collapsed = areas(vertices, faces) < 0.03 * areas(built.rest, faces)
    return int(bent.sum()), int(collapsed.sum())


ALONE = {"mouthClose": {"jawOpen": 1.0, "mouthClose": 1.0}}
"""mouthClose takes back what jawOpen opens; by itself it pushes the lips through each other."""


@pytest.mark.parametrize("name", [name for name in ARKIT_SHAPES if not name.endswith("Right")])
def test_no_shape_folds_the_skin(built: Built, name: str) -> None:
    assert folds(built, built.morph(ALONE.get(name, {name: 1.0}))) == (0, 0)


@pytest.mark.parametrize("mix", MIXES)
def test_no_mix_folds_the_skin(built: Built, mix: str) -> None:
    assert folds(built, built.morph(MIXES[mix])) == (0, 0)


def test_the_measure_of_folds_catches_one(built: Built) -> None:
    p = built.rest.copy()
    cheek = np.linalg.norm(p - p[built.data.landmarks.extra["leftCheek"]], axis=1)
    p[cheek < 6] -= [14, 0, 0]
    assert folds(built, p)[0] > 3
    flat = built.rest.copy()
    flat[cheek < 6] = flat[built.data.landmarks.extra["leftCheek"]]
    assert folds(built, flat)[1] > 3


# The neck


@pytest.mark.parametrize("axis", ["headX", "headY", "headZ"])
@pytest.mark.parametrize("degrees", [-15, 15])
def test_a_turn_of_the_head_does_not_tear_the_neck(built: Built, axis: str, degrees: int) -> None:
    turned = built.pose({axis: np.radians(degrees)})
    faces = visible_edges(built)[0]
    neck = faces[(built.rest[faces, 1] < -95).all(axis=1)]

    def edges(p: Array) -> Array:
        corners = p[neck]
        return np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2)

    stretch = edges(turned) / edges(built.rest)
    assert len(neck) > 200
    assert stretch.min() > 0.5
    assert stretch.max() < 1.6
    assert folds(built, turned) == (0, 0)
    edge = lower_border(built, faces)
    assert np.linalg.norm(turned - built.rest, axis=1)[edge].max() < 5, "it comes out of the collar"
    np.testing.assert_array_equal(turned[built.parts["shirt"]], built.rest[built.parts["shirt"]])


def lower_border(built: Built, faces: Array) -> Array:
    """The vertices where the neck ends, inside the shirt."""
    edges = np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), axis=1)
    edges, uses = np.unique(edges, axis=0, return_counts=True)
    border = np.unique(edges[uses == 1])
    low = border[built.rest[border, 1] < built.rest[built.parts["shirt"], 1].max() - 5]
    assert len(low) > 20
    return low


def test_only_sheets_are_drawn_from_both_sides() -> None:
    """Backs cost half of the drawing; a closed part needs none."""
    double = {material.name for material in head().mesh.materials if material.double_sided}
    assert double == {"lashes", "shirt"}
