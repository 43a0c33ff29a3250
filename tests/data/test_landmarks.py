import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from artalk import rotation
from artalk.data.landmarks import MEDIAPIPE68, MORE_OF_ICT, ict_face, laid, similarity
from artalk.rigs import ict
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
