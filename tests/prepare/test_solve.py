import numpy as np
import pytest

from artalk.channels import ARKIT
from artalk.data.tracks import SOLVED
from artalk.errors import BadInput
from artalk.prepare import people, solve
from artalk.prepare.quality import lip_gap
from artalk.prepare.solve import perform
from tests.prepare.faces import PIXELS, at_rest, take_of, weights_of


def performed(take, **options):
    return perform(take, take.clock(), **options)


def test_known_weights_are_found_again():
    weights = weights_of(90)
    done = performed(take_of(weights))
    for name in ("jawOpen", "browInnerUp"):
        given = weights[:, SOLVED.index(name)]
        assert np.corrcoef(done.motion.channel(name), given)[0, 1] > 0.99
    assert done.ok.all()
    assert done.gaps == ()
    assert np.nanmean(done.residual) < 0.002 * PIXELS
    assert np.corrcoef(lip_gap(done.motion), done.aperture)[0, 1] > 0.98
    left, right = at_rest()[[263, 33]]
    assert done.eyes.mean() == pytest.approx(np.linalg.norm(left - right) * PIXELS, rel=0.01)


def test_lips_that_touch_stay_shut():
    weights = weights_of(90)
    done = performed(take_of(weights, noise=0.05))
    shut = done.contact & (weights[:, SOLVED.index("jawOpen")] == 0)
    assert shut.sum() > 30
    assert lip_gap(done.motion)[shut].max() < 0.0005


def test_a_long_take_is_solved_in_blocks_that_do_not_show(monkeypatch):
    take = take_of(weights_of(200), noise=0.05)
    whole = performed(take)
    monkeypatch.setattr(solve, "BLOCK", 60)
    parts = performed(take)
    assert np.abs(whole.motion.values - parts.motion.values).max() < 0.02
    assert len(parts.motion) == 200


def test_a_person_is_known_by_stretches_of_a_long_take(monkeypatch):
    take = take_of(weights_of(400), noise=0.02)
    whole = performed(take).tracker.person
    monkeypatch.setattr(people, "KNOWN_BY", 100)
    some = performed(take).tracker.person
    assert np.linalg.norm(whole.points - some.points, axis=1).max() < 0.002


def test_a_mouth_that_never_rests_is_still_known():
    weights = np.zeros((60, len(SOLVED)))
    weights[:, SOLVED.index("jawOpen")] = 0.3 + 0.25 * np.sin(np.arange(60))
    done = performed(take_of(weights))
    assert np.corrcoef(done.motion.channel("jawOpen"), weights[:, SOLVED.index("jawOpen")])[0, 1] > 0.95


def test_lost_and_spoilt_frames_are_bridged_or_marked():
    weights = weights_of(150)
    clean = performed(take_of(weights)).motion
    done = performed(take_of(weights, lost=[30, 31, 32, *range(80, 110)], spoilt=[50]))
    assert [(gap.start, gap.stop, gap.why) for gap in done.gaps] == [(3.2, 4.4, "lost")]
    assert done.bridged == 4
    assert done.broken == 1
    assert np.abs(done.motion.values[done.ok] - clean.values[done.ok]).max() < 0.35
    assert np.isnan(done.residual[[30, 50, 90]]).all()
    assert not done.motion.values[92:98, : ARKIT.slice("head").start].any()


def test_a_face_turned_away_is_hidden():
    turns = np.zeros((90, 3))
    turns[40:70, 1] = np.radians(75)
    done = performed(take_of(weights_of(90), turns))
    assert [gap.why for gap in done.gaps] == ["hidden"]
    assert (done.gaps[0].start, done.gaps[0].stop) == (1.6, 2.8)


def test_the_head_turns_about_its_mean_in_each_shot():
    turns = np.zeros((120, 3))
    turns[:, 1] = 0.15 * np.sin(np.arange(120) / 8)
    still = performed(take_of(weights_of(120), turns)).motion.channel("headY")
    assert np.corrcoef(still, turns[:, 1])[0, 1] > 0.99
    other = turns.copy()
    other[60:, 0] += 0.3  # another camera looks from above
    done = performed(take_of(weights_of(120), other, shots=[0] * 60 + [1] * 60))
    nods = done.motion.channel("headX")
    assert abs(float(nods[:60].mean())) < 0.02
    assert abs(float(nods[60:].mean())) < 0.02
    assert np.diff(done.place[:, 0]).mean() == pytest.approx(0.001, abs=2e-4)


def test_smoothing_can_be_left_out():
    take = take_of(weights_of(90), noise=0.3)
    smooth, raw = performed(take), performed(take, smooth=False)
    rough = [np.abs(np.diff(done.motion.values[:20], n=2, axis=0)).mean() for done in (smooth, raw)]
    assert rough[0] < 0.8 * rough[1]


def test_no_face_is_a_sentence():
    with pytest.raises(BadInput, match="no face was found in 30 of 30"):
        performed(take_of(weights_of(30), lost=list(range(30))))
