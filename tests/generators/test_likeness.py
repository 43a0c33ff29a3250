"""A clip's moments laid over a model's motion: towards the clip, lips stay sealed, streams stay streams."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import artalk
from artalk.channels import ARKIT, FLAME
from artalk.data.habits import drawn
from artalk.errors import BadInput
from artalk.generators.generator import Condition, Generator
from artalk.generators.likeness import CLOSED, COLUMNS, JAW, Likened, between, moments, speech
from artalk.generators.living import trained
from artalk.generators.shipped import SHIPPED, shipped
from artalk.motion import Motion
from artalk.stream.state import pack, unpack_like

HELLO = Path(__file__).parents[2] / "examples" / "hello.flac"
SEEDS = st.integers(0, 2**32 - 1)


def talk(seed=0, frames=150):
    """Motion that comes and goes, with lips sealed now and then."""
    rng = np.random.default_rng(seed)
    time = np.arange(frames)[:, None] / 25
    values = (
        0.15 + 0.15 * np.sin(2 * np.pi * rng.uniform(1, 4, len(ARKIT)) * time + rng.uniform(0, 6, len(ARKIT)))
    ).astype(np.float32)
    values[:, CLOSED] *= values[:, JAW]
    values[::20, CLOSED] = values[::20, JAW]
    return Motion(values, ARKIT, 25)


def test_motion_is_like_itself():
    same = between(talk(), talk())
    assert np.allclose(same.gain, 1)
    assert np.allclose(same.shift, 0, atol=1e-6)
    assert np.array_equal(same.laid_over(talk().values), talk().values)


def test_silence_between_words_says_nothing_of_habits():
    values = talk(frames=200).values
    still = np.repeat(values[-1:], 300, axis=0)
    for one, other in zip(moments(values), moments(np.concatenate([values, still])), strict=True):
        assert np.abs(one - other)[COLUMNS].max() < 0.02


@given(SEEDS, SEEDS, st.floats(0.1, 5))
def test_weights_stay_weights_and_sealed_lips_sealed(seed, other, strength):
    usual, clip = talk(seed), drawn(np.random.default_rng(other)).worn(talk(other))
    made = between(usual, clip, strength).laid_over(usual.values)
    weights = made[:, ARKIT.of_kind("weight")]
    assert weights.min() >= 0
    assert weights.max() <= 1
    assert (made[::20, CLOSED] >= made[::20, JAW] - 1e-6).all()
    outside = np.setdiff1d(np.arange(len(ARKIT)), COLUMNS)
    assert np.array_equal(made[:, outside], usual.values[:, outside])


def test_a_long_clip_is_believed_and_a_short_one_by_half():
    usual, clip = talk(), talk(frames=750).values
    smile = ARKIT.index("mouthSmileLeft")
    clip[:, smile] += 0.3
    wanted = moments(clip)[0][smile] - moments(usual.values)[0][smile]
    for frames, low, high in ((75, 0.3, 0.6), (750, 0.7, 1.0)):
        map_ = between(usual, Motion(clip[:frames], ARKIT, 25))
        moved = (map_.laid_over(usual.values) - usual.values)[:, smile].mean() / wanted
        assert low < moved < high


def test_brows_of_a_short_clip_are_left_alone():
    brows = ARKIT.slice("brows")
    clip = talk(2, 400).values + 0.3
    for frames, kept in ((100, True), (400, False)):
        map_ = between(talk(1, 400), Motion(clip[:frames], ARKIT, 25))
        assert ((map_.gain[brows] == 1) & (map_.shift[brows] == 0)).all() == kept


def test_what_stands_still_in_a_clip_was_not_measured():
    clip = talk().values.copy()
    frown = ARKIT.index("mouthFrownLeft")
    clip[:, frown] = 0.9
    map_ = between(talk(1), Motion(clip, ARKIT, 25))
    assert (map_.gain[frown], map_.shift[frown]) == (1, 0)


@pytest.fixture(scope="module", params=SHIPPED)
def model(request):
    return shipped(request.param)


@pytest.fixture(scope="module")
def hello():
    return artalk.listen(HELLO).resampled(16000).cut(0, 5)


@pytest.fixture(scope="module")
def stranger():
    """Somebody of whom no training knows: the reader's motion with habits drawn by lot."""
    return drawn(np.random.default_rng(3)).worn(shipped("artalk").generate(speech(), Condition("grid_s1")))


def apart(made, clip):
    pairs = zip(moments(made.values), moments(clip.values), strict=True)
    return sum(float(np.abs(one - other)[COLUMNS].mean()) for one, other in pairs)


def test_a_stranger_s_clip_is_followed(model, hello, stranger):
    likened = model.generate(hello, Condition(stranger))
    alone = trained(model).generate(hello, Condition(stranger))
    hushed = "quiet" in trained(model).facts["rules"]  # whose lips rest shut, however the clip's do
    assert apart(likened, stranger) < (0.9 if hushed else 0.75) * apart(alone, stranger)
    opening = [motion.channel("jawOpen") - motion.channel("mouthClose") for motion in (likened, model.generate(hello))]
    assert np.corrcoef(*opening)[0, 1] > 0.65


def test_streams_with_a_clip_equal_the_whole_and_go_on_elsewhere(model, hello, stranger):
    condition = Condition(stranger)
    pieces = []
    with model.stream(condition, seed=5) as live:
        for start in range(0, len(hello), 5000):
            pieces += live.feed(hello.samples[start : start + 5000])
        pieces += live.finish()
    assert np.array_equal(np.concatenate([p.values for p in pieces]), model.generate(hello, condition, seed=5).values)
    sound = np.resize(hello.samples, (2 * model.window + model.lookahead) * model.hop)
    half = model.window * model.hop
    _, state = model.step(model.begin(condition, 1), sound[: half + model.lookahead * model.hop])
    again = unpack_like(model.begin(Condition(), 1), pack(state))
    assert np.array_equal(model.step(state, sound[half:])[0], model.step(again, sound[half:])[0])


def test_names_and_no_style_and_no_strength_are_the_model_s_own(hello, stranger):
    model = Likened(trained(shipped("artalk-live")))
    for condition in (Condition(), Condition("smiling"), Condition(stranger, 0.0)):
        assert np.array_equal(model.generate(hello, condition).values, model.model.generate(hello, condition).values)


def test_other_channels_are_refused():
    class Flame(Generator):
        name, channels = "flame", FLAME

        def begin(self, condition, seed): ...

        def step(self, state, samples): ...

    with pytest.raises(BadInput, match="likeness is a matter of arkit motion, 'flame' makes"):
        Likened(Flame())
