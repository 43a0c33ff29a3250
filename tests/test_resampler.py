import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from artalk.audio import Audio
from artalk.errors import BadInput
from artalk.resampler import Resampler

PAIRS = [
    (48_000, 16_000),
    (44_100, 16_000),
    (22_050, 16_000),
    (24_000, 16_000),
    (8_000, 16_000),
    (11_025, 16_000),
    (192_000, 16_000),
    (96_000, 44_100),
    (16_000, 44_100),
    (16_000, 48_000),
    (192_000, 8_000),
    (8_000, 192_000),
    (44_101, 16_000),
    (16_001, 16_000),
    (191_999, 192_000),
    (16_000, 16_000),
]
SPEECH = [pair for pair in PAIRS if min(pair) >= 16_000]


def resample(samples: np.ndarray, rate_in: int, rate_out: int) -> np.ndarray:
    resampler = Resampler(rate_in, rate_out)
    return np.concatenate([resampler.feed(samples), resampler.finish()])


def tone(hertz: float, rate: int, seconds: float = 0.5) -> np.ndarray:
    return np.sin(2 * np.pi * hertz * np.arange(round(rate * seconds)) / rate).astype(np.float32)


def level(samples: np.ndarray) -> float:
    """Decibels of the middle half, against a full-scale sine."""
    middle = samples[len(samples) // 4 : -len(samples) // 4].astype(np.float64)
    return 10 * math.log10(max(2 * float(np.mean(middle**2)), 1e-30))


@given(
    pair=st.sampled_from(PAIRS),
    length=st.integers(0, 3000),
    cuts=st.lists(st.integers(0, 3000), max_size=12),
    seed=st.integers(0, 99),
)
def test_cuts_change_no_bit(pair: tuple[int, int], length: int, cuts: list[int], seed: int) -> None:
    samples = np.random.default_rng(seed).standard_normal(length).astype(np.float32)
    resampler = Resampler(*pair)
    pieces = [resampler.feed(piece) for piece in np.split(samples, sorted(min(cut, length) for cut in cuts))]
    assert np.array_equal(np.concatenate([*pieces, resampler.finish()]), resample(samples, *pair))


@pytest.mark.parametrize("pair", PAIRS)
def test_single_samples_change_no_bit(pair: tuple[int, int]) -> None:
    samples = np.random.default_rng(1).standard_normal(max(900, pair[0] // 100)).astype(np.float32)
    resampler = Resampler(*pair)
    pieces = [resampler.feed(samples[at : at + 1]) for at in range(len(samples))]
    assert np.array_equal(np.concatenate([*pieces, resampler.finish()]), resample(samples, *pair))


@pytest.mark.parametrize("pair", [(48_000, 16_000), (44_100, 16_000), (8_000, 16_000), (44_101, 16_000)])
def test_long_blocks_change_no_bit(pair: tuple[int, int]) -> None:
    # Long enough for several internal blocks and for the path that works phase by phase.
    samples = np.random.default_rng(2).standard_normal(200_000).astype(np.float32)
    resampler = Resampler(*pair)
    pieces = [resampler.feed(samples[at : at + 777]) for at in range(0, len(samples), 777)]
    assert np.array_equal(np.concatenate([*pieces, resampler.finish()]), resample(samples, *pair))


@given(rate_in=st.integers(8_000, 192_000), rate_out=st.integers(8_000, 192_000), length=st.integers(0, 500))
def test_count_is_exact_for_any_pair(rate_in: int, rate_out: int, length: int) -> None:
    output = resample(np.ones(length, np.float32), rate_in, rate_out)
    assert len(output) == -(-length * rate_out // rate_in)
    assert np.isfinite(output).all()


def test_equal_rates_pass_through() -> None:
    samples = np.random.default_rng(3).standard_normal(1000).astype(np.float32)
    resampler = Resampler(44_100, 44_100)
    output = resampler.feed(samples)
    assert np.array_equal(output, samples)
    assert output is not samples
    assert resampler.delay == 0
    assert len(resampler.finish()) == 0


@pytest.mark.parametrize("pair", PAIRS)
def test_a_tone_keeps_its_level_and_its_phase(pair: tuple[int, int]) -> None:
    output = resample(tone(1000, pair[0]), *pair)
    assert abs(level(output)) < 0.02
    expected = tone(1000, pair[1], 0.6)[: len(output)]
    middle = slice(len(output) // 4, -len(output) // 4)
    assert np.abs(output[middle] - expected[middle]).max() < 2e-3


@pytest.mark.parametrize("pair", SPEECH)
def test_the_pass_band_is_flat(pair: tuple[int, int]) -> None:
    for share in (0.05, 0.25, 0.6, 0.8, 0.85):
        hertz = share * min(pair) / 2
        assert abs(level(resample(tone(hertz, pair[0]), *pair))) < 0.1, hertz


@pytest.mark.parametrize("pair", [pair for pair in PAIRS if pair[0] > pair[1] * 1.1])
def test_what_the_new_rate_cannot_carry_is_held_down(pair: tuple[int, int]) -> None:
    for hertz in np.linspace(pair[1] / 2 + 20, pair[0] / 2 - 20, 9):
        assert level(resample(tone(float(hertz), pair[0]), *pair)) < -70, hertz


@pytest.mark.parametrize("pair", [pair for pair in PAIRS if pair[1] > pair[0] * 1.1])
def test_no_images_above_the_old_rate(pair: tuple[int, int]) -> None:
    hertz = pair[0] * 0.35
    output = resample(tone(hertz, pair[0]), *pair)
    middle = output[len(output) // 4 : -len(output) // 4].astype(np.float64)
    spectrum = np.abs(np.fft.rfft(middle * np.blackman(len(middle)))) ** 2
    at = np.fft.rfftfreq(len(middle), 1 / pair[1])
    assert 10 * math.log10(spectrum[at > pair[0] / 2].sum() / spectrum.sum()) < -60


@pytest.mark.parametrize("pair", PAIRS)
def test_a_click_stays_where_it_is(pair: tuple[int, int]) -> None:
    samples = np.zeros(pair[0] // 2, np.float32)
    click = round(0.31 * pair[0])
    samples[click] = 1
    output = resample(samples, *pair)
    energy = output.astype(np.float64) ** 2
    centre = float((energy * np.arange(len(output))).sum() / energy.sum()) / pair[1]
    assert abs(centre - click / pair[0]) < 0.05 / min(pair)


@pytest.mark.parametrize("pair", PAIRS)
def test_a_constant_stays_constant_within_the_sound(pair: tuple[int, int]) -> None:
    output = resample(np.full(pair[0] // 5, 0.5, np.float32), *pair)
    assert np.abs(output[len(output) // 4 : -len(output) // 4] - 0.5).max() < 1e-6


@pytest.mark.parametrize("pair", PAIRS)
def test_output_comes_within_the_delay(pair: tuple[int, int]) -> None:
    resampler = Resampler(*pair)
    assert resampler.delay <= 0.004
    given, made = 0, 0
    for _ in range(20):
        given += 97
        made += len(resampler.feed(np.zeros(97, np.float32)))
        # Every output whose time and delay lie before the newest sample is out.
        assert made >= (given / pair[0] - resampler.delay) * pair[1] - 1
        assert made <= given / pair[0] * pair[1] + 1


def test_nothing_drifts_in_an_hour_and_memory_stays() -> None:
    resampler = Resampler(44_100, 16_000)
    block = np.zeros(441_000, np.float32)
    tracemalloc.start()
    made = sum(len(resampler.feed(block)) for _ in range(4))
    early = tracemalloc.get_traced_memory()[0]
    resampler._heard, resampler._made, resampler._tail_start = _an_hour_later(resampler)
    click = block.copy()
    click[220_500] = 1
    start = resampler._made
    output = np.concatenate([resampler.feed(click), resampler.feed(block)])
    late = tracemalloc.get_traced_memory()[0] - output.nbytes - click.nbytes
    tracemalloc.stop()
    assert made > 4 * 159_000
    assert late - early < 200_000
    heard_at = (resampler._heard - 2 * 441_000 + 220_500) / 44_100
    energy = output.astype(np.float64) ** 2
    found_at = (start + float((energy * np.arange(len(output))).sum() / energy.sum())) / 16_000
    assert abs(found_at - heard_at) < 1e-6


def _an_hour_later(resampler: Resampler) -> tuple[int, int, int]:
    """The counters as an hour of further sound leaves them: a whole number of periods of the ratio."""
    return (
        resampler._heard + 3600 * 44_100,
        resampler._made + 3600 * 16_000,
        resampler._tail_start + 3600 * 44_100,
    )


def test_wrong_use_is_refused() -> None:
    for rates in [(0, 16_000), (16_000, -1), (16_000, 1e9), ("x", 16_000), (16_000.5, 16_000), (16_000, float("nan"))]:
        with pytest.raises(BadInput, match="whole rates"):
            Resampler(*rates)
    resampler = Resampler(48_000, 16_000)
    with pytest.raises(BadInput, match="mono"):
        resampler.feed(np.zeros((10, 2), np.float32))
    resampler.finish()
    with pytest.raises(BadInput, match="finished"):
        resampler.feed(np.zeros(1, np.float32))
    assert len(resampler.finish()) == 0


def test_audio_resampled_is_the_same_resampler() -> None:
    samples = np.random.default_rng(4).standard_normal(5000).astype(np.float32) * 0.1
    audio = Audio(samples, 44_100).resampled(16_000)
    assert audio.sample_rate == 16_000
    assert np.array_equal(audio.samples, resample(samples, 44_100, 16_000))
    assert len(Audio(np.zeros(0, np.float32), 44_100).resampled(16_000)) == 0
