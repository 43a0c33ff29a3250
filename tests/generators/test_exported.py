"""The runner of exported models: live equals offline to the last bit, and chance comes from the seed alone."""

import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest

from artalk.audio import Audio
from artalk.channels import ARKIT, FLAME
from artalk.errors import BadFile, BadInput, MissingFile, Unsupported
from artalk.generators.exported import DONE, Exported, Settings
from artalk.generators.generator import Condition
from artalk.motion import Motion

torch = pytest.importorskip("torch")

from artalk import checkpoint  # noqa: E402
from tests.models import tiny  # noqa: E402

STYLES = {"calm": [1.0, 0, 0, 0, 0, 0], "loud": [0, 0, 1.0, 0, 0, 0]}


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "tiny.onnx"
    checkpoint.export(checkpoint.Checkpoint(tiny.bare(2), {"licence": "MIT"}, STYLES), path, "float16")
    return path


@pytest.fixture(scope="module")
def model(path):
    return Exported.load(path)


def sound(seconds=1.7, rate=16000, seed=0):
    samples = np.random.default_rng(seed).normal(0, 0.1, int(seconds * rate)).astype(np.float32)
    return Audio(samples, rate)


def clip(frames=40, fps=25, seed=0):
    return Motion(tiny.motion(1, frames, seed)[0].numpy(), ARKIT, Fraction(fps))


@pytest.mark.parametrize("rate", [16000, 44100])
@pytest.mark.parametrize("block", [1, 999, 6400, 50_000])
def test_live_equals_offline_to_the_last_bit(model, rate, block):
    audio = sound(rate=rate)
    if block == 1:
        audio, cuts = Audio(audio.samples[: rate // 20], rate), 1
    else:
        cuts = block
    whole = model.generate(audio, seed=3)
    stream = model.stream(seed=3, sample_rate=rate)
    pieces = [stream.nothing]
    for start in range(0, len(audio.samples), cuts):
        pieces += stream.feed(audio.samples[start : start + cuts])
    pieces += stream.finish()
    joined = Motion.join(pieces)
    assert np.array_equal(joined.values, whole.values)
    assert len(whole) == -(-len(audio.samples) * 25 // rate)


def test_the_file_says_what_it_is(model):
    assert model.channels == ARKIT
    assert model.fps == 25
    assert (model.window, model.sample_rate) == (10, 16000)
    assert model.lookahead == tiny.SPEECH.lookahead
    assert model.styles == ("calm", "loud")
    assert model.card == {"licence": "MIT"}
    assert model.name == "tiny"


def test_seeds_vary_the_rest_and_keep_the_lips(model):
    one, same, two = (model.generate(sound(), seed=seed).values for seed in (1, 1, 2))
    assert np.array_equal(one, same)
    lips, head = ARKIT.slice("jaw"), ARKIT.slice("head")
    assert np.array_equal(one[:, lips], two[:, lips])
    assert not np.array_equal(one[:, head], two[:, head])
    assert np.array_equal(model.generate(sound(), seed=-1).values, model.generate(sound(), seed=2**64 - 1).values)


def test_at_temperature_zero_the_seed_has_no_say(model):
    still = model.with_settings(Settings(temperature=0.0))
    assert np.array_equal(still.generate(sound(), seed=1).values, still.generate(sound(), seed=2).values)
    lips = model.with_settings(Settings(temperature={"lips": 1.0, "rest": 0.0}))
    one, two = (lips.generate(sound(), seed=seed).values for seed in (1, 2))
    assert not np.array_equal(one[:, ARKIT.slice("jaw")], two[:, ARKIT.slice("jaw")])
    assert np.array_equal(one[:, ARKIT.slice("head")], two[:, ARKIT.slice("head")])
    # A nucleus too small for any doubt is as good as temperature 0.
    sure = model.with_settings(Settings(top_p=0.0))
    assert np.array_equal(sure.generate(sound(), seed=1).values, still.generate(sound(), seed=1).values)


def test_a_step_leaves_the_old_state_as_it_was(model):
    state = model.begin(Condition(), 0)
    need = (model.window + model.lookahead) * model.hop
    heard = sound().samples[:need]
    first, _ = model.step(state, heard)
    again, _ = model.step(state, heard)
    assert np.array_equal(first, again)
    assert state.window == 0


def crowd(model):
    """Streams that differ in everything: seed, style, strength, sound, how much of it."""
    plain = 1 / model.style_guidance  # the strength that costs no branch more
    calm, loud = Condition("calm", style_strength=plain), Condition("loud", style_strength=plain)
    jobs = []
    for k, wish in enumerate([Condition(), calm, Condition("calm"), Condition(), loud, Condition("loud", 2.0)]):
        need = ((1 + k % 3) * model.window + model.lookahead) * model.hop
        jobs.append((model.begin(wish, k), sound(seed=k).samples[:need]))
    return jobs


def same(one, other):
    frames, state = one
    others, after = other
    assert np.array_equal(frames, others)
    assert (state.window, state.seed) == (after.window, after.seed)
    assert all(np.array_equal(array, after.arrays[name]) for name, array in state.arrays.items())


def test_many_streams_at_once_are_each_as_if_alone_to_the_last_bit(model, monkeypatch):
    runs, run = [], Exported._run

    def counted(self, states, sounds):
        runs.append(len(states))
        return run(self, states, sounds)

    monkeypatch.setattr(Exported, "_run", counted)
    jobs = crowd(model)
    together = model.step_many(jobs)
    # Four streams have one branch and two have two; they have 1, 2 and 3 windows.
    assert runs == [4, 2, 2, 2, 2]
    for made, job in zip(together, jobs, strict=True):
        same(made, model.step(*job))
    assert model.step_many([]) == []
    again = model.step_many([(state, jobs[0][1]) for _, state in reversed(together)])
    for made, (_, state) in zip(again, reversed(together), strict=True):
        same(made, model.step(state, jobs[0][1]))


def test_a_stream_keeps_nothing_of_the_others_in_memory(model):
    for _, state in model.step_many(crowd(model)):
        for array in state.arrays.values():
            assert array.base is None or array.base.nbytes == array.nbytes


def test_a_file_of_one_stream_still_runs(model, path, tmp_path):
    """As files were exported before: a batch of 1 and no other."""
    import onnx

    old = onnx.load(path)
    for value in (*old.graph.input, *old.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = 1
    onnx.save(old, tmp_path / "old.onnx")
    still = Settings(temperature=0.0)
    alone, together = Exported.load(tmp_path / "old.onnx", still), model.with_settings(still)
    jobs = crowd(alone)
    ours = alone.step_many(jobs)
    for made, other, job in zip(ours, together.step_many(crowd(together)), jobs, strict=True):
        same(made, alone.step(*job))
        # A runtime that knows the batch beforehand lays its sums out otherwise.
        np.testing.assert_allclose(made[0], other[0], atol=1e-5)


def test_a_clip_a_name_and_a_mix_give_styles(model):
    free = model.generate(sound()).values
    styled = model.generate(sound(), Condition(style=clip())).values
    assert not np.array_equal(free, styled)
    named = model.generate(sound(), Condition(style="calm")).values
    assert not np.array_equal(named, free)
    half = model.style({"calm": 1.0, "loud": 3.0})
    assert np.allclose(half, 0.25 * np.array(STYLES["calm"]) + 0.75 * np.array(STYLES["loud"]))
    ignored = model.generate(sound(), Condition(style="calm", style_strength=0.0)).values
    assert np.allclose(ignored, free, atol=1e-6)


def test_style_of_a_clip_is_torch_s_and_knows_no_frame_rate_or_length(model):
    torch_model = tiny.bare(2)
    with torch.no_grad():
        true = torch_model.style(torch_model.codec.normalise(torch.from_numpy(clip().values)[None]))[0].numpy()
    assert np.allclose(model.style(clip()), true, atol=5e-3)
    faster = clip().resample(50)
    assert np.abs(model.style(faster) - model.style(clip())).max() < 0.1
    assert np.linalg.norm(model.style(clip(1200))) == pytest.approx(1, abs=1e-5)


def test_sound_after_the_lookahead_changes_nothing(model):
    audio = sound(2.0)
    late = audio.samples.copy()
    edge = (2 * model.window + model.lookahead) * model.hop
    late[edge:] = 0.3
    one, two = model.generate(audio).values, model.generate(Audio(late, 16000)).values
    assert np.array_equal(one[: 2 * model.window], two[: 2 * model.window])
    assert not np.array_equal(one, two)


@pytest.mark.parametrize("samples", [0, 1, 639, 640])
def test_hardly_any_sound(model, samples):
    made = model.generate(Audio(sound().samples[:samples], 16000))
    assert len(made) == -(-samples // 640)
    assert np.isfinite(made.values).all()


def test_wrong_wishes_are_refused(model):
    with pytest.raises(BadInput, match="no style 'angry'; it has calm, loud"):
        model.style("angry")
    with pytest.raises(BadInput, match="at least 10 frames"):
        model.style(clip(5))
    with pytest.raises(BadInput, match="arkit motion, got flame"):
        model.style(Motion(np.zeros((30, 106), np.float32), FLAME, Fraction(25)))
    with pytest.raises(BadInput, match="shares of at least 0"):
        model.style({"calm": -1.0})
    with pytest.raises(BadInput, match="no stream 'nose'; it has lips, rest"):
        model.with_settings(Settings(temperature={"nose": 1.0}))
    with pytest.raises(BadInput, match="top_p lies within 0 and 1"):
        model.with_settings(Settings(top_p=1.5))
    with pytest.raises(BadInput, match="style_strength lies within"):
        Condition(style_strength=-1)
    with pytest.raises(Unsupported, match="cannot honour keyframes; it honours style"):
        model.stream(Condition(keyframes=np.zeros((1, 55), np.float32)))


def test_settings_by_name():
    """As a command line says them: texts, of all streams or of some."""
    assert Settings.wished({}) == Settings()
    assert Settings.wished({"temperature": "0.5", "sound_guidance": 2}) == Settings(temperature=0.5, sound_guidance=2.0)
    chosen = Settings.wished({"top_p.lips": "0.9", "top_p.rest": 1})
    assert chosen == Settings(top_p={"lips": 0.9, "rest": 1.0})
    for wrong in ({"top_p": 1, "top_p.lips": 0.5}, {"top_p.lips": 0.5, "top_p": 1}):
        with pytest.raises(BadInput, match="of all streams or of some by name, got both"):
            Settings.wished(wrong)
    for name in ("colour", "sound_guidance.lips", "temperature2"):
        with pytest.raises(BadInput, match="is run with temperature, top_p, sound_guidance"):
            Settings.wished({name: 1})
    for value in ("warm", True, None):
        with pytest.raises(BadInput, match="temperature is a number"):
            Settings.wished({"temperature": value})


def test_files_that_are_no_models(tmp_path):
    with pytest.raises(MissingFile, match=r"\.onnx file, none is at"):
        Exported.load(tmp_path / "no.onnx")
    (tmp_path / "text.onnx").write_text("hello")
    with pytest.raises(BadFile, match="onnxruntime can run"):
        Exported.load(tmp_path / "text.onnx")
    from onnx import TensorProto, helper, save

    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])
    out = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "other", [value], [out])
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / "other.onnx")
    with pytest.raises(BadFile, match="has no artalk.step: it is not one that artalk wrote"):
        Exported.load(tmp_path / "other.onnx")


def test_running_a_model_brings_no_torch(path):
    code = f"""
import sys, numpy as np
from artalk.generators.exported import DONE, Exported
from artalk.audio import Audio
made = Exported.load({str(path)!r}).generate(Audio(np.zeros(16000, np.float32), 16000))
assert len(made) == 25
print(*sys.modules)
"""
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert not {"torch", "scipy", "onnx", "transformers"} & set(done.stdout.split())


def test_a_change_in_the_midst_keeps_what_was_heard(model):
    """The same wish again changes nothing; another style begins a motion of its own, and steering may begin and end."""
    heard, rest = sound(1.6).samples, sound(1.7, seed=5).samples
    step = (model.window + model.lookahead) * model.hop
    _, state = model.step(model.begin(Condition(), 3), heard[: len(heard) // step * step])
    again = model.change(state, Condition(), 3)
    plain, after = model.step(state, rest[:step])
    np.testing.assert_array_equal(model.step(again, rest[:step])[0], plain)
    fresh = model.step(model.begin(Condition(), 3), rest[:step])[0]
    assert np.abs(fresh - plain).max() > 0
    style = next(iter(model.styles))
    steered = model.change(after, Condition(style, style_strength=2.0), 3)
    for name, array in model.begin(Condition(style), 3).arrays.items():
        kept = after.arrays[name] if not name.startswith(DONE) else array
        np.testing.assert_array_equal(steered.arrays[name].flat[: kept.size], kept.flat)
    frames, steered = model.step(steered, rest[:step])
    assert np.isfinite(frames).all()
    back, _ = model.step(model.change(steered, Condition(), 3), rest[:step])
    assert np.isfinite(back).all()
