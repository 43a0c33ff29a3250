from copy import copy
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import artalk
from artalk.audio import Audio
from artalk.channels import ARKIT
from artalk.errors import BadInput
from artalk.generators.generator import Condition
from artalk.generators.living import (
    OPENING,
    PARTING,
    PARTS,
    PATIENCE,
    SHUTTING,
    TRUST,
    Hush,
    Living,
    alive,
    trained,
)
from artalk.generators.mixing import Mixed
from artalk.generators.shipped import SHIPPED, WEIGHTS, shipped
from artalk.generators.visemes import Visemes
from artalk.stream.state import pack, unpack_like

HELLO = Path(__file__).parents[2] / "examples" / "hello.flac"


@pytest.fixture(scope="module", params=SHIPPED)
def model(request):
    return shipped(request.param)


@pytest.fixture(scope="module")
def hello():
    return artalk.listen(HELLO).resampled(16000)


def gap(motion):
    """The lips' gap, more or less."""
    return motion.channel("jawOpen") - motion.channel("mouthClose")


def test_eyes_are_the_rules_and_the_rest_is_the_model_s(model, hello):
    made = model.generate(hello, seed=3).values
    rules, alone = (part.generate(hello, seed=3).values for part in (model.rules, model.model))
    eyes, head = ARKIT.slice("eyes"), ARKIT.slice("head")
    rest = np.ones(len(ARKIT), bool)
    rest[eyes] = rest[head] = False
    if "quiet" in trained(model).facts["rules"]:
        rest[list(PARTING)] = False
        lips = made[:, PARTING], alone[:, PARTING]
        assert (lips[0] <= lips[1]).all()
        assert (lips[0] == lips[1])[25:50].mean() > 0.8  # while somebody speaks
    assert np.array_equal(made[:, eyes], rules[:, eyes])
    assert np.array_equal(made[:, rest], alone[:, rest])


def test_the_head_takes_the_model_s_posture_slowly_and_nods_with_the_voice(model, hello):
    made = model.generate(hello, seed=3).values
    head = ARKIT.slice("head")
    nods, alone = (part.generate(hello, seed=3).values[:, head] for part in (model.rules, model.model))
    posture = made[:, head] - nods
    assert np.abs(np.diff(posture, axis=0)).max() < np.abs(np.diff(alone, axis=0)).max() / 2
    behind = [np.corrcoef(posture[12:, angle], alone[:-12, angle])[0, 1] for angle in range(3)]
    assert max(behind) > 0.6
    assert nods[:, 0].max() > np.radians(0.5)
    assert not nods[:, 1:].any()


def test_a_model_is_alive_as_far_as_its_file_says(model):
    file = trained(model)
    assert {"eyes", "head"} <= set(file.facts["rules"]) <= set(PARTS)
    own = copy(file)
    own.facts = {name: fact for name, fact in file.facts.items() if name != "rules"}
    assert isinstance(alive(own), Mixed)
    assert trained(alive(own)) is own
    own.facts["rules"] = ["eyes"]
    sound = Audio(np.zeros(16000, np.float32), 16000)
    head = ARKIT.slice("head")
    assert np.array_equal(alive(own).generate(sound).values[:, head], file.generate(sound).values[:, head])
    assert trained(Visemes()) is None


@pytest.mark.parametrize("block", [333, 16000, 100_000])
def test_streaming_equals_offline_to_the_last_bit(model, hello, block):
    pieces = []
    with model.stream(seed=5) as live:
        for start in range(0, len(hello), block):
            pieces += live.feed(hello.samples[start : start + block])
        pieces += live.finish()
    whole = model.generate(hello, seed=5)
    assert np.array_equal(np.concatenate([piece.values for piece in pieces]), whole.values)


def test_a_saved_state_goes_on_as_the_one_that_was_saved(model, hello):
    sound = np.resize(hello.samples, (2 * model.window + model.lookahead) * model.hop)
    half = model.window * model.hop
    _, state = model.step(model.begin(Condition(), 1), sound[: half + model.lookahead * model.hop])
    again = unpack_like(model.begin(Condition(), 1), pack(state))
    assert np.array_equal(model.step(state, sound[half:])[0], model.step(again, sound[half:])[0])


def test_several_windows_at_once_are_the_same_as_one_after_the_other(model, hello):
    window, hop = model.window * model.hop, model.hop
    sound = np.resize(hello.samples, 2 * window + model.lookahead * hop)
    state = model.begin(Condition(), 1)
    both, _ = model.step(state, sound)
    first, state = model.step(state, sound[: window + model.lookahead * hop])
    second, _ = model.step(state, sound[window:])
    assert np.array_equal(both, np.concatenate([first, second]))


def test_another_seed_gives_another_head_and_other_blinks_and_the_same_lips(model, hello):
    one, two = (model.generate(hello, seed=seed) for seed in (1, 2))
    assert np.corrcoef(gap(one), gap(two))[0, 1] > 0.99
    for name in ("headY", "eyeBlinkLeft"):
        assert not np.array_equal(one.channel(name), two.channel(name))


@pytest.mark.parametrize("loud", [1e4, 1e19, 3e38])
def test_sound_that_no_microphone_makes_is_motion_still(model, loud):
    noise = np.random.default_rng(0).uniform(-loud, loud, 16000).astype(np.float32)
    made = model.generate(Audio(noise, 16000)).values
    assert np.isfinite(made).all()
    assert np.abs(made).max() <= 1


def test_silence_rests_and_speech_opens(model, hello):
    still = model.generate(Audio(np.zeros(3 * 16000, np.float32), 16000))
    spoken = model.generate(hello)
    assert gap(still).max() < 0.1
    assert gap(spoken).max() > 0.15


def test_a_minute_has_blinks_of_a_person(model, hello):
    motion = model.generate(Audio(np.resize(hello.samples, 60 * 16000), 16000))
    shut = motion.channel("eyeBlinkLeft") > 0.5
    assert 8 <= np.count_nonzero(shut[1:] & ~shut[:-1]) <= 30


def test_loudness_hardly_matters(model, hello):
    loud = model.generate(hello)
    quiet = model.generate(Audio(hello.samples * np.float32(0.1), 16000))
    assert np.corrcoef(gap(loud), gap(quiet))[0, 1] > 0.95


def test_styles_by_name_by_mix_and_by_strength(hello):
    assert {"smiling", "mumbling", "broad"} <= set(shipped("artalk").styles)

    def smile(**wishes):
        return float(artalk.animate(hello, **wishes).channel("mouthSmileLeft").mean())

    own = smile(style="grid_s1")
    assert smile(style="smiling") > own + 0.1
    assert own + 0.05 < smile(style="smiling:0.5,grid_s1:0.5") < smile(style="smiling") + 0.01
    assert smile(style="smiling", style_strength=0.0) < own + 0.1
    openings = [gap(artalk.animate(hello, style=style)).std() for style in ("mumbling", "grid_s1", "broad")]
    assert openings == sorted(openings)


def test_a_style_that_nobody_knows(hello):
    with pytest.raises(artalk.errors.MissingFile, match="a style is one of .*smiling"):
        artalk.animate(hello, style="furious")
    with pytest.raises(BadInput, match="share of style smiling is a number"):
        artalk.animate(hello, style="smiling:much")


def test_the_weights_fit_in_the_package():
    files = sorted(path.name for path in WEIGHTS.iterdir())
    models = ["artalk-live.md", "artalk-live.onnx", "artalk.md", "artalk.onnx", "artalk.safetensors"]
    assert files == [*models, "speech.flac", "speech.md"]
    assert sum(path.stat().st_size for path in WEIGHTS.iterdir()) < 30e6
    assert not any(b"/src/artalk/" in path.read_bytes() for path in WEIGHTS.iterdir()), "no machine's paths"


SILENT = Hush()


def hushed(speech, stirring=None, voiced=None, hush=SILENT):
    """How far lips are free at 25 fps; what is spoken stirs, and what stirs has no voice."""
    mute = [False] * len(speech)
    return hush.follow(speech, speech if stirring is None else stirring, voiced or mute, 0.04)


def test_lips_are_shut_until_somebody_speaks_and_free_within_a_few_frames():
    free, _ = hushed([False] * 10 + [True] * 10)
    assert not free[:10].any()
    assert (free[10 + round(OPENING / 0.04) - 1 :] == 1).all()


def test_a_short_pause_leaves_lips_alone_and_a_long_one_shuts_them_slowly():
    short = int(PATIENCE / 0.04)
    free, _ = hushed([True] * 10 + [False] * short + [True] * 5 + [False] * 25)
    assert (free[2 : 15 + 2 * short] == 1).all()
    falling = np.diff(free[15 + short :])
    assert falling.min() >= -0.04 / SHUTTING - 1e-6
    assert (falling <= 0).all()
    assert not free[15 + short + int((PATIENCE + SHUTTING) / 0.04) + 1 :].any()


def test_lips_part_for_a_breath_before_speech_and_not_for_one_after_the_other():
    breath = [True] * 8 + [False] * 12
    free, _ = hushed([False] * 8 + [True] * 20, [True] * 28)
    assert (free[2:] == 1).all()
    free, _ = hushed([False] * 200, breath * 10)
    assert free[:20].max() == 1
    assert free[40:].mean() < 0.1
    free, _ = hushed([False] * 200, [True] * 200)
    assert np.count_nonzero(free) * 0.04 <= TRUST + SHUTTING + 1e-6


def test_a_soft_voice_that_the_model_does_not_hear_yet_moves_the_lips():
    syllables = [True] * 6 + [False] * 3
    free, _ = hushed([False] * 225, [True] * 225, syllables * 25)
    assert free[10:].mean() > 0.9


@given(st.lists(st.tuples(st.booleans(), st.booleans(), st.booleans()), min_size=1, max_size=120), st.integers(0, 120))
def test_hush_does_not_depend_on_the_pieces_it_hears(heard, cut):
    speech, stirring, voiced = ([frame[k] for frame in heard] for k in range(3))
    whole, last = hushed(speech, stirring, voiced)
    first, hush = hushed(speech[:cut], stirring[:cut], voiced[:cut])
    second, hush = hushed(speech[cut:], stirring[cut:], voiced[cut:], hush)
    assert np.array_equal(np.concatenate([first, second]), whole)
    assert hush == last
    assert ((whole >= 0) & (whole <= 1)).all()
    assert (whole[np.array(speech)] > 0).all()


def test_rules_that_do_not_fit_are_refused(model):
    with pytest.raises(BadInput, match="single frames"):
        Living(Visemes(), model)
