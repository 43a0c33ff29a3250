import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from artalk.channels import ARKIT
from artalk.evaluate import metrics
from artalk.evaluate.face import of_rig
from artalk.rigs.head import head

FRAMES = 100
JAW = ARKIT.index("jawOpen")


@pytest.fixture(scope="module")
def face():
    return of_rig(head())


def still(frames=FRAMES):
    return np.zeros((frames, len(ARKIT)), np.float32)


def talking(frames=FRAMES, period=12.0):
    values = still(frames)
    values[:, JAW] = 0.2 - 0.2 * np.cos(np.arange(frames) * 2 * np.pi / period)
    return values


def turned(values, column, by):
    changed = values.copy()
    changed[:, column] += by
    return changed


def test_the_face_has_its_regions_where_they_belong(face):
    lips, upper = face.neutral[face.lips], face.neutral[face.upper]
    assert 100 < len(lips) <= 800
    assert 100 < len(upper) <= 800
    assert not (face.lips & face.upper).any()
    assert lips[:, 1].max() < upper[:, 1].min()
    assert face.aperture(still())[0] < 0.5
    assert 35 < face.width(still())[0] < 60
    assert face.aperture(turned(still(), JAW, 0.3))[0] > 8
    assert face.width(turned(still(), ARKIT.index("mouthPucker"), 1.0))[0] < face.width(still())[0] - 5


def test_vertices_are_those_of_the_rig(face):
    rig = head()
    assert rig.landmarks is not None
    values = np.random.default_rng(0).uniform(0, 0.4, (3, len(ARKIT))).astype(np.float32)
    values[:, ARKIT.slice("head")] = 0
    upper, lower = face.gap
    for k, row in enumerate(face.vertices(values)):
        posed = rig.morph(values[k]) * 1000
        assert row[upper] == pytest.approx(posed[rig.landmarks.inner_upper_lip], abs=0.01)
        assert row[lower] == pytest.approx(posed[rig.landmarks.inner_lower_lip], abs=0.01)


def test_the_head_moves_no_vertex_of_a_figure(face):
    assert metrics.lve(face, turned(talking(), ARKIT.index("headY"), 0.3), talking()) == 0
    assert metrics.fdd(face, turned(talking(), ARKIT.index("headY"), 0.3), talking()) == 0


def test_perfection(face):
    figures = metrics.compared(face, talking(), talking())
    assert figures["aperture"] == pytest.approx(1)
    assert figures["lve"] == figures["mod"] == figures["fdd"] == figures["vertex_error"] == 0
    assert figures["jitter_ratio"] == 1


def test_lve_is_the_worst_lip_vertex_of_each_frame_in_mm(face):
    true = still()
    made = turned(true, JAW, 0.2)
    made[::2, JAW] = 0
    farthest = np.linalg.norm(face.deltas[JAW, face.lips], axis=1).max() * 0.2
    assert metrics.lve(face, made, true) == pytest.approx(farthest / 2, rel=1e-4)
    assert metrics.vertex_error(face, made, true) < metrics.lve(face, made, true)


def test_fdd_sees_a_dead_brow_and_not_a_shifted_one(face):
    brows = still()
    column = ARKIT.index("browInnerUp")
    brows[:, column] = 0.3 + 0.3 * np.sin(np.arange(FRAMES))
    assert metrics.fdd(face, turned(brows, column, 0.2), brows) == pytest.approx(0, abs=1e-4)
    moved = np.linalg.norm(face.deltas[column, face.upper], axis=1)
    assert metrics.fdd(face, still(), brows) == pytest.approx(float((moved * brows[:, column].std()).mean()), rel=1e-3)


@given(st.floats(0.1, 3), st.floats(-2, 2))
def test_correlation_is_blind_to_scale_and_shift(scale, shift):
    curve = np.sin(np.arange(50) / 3)
    assert metrics.correlation(scale * curve + shift, curve) == pytest.approx(1)
    assert metrics.correlation(-scale * curve, curve) == pytest.approx(-1)
    assert math.isnan(metrics.correlation(np.full(50, shift), curve))


def test_closures_are_counted_on_bilabials_alone(face):
    values = talking(100, period=25.0)  # closed at frames 0, 25, 50, 75: seconds 0, 1, 2, 3
    phones = [(0.0, 0.9, "a"), (0.96, 1.04, "b"), (1.04, 1.4, "a"), (1.46, 1.54, "m"), (1.54, 4.0, "s")]
    assert metrics.closures(face, values, phones) == (1, 2)
    assert metrics.closures(face, values, [(0.0, 4.0, "a")]) == (0, 0)


def test_leakage_waits_until_the_mouth_may_be_shut(face):
    values = talking(100, period=12.0)
    values[50:, JAW] = 0
    assert metrics.leakage(face, values, [(0.0, 2.0, "a"), (2.0, 4.0, "sil")]) == 0
    values[80:, JAW] = 0.4
    open_frames, frames = 15, 40  # frames 55 to 95 are looked at, 80 to 95 are open
    assert metrics.leakage(face, values, [(0.0, 2.0, "a"), (2.0, 4.0, "sil")]) == open_frames / frames
    assert math.isnan(metrics.leakage(face, values, [(0.0, 0.1, "sil"), (0.1, 4.0, "a")]))
    assert math.isnan(metrics.leakage(face, values, []))


def test_a_mouth_shuts_in_time_or_not(face):
    values = talking(100, period=12.0)
    phones = [(0.0, 1.0, "a"), (1.0, 2.0, "sil"), (2.0, 3.0, "a"), (3.0, 4.0, "sil")]
    values[30:50, JAW] = values[80:, JAW] = 0  # 0.2 s after 1 s and after 3 s: shut at frames 30 and 80
    assert metrics.settled(face, values, phones) == (2, 2)
    values[75:90, JAW] = 0.4
    assert metrics.settled(face, values, phones) == (1, 2)
    assert metrics.settled(face, values, [(0.0, 0.5, "sil"), (0.5, 3.9, "a"), (3.9, 4.0, "sil")]) == (0, 0)


def test_pauses_are_heard_where_no_phones_are_known():
    sound = np.random.default_rng(0).normal(0, 0.1, 4 * 16000).astype(np.float32)
    sound[16000:24000] *= 1e-4
    sound[40000:42000] *= 1e-4  # an eighth of a second is no pause
    assert metrics.pauses(sound) == [(pytest.approx(1.0), pytest.approx(1.52, abs=0.05), "sil")]
    assert metrics.pauses(np.zeros(0, np.float32)) == []


def test_jitter_is_the_acceleration_of_the_gap(face):
    assert metrics.jitter(face, talking(period=6.0)) > 3 * metrics.jitter(face, talking(period=24.0))
    noisy = talking() + np.random.default_rng(0).normal(0, 0.05, (FRAMES, 1)).astype(np.float32)
    assert metrics.jitter(face, noisy) > 2 * metrics.jitter(face, talking())


def test_blinks_and_how_long_they_last():
    values = still()
    values[10:15, ARKIT.indices(("eyeBlinkLeft", "eyeBlinkRight"))] = 1
    values[40:43, ARKIT.indices(("eyeBlinkLeft", "eyeBlinkRight"))] = 0.8
    values[60:63, ARKIT.index("eyeBlinkLeft")] = 0.9  # a wink
    assert metrics.blinks(values) == pytest.approx([0.2, 0.12])
    assert metrics.life(values, np.zeros(FRAMES * 640, np.float32))["blink_rate"] == 30


def test_a_head_on_the_beat_scores_higher_than_one_beside_it():
    frames, rng = 500, np.random.default_rng(0)
    onsets = np.arange(20, 480, 25)
    sound = np.zeros(frames * 640, np.float32)
    turns = {"on": still(frames), "off": still(frames)}
    for onset in onsets:
        sound[onset * 640 : (onset + 8) * 640] = rng.normal(0, 0.3, 8 * 640)
        for name, shift in (("on", 0), ("off", 12)):
            turns[name][onset + shift + 1 :, ARKIT.index("headX")] += 0.1 * (-1) ** (onset // 25)
    on, off = (metrics.beats(turns[name], sound) for name in ("on", "off"))
    assert on > 0.8
    assert off < 0.4
    assert math.isnan(metrics.beats(still(frames), sound))
    life = metrics.life(turns["on"], sound)
    assert life["beats_lead"] > 0.2
    assert life["beats_lead"] == pytest.approx(on - metrics.chance_beats(turns["on"], sound))
    assert life["head_most"] == pytest.approx(np.degrees(0.1), rel=1e-3)


def test_a_ratio_pairs_its_clips():
    rng = np.random.default_rng(0)
    others = rng.uniform(1, 9, 50)
    mean, low, high = metrics.ratio([*(0.5 * others), 1.0], [*others, float("nan")])
    assert mean == low == high == pytest.approx(0.5)
    mean, low, high = metrics.ratio(list(0.5 * others + rng.normal(0, 0.5, 50)), list(others))
    assert low < mean < high
    assert all(math.isnan(value) for value in metrics.ratio([], []))


def test_diversity_tells_lips_from_the_rest(face):
    one, other = talking(), turned(talking(), ARKIT.index("headY"), 0.1)
    figures = metrics.diversity(face, [one, other])
    assert figures["lips_between"] == pytest.approx(1)
    assert figures["head_between"] == pytest.approx(np.degrees(0.1), rel=1e-3)
    assert figures["upper_between"] == 0


def test_an_interval_holds_the_mean_and_shrinks_with_clips():
    rng = np.random.default_rng(0)
    few, many = rng.normal(1, 0.5, 10), rng.normal(1, 0.5, 400)
    mean, low, high = metrics.interval([*few, float("nan")])
    assert low < mean < high
    assert mean == pytest.approx(few.mean())
    _, narrow_low, narrow_high = metrics.interval(list(many))
    assert narrow_high - narrow_low < (high - low) / 2
    assert all(math.isnan(value) for value in metrics.interval([float("nan")]))
    alone = metrics.interval([0.5])
    assert alone[0] == 0.5
    assert math.isnan(alone[1])
