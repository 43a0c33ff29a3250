import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from artalk import rotation

angles = st.floats(-3.0, 3.0, allow_subnormal=False)
rotvecs = arrays(np.float64, (4, 3), elements=st.floats(-1.7, 1.7, allow_subnormal=False))


@given(rotvecs)
def test_every_representation_returns(rotvec):
    quat = rotation.rotvec_to_quat(rotvec)
    np.testing.assert_allclose(np.linalg.norm(quat, axis=-1), 1, atol=1e-12)
    np.testing.assert_allclose(rotation.quat_to_rotvec(quat), rotvec, atol=1e-9)
    np.testing.assert_allclose(rotation.matrix_to_rotvec(rotation.rotvec_to_matrix(rotvec)), rotvec, atol=1e-7)


@given(rotvecs, rotvecs)
def test_product_of_quaternions_is_product_of_matrices(a, b):
    qa, qb = rotation.rotvec_to_quat(a), rotation.rotvec_to_quat(b)
    product = rotation.quat_to_matrix(rotation.quat_multiply(qa, qb))
    np.testing.assert_allclose(product, rotation.quat_to_matrix(qa) @ rotation.quat_to_matrix(qb), atol=1e-12)
    one = rotation.quat_multiply(qa, rotation.quat_conjugate(qa))
    np.testing.assert_allclose(one, np.broadcast_to([0, 0, 0, 1], one.shape), atol=1e-12)


@given(st.floats(-1.5, 1.5), angles, angles)
def test_euler_returns(pitch, yaw, roll):
    back = rotation.quat_to_euler(rotation.euler_to_quat(pitch, yaw, roll))
    np.testing.assert_allclose(back, [pitch, yaw, roll], atol=1e-6)


def test_euler_at_the_pole_is_a_valid_rotation():
    quat = rotation.euler_to_quat(np.pi / 2, 0.3, 0.2)
    again = rotation.euler_to_quat(*rotation.quat_to_euler(quat))
    np.testing.assert_allclose(rotation.quat_to_matrix(again), rotation.quat_to_matrix(quat), atol=1e-6)


def test_signs_are_those_of_the_documented_head():
    ahead = np.array([0.0, 0.0, 1.0])
    assert (rotation.rotvec_to_matrix([0.3, 0, 0]) @ ahead)[1] < 0  # +X nods down
    assert (rotation.rotvec_to_matrix([0, 0.3, 0]) @ ahead)[0] > 0  # +Y turns to the subject's left
    assert (rotation.rotvec_to_matrix([0, 0, 0.3]) @ [0.0, 1.0, 0.0])[0] < 0  # +Z tilts to the subject's right


@given(rotvecs, rotvecs)
def test_slerp_meets_its_ends_and_turns_evenly(a, b):
    qa, qb = rotation.rotvec_to_quat(a), rotation.rotvec_to_quat(b)

    def angle(p, q):
        return np.linalg.norm(rotation.quat_to_rotvec(rotation.quat_multiply(rotation.quat_conjugate(p), q)), axis=-1)

    share = np.full(len(a), 0.25)
    quarter = rotation.slerp(qa, qb, share)
    np.testing.assert_allclose(angle(rotation.slerp(qa, qb, share * 0), qa), 0, atol=1e-7)
    np.testing.assert_allclose(angle(rotation.slerp(qa, qb, share * 4), qb), 0, atol=1e-7)
    np.testing.assert_allclose(angle(qa, quarter), angle(qa, qb) / 4, atol=1e-7)


@pytest.mark.parametrize("angle", [0.0, 1e-12, 1e-7, 1e-3, np.pi - 1e-6, np.pi])
def test_small_and_half_turns(angle):
    rotvec = np.array([0.0, angle, 0.0])
    np.testing.assert_allclose(np.abs(rotation.quat_to_rotvec(rotation.rotvec_to_quat(rotvec))), rotvec, atol=1e-12)
    assert np.isfinite(rotation.matrix_to_rotvec(rotation.rotvec_to_matrix(rotvec))).all()
