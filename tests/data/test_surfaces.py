"""Vertices back to the weights that moved them, on a head whose shapes are known."""

from fractions import Fraction

import numpy as np
import pytest

from artalk import rotation
from artalk.captures import Surface
from artalk.channels import ARKIT
from artalk.data.surfaces import solve
from artalk.errors import BadInput
from artalk.rigs.head import head


def talking(frames=12):
    """Weights of speech: jaw, lips and lids."""
    values = np.zeros((frames, len(ARKIT)), np.float32)
    time = np.arange(frames)
    values[:, ARKIT.index("jawOpen")] = 0.3 + 0.3 * np.sin(time)
    values[:, ARKIT.index("mouthFunnel")] = 0.2 + 0.2 * np.cos(time)
    values[:, ARKIT.indices(("mouthSmileLeft", "mouthSmileRight"))] = 0.3
    values[3:6, ARKIT.indices(("eyeBlinkLeft", "eyeBlinkRight"))] = 1.0
    return values


def posed(values, turn=None):
    rig = head()
    frames = np.stack([rig.morph(row) for row in values])
    if turn is not None:
        frames = np.einsum("tij,tvj->tvi", rotation.rotvec_to_matrix(turn), frames)
    return Surface(frames.astype(np.float32), rig.mesh.vertices, Fraction(60))


def test_weights_come_back_within_a_tenth_of_a_millimetre_of_skin():
    rig, values = head(), talking()
    capture = solve(posed(values), rig.shapes, rig.deltas)
    again = np.stack([rig.morph(row) for row in capture.motion.values])
    error = np.linalg.norm(again - posed(values).vertices, axis=2) * 1000
    assert error.mean() < 0.1
    assert np.abs(capture.motion.channel("jawOpen") - values[:, ARKIT.index("jawOpen")]).max() < 0.05
    assert not capture.observed[ARKIT.index("eyeLookUpLeft")]
    assert not capture.observed[ARKIT.slice("head")].any()
    assert capture.motion.fps == 60


def test_a_head_that_turns_is_told_from_a_face_that_moves():
    rig, values = head(), talking()
    turn = np.zeros((len(values), 3))
    turn[:, 1] = 0.3 * np.sin(np.arange(len(values)) / 3)
    capture = solve(posed(values, turn), rig.shapes, rig.deltas)
    np.testing.assert_allclose(capture.motion.group("head"), turn, atol=0.01)
    assert np.abs(capture.motion.channel("jawOpen") - values[:, ARKIT.index("jawOpen")]).max() < 0.05
    assert capture.observed[ARKIT.slice("head")].all()


def test_another_topology_is_refused():
    rig = head()
    with pytest.raises(BadInput, match="another one"):
        solve(posed(talking(2)), rig.shapes, rig.deltas[:, :100])
