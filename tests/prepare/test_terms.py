"""Motion of the built-in head in the terms of the model that ships."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from artalk.channels import ARKIT
from artalk.motion import Motion
from artalk.prepare import terms

OTHERS = [name for name in ARKIT.names if name not in terms.NAMES]


def some(seed, frames=20):
    rng = np.random.default_rng(seed)
    return Motion(rng.uniform(0, 0.6, (frames, len(ARKIT))).astype(np.float32), ARKIT, 25)


def mirrored(motion):
    """Left and right exchanged, in the channels that are mapped."""
    values = motion.values.copy()
    for name in terms.NAMES:
        other = name.replace("Left", "#").replace("Right", "Left").replace("#", "Right")
        values[:, ARKIT.index(name)] = motion.channel(other)
    return Motion(values, ARKIT, 25)


def test_a_linear_relation_of_two_faces_is_found():
    rng = np.random.default_rng(0)
    ours = rng.uniform(0, 1, (4000, len(terms.NAMES)))
    swap = [terms.NAMES.index(terms.mirrored(name)) for name in terms.NAMES]
    true = np.eye(len(swap)) + 0.3 * rng.normal(size=(len(swap), len(swap)))
    true = (true + true[swap][:, swap]) / 2
    assert np.abs(terms.fit(ours, ours @ true) - true).max() < 0.02
    assert np.abs(terms.fit(ours, ours) - np.eye(len(swap))).max() < 1e-9


@given(st.integers(0, 999))
def test_what_landmarks_do_not_show_stays_and_no_side_is_preferred(seed):
    motion = some(seed)
    made = terms.on_ict(motion)
    assert (made.values[:, ARKIT.indices(OTHERS)] == motion.values[:, ARKIT.indices(OTHERS)]).all()
    assert made.values[:, ARKIT.indices(terms.NAMES)].min() >= 0
    assert made.values[:, ARKIT.indices(terms.NAMES)].max() <= 1
    assert np.abs(terms.on_ict(mirrored(motion)).values - mirrored(made).values).max() < 2e-3


def test_a_face_at_rest_stays_at_rest_and_lips_go_on_opening():
    rest = Motion(np.zeros((1, len(ARKIT)), np.float32), ARKIT, 25)
    assert not terms.on_ict(rest).values.any()
    values = np.zeros((11, len(ARKIT)), np.float32)
    values[:, ARKIT.index("jawOpen")] = np.linspace(0, 0.5, 11)
    assert (np.diff(terms.on_ict(Motion(values, ARKIT, 25)).channel("jawOpen")) > 0).all()


def test_eyes_are_held_still_and_the_rest_is_not():
    motion = some(1)
    made = terms.still_eyes(motion)
    assert not np.ptp(made.group("eyes"), axis=0).any()
    eyes = np.zeros(len(ARKIT), bool)
    eyes[ARKIT.slice("eyes")] = True
    assert (made.values[:, ~eyes] == motion.values[:, ~eyes]).all()
