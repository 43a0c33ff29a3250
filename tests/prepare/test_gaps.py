from fractions import Fraction

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from artalk.channels import ARKIT
from artalk.prepare.gaps import EASING, bridgeable, bridged, eased, marked

FPS = Fraction(25)
FLAGS = st.lists(st.booleans(), min_size=1, max_size=60).map(lambda flags: np.array(flags, bool))


def lost(count: int, *gaps: tuple[int, int]) -> np.ndarray:
    ok = np.ones(count, bool)
    for first, last in gaps:
        ok[first:last] = False
    return ok


def test_short_gaps_are_bridged_and_long_ones_marked():
    ok = lost(100, (20, 24), (50, 80))
    short = bridgeable(ok, np.zeros(100, int), FPS)
    assert short.tolist() == lost(100, (20, 24)).__invert__().tolist()
    gaps = marked(ok | short, np.zeros(100, bool), FPS)
    assert [(gap.start, gap.stop, gap.why) for gap in gaps] == [(2.0, 3.2, "lost")]
    assert marked(ok | short, np.ones(100, bool), FPS)[0].why == "hidden"


def test_nothing_is_bridged_over_a_cut_or_at_an_end():
    shots = np.array([0] * 10 + [1] * 10)
    assert not bridgeable(lost(20, (8, 12)), shots, FPS).any()
    assert not bridgeable(lost(20, (0, 3), (18, 20)), np.zeros(20, int), FPS).any()
    assert bridgeable(lost(20, (5, 8)), shots, FPS)[5:8].all()


def test_a_bridge_goes_straight_on():
    values = np.linspace(0, 1, 20)[:, None] * np.ones(3)
    holed = values.copy()
    holed[8:12] = 77
    assert np.allclose(bridged(holed, ~lost(20, (8, 12))), values)


def test_a_lost_face_goes_to_rest_and_comes_back():
    values = np.zeros((100, len(ARKIT)))
    values[:, ARKIT.index("jawOpen")] = 0.6
    head = ARKIT.index("headY")
    values[:, head] = np.where(np.arange(100) < 50, 0.1, 0.3)
    ok = lost(100, (30, 70))
    calm = eased(values, ok, np.zeros(100, int), FPS)
    jaw = calm[:, ARKIT.index("jawOpen")]
    frames = round(EASING * 25)
    assert np.allclose(jaw[30 + frames : 70 - frames], 0)
    assert 0 < jaw[31] < 0.6
    assert np.abs(np.diff(jaw)).max() < 0.25
    # The head does not jump back to the middle: it goes from where it was to where it is found.
    assert (np.diff(calm[29:71, head]) >= -1e-12).all()
    assert np.allclose(calm[ok], values[ok])
    cut = eased(values, ok, np.repeat([0, 1], 50), FPS)
    assert np.allclose(cut[30:50, head], 0.1)


@given(FLAGS)
def test_easing_touches_lost_frames_alone_and_stays_within_bounds(ok):
    rng = np.random.default_rng(len(ok))
    values = rng.uniform(0, 1, (len(ok), len(ARKIT)))
    calm = eased(values, ok, np.zeros(len(ok), int), FPS)
    assert np.array_equal(calm[ok], values[ok])
    assert calm.min() >= 0
    assert calm.max() <= 1
