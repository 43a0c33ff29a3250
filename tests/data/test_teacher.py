import numpy as np
import pytest

from artalk.audio import Audio
from artalk.channels import ARKIT
from artalk.data import teacher
from artalk.data.phones import NUMBERS, PHONES
from artalk.data.styles import named
from artalk.data.teacher import CLASSES, MOUTH, Taught, Teacher, measures
from artalk.errors import BadFile, BadInput, MissingFile

COMMON = ("sil", "b", "a", "i", "u", "s", "t")

SIZES = dict.fromkeys(MOUTH, 1.0)


def spoken(seed: int, count: int = 14) -> tuple[tuple[float, float, str], ...]:
    rng = np.random.default_rng(seed)
    ends = 0.3 + np.cumsum(rng.uniform(0.06, 0.2, count))
    names = rng.choice(COMMON[1:], count)
    starts = np.concatenate([[0.3], ends[:-1]])
    spans = [(float(a), float(b), str(name)) for a, b, name in zip(starts, ends, names, strict=True)]
    return ((0.0, 0.3, "sil"), *spans, (spans[-1][1], spans[-1][1] + 0.3, "sil"))


def a_teacher() -> Teacher:
    rng = np.random.default_rng(5)
    targets = rng.uniform(0.05, 0.6, (len(PHONES), len(MOUTH)))
    targets[:, MOUTH.index("mouthClose")] = 0.0
    targets[NUMBERS["sil"]] = 0.0
    dominance = np.tile([0.0, np.log(0.04), np.log(0.06), 0.0], (len(CLASSES), 1))
    return Teacher(targets, dominance)


def test_shares_add_up_and_phones_rule_in_their_middle():
    phones = spoken(0)
    shares = teacher.pulls(phones, 60, a_teacher().dominance)
    assert np.allclose(shares.sum(axis=1), 1)
    start, end, name = phones[4]
    frame = round((start + end) / 2 * 25)
    assert shares[frame, NUMBERS[name]] > 0.5


def test_targets_are_found_again():
    true = a_teacher()
    real: list[Taught] = []
    for seed in range(25):
        phones = spoken(seed)
        frames = int(phones[-1][1] * 25)
        values = np.zeros((frames, len(ARKIT)), np.float32)
        values[:, ARKIT.indices(MOUTH)] = teacher.pulls(phones, frames, true.dominance) @ true.targets
        real.append(Taught(phones, values))
    found = teacher.learn(real, measures(SIZES, {"jawOpen": 30.0}, {"mouthPucker": -10.0}), rounds=1, searched=8)
    for phone in COMMON[1:]:
        a, b = true.targets[NUMBERS[phone]], found.targets[NUMBERS[phone]]
        assert np.corrcoef(a, b)[0, 1] > 0.9
    unseen, frames = spoken(99), 60
    jaw = MOUTH.index("jawOpen")
    wanted, made = true.mouth(unseen, frames)[:, jaw], found.mouth(unseen, frames)[:, jaw]
    assert np.corrcoef(wanted, made)[0, 1] > 0.95


def test_lips_seal_for_bilabials_and_rest_in_silence():
    phones = ((0.0, 0.4, "sil"), (0.4, 0.7, "a"), (0.7, 0.76, "b"), (0.76, 1.0, "a"), (1.0, 1.8, "sil"))
    mouth = a_teacher().mouth(phones, 45)
    jaw, closed = mouth[:, MOUTH.index("jawOpen")], mouth[:, MOUTH.index("mouthClose")]
    opened = jaw - closed
    assert opened[round(0.73 * 25)] == pytest.approx(0, abs=1e-9)
    assert opened[14] > 0.1
    assert opened[20:24].max() > 0.1
    assert opened[round(1.25 * 25) :].max() < 0.05
    assert mouth.min() >= 0
    assert mouth.max() <= 1


def test_a_whole_face_for_a_recording():
    rng = np.random.default_rng(0)
    sound = Audio((0.1 * rng.standard_normal(16000 * 4)).astype(np.float32), 16000)
    phones = spoken(3)
    one, again, other = (a_teacher().motion(sound, phones, seed=seed) for seed in (1, 1, 2))
    assert len(one) == 100
    assert np.array_equal(one.values, again.values)
    mouth = ARKIT.indices(MOUTH)
    assert np.array_equal(one.values[:, mouth], other.values[:, mouth])
    assert not np.array_equal(one.group("head"), other.group("head"))
    broad = a_teacher().motion(sound, phones, named("broad"), seed=1)
    assert broad.channel("jawOpen").max() > 1.2 * one.channel("jawOpen").max()


def test_a_stressed_vowel_opens_wider_and_a_bilabial_stays_sealed():
    phones = ((0.0, 0.4, "sil"), (0.4, 0.7, "a"), (0.7, 0.76, "b"), (0.76, 1.0, "a"), (1.0, 1.4, "sil"))
    jaw, closed = MOUTH.index("jawOpen"), MOUTH.index("mouthClose")
    soft, plain, loud = (a_teacher().mouth(phones, 35, np.full(35, stress)) for stress in (0.0, 0.3, 1.0))
    assert (soft[11:17, jaw] < plain[11:17, jaw]).all()
    assert (plain[11:17, jaw] < loud[11:17, jaw]).all()
    assert loud[18, jaw] - loud[18, closed] == pytest.approx(0, abs=1e-9)
    others = [k for k in range(len(MOUTH)) if k not in (jaw, closed)]
    assert np.array_equal(soft[:, others], loud[:, others])


def test_the_sound_of_a_recording_is_its_stress():
    time = np.arange(16000 * 2) / 16000
    tone = sum(np.sin(2 * np.pi * 120 * k * time) / k for k in range(1, 20))
    swell = np.where(time < 1.0, 1.0, 0.05) * (time > 0.3)
    phones = ((0.0, 0.3, "sil"), *((start, start + 0.3, "a") for start in np.arange(0.3, 1.8, 0.3)), (1.8, 2.0, "sil"))
    made = a_teacher().motion(Audio((0.1 * tone * swell).astype(np.float32), 16000), phones).channel("jawOpen")
    assert made[12:22].mean() > 1.2 * made[33:42].mean()


def test_seldom_phones_borrow():
    phones = spoken(0)
    frames = int(phones[-1][1] * 25)
    real = [Taught(phones, np.full((frames, len(ARKIT)), 0.2, np.float32))]
    found = teacher.learn(real, measures(SIZES, {}, {}), rounds=0)
    u, i, y = (found.targets[NUMBERS[phone]] for phone in ("u", "i", "y"))
    assert np.allclose(y, 0.25 * i + 0.75 * u)


def test_files(tmp_path):
    true = a_teacher()
    true.save(tmp_path / "teacher.json")
    back = Teacher.load(tmp_path / "teacher.json")
    assert np.allclose(back.targets, true.targets, atol=1e-5)
    assert np.allclose(back.dominance, true.dominance, atol=1e-5)
    (tmp_path / "bad.json").write_text('{"channels": []}')
    with pytest.raises(BadFile):
        Teacher.load(tmp_path / "bad.json")
    with pytest.raises(MissingFile):
        Teacher.load(tmp_path / "none.json")
    with pytest.raises(BadInput):
        teacher.learn([], measures(SIZES, {}, {}))


def test_every_phone_has_a_class():
    members = [phone for group in CLASSES.values() for phone in group]
    assert sorted(members) == sorted(PHONES)
