import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from artalk import rotation
from artalk.data.landmarks import (
    BROWS,
    CHEEKS,
    CHIN,
    HEAD,
    LIPS,
    MEDIAPIPE68,
    MORE_OF_ICT,
    head_face,
    ict_face,
    laid,
    similarity,
)
from artalk.data.tracks import SOLVED
from artalk.rigs import ict
from artalk.rigs.head import build, head
from tests.shared import shared


@given(st.integers(0, 10**6), st.floats(0.2, 5.0), st.floats(0.0, 3.0))
@settings(deadline=None, max_examples=40)
def test_similarity_undoes_a_similarity(seed, scale, angle):
    rng = np.random.default_rng(seed)
    points = rng.standard_normal((12, 3))
    axis = rng.standard_normal(3)
    turn = rotation.rotvec_to_matrix(angle * axis / np.linalg.norm(axis))
    moved = scale * points @ turn.T + rng.standard_normal(3)
    again = laid(moved[None], *similarity(moved[None], points))[0]
    assert np.abs(again - points).max() < 1e-8


def test_a_mirror_image_is_not_turned_inside_out():
    points = np.random.default_rng(0).standard_normal((10, 3))
    _, turn, _ = similarity((points * [-1, 1, 1])[None], points)
    assert np.linalg.det(turn[0]) > 0.99


def test_landmarks_of_ict_lie_where_they_should():
    face = ict_face(ict.load(shared("assets/ict_facekit_light.npz")))
    assert len(face.numbers) == len(MEDIAPIPE68) + len(MORE_OF_ICT) == len(set(face.numbers.tolist()))
    left, right, chin, forehead = (face.points[k] for k in face.at(291, 61, 152, 107))
    assert left[0] > 0 > right[0]
    assert chin[1] < left[1] < forehead[1]
    jaw = face.deltas[face.shapes.index("jawOpen")]
    upper, lower = face.at(13, 14)
    assert jaw[lower, 1] < -0.02 < jaw[upper, 1]


def test_landmarks_of_the_built_in_head_lie_where_they_should():
    face, marks = head_face(), head().landmarks
    assert marks is not None
    assert set(face.numbers.tolist()) >= LIPS | BROWS | CHIN | CHEEKS | {33, 133, 362, 263}
    assert set(face.shapes) >= set(SOLVED)
    assert [HEAD[k] for k in (13, 14, 308, 78)] == [
        marks.inner_upper_lip,
        marks.inner_lower_lip,
        marks.left_mouth_corner,
        marks.right_mouth_corner,
    ]
    jaw = face.deltas[face.shapes.index("jawOpen")]
    assert jaw[face.at(14, 17, 152), 1].max() < -0.01
    assert abs(jaw[face.at(13, 0), 1]).max() < 0.005
    pucker = face.deltas[face.shapes.index("mouthPucker")]
    left, right = face.at(291, 61)
    assert pucker[left, 0] < -0.005 < 0.005 < pucker[right, 0]
    brow = face.deltas[face.shapes.index("browInnerUp")]
    assert brow[face.at(107, 336), 1].min() > 0.003


def test_landmarks_of_the_built_in_head_are_mirror_images():
    mirror = build().mirror
    sides = {61: 291, 39: 269, 181: 405, 91: 321, 82: 312, 88: 318, 105: 334, 55: 285, 205: 425, 33: 263, 234: 454}
    assert all(mirror[HEAD[right]] == HEAD[left] for right, left in sides.items())
    assert len(set(HEAD.values())) == len(HEAD)
    assert all(mirror[HEAD[k]] == HEAD[k] for k in (0, 4, 13, 14, 17, 152, 168))


def test_landmarks_of_both_faces_are_alike():
    ours, theirs = head_face(), ict_face(ict.load(shared("assets/ict_facekit_light.npz")))
    common = sorted(set(ours.numbers.tolist()) & set(theirs.numbers.tolist()))
    points, onto = (face.points[face.at(*common)] for face in (ours, theirs))
    apart = np.linalg.norm(laid(points[None], *similarity(points[None], onto))[0] - onto, axis=1)
    assert apart.mean() < 0.006
