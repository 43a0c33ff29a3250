"""Styles in shares: half a style is half-way, twice a style goes on, streams stay streams."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import artalk
from artalk.channels import ARKIT
from artalk.errors import BadInput
from artalk.generators.generator import Condition
from artalk.generators.likeness import Likened
from artalk.generators.living import trained
from artalk.generators.mixing import CLOSED, FARTHEST, JAW, LEAST, MOST, WEIGHTS, Mixed, shares
from artalk.generators.shipped import SHIPPED, shipped
from artalk.motion import Motion
from artalk.serve.settings import Limits
from artalk.stream.session import Session
from artalk.stream.state import pack, unpack_like

HELLO = Path(__file__).parents[2] / "examples" / "hello.flac"


@pytest.fixture(scope="module")
def hello():
    return artalk.listen(HELLO).resampled(16000).cut(0, 3)


@pytest.fixture(scope="module", params=SHIPPED)
def model(request):
    return Mixed(Likened(trained(shipped(request.param))))


@given(st.dictionaries(st.sampled_from("abcdef"), st.floats(0, 10), min_size=1), st.floats(0, 10))
def test_shares_add_up_to_one(mix, strength):
    if sum(mix.values()) <= 0:
        with pytest.raises(BadInput, match="shares of 0 to 10 and some above"):
            shares(Condition(mix, strength))
        return
    rows = shares(Condition(mix, strength))
    assert sum(share for share, _ in rows) == pytest.approx(1, abs=LEAST * (len(mix) + 1))
    assert len({part.style for _, part in rows}) == len(rows)
    assert all(part.style_strength == 1 for _, part in rows)
    assert len(rows) <= MOST + 1


@pytest.mark.parametrize(
    "wrong", [{}, {"a": 0.0}, {"a": -0.5, "b": 1.0}, {"a": float("nan")}, {"a": float("inf")}, {"a": 1e308, "b": 1e308}]
)
def test_shares_that_are_none(wrong):
    with pytest.raises(BadInput, match="shares of 0 to 10 and some above"):
        shares(Condition(wrong))


def test_one_style_is_the_model_s_own_to_the_last_bit(model, hello):
    clip = Motion(np.full((50, len(ARKIT)), 0.1, np.float32), ARKIT, 25)
    pairs = [
        (Condition(), Condition()),
        (Condition("smiling"), Condition("smiling")),
        (Condition(clip), Condition(clip)),
    ]
    pairs += [(Condition({"smiling": 2.0}), Condition("smiling")), (Condition("smiling", 0.0), Condition())]
    for mixed, alone in pairs:
        assert np.array_equal(model.generate(hello, mixed, 3).values, model.model.generate(hello, alone, 3).values)


def test_a_part_of_a_style_is_that_far_from_none(model, hello):
    """By share and by strength alike; what is left of two is no style."""

    def made(*condition):
        return model.generate(hello, Condition(*condition), 3).values

    none, smiling, broad = made(), made("smiling"), made("broad")
    assert np.abs(smiling - none).max() > 0.15
    assert np.allclose(made({"smiling": 0.3}), none + 0.3 * (smiling - none), atol=1e-6)
    assert np.allclose(made("smiling", 0.3), none + 0.3 * (smiling - none), atol=1e-6)
    assert np.allclose(made({"smiling": 0.5, "broad": 0.25}), 0.25 * none + 0.5 * smiling + 0.25 * broad, atol=1e-6)
    assert np.allclose(made({"smiling": 3.0, "broad": 1.0}), 0.75 * smiling + 0.25 * broad, atol=1e-6)


def test_of_many_styles_the_foremost_count():
    rows = shares(Condition({"a": 0.1, "b": 0.2, "c": 0.05, "d": 0.1, "e": 0.05}))
    assert [(part.style, round(share, 6)) for share, part in rows] == [
        ("b", round(0.1 / 0.45, 6)),
        ("a", round(0.05 / 0.45, 6)),
        ("d", round(0.05 / 0.45, 6)),
        ("c", round(0.025 / 0.45, 6)),
        (None, 0.5),
    ]


def test_more_than_a_style_goes_on_as_far_as_a_face_can(model, hello):
    none, smiling, twice, much = (model.generate(hello, Condition("smiling", s)).values for s in (0, 1, 2, 9))
    smile = ARKIT.index("mouthSmileLeft")
    once = (smiling - none)[:, smile].mean()
    assert (twice - none)[:, smile].mean() > 1.7 * once
    assert ((much[:, WEIGHTS] >= 0) & (much[:, WEIGHTS] <= 1)).all()
    assert (much[:, CLOSED] <= much[:, JAW]).all()
    lively = model.generate(hello, Condition("lively", 10.0)).values[:, ARKIT.slice("head")]
    assert np.abs(lively).max() <= FARTHEST


def test_streams_of_mixes_stay_streams(model, hello):
    """Several at once, saved and restored, changed to other numbers of parts."""
    mix, window, hop = Condition({"smiling": 0.3, "broad": 0.4}), model.window, model.hop
    sound = np.resize(hello.samples, (2 * window + model.lookahead) * hop)
    first, rest = sound[: (window + model.lookahead) * hop], sound[window * hop :]
    states = [model.begin(condition, 1) for condition in (mix, Condition(), Condition("broad", 2.0))]
    together = model.step_many([(state, first) for state in states])
    for state, (frames, _) in zip(states, together, strict=True):
        assert np.allclose(frames, model.step(state, first)[0], atol=1e-6)
    frames, after = model.step(states[0], first)
    again = unpack_like(model.begin(Condition(), 1), pack(after))
    assert np.array_equal(model.step(after, rest)[0], model.step(again, rest)[0])
    unchanged = model.change(after, mix, 1)
    assert np.array_equal(model.step(after, rest)[0], model.step(unchanged, rest)[0])


@pytest.mark.parametrize("block", [333, 5000])
def test_however_the_sound_is_cut_a_mix_is_the_same_to_the_last_bit(model, hello, block):
    mix = Condition({"smiling": 0.3, "broad": 0.4}, 1.7)
    with model.stream(mix, 5, hello.sample_rate) as live:
        pieces = [piece for at in range(0, len(hello), block) for piece in live.feed(hello.samples[at : at + block])]
        pieces += live.finish()
    assert np.array_equal(np.concatenate([piece.values for piece in pieces]), model.generate(hello, mix, 5).values)


def test_a_style_that_changes_is_soon_the_new_one(model):
    """The past in the old style is not held on to, while what was heard is; so by share, by name, and to none."""
    sound = np.resize(artalk.listen(HELLO).resampled(16000).samples, 16000 * 10)
    step = (16 if model.window < 10 else 1) * model.window * model.hop

    def smiles(*conditions):
        """The mean smile of the second half of each condition's part."""
        state, at, means = model.begin(conditions[0], 1), 0, []
        for condition in conditions:
            state = model.change(state, condition, 1)
            frames, state = model.step(state, sound[at : at + step + model.lookahead * model.hop])
            at += step
            means.append(frames[len(frames) // 2 :, ARKIT.index("mouthSmileLeft")].mean())
        return means

    whole, part, none = Condition("smiling"), Condition({"smiling": 0.4}), Condition()
    assert smiles(whole, part)[1] < 0.2
    assert smiles(part, whole)[1] > 0.2
    assert smiles(whole, none)[1] < 0.05


@pytest.mark.parametrize("name", SHIPPED)
def test_a_session_in_the_largest_mix_fits_into_a_message(name, hello):
    """A saved one comes back in a server's message, and goes on to the last bit."""
    mix = {"smiling": 0.2, "broad": 0.2, "lively": 0.2, "stern": 0.2, "left": 0.1}
    session = Session(shipped(name), 16000, "free", style=mix)
    session.feed(hello.samples)
    session.run()
    saved = session.save()
    assert len(saved) < Limits().message_bytes
    again = Session.restore(shipped(name), saved)
    frames = []
    for each in (session, again):
        each.feed(hello.samples)
        each.finish()
        frames.append(np.concatenate([event.values for event in each.run() if isinstance(event, Motion)]))
    assert np.array_equal(*frames)


def test_names_that_nobody_knows_are_refused_whatever_their_share(model):
    for wish in ("angry", {"smiling": 1.0, "angry": 0.0}):
        with pytest.raises(BadInput, match="no style 'angry'; it has .*smiling"):
            model.begin(Condition(wish), 0)
