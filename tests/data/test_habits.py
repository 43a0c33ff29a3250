import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from artalk.channels import ARKIT
from artalk.data.habits import drawn
from artalk.data.styles import OWN
from artalk.motion import Motion
from tests.data.test_styles import a_motion

SEEDS = st.integers(0, 2**32 - 1)


@given(SEEDS)
def test_habits_stay_in_bounds_and_keep_seals(seed):
    before = a_motion()
    after = drawn(np.random.default_rng(seed)).worn(before)
    weights = after.values[:, ARKIT.of_kind("weight")]
    assert np.isfinite(after.values).all()
    assert weights.min() >= 0
    assert weights.max() <= 1
    assert np.allclose(after.channel("jawOpen")[10:14], after.channel("mouthClose")[10:14], atol=1e-5)
    assert np.abs(after.values - before.values).mean() > 0.003


@given(SEEDS)
def test_what_opens_lips_rests_at_nothing(seed):
    rest = drawn(np.random.default_rng(seed)).worn(Motion(np.zeros((2, len(ARKIT)), np.float32), ARKIT, 25))
    for name in ("jawOpen", "mouthLowerDownLeft", "mouthUpperUpRight", "mouthFunnel", "mouthClose"):
        assert not rest.channel(name).any(), name


def test_no_two_are_alike():
    worn = [drawn(np.random.default_rng(seed)).worn(a_motion()).values for seed in range(8)]
    for one in range(8):
        for other in range(one):
            assert np.abs(worn[one] - worn[other]).mean() > 0.01


def test_only_planted_parts_are_touched():
    habits = drawn(np.random.default_rng(1))
    assert habits.style != OWN
    kept = [ARKIT.index(name) for name in ("eyeLookUpLeft", "tongueOut", "cheekPuff", "noseSneerLeft")]
    assert np.array_equal(habits.worn(a_motion()).values[:, kept], a_motion().values[:, kept])
