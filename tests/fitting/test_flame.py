"""A made FLAME, another person's face in FLAME's layout with known partners, fitted to the built-in head."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from artalk.channels import ARKIT, ARKIT_SHAPES, FLAME, FLAME112
from artalk.errors import BadFile, BadInput
from artalk.fitting import flame as fitting
from artalk.fitting.correspond import correspond, flame_marks
from artalk.motion import Motion
from artalk.retarget import flame as maps
from artalk.rigs import ict
from artalk.rigs.flame import build
from artalk.rigs.head import head
from tests.flames import JAW_TURN, flame_like, official, parts
from tests.shared import shared

FRONT = 0.06
"""Metres: the face without ears and neck, so that the tests are quick."""


@pytest.fixture(scope="module")
def fitted() -> fitting.Fit:
    return fitting.fit(flame_like(head(), front=FRONT), head())


@pytest.fixture(scope="module")
def solved(fitted: fitting.Fit) -> maps.FlameMap:
    return fitting.solve(fitted, "a made FLAME and head", "ab12")


def test_partners_are_the_same_places_on_both_faces(fitted: fitting.Fit) -> None:
    pairs = fitted.pairs
    _, kept = parts(head(), FRONT)
    at = head().mesh.vertices
    landed = (at[pairs.corners] * pairs.shares[..., None]).sum(axis=1)
    slid = np.linalg.norm(landed - at[kept[pairs.vertices]], axis=1)
    assert pairs.share > 0.95
    assert pairs.gap < 0.0005
    assert slid.mean() < 0.001
    # The lips touch, and yet none of one lands on the other.
    opening = head().deltas[head().shapes.index("jawOpen")]
    differs = np.linalg.norm(
        (opening[pairs.corners] * pairs.shares[..., None]).sum(1) - opening[kept[pairs.vertices]], axis=1
    )
    assert np.quantile(differs, 0.99) < 0.006


def test_landmarks_are_found_from_joints_and_jaw_where_a_file_has_none() -> None:
    marked, bare = (flame_marks(flame_like(head(), marks=marks, front=FRONT)) for marks in (True, False))
    for name in ("left_mouth_corner", "right_mouth_corner", "inner_upper_lip", "inner_lower_lip", "noseTip", "leftEye"):
        assert np.linalg.norm(marked[name] - bare[name]) < 0.012, name
    assert bare["left_mouth_corner"][0] > 0.01


def test_a_shape_becomes_what_made_it(fitted: fitting.Fit, solved: maps.FlameMap) -> None:
    jaw = solved.table[ARKIT_SHAPES.index("jawOpen"), -3:]
    np.testing.assert_allclose(jaw, [JAW_TURN, 0, 0], atol=0.06)
    assert np.abs(solved.table[:, :100]).max() <= 3
    moved, error = solved.shape_mm.T
    telling = [k for k, name in enumerate(ARKIT_SHAPES) if name not in maps.UNSEEN]
    assert (error[telling] < 0.25 * moved[telling]).all()
    assert error[ARKIT_SHAPES.index("mouthSmileLeft")] < 0.15


def test_the_errors_are_what_they_say(solved: maps.FlameMap) -> None:
    errors = solved.errors
    assert errors["to flame mm"] < 0.1 * errors["moved mm"]
    assert errors["to arkit mm"] < 0.5 * errors["moved by flame mm"]
    assert errors["round trip mm"] < 0.1
    assert errors["round trip weights"] < 0.02
    assert solved.model == "ab12"


def random_arkit() -> Motion:
    """Twelve frames that go from one random face to two others."""
    rng = np.random.default_rng(5)
    values = rng.uniform(0.2, 0.8, (3, len(ARKIT))) * (rng.random((3, len(ARKIT))) < 0.1)
    values[:, ARKIT.indices(maps.UNSEEN)] = 0
    values[:, ARKIT.index("eyeLookDownLeft")] = 0.5
    return replace(Motion(values.astype(np.float32), ARKIT, Fraction(5)).resample(20), start=2)


def test_a_round_trip_by_map_and_by_frame(fitted: fitting.Fit, solved: maps.FlameMap) -> None:
    motion = random_arkit()
    mapped = maps.to_arkit(maps.from_arkit(motion, solved, FLAME112), solved)
    framed = fitting.to_arkit(fitting.from_arkit(motion, fitted, FLAME112), fitted)
    for back in (mapped, framed):
        assert np.abs(back.values - motion.values).mean() < 0.02
        np.testing.assert_allclose(back.group("head"), motion.group("head"), atol=1e-6)
        assert (back.start, back.channels) == (2, ARKIT)


def test_frames_are_fitted_at_least_as_well_as_the_map_does(fitted: fitting.Fit, solved: maps.FlameMap) -> None:
    motion = random_arkit()
    wanted = np.tensordot(motion.values[:, :52].astype(np.float64), fitted.deltas, 1)

    def left(made: Motion) -> float:
        return float(np.linalg.norm(fitted.moves(maps.coefficients_of(made)) - wanted, axis=2).mean())

    by_frame = left(fitting.from_arkit(motion, fitted))
    assert by_frame <= left(maps.from_arkit(motion, solved)) + 2e-5
    assert by_frame < 0.15 * float(np.linalg.norm(wanted, axis=2).mean())


def test_part_of_a_model_moves_as_the_whole_does(fitted: fitting.Fit) -> None:
    rng = np.random.default_rng(0)
    coefficients = rng.normal(0, 0.3, (3, 103)).astype(np.float32)
    whole = fitted.model.pose(coefficients[:, :100], jaw=coefficients[:, 100:]).vertices - fitted.model.template
    np.testing.assert_allclose(fitted.moves(coefficients), whole[:, fitted.pairs.vertices], atol=2e-6)


def test_what_is_no_face_is_refused() -> None:
    with pytest.raises(BadFile, match="no face like the head's"):
        correspond(build(official(), "random"), head())
    made = flame_like(head(), front=FRONT)
    turned = replace(made, faces=made.faces[:, ::-1])
    with pytest.raises(BadFile, match="does not meet the head's: "):
        correspond(turned, head())
    with pytest.raises(BadInput, match="landmarks and jawOpen"):
        correspond(made, replace(head(), landmarks=None))
    still = replace(made, weights=np.eye(5, dtype=np.float32)[np.ones(len(made.weights), int)], landmarks={})
    with pytest.raises(BadFile, match="neither landmarks nor a jaw"):
        correspond(still, head())
    with pytest.raises(BadInput, match="arkit motion is wanted"):
        fitting.from_arkit(Motion(np.zeros((1, 106), np.float32), FLAME, Fraction(25)), None)  # pyright: ignore


@pytest.mark.slow
def test_another_topology_is_fitted_as_well() -> None:
    realistic = ict.load(shared("assets/ict_facekit_light.npz"))
    made = fitting.solve(fitting.fit(flame_like(realistic), head()))
    assert made.errors["to flame mm"] < 0.4 * made.errors["moved mm"]
    assert made.errors["round trip mm"] < 0.1
