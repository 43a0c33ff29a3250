"""Rules that move a face: the contract of a generator, and what a mouth, lids and a head do."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from artalk import audio
from artalk.audio import Audio
from artalk.channels import ARKIT
from artalk.errors import BadInput, Unsupported
from artalk.generators import hearing
from artalk.generators.generator import FREE, Condition
from artalk.generators.idle import Life, Voice, lognormal, normal, uniform
from artalk.generators.visemes import Visemes, VisemeSettings
from artalk.motion import Motion
from tests.shared import shared

RATE = 16000
HOP = 640
Sound = NDArray[np.float32]

VOWELS = {
    "a": (750, 1250, 2500, 3500),
    "i": (280, 2250, 2950, 3600),
    "u": (310, 750, 2350, 3300),
    "m": (240, 1000, 2300, 3300),
}


def voice(phone: str, seconds: float, pitch: float = 120.0, loud: float = 0.3) -> Sound:
    """A voice (harmonics that fall by 6 dB an octave) through the resonances of `phone`, one after another."""
    time = np.arange(round(seconds * RATE)) / RATE
    total = np.zeros_like(time)
    for harmonic in range(1, int(7000 / pitch)):
        hertz = harmonic * pitch
        gain = 1.0
        for formant, width in zip(VOWELS[phone], (70, 90, 150, 250), strict=True):
            gain *= formant**2 / np.hypot(formant**2 - hertz**2, width * hertz)
        if phone == "m" and hertz > 400:
            gain *= 0.1
        total += gain / harmonic * np.sin(2 * np.pi * hertz * time + harmonic**2)
    edge = np.minimum(1, np.minimum(time, time[::-1]) / 0.02)
    level = 0.25 if phone == "m" else 1.0
    return (total / np.abs(total).max() * edge * loud * level).astype(np.float32)


def hiss(seconds: float, loud: float = 0.1) -> Sound:
    """The noise of an s: nothing below 4500 Hz."""
    noise = np.random.default_rng(5).standard_normal(round(seconds * RATE))
    heard = np.fft.rfft(noise)
    heard[np.fft.rfftfreq(len(noise), 1 / RATE) < 4500] = 0
    noise = np.fft.irfft(heard, len(noise))
    return (noise / np.abs(noise).max() * loud).astype(np.float32)


def room(seconds: float, loud: float = 3e-4, seed: int = 0) -> Sound:
    return (np.random.default_rng(seed).standard_normal(round(seconds * RATE)) * loud).astype(np.float32)


def quiet(seconds: float) -> Sound:
    return np.zeros(round(seconds * RATE), np.float32)


def sentence(seed: int = 0) -> Sound:
    """Three seconds that babble: open, spread and rounded vowels, hums and hisses in a quiet room."""
    parts = [quiet(0.4)]
    for phone, seconds in (("a", 0.2), ("m", 0.12), ("i", 0.2), ("s", 0.12), ("u", 0.25), ("m", 0.1), ("a", 0.3)):
        parts.append(hiss(seconds) if phone == "s" else voice(phone, seconds, 110 + 10 * len(parts)))
    parts += [quiet(0.9), voice("a", 0.25), quiet(0.3)]
    sound = np.concatenate(parts)
    return sound + room(len(sound) / RATE, seed=seed)


def animate(sound: Sound, seed: int = 0, given: VisemeSettings | None = None) -> Motion:
    return Visemes(given).generate(Audio(np.asarray(sound, np.float32), RATE), seed=seed)


def frames(start: float, end: float) -> slice:
    return slice(round(start * 25), round(end * 25))


MOUTH = [i for i, name in enumerate(ARKIT.names) if name.startswith(("jaw", "mouth", "cheek", "nose", "tongue"))]


class TestContract:
    def test_latency_is_80_ms(self) -> None:
        assert float(Visemes().latency) == 0.08

    @settings(deadline=None, max_examples=12)
    @given(cuts=st.lists(st.integers(1, 20000), min_size=1, max_size=12))
    def test_streaming_equals_offline(self, cuts: list[int]) -> None:
        sound = sentence()
        whole = animate(sound, seed=3)
        stream = Visemes().stream(seed=3)
        pieces, at = [stream.nothing], 0
        for cut in cuts:
            pieces += stream.feed(sound[at : at + cut])
            at += cut
        pieces += [*stream.feed(sound[at:]), *stream.finish()]
        np.testing.assert_array_equal(Motion.join(pieces).values, whole.values)

    def test_the_old_state_is_not_changed(self) -> None:
        generator, sound = Visemes(), sentence()
        state = generator.begin(FREE, 1)
        _, state = generator.step(state, sound[: 41 * HOP])
        first, _ = generator.step(state, sound[40 * HOP : 61 * HOP])
        again, _ = generator.step(state, sound[40 * HOP : 61 * HOP])
        np.testing.assert_array_equal(first, again)

    @pytest.mark.parametrize("after", [1.0, 1.33, 2.0])
    def test_later_sound_changes_no_earlier_frame(self, after: float) -> None:
        sound = sentence()
        other = sound.copy()
        other[round(after * RATE) :] = voice("a", 1.0)[0] + room(len(sound) / RATE - after, 0.2)
        last = int((after - 0.08) * 25) + 1
        before, changed = animate(sound).values, animate(other).values
        np.testing.assert_array_equal(before[:last], changed[:last])
        assert not np.array_equal(before, changed)

    @pytest.mark.parametrize("samples", [0, 1, 639, 640, 641, 16000])
    def test_frames_cover_the_sound(self, samples: int) -> None:
        assert len(animate(np.zeros(samples, np.float32))) == -(-samples // HOP)

    def test_no_condition_is_honoured(self) -> None:
        keys = Condition(keyframes=np.zeros((1, len(ARKIT)), np.float32))
        with pytest.raises(Unsupported, match="keyframes"):
            Visemes().stream(keys)

    @pytest.mark.parametrize("wrong", [{"lips": -1}, {"head": 99}, {"jaw": float("nan")}, {"blink_rate": 0}])
    def test_settings_out_of_range_are_refused(self, wrong: dict[str, float]) -> None:
        with pytest.raises(BadInput, match=next(iter(wrong))):
            VisemeSettings(**wrong)

    @pytest.mark.parametrize("loud", [0.0, 1e-20, 1e-3, 1.0, 100.0])
    def test_any_sound_gives_bounded_motion(self, loud: float) -> None:
        square = np.sign(np.sin(np.arange(2 * RATE) * 0.05)) * loud
        for sound in (square, room(2.0, loud), np.full(2 * RATE, loud)):
            values = animate(np.asarray(sound, np.float32)).values
            weights = values[:, ARKIT.of_kind("weight")]
            assert weights.min() >= 0
            assert weights.max() <= 1
            assert np.abs(values[:, ARKIT.slice("head")]).max() < np.radians(12)


class TestSeeds:
    def test_the_same_seed_is_the_same_motion(self) -> None:
        np.testing.assert_array_equal(animate(sentence(), 5).values, animate(sentence(), 5).values)

    def test_another_seed_moves_head_and_eyes_but_not_the_mouth(self) -> None:
        one, two = animate(sentence(), 5), animate(sentence(), 6)
        np.testing.assert_array_equal(one.values[:, MOUTH], two.values[:, MOUTH])
        assert np.abs(one.group("head") - two.group("head")).max() > 0.005
        assert np.abs(one.group("eyes") - two.group("eyes")).max() > 0.05

    def test_chance_is_even_and_unrelated(self) -> None:
        numbers = np.array([[uniform(seed, 1, number) for number in range(200)] for seed in (0, 1, -7, 2**40)])
        assert abs(numbers.mean() - 0.5) < 0.03
        assert abs(np.corrcoef(numbers) - np.eye(4)).max() < 0.25
        bell = np.array([normal(3, 2, number) for number in range(1000)])
        assert abs(bell.mean()) < 0.1
        assert bell.std() == pytest.approx(1, abs=0.1)
        waits = np.array([lognormal(3, 2, number, 4.0, 0.6) for number in range(1000)])
        assert waits.mean() == pytest.approx(4, rel=0.1)


class TestMouth:
    def test_it_closes_within_a_fifth_of_a_second_of_silence(self) -> None:
        sound = np.concatenate([quiet(0.4), voice("a", 0.6), quiet(1.0)]) + room(2.0)
        jaw = animate(sound).channel("jawOpen")
        assert jaw[frames(0.6, 0.9)].min() > 0.1
        assert jaw[frames(1.2, 2.0)].max() < 0.01

    @pytest.mark.parametrize("level", [3e-3, 0.01, 0.03])
    def test_steady_noise_keeps_it_closed_between_words(self, level: float) -> None:
        sound = np.concatenate([quiet(1.0), voice("a", 0.6), quiet(0.6), voice("a", 0.5), quiet(1.0)])
        jaw = animate(sound + room(len(sound) / RATE, level)).channel("jawOpen")
        assert jaw[frames(0, 0.9)].max() < 0.02
        assert jaw[frames(1.8, 2.1)].max() < 0.02
        assert jaw[frames(2.3, 2.6)].max() > 0.1
        assert jaw[frames(2.9, 3.7)].max() < 0.02

    def test_a_fan_that_starts_is_noise_after_a_while(self) -> None:
        sound = np.concatenate([room(1.0, 1e-4), room(5.0, 0.01)])
        assert animate(sound).channel("jawOpen")[frames(4.0, 6.0)].max() < 0.02

    def test_a_held_vowel_stays_open(self) -> None:
        sound = np.concatenate([quiet(0.4), voice("a", 4.0), quiet(0.4)]) + room(4.8)
        jaw = animate(sound).channel("jawOpen")[frames(0.7, 4.2)]
        assert jaw.min() > 0.5 * jaw.max() > 0.08

    def test_it_is_open_for_a_and_not_for_m(self) -> None:
        sound = np.concatenate([quiet(0.4), voice("a", 0.3), voice("m", 0.2), voice("a", 0.3), quiet(0.3)])
        motion = animate(sound + room(1.5))
        jaw = motion.channel("jawOpen")
        assert jaw[frames(0.5, 0.64)].min() > 0.12
        assert jaw[frames(0.76, 0.84)].min() < 0.03
        assert motion.channel("mouthPressLeft")[frames(0.72, 0.9)].max() > 0.05

    def test_oo_rounds_and_ee_spreads(self) -> None:
        sound = np.concatenate([quiet(0.4), voice("i", 0.5), quiet(0.4), voice("u", 0.5), quiet(0.4)])
        motion = animate(sound + room(2.2, 1e-4))
        ee, oo = frames(0.6, 0.8), frames(1.5, 1.7)
        for name, more, less in (("mouthPucker", oo, ee), ("mouthStretchLeft", ee, oo), ("mouthSmileRight", ee, oo)):
            column = motion.channel(name)
            assert column[more].mean() > 1.5 * column[less].mean() + 0.02, name

    def test_s_bares_the_teeth_behind_a_nearly_closed_jaw(self) -> None:
        sound = np.concatenate([quiet(0.4), voice("a", 0.3), hiss(0.25), voice("a", 0.3), quiet(0.3)])
        motion = animate(sound + room(1.55, 1e-4))
        s, a = frames(0.78, 0.88), frames(0.5, 0.64)
        assert motion.channel("jawOpen")[s].max() < 0.4 * motion.channel("jawOpen")[a].max()
        assert motion.channel("mouthLowerDownLeft")[s].min() > 0.04

    @pytest.mark.parametrize("decibels", [-10, -20, -30])
    def test_gain_hardly_matters(self, decibels: float) -> None:
        loud = animate(sentence()).channel("jawOpen")
        soft = animate(sentence() * 10 ** (decibels / 20)).channel("jawOpen")
        assert np.abs(loud - soft).max() < 0.05

    def test_a_telephone_moves_it_alike(self) -> None:
        sound = sentence()
        heard = np.fft.rfft(sound)
        hertz = np.fft.rfftfreq(len(sound), 1 / RATE)
        heard[(hertz < 300) | (hertz > 3400)] = 0
        far = animate(np.fft.irfft(heard, len(sound)).astype(np.float32)).channel("jawOpen")
        near = animate(sound).channel("jawOpen")
        assert np.corrcoef(near, far)[0, 1] > 0.85

    def test_settings_scale_their_part_alone(self) -> None:
        base = animate(sentence(), 2)
        still = animate(sentence(), 2, VisemeSettings(head=0, brows=0, blinks=0, gaze=0))
        np.testing.assert_array_equal(base.values[:, MOUTH], still.values[:, MOUTH])
        assert not still.group("head").any()
        assert not still.group("brows").any()
        assert not still.group("eyes").any()
        half = animate(sentence(), 2, VisemeSettings(jaw=0.5))
        np.testing.assert_allclose(half.channel("jawOpen"), base.channel("jawOpen") / 2, atol=1e-6)

    def test_a_voice_that_trembles_does_not_shake_the_jaw(self) -> None:
        tremble = 1 + 0.3 * np.sin(2 * np.pi * 12 * np.arange(2 * RATE) / RATE)
        sound = np.concatenate([quiet(0.4), voice("a", 2.0) * tremble, quiet(0.4)]) + room(2.8)
        jaw = animate(sound).channel("jawOpen")[frames(0.8, 2.1)]
        assert np.abs(np.diff(jaw)).max() < 0.03


def blinks(lids: NDArray[np.float64]) -> NDArray[np.int64]:
    """The frames in which lids begin to close for a blink."""
    shut = lids > 0.5
    return np.flatnonzero(shut[1:] & ~shut[:-1])


class TestLife:
    @pytest.fixture(scope="class")
    @staticmethod
    def minutes() -> Motion:
        """Ten minutes of babble with pauses."""
        once = sentence()
        return animate(np.tile(np.concatenate([once, once * 0.5, room(2.0)]), 72)[: 600 * RATE], seed=11)

    def test_blinks_come_at_a_human_rate_and_no_rhythm(self, minutes: Motion) -> None:
        begins = blinks(minutes.channel("eyeBlinkLeft").astype(np.float64))
        waits = np.diff(begins) / 25
        assert 11 <= len(begins) / 10 <= 21
        assert 0.35 < waits.std() / waits.mean() < 1.2
        assert waits.min() > 0.3
        assert waits.max() < 25

    def test_a_blink_closes_fully_and_lasts_100_to_400_ms(self, minutes: Motion) -> None:
        for side in ("Left", "Right"):
            lids = minutes.channel(f"eyeBlink{side}").astype(np.float64)
            for begin in blinks(lids):
                around = lids[max(0, begin - 6) : begin + 12]
                assert around.max() > 0.9
                assert 3 <= (around > 0.12).sum() <= 10

    def test_lids_close_faster_than_they_open(self) -> None:
        life, silence = Life(4, 15.0), Voice(0.0, 80.0, 0.0)
        lids = np.array([life.advance(silence, 0.005).lids for _ in range(12000)])
        left, right = lids.T
        assert not np.array_equal(left, right)
        assert -np.diff(left).min() < 0.7 * np.diff(left).max()

    @pytest.mark.parametrize("rate", [6.0, 15.0, 30.0])
    def test_the_rate_is_what_is_asked(self, rate: float) -> None:
        lives, silence = [Life(seed, rate) for seed in range(4, 7)], Voice(0.0, 80.0, 0.0)
        lids = np.array([[life.advance(silence, 0.04).lids[0] for _ in range(10 * 1500)] for life in lives])
        assert sum(len(blinks(one)) for one in lids) / 30 == pytest.approx(rate, rel=0.25)

    def test_phrase_ends_draw_blinks(self) -> None:
        near = total = 0
        for seed in range(12):
            life = Life(seed, 15.0)
            lids = np.array([life.advance(Voice(0.5 * (k % 100 < 70), 80.0, 1.0), 0.04).lids[0] for k in range(3000)])
            phase = blinks(lids) % 100
            near, total = near + int(((phase >= 73) & (phase < 80)).sum()), total + len(phase)
        assert near / total > 0.15, "seven frames of a hundred would hold 7 % of blinks by chance"

    def test_eyes_leap_and_rest(self, minutes: Motion) -> None:
        head = minutes.group("head")
        yaw = 0.5 * (minutes.channel("eyeLookOutLeft") - minutes.channel("eyeLookInLeft")) + 0.8 * head[:, 1]
        speed = np.abs(np.diff(yaw)) * 25
        assert np.median(speed) < np.radians(1)
        assert 10 < (speed > np.radians(25)).sum() / 10 < 90
        assert np.abs(yaw).max() < np.radians(25)

    def test_lids_follow_the_gaze_down(self, minutes: Motion) -> None:
        down = minutes.channel("eyeLookDownLeft")
        assert (minutes.channel("eyeBlinkLeft") >= 0.24 * down - 1e-6).all()

    def test_the_head_lives_in_silence_and_stays_near(self) -> None:
        head = np.degrees(animate(quiet(60.0), seed=2).group("head"))
        second = head.reshape(-1, 25, 3)
        assert (np.ptp(second, axis=1).max(axis=1) > 0.05).all(), "it froze"
        assert np.abs(head).max() < 8

    def test_the_head_goes_with_the_voice(self, minutes: Motion) -> None:
        head = np.degrees(minutes.group("head"))
        assert np.abs(head).max() < 12
        assert head.std(axis=0).min() > 0.3
        assert np.abs(np.diff(head, axis=0)).max() < 2.5

    def test_an_accent_nods_and_may_lift_the_brows(self) -> None:
        def look(accent: bool) -> tuple[float, float]:
            nod = brow = 0.0
            for seed in range(8):
                life = Life(seed, 15.0)
                looks = [
                    life.advance(Voice(0.9 if accent and 100 <= k < 106 else 0.3, 90.0, 1.0), 0.04) for k in range(115)
                ]
                nod += max(look.head[0] for look in looks[100:]) - looks[99].head[0]
                brow += max(look.brows for look in looks[100:])
            return nod / 8, brow / 8

        assert look(True)[0] > look(False)[0] + np.radians(0.5)
        assert look(True)[1] > look(False)[1] + 0.05

    def test_a_copy_goes_its_own_way(self) -> None:
        life = Life(1, 15.0)
        for _ in range(30):
            life.advance(Voice(0.5, 90.0, 1.0), 0.04)
        other = life.copy()
        ahead = [life.advance(Voice(0.5, 90.0, 1.0), 0.04) for _ in range(30)]
        assert ahead == [other.advance(Voice(0.5, 90.0, 1.0), 0.04) for _ in range(30)]


class TestHearing:
    def test_pitch_is_found_and_noise_has_none(self) -> None:
        for pitch in (85.0, 120.0, 200.0, 330.0):
            heard = hearing.spectra(voice("a", 0.2, pitch)[None, 960 : 960 + 2 * HOP].astype(np.float64), RATE)
            assert heard.pitch[0] == pytest.approx(pitch, rel=0.02)
            assert heard.voicing[0] > 0.9
        noise = np.stack([room(0.08, seed=seed) for seed in range(40)]).astype(np.float64)
        assert hearing.spectra(noise, RATE).voicing.mean() < 0.2

    @settings(deadline=None, max_examples=20)
    @given(rows=st.integers(1, 40), first=st.integers(0, 30))
    def test_rows_are_heard_alone(self, rows: int, first: int) -> None:
        sound = np.random.default_rng(1).standard_normal((70, 2 * HOP))
        whole, part = hearing.spectra(sound, RATE), hearing.spectra(sound[first : first + rows], RATE)
        for name in ("levels", "pitch", "voicing"):
            np.testing.assert_array_equal(getattr(whole, name)[first : first + rows], getattr(part, name))

    def test_a_tone_is_heard_in_its_band(self) -> None:
        for band, (low, high) in enumerate(pairwise(hearing.EDGES)):
            tone = np.sin(2 * np.pi * (low + high) / 2 * np.arange(2 * HOP) / RATE)
            levels = hearing.spectra(tone[None], RATE).levels[0].mean(axis=0)
            assert levels.argmax() == band

    def test_loudness_lies_between_the_floor_and_the_peak(self) -> None:
        known = hearing.Levels(np.full(hearing.BANDS, -60.0), np.full(hearing.BANDS, -10.0))
        for level, expected in ((-10.0, 1.0), (-45.0, 0.0), (-90.0, 0.0)):
            got = hearing.loudness(np.full((hearing.SLICES, hearing.BANDS), level), known)
            np.testing.assert_allclose(got, expected)
        near = replace(known, floor=np.full(hearing.BANDS, -20.0))
        assert not hearing.loudness(np.full((1, hearing.BANDS), -17.0), near).any()


def test_real_speech_opens_and_closes_the_mouth() -> None:
    sound = audio.load(shared("corpus/kerstin_de/audio/de_rhasspy-0007.ogg"))
    jaw = Visemes().generate(sound).channel("jawOpen")
    assert np.percentile(jaw, 95) > 0.25
    assert (jaw < 0.03).mean() > 0.1
    assert np.percentile(np.abs(np.diff(jaw, 2)), 99) < 0.35


def test_another_seed_in_the_midst_keeps_what_was_heard_of_the_speaker():
    generator, sound = Visemes(), np.random.default_rng(0).normal(0, 0.1, 640 * 40).astype(np.float32)
    _, state = generator.step(generator.begin(FREE, 0), sound)
    changed = generator.change(state, FREE, 9)
    assert changed.levels is state.levels
    assert changed.life.seed == 9
    lips = [ARKIT.index(name) for name in ("jawOpen", "mouthPucker", "mouthPressLeft")]
    kept, other = generator.step(state, sound)[0], generator.step(changed, sound)[0]
    np.testing.assert_array_equal(kept[:, lips], other[:, lips])
    assert np.abs(kept - other).max() > 0.05


def test_several_at_once_are_each_as_if_alone():
    generator, rng = Visemes(), np.random.default_rng(0)
    jobs = [(generator.begin(FREE, k), rng.normal(0, 0.1, 640 * (2 + k)).astype(np.float32)) for k in range(4)]
    for (frames, _), job in zip(generator.step_many(jobs), jobs, strict=True):
        np.testing.assert_array_equal(frames, generator.step(*job)[0])
