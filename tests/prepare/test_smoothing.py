from fractions import Fraction

import numpy as np
import pytest

from artalk.channels import ARKIT
from artalk.prepare.smoothing import LIPS, MOST, blurred, calmed, fitted

FPS = Fraction(25)
JAW, HEAD = ARKIT.index("jawOpen"), ARKIT.slice("head")


def moving(frames: int = 200, noise: float = 0.004, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A jaw that opens and shuts four times a second with a tracker's noise, and without it."""
    rng = np.random.default_rng(seed)
    clean = np.zeros((frames, len(ARKIT)))
    clean[:, JAW] = np.clip(0.35 * np.sin(np.arange(frames) * 2 * np.pi * 3 / 25), 0, 1) + 0.1
    noisy = clean + noise * rng.standard_normal(clean.shape)
    noisy[:, : HEAD.start] = np.clip(noisy[:, : HEAD.start], 0, 1)
    return noisy, clean


def all_of(count: int) -> np.ndarray:
    return np.ones(count, bool)


def test_noise_is_taken_off_a_face_at_rest():
    rng = np.random.default_rng(0)
    values = np.zeros((300, len(ARKIT)))
    values[:, JAW] = 0.3
    values += 0.005 * rng.standard_normal(values.shape)
    values[:, : HEAD.start] = np.clip(values[:, : HEAD.start], 0, 1)
    calm = calmed(values, FPS, all_of(300), ~all_of(300))
    assert calm[:, JAW].std() < 0.75 * values[:, JAW].std()
    assert calm[:, HEAD].std() < 0.6 * values[:, HEAD].std()


def test_no_weight_moves_further_than_the_noise_may():
    noisy, clean = moving()
    calm = calmed(noisy, FPS, all_of(200), ~all_of(200))
    assert np.abs(calm - noisy)[:, : HEAD.start].max() <= MOST + 1e-9
    assert calm[:, JAW].max() > clean[:, JAW].max() - MOST


def test_lips_in_contact_are_not_touched():
    noisy, _ = moving(noise=0.05)
    contact = noisy[:, JAW] < 0.12
    calm = calmed(noisy, FPS, all_of(200), contact)
    assert contact.any()
    assert np.array_equal(calm[contact][:, LIPS], noisy[contact][:, LIPS])


def test_a_closure_of_one_frame_stays_closed():
    values = np.zeros((60, len(ARKIT)))
    values[:, JAW] = 0.4
    values[30, JAW] = 0.0
    contact = np.arange(60) == 30
    assert calmed(values, FPS, all_of(60), contact)[30, JAW] == 0
    # Without a word on contact it still stays shut but for the noise of a channel that has none.
    assert calmed(values, FPS, all_of(60), ~all_of(60))[30, JAW] == pytest.approx(0, abs=1e-9)


def test_nothing_is_delayed():
    noisy, _ = moving(noise=0.01)
    contact = ~all_of(200)
    forwards = calmed(noisy, FPS, all_of(200), contact)
    backwards = calmed(noisy[::-1], FPS, all_of(200), contact)[::-1]
    assert np.allclose(forwards, backwards)


def test_runs_do_not_feel_one_another():
    noisy, _ = moving()
    ok = np.ones(200, bool)
    ok[100] = False
    alone = calmed(noisy[:100], FPS, all_of(100), ~all_of(100))
    other = noisy.copy()
    other[101:] = 0.9
    assert np.allclose(calmed(other, FPS, ok, ~all_of(200))[:100], alone)


def test_a_parabola_is_its_own_fit_and_a_line_its_own_blur():
    at = np.arange(40.0)
    curve = np.stack([0.01 * at**2 - at, 3 * at], axis=1)
    assert np.allclose(fitted(curve, 3)[3:-3], curve[3:-3])
    assert np.allclose(blurred(curve[:, 1:], 1.2), curve[:, 1:])
    assert np.array_equal(fitted(curve[:2], 3), curve[:2])
    assert np.array_equal(blurred(curve[:1], 2.0), curve[:1])
