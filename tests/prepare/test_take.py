from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from artalk.data.landmarks import COUNT
from artalk.prepare.take import RATES, Take, clock, rate_of, runs
from artalk.prepare.tracker import Sighting

FLAGS = st.lists(st.booleans(), max_size=60).map(lambda flags: np.array(flags, bool))


def sighting(value: float) -> Sighting:
    return Sighting(
        np.full((COUNT, 3), value, np.float32), np.full((4, 4), value, np.float32), np.full(52, value, np.float32)
    )


@pytest.mark.parametrize("fps", RATES)
def test_a_cameras_rate_is_found_exactly(fps):
    times = np.arange(200) / float(fps)
    assert rate_of(times) == (fps, True)
    # Matroska rounds to milliseconds, where 29.97 and 30 are hard to tell within a second.
    found, even = rate_of(np.round(times, 3))
    assert even
    assert abs(float(found) / float(fps) - 1) < 0.002


def test_an_odd_rate_and_a_varying_one():
    assert rate_of(np.arange(100) / 17.5) == (Fraction(35, 2), True)
    rng = np.random.default_rng(0)
    phone = np.cumsum(rng.choice([1 / 30, 1 / 30, 1 / 30, 1 / 24, 1 / 15], 300))
    assert rate_of(phone - phone[0]) == (Fraction(30), False)
    assert rate_of(np.zeros(1)) == (Fraction(25), True)


def test_even_pictures_are_frames_as_they_are():
    even = clock(np.array([round(0.04 * k, 3) for k in range(50)]), Fraction(25))
    assert np.array_equal(even.left, np.arange(50))
    assert np.array_equal(even.right, even.left)
    assert not even.share.any()
    assert even.known.all()


def test_frames_between_pictures_share_them_and_holes_are_not_known():
    times = np.array([0, 0.03, 0.1, 0.5, 0.56])
    uneven = clock(times, Fraction(25))
    assert len(uneven) == 15
    at = np.arange(15) / 25
    blended = times[uneven.left] * (1 - uneven.share) + times[uneven.right] * uneven.share
    assert np.abs(blended - at)[uneven.known].max() < 0.005
    assert not uneven.known[3:12].any()
    assert uneven.known[[0, 1, 2, 13]].all()


def test_a_shift_moves_the_clock_and_what_lies_outside_is_not_known():
    moved = clock(np.arange(50) / 25, Fraction(25), shift=0.2)
    assert np.array_equal(moved.left[:45], np.arange(5, 50))
    assert moved.known[:45].all()
    assert not moved.known[46:].any()
    assert not clock(np.arange(50) / 25, Fraction(25), shift=-0.2).known[:5].any()


def test_a_take_gives_back_what_was_seen():
    take = Take()
    for k in range(10):
        take.add(k / 25, k // 5, None if k == 3 else sighting(k))
    take.close()
    even = take.clock()
    found, shots = take.facts(even)
    assert found.tolist() == [k != 3 for k in range(10)]
    assert shots.tolist() == [k // 5 for k in range(10)]
    seen = take.on(even, 4, 8)
    assert seen.points.shape == (4, COUNT, 3)
    assert np.array_equal(seen.points[:, 0, 0], [4, 5, 6, 7])
    assert np.array_equal(seen.pose[:, 3, 3], seen.scores[:, 51])


def test_a_frame_between_a_face_and_none_is_none():
    take = Take()
    for k, time in enumerate([0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.28]):
        take.add(time, 0, None if k == 2 else sighting(k))
    take.close()
    times = np.array(take.times)
    found, _ = take.facts(clock(times, Fraction(25)))
    # Frames lie at 0, 0.04, 0.08, 0.12 …; the picture at 0.1 has no face.
    assert found.tolist() == [True, True, False, False, True, True, True, True]


@given(FLAGS)
def test_runs_are_the_stretches_of_true(flags):
    again = np.zeros(len(flags), bool)
    last_end = -1
    for first, last in runs(flags):
        assert last_end < first < last
        again[first:last], last_end = True, last
    assert np.array_equal(again, flags)
