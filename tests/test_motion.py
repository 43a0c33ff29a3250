import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from artalk import rotation
from artalk.channels import ARKIT
from artalk.errors import BadInput
from artalk.motion import Motion, exact_fps

RATES = [24, 25, "29.97", 30, 50, 60, Fraction(24000, 1001)]


def make(frames, fps=25, seed=0, start=0):
    rng = np.random.default_rng(seed)
    values = rng.uniform(0, 1, (frames, len(ARKIT)))
    values[:, ARKIT.slice("head")] = rng.normal(0, 0.2, (frames, 3))
    return Motion(values, ARKIT, Fraction(fps), start)


@given(st.integers(0, 60), st.lists(st.integers(0, 60), max_size=5))
def test_cut_and_join_are_the_identity(frames, cuts):
    motion = make(frames, start=7)
    edges = [0, *sorted(min(cut, frames) for cut in cuts), frames]
    joined = Motion.join([motion.cut(a, b) for a, b in zip(edges, edges[1:], strict=False)])
    assert joined.start == 7
    np.testing.assert_array_equal(joined.values, motion.values)


@given(st.integers(1, 40), st.sampled_from(RATES), st.sampled_from(RATES), st.sampled_from(["linear", "cubic"]))
def test_resampled_frames_stand_at_their_exact_times(frames, old, new, method):
    motion = make(frames, exact_fps(old))
    other = motion.resample(new, method=method)
    assert len(other) == math.ceil(frames / exact_fps(old) * exact_fps(new))
    # Frames of the two rates that fall on the same instant are equal.
    for k in range(len(other)):
        at = k / other.fps * motion.fps
        if at.denominator == 1 and at < frames:
            np.testing.assert_allclose(other.values[k], motion.values[int(at)], atol=1e-5)
    weights = other.values[:, :52]
    assert weights.min() >= motion.values[:, :52].min() - 1e-6
    assert weights.max() <= motion.values[:, :52].max() + 1e-6


def test_an_hour_does_not_drift():
    frames = 3600 * 25
    ramp = np.zeros((frames, len(ARKIT)), np.float32)
    ramp[:, 0] = np.arange(frames) / frames
    there = Motion(ramp, ARKIT, Fraction(25)).resample(Fraction(30000, 1001))
    last = len(there) - 2
    expected = float(last / there.fps * 25) / frames
    assert abs(float(there.values[last, 0]) - expected) < 1e-6


def test_rotations_go_the_short_way_at_even_speed():
    values = np.zeros((2, len(ARKIT)))
    values[0, ARKIT.slice("head")] = [0, 3.0, 0]
    values[1, ARKIT.slice("head")] = [0, -3.0, 0]
    middle = Motion(values, ARKIT, Fraction(25)).resample(50).group("head")[1]
    turned = rotation.rotvec_to_matrix(middle) @ [0.0, 0.0, 1.0]
    np.testing.assert_allclose(turned, [0, 0, -1], atol=1e-5)  # through the back, not through the front


def test_pieces_keep_their_place_in_time():
    piece = make(10, 25, start=50).resample(50)
    assert piece.start == 100
    with pytest.raises(BadInput, match="no frame at 30"):
        make(10, 25, start=1).resample(30)


def test_joining_says_what_is_wrong():
    a = make(5)
    with pytest.raises(BadInput, match="wanted one from frame 5, got 6"):
        Motion.join([a, make(5, start=6)])
    with pytest.raises(BadInput, match="channels and fps"):
        Motion.join([a, make(5, fps=30, start=5)])
    with pytest.raises(BadInput, match="at least one"):
        Motion.join([])


def test_bad_values_are_refused():
    with pytest.raises(BadInput, match=r"\(frames, 55\)"):
        Motion(np.zeros((3, 54)), ARKIT, Fraction(25))
    with pytest.raises(BadInput, match="finite"):
        Motion(np.full((3, 55), np.nan), ARKIT, Fraction(25))


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        (25, Fraction(25)),
        ("30000/1001", Fraction(30000, 1001)),
        (29.97, Fraction(30000, 1001)),
        ("23.976", Fraction(24000, 1001)),
        (59.94, Fraction(60000, 1001)),
        (12.5, Fraction(25, 2)),
        (29.9, Fraction(299, 10)),
    ],
)
def test_frame_rates_are_exact(text, rate):
    assert exact_fps(text) == rate


def test_a_rate_of_numpy_is_no_one_else_s():
    """It is remembered; what is remembered is of Python's own numbers, which JSON can write."""
    first, again = exact_fps(Fraction(np.int64(47), np.int64(2))), exact_fps(Fraction(47, 2))
    assert first == again == Fraction(47, 2)
    assert {type(each) for rate in (first, again) for each in (rate.numerator, rate.denominator)} == {int}


@pytest.mark.parametrize(
    "text", [0, -25, "fast", float("nan"), float("inf"), 1e9, "1/0", "1e999999999", "9" * 5000, 1e300]
)
def test_absurd_frame_rates_are_refused(text):
    with pytest.raises(BadInput, match="frame rate"):
        exact_fps(text)


def test_groups_and_channels_are_replaced_by_name():
    motion = make(4)
    still = motion.with_groups(head=0).with_channels(jawOpen=[0, 0.1, 0.2, 0.3])
    assert not still.group("head").any()
    np.testing.assert_allclose(still.channel("jawOpen"), [0, 0.1, 0.2, 0.3], atol=1e-7)
    assert motion.group("head").any()
    wild = motion.with_channels(jawOpen=7, jawLeft=-3).clipped()
    assert wild.channel("jawOpen").max() == 1
    assert wild.channel("jawLeft").min() == 0
