"""The contract of `Stream`, with a generator whose every number shows which sound it has seen."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from artalk.audio import Audio
from artalk.channels import Channels, Group
from artalk.errors import BadInput, Unsupported
from artalk.generators.generator import Condition, Generator
from artalk.motion import Motion

ECHO = Channels("echo", (Group("heard", 2, "coefficient"),), ("newest", "total"))


class Echo(Generator):
    """Says the mean of the newest frame it may hear, and the running sum of its own frames' sound."""

    def __init__(self, window=3, lookahead=2, fps=Fraction(25)):
        self.name, self.channels, self.fps, self.sample_rate = "echo", ECHO, fps, 1000
        self.window, self.lookahead = window, lookahead

    def begin(self, condition, seed):
        return float(seed)

    def step(self, state, samples):
        frames = samples.reshape(-1, self.hop)
        count = len(frames) - self.lookahead
        values = np.zeros((count, 2), np.float32)
        for k in range(count):
            state = state + float(frames[k].astype(np.float64).sum())
            values[k] = frames[k + self.lookahead].mean(), state
        return values, state


def sound(samples, rate=1000):
    return Audio(np.random.default_rng(1).uniform(-1, 1, samples).astype(np.float32), rate)


@given(
    samples=st.integers(0, 900),
    cuts=st.lists(st.integers(0, 900), max_size=12),
    window=st.integers(1, 5),
    lookahead=st.integers(0, 4),
    rate=st.sampled_from([1000, 1600, 44100]),
)
def test_streaming_equals_offline_for_any_cutting(samples, cuts, window, lookahead, rate):
    generator, audio = Echo(window, lookahead), sound(samples, rate)
    whole = generator.generate(audio)
    stream = generator.stream(sample_rate=rate)
    edges = [0, *sorted(min(cut, samples) for cut in cuts), samples]
    pieces = [stream.nothing]
    for a, b in zip(edges, edges[1:], strict=False):
        pieces += stream.feed(audio.samples[a:b])
    pieces += stream.finish()
    # `join` refuses pieces that do not follow one another.
    joined = Motion.join(pieces)
    np.testing.assert_array_equal(joined.values, whole.values)
    assert len(whole) == math.ceil(Fraction(samples, rate) * 25)


def test_one_sample_at_a_time():
    generator, audio = Echo(), sound(777)
    stream = generator.stream()
    pieces = [piece for sample in audio.samples for piece in stream.feed(sample[None])] + stream.finish()
    np.testing.assert_array_equal(Motion.join(pieces).values, generator.generate(audio).values)


@given(st.integers(0, 899), st.integers(1, 4), st.integers(0, 3))
def test_later_sound_changes_no_earlier_frame(at, window, lookahead):
    generator, audio = Echo(window, lookahead), sound(900)
    changed = audio.samples.copy()
    changed[at:] += 1
    before = generator.generate(audio).values
    after = generator.generate(Audio(changed, 1000)).values
    safe = math.ceil(Fraction(at, 1000) * 25) - generator.latency * 25
    frames = max(0, math.floor(safe))
    np.testing.assert_array_equal(before[:frames], after[:frames])


@pytest.mark.parametrize("fps", [Fraction(25), Fraction(50), Fraction(125, 4)])
def test_an_hour_has_exactly_its_frames(fps):
    generator = Echo(1, 1, fps)
    stream = generator.stream()
    block = np.zeros(1000 * 60 + 7, np.float32)
    frames = sum(len(piece) for _ in range(60) for piece in stream.feed(block))
    frames += sum(len(piece) for piece in stream.finish())
    assert frames == math.ceil(Fraction(60 * len(block), 1000) * fps)


def test_a_frame_comes_as_soon_as_its_sound_is_there():
    stream = Echo(window=1, lookahead=1).stream()
    assert stream.feed(np.zeros(79, np.float32)) == []
    assert [len(piece) for piece in stream.feed(np.zeros(1, np.float32))] == [1]


def test_memory_of_a_long_stream_is_bounded():
    stream = Echo().stream()
    for _ in range(50):
        stream.feed(np.zeros(5000, np.float32))
        assert len(stream._buffer) <= (3 + 2) * 40


def test_misuse_is_named():
    generator = Echo()
    with pytest.raises(Unsupported, match="cannot honour style; it takes no conditions"):
        generator.stream(Condition(style=generator.generate(sound(100))))
    stream = generator.stream()
    with pytest.raises(BadInput, match=r"mono sound \(samples,\), got shape \(2, 5\)"):
        stream.feed(np.zeros((2, 5), np.float32))
    with pytest.raises(BadInput, match="finite"):
        stream.feed(np.array([np.nan], np.float32))
    stream.finish()
    assert stream.finish() == []
    with pytest.raises(BadInput, match="finished"):
        stream.feed(np.zeros(5, np.float32))


def test_no_sound_is_no_motion():
    assert len(Echo().generate(Audio(np.zeros(0, np.float32), 8000))) == 0


def test_seed_reaches_the_generator():
    assert Echo().generate(sound(40), seed=5).values[0, 1] != Echo().generate(sound(40), seed=6).values[0, 1]
