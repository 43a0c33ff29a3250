from dataclasses import replace

import numpy as np
import pytest

from artalk.train.recipe import Sound
from artalk.train.sound import RATE, changed, companded, revoiced, sped, thinned

TIME = np.arange(2 * RATE) / RATE


def buzz(pitch):
    """A voice: harmonics under two formants."""
    harmonics = np.arange(1, int(7000 / pitch))
    weights = sum(np.exp(-(((harmonics * pitch - formant) / 200) ** 2)) for formant in (600, 1700)) + 0.01
    return (np.sin(2 * np.pi * pitch * harmonics[:, None] * TIME) * weights[:, None]).sum(axis=0).astype(np.float32) / 8


def peak(sound, low, high):
    spectrum = np.abs(np.fft.rfft(sound[RATE // 2 : -RATE // 2] * np.hanning(RATE)))
    return low + int(np.argmax(spectrum[low:high]))


def test_the_same_voice_comes_back_as_it_was():
    sound = buzz(120.0)
    assert np.corrcoef(revoiced(sound, 1.0, 1.0), sound)[0, 1] > 0.999


def test_somebody_turns_away():
    """One part is up to so much softer than the other, and nothing else has changed."""
    plain = Sound(voice=0, noise=0, room=0, band=0, gain=(0.0, 0.0), levels=1.0, drop=20.0)
    sound, ratios = buzz(120.0), []
    for seed in range(40):
        made = changed(sound, plain, np.random.default_rng(seed))
        first, last = (np.abs(made[part]).max() for part in (slice(RATE // 4), slice(-RATE // 4, None)))
        ratios.append(20 * np.log10(last / first))
    assert -20.1 < min(ratios) < -10
    assert 10 < max(ratios) < 20.1
    still = replace(plain, levels=0.0)
    assert np.array_equal(
        changed(sound, still, np.random.default_rng(1)),
        changed(sound, Sound(voice=0, noise=0, room=0, band=0, gain=(0.0, 0.0)), np.random.default_rng(1)),
    )


@pytest.mark.parametrize("pitch", [0.75, 1.3])
def test_pitch_moves_and_formants_stay(pitch):
    made = revoiced(buzz(120.0), pitch, 1.0)
    spectrum = np.abs(np.fft.rfft(made[RATE // 2 : -RATE // 2] * np.hanning(RATE)))
    harmonic = 120 * pitch
    comb = [spectrum[round(k * harmonic) - 3 : round(k * harmonic) + 4].max() for k in range(3, 8)]
    between = [spectrum[round((k + 0.5) * harmonic) - 3 : round((k + 0.5) * harmonic) + 4].max() for k in range(3, 8)]
    assert np.mean(comb) > 3 * np.mean(between)
    assert abs(peak(made, 300, 1100) - 600) < harmonic


def test_formants_move_and_pitch_stays():
    made = revoiced(buzz(100.0), 1.0, 1.25)
    assert abs(peak(made, 300, 1200) - 750) < 110
    assert abs(peak(made, 300, 1200) / 100 - round(peak(made, 300, 1200) / 100)) < 0.1


def test_whatever_is_drawn_keeps_length_and_bounds():
    sound = buzz(120.0)
    for seed in range(12):
        made = changed(sound, Sound(voice=1, noise=1, room=1, band=1), np.random.default_rng(seed), sound[::-1])
        assert made.shape == sound.shape
        assert made.dtype == np.float32
        assert np.isfinite(made).all()
        assert np.abs(made).max() <= 1
    again = changed(sound, Sound(), np.random.default_rng(5), sound)
    assert np.array_equal(again, changed(sound, Sound(), np.random.default_rng(5), sound))


def test_silence_and_a_click_survive():
    for sound in (np.zeros(RATE, np.float32), np.eye(1, RATE, dtype=np.float32)[0], np.zeros(100, np.float32)):
        made = changed(sound, Sound(voice=1, noise=1, room=1, band=1), np.random.default_rng(0))
        assert np.isfinite(made).all()


def test_noise_is_as_loud_as_asked():
    sound = buzz(120.0)
    settings = Sound(voice=0, noise=1, loudest=10, quietest=10, room=0, band=0, gain=(0, 0))
    made = changed(sound, settings, np.random.default_rng(1))
    share = float(made @ sound / (sound @ sound))
    rest = made - share * sound
    assert 20 * np.log10(share * sound.std() / rest.std()) == pytest.approx(10, abs=1)


def test_twice_as_fast_reads_every_second_row():
    rows = np.arange(20, dtype=np.float32)[:, None]
    assert np.array_equal(sped(rows, 2.0, 10), rows[::2])
    assert np.array_equal(sped(rows, 1.0, 25)[-5:], np.full((5, 1), 19, np.float32))


def test_a_telephones_eight_bits_are_heard_and_hardly_more():
    sound = 0.5 * buzz(120.0) / np.abs(buzz(120.0)).max()
    made = companded(sound)
    noise = np.sqrt(np.mean((made - sound) ** 2) / np.mean(sound**2))
    assert 0.002 < noise < 0.03  # some 38 dB, at any loudness
    assert np.allclose(companded(0.01 * sound), 0.01 * made, atol=1e-6)
    assert len(np.unique(made)) <= 255


def test_few_bits_leave_the_strongest_of_a_spectrum():
    rng = np.random.default_rng(0)
    sound = (0.3 * buzz(120.0) + 0.02 * rng.standard_normal(len(TIME))).astype(np.float32)
    made = thinned(sound, 0.1)
    assert made.shape == sound.shape
    assert np.corrcoef(made, sound)[0, 1] > 0.9
    assert abs(peak(made, 300, 1100) - peak(sound, 300, 1100)) < 5
    fine = np.abs(np.fft.rfft(made))[13000:]  # 6.5 kHz and more: only noise lay there
    assert fine.mean() < 0.3 * np.abs(np.fft.rfft(sound))[13000:].mean()


def test_codecs_are_drawn_where_asked_and_cost_no_chance_elsewhere():
    sound = buzz(120.0)
    plain = Sound(voice=0, noise=0, room=0, band=0, gain=(0.0, 0.0))
    made = {changed(sound, replace(plain, codec=1.0), np.random.default_rng(seed)).tobytes() for seed in range(6)}
    assert len(made) > 2
    assert all(np.isfinite(np.frombuffer(each, np.float32)).all() for each in made)
    for short in (np.zeros(0, np.float32), np.zeros(100, np.float32), np.ones(100, np.float32)):
        assert len(changed(short, replace(plain, codec=1.0), np.random.default_rng(1))) == len(short)
