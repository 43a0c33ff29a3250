"""Savitzky-Golay: polynomials stay what they are, scipy's numbers, and live is offline to the last bit."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from artalk.errors import BadInput
from artalk.generators.smoothing import OFFICIAL, UNUSED, Pass, SavitzkyGolay


def noise(frames, seed=0):
    return np.random.default_rng(seed).normal(size=(frames, 106)).astype(np.float32)


def smooth(frames, cuts=(), smoothing=None):
    """What a stream gives that is cut at `cuts`."""
    smoothing = smoothing or SavitzkyGolay()
    state, made = smoothing.begin(), []
    for part in np.split(frames, sorted(cuts)):
        out, state = smoothing.feed(state, part)
        made.append(out)
    return np.concatenate([*made, smoothing.finish(state)])


@given(st.integers(1, 60), st.lists(st.integers(0, 60), max_size=12))
def test_any_cutting_gives_the_same_bits(frames, cuts):
    whole = smooth(noise(frames))
    assert whole.shape == (frames, 106)
    assert np.array_equal(smooth(noise(frames), [cut for cut in cuts if cut <= frames]), whole)


@given(st.integers(1, 40), st.integers(0, 2))
def test_polynomials_stay(frames, order):
    times = np.linspace(-1, 1, frames)[:, None]
    curve = np.repeat(times**order, 106, axis=1).astype(np.float32)
    kept = [column for column in range(106) if column not in UNUSED]
    if frames > order:
        assert np.abs(smooth(curve) - curve)[:, kept].max() < 1e-6


@pytest.mark.parametrize("frames", [9, 10, 11, 17, 100])
def test_the_numbers_are_scipys(frames):
    signal = pytest.importorskip("scipy.signal")
    motion = noise(frames).astype(np.float64)
    wanted = signal.savgol_filter(motion, 5, 2, axis=0)
    wanted[:, 100:103] = signal.savgol_filter(motion[:, 100:103], 9, 3, axis=0)
    wanted[:, 104:106] = 0
    assert np.abs(smooth(noise(frames)) - wanted).max() < 1e-6


def test_the_filters_of_textbooks():
    # Savitzky and Golay 1964, table I: quadratic over 5 and over 9 points.
    peak = np.zeros((31, 106), np.float32)
    peak[15] = 1
    made = smooth(peak)
    assert made[13:18, 0] == pytest.approx(np.array([-3, 12, 17, 12, -3]) / 35, abs=1e-7)
    assert made[11:20, 100] == pytest.approx(np.array([-21, 14, 39, 54, 59, 54, 39, 14, -21]) / 231, abs=1e-7)
    assert not made[:, list(UNUSED)].any()


def test_short_performances():
    assert smooth(noise(0)).shape[0] == 0
    one = smooth(noise(1))
    assert np.array_equal(one[:, :104], noise(1)[:, :104])
    # Up to 3 frames a parabola passes through all of them, up to 4 the head's cubic.
    assert np.abs(smooth(noise(3)) - noise(3))[:, :100].max() < 1e-6
    assert np.abs(smooth(noise(4)) - noise(4))[:, 100:103].max() < 1e-6
    assert np.abs(smooth(noise(8)) - noise(8))[:, 100:103].max() > 0.1


def test_nothing_is_held_back_longer_than_said():
    smoothing, seen, given_out = SavitzkyGolay(), 0, 0
    state = smoothing.begin()
    for frames in (3, 9, 1, 20):
        out, state = smoothing.feed(state, noise(frames))
        seen, given_out = seen + frames, given_out + len(out)
        assert given_out == (seen - smoothing.delay if seen >= smoothing.longest else 0)
        assert state.kept is not None
        assert len(state.kept) <= 2 * smoothing.longest


def test_nonsense_is_refused():
    for window, order in ((4, 2), (5, 5), (5, -1)):
        with pytest.raises(BadInput, match="odd and longer"):
            Pass(window, order)
    assert SavitzkyGolay(OFFICIAL).delay == 4
