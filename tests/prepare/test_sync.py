from fractions import Fraction

import numpy as np
import pytest

from artalk.generators.generator import FREE
from artalk.generators.visemes import Visemes
from artalk.prepare import sync
from artalk.prepare.film import SOUND_RATE, Sound

FPS = Fraction(25)


def babble(seconds: float, seed: int = 0) -> Sound:
    """Vowels and pauses of chance lengths over a faint noise."""
    rng = np.random.default_rng(seed)
    at = np.arange(round(seconds * SOUND_RATE)) / SOUND_RATE
    voice = sum(np.sin(2 * np.pi * 130 * k * at) / k for k in range(1, 14))
    level = np.repeat(rng.uniform(0, 1, int(seconds * 4) + 1) ** 2, SOUND_RATE // 4)[: len(at)]
    level = np.convolve(level, np.hanning(1600) / 800, mode="same")
    samples = 0.15 * voice * level + 0.001 * rng.standard_normal(len(at))
    return Sound((np.clip(samples, -1, 1) * 32767).astype(np.int16))


def lips_of(sound: Sound, frames_late: int):
    """Motion that says a sound, some frames late."""
    motion = Visemes().generate(sound.cut(0, sound.seconds), FREE)
    values = np.roll(motion.values, frames_late, axis=0)
    return type(motion)(values, motion.channels, motion.fps)


@pytest.mark.parametrize("late", [-6, 0, 1, 5])
def test_a_shift_is_found_again(late):
    sound = babble(8)
    motion = lips_of(sound, late)
    found = sync.offset(motion, np.ones(len(motion), bool), sound)
    assert found is not None
    assert found.seconds + sync.USUAL == pytest.approx(late / 25, abs=0.012)
    assert found.agreement > 0.9
    assert found.told
    assert found.sure == (abs(late) > 4)


def test_a_syllable_that_passes_for_the_next_is_no_shift():
    assert sync.Offset(0.3, 0.76, 3.0, 0.4).sure
    assert not sync.Offset(0.3, 0.76, 3.0, 0.7).sure
    motion = lips_of(babble(8), 6)
    found = sync.offset(motion, np.ones(len(motion), bool), babble(8))
    assert found is not None
    assert found.unmoved < found.agreement - sync.CLEAR


def test_lips_that_do_not_go_with_the_sound_tell_nothing():
    rng = np.random.default_rng(4)
    motion = lips_of(babble(12, seed=1), 0)
    noise = rng.uniform(0, 0.3, motion.values.shape).astype(np.float32)
    found = sync.offset(type(motion)(noise, motion.channels, FPS), np.ones(len(motion), bool), babble(12, seed=2))
    assert found is not None
    assert not found.told


def test_too_little_tells_nothing():
    sound = babble(5)
    motion = lips_of(sound, 0)
    few = np.zeros(len(motion), bool)
    few[:30] = True
    assert sync.offset(motion, few, sound) is None
    assert sync.offset(motion, ~few & few, sound) is None
    silent = Sound(np.zeros(5 * SOUND_RATE, np.int16))
    assert sync.offset(motion, np.ones(len(motion), bool), silent) is None
    assert len(sync.heard(Sound(np.zeros(0, np.int16)), FPS)) == 0


def test_silence_before_the_sound_is_not_heard_as_a_room():
    sound = babble(6)
    later = Sound(np.concatenate([np.zeros(SOUND_RATE // 2, np.int16), sound.samples]))
    before, after = sync.heard(sound, Fraction(50)), sync.heard(later, Fraction(50))
    assert np.allclose(after[25 : 25 + len(before)], before[: len(after) - 25], atol=1e-6)
    assert not after[:24].any()


def test_frames_without_a_face_do_not_count():
    sound = babble(10)
    motion = lips_of(sound, 3)
    values = motion.values.copy()
    values[100:200] = np.random.default_rng(0).uniform(0, 1, values[100:200].shape)
    ok = np.ones(len(motion), bool)
    ok[100:200] = False
    found = sync.offset(type(motion)(values, motion.channels, FPS), ok, sound)
    assert found is not None
    assert found.seconds + sync.USUAL == pytest.approx(0.12, abs=0.015)
