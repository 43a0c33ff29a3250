"""The released model: equal to its plain description, live equal to offline, and nobody's files are trusted."""

import dataclasses
import json
import os
import pickle
import zipfile

import numpy as np
import pytest
import torch
from benchmarks.released_reference import Reference
from hypothesis import given, settings
from hypothesis import strategies as st

import artalk
from artalk import cli
from artalk.audio import Audio
from artalk.channels import ARKIT, FLAME
from artalk.errors import ArtalkError, BadFile, BadInput, MissingFile, Unsupported
from artalk.generators.generator import Condition
from artalk.models.released import config as sizes
from artalk.models.released import file, layout, mimi
from artalk.models.released.generator import Released
from artalk.models.released.gpu import Captured
from artalk.models.released.model import ReleasedModel
from artalk.models.released.options import Options
from artalk.motion import Motion
from artalk.stream.session import Session
from tests.models import released_tiny as tiny
from tests.shared import shared

STYLE = Condition(style=Motion(tiny.clip(), FLAME, 25))


@pytest.fixture(scope="module")
def model():
    return ReleasedModel(tiny.CONFIG, tiny.tensors())


@pytest.fixture(scope="module")
def performer(model):
    return Released(model)


@pytest.fixture(scope="module")
def raw(model):
    return Released(model, Options(raw=True))


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return tiny.write(tmp_path_factory.mktemp("released"))


def spoken(windows=2.6, seed=0, rate=16000):
    return Audio(tiny.sound(windows, seed), rate)


# ── the numbers ──


@pytest.mark.parametrize("style", [None, STYLE])
def test_what_is_computed_once_is_what_the_description_says(model, raw, style):
    sound = tiny.sound(3.4)
    reference = Reference(tiny.tensors(), tiny.CONFIG)
    wanted, trace = reference(torch.from_numpy(sound), None if style is None else torch.from_numpy(tiny.clip()))
    made = raw.generate(Audio(sound, 16000), style or Condition())
    state = raw.standing(raw.begin(style or Condition(), 0))
    for k, (features, logits, bits) in enumerate(trace):
        window = torch.nn.functional.pad(torch.from_numpy(sound), (0, tiny.WINDOW))[k * tiny.WINDOW :][: tiny.WINDOW]
        with torch.inference_mode():
            heard = model.speech(window[None])
            before = model.rest() if state.motion is None else model.codec.encode(state.motion)
            motion, predicted = model.window(heard, before, state.manner)
        state = state._replace(motion=motion)
        assert (heard[0] - features).abs().max() < 1e-5
        assert (predicted.logits[0].flatten(1) - logits).abs().max() < 1e-4
        assert torch.equal(predicted.bits[0].long(), bits)
    assert np.abs(made.values - wanted.numpy()).max() < 1e-5
    # A model that ignores its input would pass all of the above on one sound.
    assert np.abs(raw.generate(spoken(seed=1)).values - raw.generate(spoken(seed=2)).values).max() > 0.1


def test_style_and_history_have_a_say(raw):
    free, styled = raw.generate(spoken()).values, raw.generate(spoken(), STYLE).values
    assert np.abs(free - styled).max() > 0.01
    ignored = raw.generate(spoken(), Condition(style=STYLE.style, style_strength=0.0)).values
    assert np.abs(free - ignored).max() < 1e-5
    sound = tiny.sound(2.0)
    other = np.concatenate([tiny.sound(1.0, 5), sound[tiny.WINDOW :]])
    window = tiny.CONFIG.window
    one, two = (raw.generate(Audio(s, 16000)).values[window:] for s in (sound, other))
    assert np.abs(one - two).max() > 0.01


def test_a_style_is_blind_to_the_order_of_frames_but_not_to_their_number(model):
    clip = torch.from_numpy(tiny.clip(40))
    turned = model.style(clip.flip(0)[None])
    assert (model.style(clip[None]) - turned).abs().max() < 1e-5
    repeated = model.style(torch.cat([clip, clip[:30]])[None])
    assert (model.style(clip[None]) - repeated).abs().max() > 1e-3
    with pytest.raises(BadInput, match="1 to 79 frames, got 80"):
        model.style(torch.zeros(1, 80, 106))


@pytest.mark.parametrize("case", ["eng2_null", "eng2_style", "eng1_style", "eng1_null"])
def test_parity_with_the_reference_implementation(case):
    contents = file.read(shared("fixtures/released/micro.pt"))
    model, folder = contents.model(), shared("fixtures/released")
    inputs, wanted = np.load(folder / "inputs.npz"), np.load(folder / "micro_outputs.npz")
    compare(model, case, inputs, {key: wanted[key] for key in wanted if key.startswith((case, "style"))})


def compare(model, case, inputs, wanted, every=1):
    """Stage by stage with the stored bits, then end to end."""
    sound = torch.from_numpy(inputs[case[:4]])
    sound = torch.nn.functional.pad(sound, (0, -len(sound) % 64000)).view(-1, 64000)
    told = torch.from_numpy(wanted[f"{case}/prev_bits"]).float()
    with torch.inference_mode():
        feature = model.style(torch.from_numpy(inputs["style_motion"])[None])
        assert np.abs(feature[0].numpy() - wanted["style_feat"]).max() < 1e-5
        manner = model.generator.manner(feature, 1.1) if "style" in case else model.generator.manner(None)
        assert torch.equal(model.rest()[0], told[0])
        for k, window in enumerate(sound):
            features = model.speech(window[None])
            assert np.abs(features[0, :, ::every].numpy() - wanted[f"{case}/audio_feat"][k]).max() < 1e-4
            motion, predicted = model.window(features, told[k : k + 1], manner)
            assert np.abs(predicted.logits[0].flatten(1).numpy() - wanted[f"{case}/logits"][k]).max() < 1e-4
            assert np.array_equal(predicted.bits[0].numpy(), wanted[f"{case}/bits"][k])
            assert np.allclose(motion[0].numpy(), wanted[f"{case}/dec_motion"][k], atol=1e-5, rtol=1e-5)
            latents = model.codec.latents(motion)
            assert np.allclose(latents[0].numpy(), wanted[f"{case}/enc_out"][k + 1], atol=1e-4, rtol=1e-5)
            assert torch.equal(model.codec.encode(motion)[0], told[k + 1])
    condition = Condition(style=Motion(inputs["style_motion"], FLAME, 25)) if "style" in case else Condition()
    whole = Released(model, Options(raw=True)).generate(Audio(inputs[case[:4]], 16000), condition)
    assert np.allclose(whole.values, wanted[f"{case}/motion"], atol=1e-5, rtol=1e-5)


def test_parity_for_odd_lengths_silence_and_clips():
    contents = file.read(shared("fixtures/released/micro.pt"))
    folder = shared("fixtures/released")
    inputs, edges = np.load(folder / "inputs.npz"), np.load(folder / "micro_edge.npz")
    model = contents.model()
    raw = Released(model, Options(raw=True))
    for name in edges:
        if name.startswith("stylefeat"):
            clip = np.tile(inputs["style_motion"], (12, 1))[: int(name[9:])]
            made = model.style(torch.from_numpy(clip)[None])[0].numpy()
        else:
            # The fixture's sound begins at sample 20,000 of eng1, whatever its page says.
            count = 0 if name == "silence5s" else int(name[3:])
            sound = inputs["eng1"][20_000 : 20_000 + count] if count else np.zeros(80_000, np.float32)
            made = raw.generate(Audio(sound, 16000)).values
        assert np.abs(made - edges[name]).max() < 1e-5, name


@pytest.mark.slow
def test_parity_at_full_size():
    from ast import literal_eval
    from importlib.util import module_from_spec, spec_from_file_location

    folder = shared("fixtures/released")
    spec = spec_from_file_location("weights", folder / "weights.py")
    maker = module_from_spec(spec)
    spec.loader.exec_module(maker)
    micro = torch.load(folder / "micro.pt", weights_only=True)
    listed = shared("papers/artalk_state_dict.txt").read_text().splitlines()
    rows = [line.split("\t") for line in listed if line[0] != "#"]
    tensors = {
        name: micro[name] if tiny.is_buffer(name) else torch.from_numpy(maker.weight_for(name, literal_eval(shape), 1))
        for name, shape, _ in rows
    }
    config = sizes.read(tensors, json.loads((folder / "full_config.json").read_text()))
    assert config == sizes.ReleasedConfig()
    layout.check(tensors, config)
    inputs, wanted = np.load(folder / "inputs.npz"), np.load(folder / "full_outputs.npz")
    model = ReleasedModel(config, tensors)
    for case, every in (("eng2_style", 1), ("eng1_null", 16)):
        compare(model, case, inputs, wanted, every)


# ── live, offline, options ──


@settings(max_examples=12)
@given(st.lists(st.integers(1, 9000), min_size=1, max_size=8), st.booleans(), st.sampled_from([16000, 44100]))
def test_live_equals_offline_to_the_last_bit(cuts, smooth, rate):
    performer = live(smooth)
    sound = spoken(1.7 * rate / 16000, rate=rate)
    whole = performer.generate(sound, STYLE)
    stream = performer.stream(STYLE, sample_rate=rate)
    pieces, start, turn = [stream.nothing], 0, 0
    while start < len(sound):
        block = cuts[turn % len(cuts)]
        pieces += stream.feed(sound.samples[start : start + block])
        start, turn = start + block, turn + 1
    joined = Motion.join([*pieces, *stream.finish()])
    assert np.array_equal(joined.values, whole.values)
    assert len(whole) == -(-len(sound) * 25 // rate)


def live(smooth, made={}):  # noqa: B006  # hypothesis and fixtures do not go together
    if smooth not in made:
        made[smooth] = Released(ReleasedModel(tiny.CONFIG, tiny.tensors()), Options(raw=not smooth))
    return made[smooth]


def test_the_official_smoothing_is_on_unless_it_is_switched_off(performer, raw):
    smooth, rough = performer.generate(spoken()).values, raw.generate(spoken()).values
    assert np.abs(np.diff(smooth, 2, axis=0)).mean() < 0.8 * np.abs(np.diff(rough, 2, axis=0)).mean()
    assert not smooth[:, 104:].any()
    assert rough[:, 104:].any()
    # The piece that is held back is part of what a stream says about itself.
    assert performer.stream().latency - raw.stream().latency == pytest.approx(0.16)


def test_smoothing_is_over_the_whole_performance_and_not_by_window(performer, raw):
    from artalk.generators.smoothing import SavitzkyGolay

    smoothing, rough = SavitzkyGolay(), raw.generate(spoken()).values
    first, state = smoothing.feed(smoothing.begin(), rough)
    wanted = np.concatenate([first, smoothing.finish(state)])
    assert np.array_equal(performer.generate(spoken()).values, wanted)


@pytest.mark.parametrize("samples", [0, 1, 639, 640, 641, 8 * 640, 9 * 640, tiny.WINDOW, tiny.WINDOW + 1])
def test_hardly_any_sound(performer, samples):
    made = performer.generate(Audio(tiny.sound()[:samples], 16000))
    assert len(made) == -(-samples // 640)
    assert made.channels == FLAME


def test_silence_and_a_constant_are_no_trouble(performer):
    for sound in (np.zeros(20_000, np.float32), np.full(20_000, 0.3, np.float32)):
        assert np.isfinite(performer.generate(Audio(sound, 16000)).values).all()


def test_sound_to_come_changes_nothing_before_it(raw):
    one, two = tiny.sound(3.0), tiny.sound(3.0)
    two[2 * tiny.WINDOW :] = 0.1
    frames = 2 * tiny.CONFIG.window
    made = [raw.generate(Audio(sound, 16000)).values for sound in (one, two)]
    assert np.array_equal(made[0][:frames], made[1][:frames])
    assert not np.array_equal(made[0], made[1])


def test_a_style_may_change_on_the_way(raw):
    step = tiny.sound(1.0)
    first, state = raw.step(raw.begin(Condition(), 0), step)
    kept, _ = raw.step(state, step)
    turned, _ = raw.step(raw.change(state, STYLE, 0), step)
    anew, _ = raw.step(raw.begin(STYLE, 0), step)
    assert not np.array_equal(turned, kept)
    assert not np.array_equal(turned, anew)
    assert np.array_equal(raw.step(raw.begin(Condition(), 3), step)[0], first)


@pytest.mark.parametrize("options", [Options(), Options(raw=True, encoder="bfloat16", generator="bfloat16")])
def test_a_session_that_is_saved_goes_on_to_the_last_bit(options):
    generator = Released(ReleasedModel(tiny.CONFIG, tiny.tensors()), options)
    sound = spoken(3.3, rate=44100).samples
    whole, saved = (Session(generator, 44100, "free", style=STYLE.style) for _ in range(2))
    made = [[], []]
    for k, start in enumerate(range(0, len(sound), 20_000)):
        saved = Session.restore(generator, saved.save())
        for session, pieces in zip((whole, saved), made, strict=True):
            session.feed(sound[start : start + 20_000])
            if start + 20_000 >= len(sound):
                session.finish()
            pieces += [event.values for event in session.run(float(k)) if isinstance(event, Motion)]
    assert np.array_equal(np.concatenate(made[0]), np.concatenate(made[1]))
    assert len(np.concatenate(made[0])) == -(-len(sound) * 25 // 44100)


def test_several_utterances_side_by_side(performer):
    sounds = [spoken(2.6, 1), spoken(0.3, 2), spoken(1.1, 3), Audio(np.zeros(0, np.float32), 16000)]
    conditions = [STYLE, Condition(), STYLE, Condition()]
    many = performer.generate_many(sounds, conditions)
    for made, sound, condition in zip(many, sounds, conditions, strict=True):
        alone = performer.generate(sound, condition)
        assert made.values.shape == alone.values.shape
        assert np.abs(made.values - alone.values).max(initial=0) < 1e-4
    assert performer.generate_many([]) == []
    with pytest.raises(BadInput, match="each sound has a condition"):
        performer.generate_many(sounds, conditions[:1])


def test_encoding_ahead_changes_nothing(raw):
    ahead = Released(ReleasedModel(tiny.CONFIG, tiny.tensors()), Options(ahead=True, raw=True))
    assert np.array_equal(ahead.generate(spoken(4.3)).values, raw.generate(spoken(4.3)).values)


@pytest.mark.parametrize(("precision", "most"), [("bfloat16", 0.03), ("int8", 0.06)])
def test_fewer_bits_do_nearly_the_same(model, precision, most):
    options = Options(encoder=precision, generator=precision)
    fast = Released(ReleasedModel(tiny.CONFIG, tiny.tensors()), options).model
    with torch.inference_mode():
        window = torch.from_numpy(tiny.sound(1.0))[None]
        features = model.speech(window)
        assert 1e-5 < distance(fast.speech(window), features) < most
        # Up to the first choice: what follows one that falls otherwise cannot be compared.
        true, made = (m.generator(m.condition(features), m.rest(), m.generator.manner(None)) for m in (model, fast))
        assert 1e-5 < distance(made.logits[:, :1], true.logits[:, :1]) < most
        assert (made.bits == true.bits).float().mean() > 0.8


def distance(made, true):
    return float((made - true).norm() / true.norm())


def test_wrong_wishes_are_refused(performer, model):
    with pytest.raises(BadInput, match="flame motion, got arkit"):
        performer.stream(Condition(style=Motion(np.zeros((50, 55), np.float32), ARKIT, 25)))
    with pytest.raises(BadInput, match="knows none by name; got 'happy'"):
        performer.stream(Condition(style="happy"))
    with pytest.raises(BadInput, match="at least 2 frames"):
        performer.stream(Condition(style=Motion(tiny.clip(1), FLAME, 25)))
    with pytest.raises(Unsupported, match="cannot honour keyframes"):
        performer.stream(Condition(keyframes=np.zeros((1, 106), np.float32)))


# ── ways to run it ──


@pytest.fixture
def one_gpu(monkeypatch):
    """What torch says where there is a GPU; nothing is run on it."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)


def test_fast_is_the_measured_way_of_a_device(monkeypatch, one_gpu):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": True, "avx512_bf16": False})
    on_cpu = Options.wished({"fast": True}, raw=True)
    assert on_cpu == Options(raw=True, encoder="bfloat16", generator="bfloat16")
    on_gpu = Options.wished({"fast": True, "device": "cuda:0"})
    assert on_gpu == Options(device="cuda:0", encoder="bfloat16", generator="bfloat16", graphs=True)
    # What is said one by one counts more.
    assert Options.wished({"fast": True, "generator": "float32"}).generator == "float32"
    assert Options.wished({"fast": False, "encoder": "int8"}) == Options(encoder="int8")
    assert Options.wished({}) == Options()


def test_fast_says_where_a_processor_has_no_bfloat16(monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx2": True})
    with pytest.warns(UserWarning, match="does not multiply in bfloat16"):
        assert Options.wished({"fast": True}) == Options(ahead=True)


@pytest.mark.parametrize(
    ("wishes", "sentence"),
    [
        ({"encoder": "int4"}, "the precision of the encoder is float32, bfloat16, int8, got 'int4'"),
        ({"generator": True}, "the precision of the generator is .* got True"),
        ({"ahead": "yes"}, "ahead is true or false, got 'yes'"),
        ({"fast": "very"}, "fast is true or false, got 'very'"),
        ({"quick": True, "raw": True}, "is run with fast, encoder, .* got 'quick', 'raw'"),
        ({"device": "tpu"}, "a device is cpu, cuda or cuda:1, got 'tpu'"),
        ({"device": "cuda:x"}, "a device is"),
        ({"device": True}, "a device is cpu, cuda or cuda:1, got True"),
        ({"device": "cuda:1"}, "torch sees 1 GPU, from cuda:0"),
        ({"device": "cuda", "encoder": "int8"}, "int8 is for the CPU"),
        ({"device": "cuda", "ahead": True}, "ahead is for the CPU"),
        ({"graphs": True}, "graphs are CUDA's"),
    ],
)
def test_ways_that_there_are_not_are_refused_before_anything_is_read(one_gpu, wishes, sentence):
    with pytest.raises((BadInput, Unsupported), match=sentence):
        artalk.api.generator("none.pt", run=wishes)


def test_no_gpu_is_a_sentence(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(Unsupported, match="torch sees no GPU here: use device 'cpu'"):
        artalk.animate(spoken(), model="none.pt", run={"fast": True, "device": "cuda"})


def test_a_convolution_is_a_product(model):
    x = torch.randn(2, 9, tiny.CONFIG.wav2vec2.width, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        made = torch.nn.functional.gelu(model.speech.place.as_product(x))
        assert (made - model.speech.place(x)).abs().max() < 1e-5


def test_a_window_needs_no_word_with_the_cpu():
    """On torch's device of shapes alone, which no CPU tensor may join and from which no number is read back."""
    options = Options(encoder="bfloat16", generator="bfloat16")
    made = Released(ReleasedModel(tiny.CONFIG, tiny.tensors()), options).model.to("meta")
    with torch.no_grad():
        sound, clip = (torch.zeros(*shape, device="meta") for shape in ((1, tiny.WINDOW), (1, 50, 106)))
        manner = made.generator.manner(made.style(clip), 1.1)
        motion, _ = made.window(made.speech(sound), made.rest(), manner)
        again, _ = made.window(made.speech(sound), made.codec.encode(motion), manner)
        assert again.device.type == made.speech.place.as_product(torch.zeros(1, 9, 16, device="meta")).device.type
        assert again.shape == (1, tiny.CONFIG.window, 106)
        with pytest.raises(RuntimeError, match="device"):
            made.speech(torch.zeros(1, tiny.WINDOW))
        with pytest.raises(NotImplementedError, match="meta"):
            motion.cpu()


def test_several_at_once_are_not_recorded():
    doubled = Captured(lambda x, y: 2 * x + y)
    assert torch.equal(doubled(torch.ones(3, 2), torch.ones(1, 2)), torch.full((3, 2), 3.0))


def test_compiled_layers_say_the_same(monkeypatch, raw):
    """The tracing, which is what a change of ours can break; test_compiled_in_earnest makes machine code of it."""
    compiled = compiled_by("eager", monkeypatch)
    assert np.abs(compiled.generate(spoken(), STYLE).values - raw.generate(spoken(), STYLE).values).max() < 1e-5
    frames = torch._dynamo.utils.counters["frames"]
    assert frames["ok"] == frames["total"] > 0


def test_what_cannot_be_compiled_is_a_sentence(monkeypatch):
    def broken(graph, inputs):
        raise RuntimeError("no compiler was found")

    with pytest.raises(Unsupported, match=r"on cpu with compiled, which can be left out; .* no compiler was found"):
        compiled_by(broken, monkeypatch)


def compiled_by(backend, monkeypatch):
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    own = ReleasedModel.compile_layers
    monkeypatch.setattr(ReleasedModel, "compile_layers", lambda model: own(model, backend))
    return Released(ReleasedModel(tiny.CONFIG, tiny.tensors()), Options(raw=True, compiled=True))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # torch's own
def test_compiled_in_earnest(raw):
    compiled = Released(ReleasedModel(tiny.CONFIG, tiny.tensors()), Options(raw=True, compiled=True))
    assert np.abs(compiled.generate(spoken(), STYLE).values - raw.generate(spoken(), STYLE).values).max() < 1e-4


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU here")
@pytest.mark.parametrize("more", [{}, {"graphs": True}, {"compiled": True}, {"compiled": True, "graphs": True}])
def test_a_gpu_does_the_same(raw, more):
    own = Released(ReleasedModel(tiny.CONFIG, tiny.tensors()), Options(raw=True, device="cuda", **more))
    for sound, condition in ((spoken(), STYLE), (spoken(3.2, 7), Condition())):
        assert np.abs(own.generate(sound, condition).values - raw.generate(sound, condition).values).max() < 1e-4
    many = own.generate_many([spoken(), spoken(1.2, 3)])
    assert np.abs(many[1].values - raw.generate(spoken(1.2, 3)).values).max() < 1e-4


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU here")
def test_a_gpu_in_fewer_bits_does_nearly_the_same(model):
    fast = Released(ReleasedModel(tiny.CONFIG, tiny.tensors()), Options.wished({"fast": True, "device": "cuda"}))
    with torch.inference_mode():
        window = torch.from_numpy(tiny.sound(1.0))[None]
        assert 1e-5 < distance(fast.model.speech(window.cuda()).cpu(), model.speech(window)) < 0.03
    assert np.isfinite(fast.generate(spoken()).values).all()
    assert np.array_equal(fast.generate(spoken()).values, fast.generate(spoken()).values)


# ── files ──


def test_sizes_are_read_from_the_file(checkpoint):
    assert file.read(checkpoint).config == tiny.CONFIG
    state = tiny.tensors()
    assert sizes.read(state, tiny.OFFICIAL) == tiny.CONFIG
    bare = sizes.read(state)  # without a config heads are 64 wide, and these widths are less
    assert (bare.codec.heads, bare.wav2vec2.heads, bare.heads) == (1, 1, 3)
    assert sum(math_prod(shape) for shape in layout.shapes(sizes.ReleasedConfig()).values()) == 489_721_273
    assert len(layout.shapes(sizes.ReleasedConfig())) == 814


def math_prod(shape):
    return int(np.prod(shape))


def test_names_and_shapes_of_the_release():
    listed = shared("papers/artalk_state_dict.txt").read_text().splitlines()
    rows = dict(line.split("\t")[:2] for line in listed if line and line[0] != "#")
    assert {name: str(shape) for name, shape in layout.shapes(sizes.ReleasedConfig()).items()} == rows


def test_one_safetensors_holds_it_all(checkpoint, tmp_path, raw):
    file.convert(checkpoint, tmp_path / "tiny.safetensors")
    contents = file.read(tmp_path / "tiny.safetensors")
    assert contents.config == tiny.CONFIG
    assert contents.card["source"]["file"] == "tiny.pt"
    assert contents.card["source"]["bytes"] == checkpoint.stat().st_size
    assert not contents.card["source"]["official"]
    made = Released(contents.model(), Options(raw=True)).generate(spoken())
    assert np.array_equal(made.values, raw.generate(spoken()).values)
    # Converted again it stays what it was made of.
    file.convert(tmp_path / "tiny.safetensors", tmp_path / "again.safetensors")
    assert file.read(tmp_path / "again.safetensors").card == contents.card
    with pytest.raises(BadInput, match=r"converted to \.safetensors"):
        file.convert(checkpoint, tmp_path / "tiny.bin")


def test_old_names_other_types_and_shared_storages_are_read(tmp_path, raw):
    state = tiny.tensors()
    new = "audio_encoder.encoder.pos_conv_embed.conv.parametrizations.weight.original"
    old = {
        f"{new}0": new.replace("parametrizations.weight.original", "weight_g"),
        f"{new}1": new.replace("parametrizations.weight.original", "weight_v"),
    }
    spelled = {
        old.get(name, name): tensor.double() if name == "pos_embed" else tensor for name, tensor in state.items()
    }
    larger = torch.zeros(3, *state["vqfeat_embed.weight"].T.shape)
    larger[1] = state["vqfeat_embed.weight"].T
    spelled["vqfeat_embed.weight"] = larger[1].T  # a view with an offset and strides
    (tmp_path / "odd").mkdir()
    loaded = file.read(tiny.write(tmp_path / "odd", spelled))
    made = Released(loaded.model(), Options(raw=True)).generate(spoken())
    assert np.array_equal(made.values, raw.generate(spoken()).values)
    file.write(loaded, tmp_path / "odd.safetensors")
    assert file.read(tmp_path / "odd.safetensors").tensors["vqfeat_embed.weight"].equal(state["vqfeat_embed.weight"])


def test_style_clips_are_views_of_recordings(tmp_path):
    recording = torch.from_numpy(tiny.clip(900))
    torch.save(recording[100:150], tmp_path / "natural_0.pt")
    assert (tmp_path / "natural_0.pt").stat().st_size > 300_000
    clip = file.read_style(tmp_path / "natural_0.pt")
    assert (clip.channels, clip.fps, len(clip)) == (FLAME, 25, 50)
    assert np.array_equal(clip.values, tiny.clip(900)[100:150])
    artalk.api.convert(tmp_path / "natural_0.pt", tmp_path / "natural_0.npz")
    assert np.array_equal(artalk.load(tmp_path / "natural_0.npz").values, clip.values)


class Attack:
    """Runs when it is unpickled."""

    def __init__(self, *call):
        self.call = call

    def __reduce__(self):
        return self.call


def changed(**more):
    """The tiny state dict with some tensors replaced, or left out where the value is None."""
    state = tiny.tensors() | {name.replace("__", "."): value for name, value in more.items()}
    return {name: tensor for name, tensor in state.items() if tensor is not None}


def spoiled(name, value):
    state = tiny.tensors()
    state[name] = state[name].clone()
    state[name].view(-1)[3] = value
    return state


def packed(path, *_):
    """The same archive, deflated."""
    with zipfile.ZipFile(path) as old:
        parts = {item.filename: old.read(item) for item in old.infolist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for name, data in parts.items():
            new.writestr(name, data)


def repacked(change):
    def work(path):
        with zipfile.ZipFile(path) as old:
            parts = {item.filename: old.read(item) for item in old.infolist()}
        with zipfile.ZipFile(path, "w") as new:
            for name, data in change(parts).items():
                new.writestr(name, data)

    return work


def cut(share):
    return lambda path: path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])


def flip(path):
    data = bytearray(path.read_bytes())
    start = data.index(b"PK\x03\x04")
    data[start + 80 : start + 400] = bytes(320)
    path.write_bytes(bytes(data))


def without_table(parts):
    return {name: data for name, data in parts.items() if not name.endswith("data.pkl")}


def long_table(parts):
    return {name: data + bytes(20 << 20) if name.endswith("data.pkl") else data for name, data in parts.items()}


def evil_table(parts):
    payload = pickle.dumps(Attack(exec, ("open('owned', 'w').close()",)), protocol=2)
    return {name: payload if name.endswith("data.pkl") else data for name, data in parts.items()}


def shorter(parts):
    longest = max(parts, key=lambda name: len(parts[name]))
    return parts | {longest: parts[longest][:100]}


def write_bytes(data):
    return lambda path: path.write_bytes(data)


NO_FIRST_BLOCK = {name: t for name, t in tiny.tensors().items() if not name.startswith("attn_blocks.0.")}
NEVER_MOVED = changed(basic_vae__motion_std=torch.zeros(106), style_encoder__motion_std=torch.zeros(106))
FIVE_HEADS = changed(**{f"attn_blocks__{i}__attn__scale_mul_1H11": torch.zeros(1, 5, 1, 1) for i in (0, 1)})
WRONG_LEVELS = torch.arange(18)[None]
HUGE = torch.zeros(1).expand(1 << 20, 1 << 20)
NAN, INF = float("nan"), float("inf")

BROKEN = {
    "runs a command": (Attack(os.system, ("touch owned",)), None, r"wants to run \w+\.system"),
    "evaluates": (Attack(eval, ("open('owned', 'w')",)), None, "wants to run eval"),
    "hides code in a tensor's place": ({"pos_embed": Attack(exec, ("open('owned', 'w')",))}, None, "wants to run"),
    "code where torch expects its table": (None, repacked(evil_table), "wants to run"),
    "a whole module": (torch.nn.Linear(2, 2), None, "wants to run"),
    "a plain pickle": (None, write_bytes(pickle.dumps({"pos_embed": 1})), "no .pt file"),
    "a plain pickle of code": (None, write_bytes(pickle.dumps(Attack(exec, ("open('owned','w')",)))), "no .pt file"),
    "no bytes": (None, write_bytes(b""), "no .pt file"),
    "text": (None, write_bytes(b"hello, this is a checkpoint"), "no .pt file"),
    "cut off early": (None, cut(0.3), "no .pt file"),
    "cut off late": (None, cut(0.99), "no .pt file"),
    "overwritten inside": (None, flip, "damaged"),
    "deflated, as bombs are": (None, packed, "is packed"),
    "no table of contents": (None, repacked(without_table), "0 data.pkl"),
    "an endless table of contents": (None, repacked(long_table), "table of contents"),
    "a storage shorter than its tensor": (None, repacked(shorter), "damaged"),
    "a list": ([torch.zeros(2)], None, "holds a state dict"),
    "nothing": ({}, None, "holds a state dict"),
    "a number among tensors": (changed() | {"epoch": 3}, None, "names and tensors, got 'epoch'"),
    "numbers for names": ({1: torch.zeros(2)}, None, "names and tensors"),
    "nested": ({"model": tiny.tensors()}, None, "names and tensors"),
    "a view that claims a terabyte": (changed(pos_embed=HUGE), None, "claims"),
    "sparse": (changed(logits_head__weight=torch.eye(4).to_sparse()), None, "a dense array"),
    "complex": (changed(logits_head__bias=torch.zeros(16, dtype=torch.complex64)), None, "floats or whole numbers"),
    "another model": ({"layer.weight": torch.zeros(3, 3)}, None, "has a tensor 'basic_vae"),
    "a tensor missing": (changed(logits_head__bias=None), None, "lacks logits_head.bias"),
    "a tensor too many": (changed(extra=torch.zeros(2)), None, "has unknown extra"),
    "a block missing": (NO_FIRST_BLOCK, None, "without a gap"),
    "a wrong shape": (changed(logits_head__weight=torch.zeros(16, 25)), None, r"is \(16, 24\), got \(16, 25\)"),
    "too few axes": (changed(null_style_cond=torch.zeros(24)), None, "has 3 axes"),
    "an empty tensor": (changed(vqfeat_embed__weight=torch.zeros(24, 0)), None, "is empty"),
    "whole numbers for floats": (changed(logits_head__bias=torch.zeros(16, dtype=torch.int64)), None, "holds floats"),
    "floats for levels": (changed(lvl_idx=torch.zeros(1, 18)), None, "lvl_idx"),
    "NaN": (spoiled("logits_head.weight", NAN), None, "1 numbers that are NaN"),
    "infinity": (spoiled("basic_vae.enc_pos_embed", INF), None, "1 numbers that are NaN"),
    "another mask": (spoiled("basic_vae.attn_mask", -1.0), None, "a constant of this architecture"),
    "another mask of levels": (spoiled("attn_bias_for_masking", NAN), None, "a constant of this architecture"),
    "other positions": (spoiled("style_encoder.PE.pe", 2.0), None, "a constant of this architecture"),
    "two statistics": (spoiled("style_encoder.motion_mean", 9.0), None, "a constant of this architecture"),
    "a deviation of 0": (NEVER_MOVED, None, "above 0 everywhere"),
    "levels that do not rise": (changed(lvl_idx=WRONG_LEVELS.flip(1)), None, "lvl_idx counts"),
    "negative levels": (changed(lvl_idx=WRONG_LEVELS - 5), None, "lvl_idx counts"),
    "a level for each token": (changed(lvl_idx=WRONG_LEVELS), None, "scales rise"),
    "heads that do not divide": (FIVE_HEADS, None, "divide its width"),
}  # fmt: skip


@pytest.mark.parametrize("kind", BROKEN)
def test_broken_and_malicious_checkpoints_are_refused(tmp_path, monkeypatch, kind):
    content, work, sentence = BROKEN[kind]
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "bad.pt"
    torch.save(tiny.tensors() if content is None else content, path)
    (tmp_path / "bad_config.json").write_text(json.dumps({"wav2vec2": {"num_attention_heads": 2}}))
    if work is not None:
        work(path)
    with pytest.raises(BadFile, match=sentence) as caught:
        file.read(path)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600
    with pytest.raises(ArtalkError):
        file.convert(path, tmp_path / "out.safetensors")
    assert sorted(item.name for item in tmp_path.iterdir()) == ["bad.pt", "bad_config.json"]


CONFIGS = {
    "no JSON": ("{", "is no JSON"),
    "another depth": ({"AR_CONFIG": {"T_DEPTH": 12}}, "T_DEPTH = 12"),
    "several windows of history": ({"AR_CONFIG": {"PREV_RATIO": 2}}, "PREV_RATIO = 2"),
    "other scales": ({"VAE_CONFIG": {"V_PATCH_NUMS": [1, 10]}}, "V_PATCH_NUMS"),
    "heads in words": ({"VAE_CONFIG": {"T_NUM_HEADS": "many"}}, "number of heads of the codec"),
    "heads that do not divide": ({"VAE_CONFIG": {"T_NUM_HEADS": 5}}, "divide its width 16, got 5"),
    "no table": ({"AR_CONFIG": {}, "VAE_CONFIG": 3}, "table VAE_CONFIG"),
    "strides longer than kernels": ({"AR_CONFIG": {}, "wav2vec2": {"conv_stride": [9] * 7}}, "kernels and strides"),
    "an epsilon of 0": ({"AR_CONFIG": {}, "wav2vec2": {"layer_norm_eps": 0.0}}, "layer_norm_eps"),
    "of something else": ({"hidden_size": 3}, "AR_CONFIG and VAE_CONFIG"),
}


@pytest.mark.parametrize("kind", CONFIGS)
def test_configs_that_do_not_fit_are_refused(checkpoint, tmp_path, kind):
    content, sentence = CONFIGS[kind]
    path = tmp_path / "its.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    with pytest.raises(BadFile, match=sentence):
        file.read(checkpoint, path)


def test_safetensors_that_are_no_released_model_are_refused(checkpoint, tmp_path):
    from safetensors.torch import save_file

    path = tmp_path / "x.safetensors"
    file.convert(checkpoint, tmp_path / "good.safetensors")
    good = file.read(tmp_path / "good.safetensors")
    state = dict(good.tensors)

    def header(**more):
        table = {"format": "1", "kind": "released", "config": artalk.config.to_json(tiny.CONFIG), "card": "{}"} | more
        return {f"artalk.{key}": value for key, value in table.items()}

    cases = [
        ({}, state, "no released model of format 1"),
        (header(kind="codec"), state, "no released model"),
        (header(format="9"), state, "no released model"),
        (header(config="{}"), state, "has 814 tensors, this one"),
        (header(config="text"), state, "is JSON"),
        (header(config='{"depth": 1000000000}'), state, "lie within 1 and"),
        (header(config='{"scales": [5, 1]}'), state, "scales rise"),
        (header(card="{"), state, "x.safetensors"),
        (header(), {"a": torch.zeros(2)}, "lacks"),
    ]
    for metadata, tensors, sentence in cases:
        save_file(tensors, path, metadata)
        with pytest.raises(BadFile, match=sentence):
            file.read(path)
    path.write_bytes((tmp_path / "good.safetensors").read_bytes()[:5000])
    with pytest.raises(BadFile, match=r"no \.safetensors file"):
        file.read(path)
    for name in ("none.pt", "none.safetensors"):
        with pytest.raises(MissingFile):
            file.read(tmp_path / name)
    with pytest.raises(MissingFile, match="no config"):
        file.read(checkpoint, tmp_path / "none.json")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (torch.zeros(50, 54), "is \\(frames, 106\\) floats"),
        (torch.zeros(0, 106), "is \\(frames, 106\\) floats"),
        (torch.zeros(50, 106, dtype=torch.int64), "is \\(frames, 106\\) floats"),
        (torch.full((50, 106), NAN), "motion is finite"),
        ({"motion": torch.zeros(50, 106)}, "holds one tensor"),
        (torch.zeros(1, 106).expand(1 << 30, 106), "claims"),
        (Attack(exec, ("open('owned', 'w')",)), "wants to run"),
    ],
)
def test_clips_that_are_none_are_refused(tmp_path, monkeypatch, content, sentence):
    monkeypatch.chdir(tmp_path)
    torch.save(content, tmp_path / "clip.pt")
    with pytest.raises(BadFile, match=sentence):
        file.read_style(tmp_path / "clip.pt")
    assert [item.name for item in tmp_path.iterdir()] == ["clip.pt"]


# ── verbs ──


def run(*arguments):
    with pytest.raises(SystemExit) as stop:
        cli.main([str(argument) for argument in arguments])
    return stop.value.code


@pytest.fixture
def desk(tmp_path, monkeypatch):
    """An empty folder to work in, with a sound and no assets."""
    import wave

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ARTALK_HOME", str(tmp_path / "home"))
    with wave.open("x.wav", "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(16000)
        sound.writeframes((tiny.sound() * 32767).astype("<i2").tobytes())
    return tmp_path


def test_the_command_line_works_straight_on_the_official_files(checkpoint, desk, capsys, raw):
    torch.save(torch.from_numpy(tiny.clip()), "natural_0.pt")
    assert run("animate", "x.wav", "--model", checkpoint, "--style", "natural_0.pt", "-o", "x.npz") == 0
    assert run("animate", "x.wav", "--model", checkpoint, "--raw", "-o", "raw.npz") == 0
    assert run("animate", "x.wav", "--model", checkpoint, "--raw", "--run", "ahead=true", "-o", "ahead.npz") == 0
    assert run("animate", "x.wav", "--model", checkpoint, "--run", "encoder=int8", "-o", "int8.npz") == 0
    assert run("convert", checkpoint, "-o", "tiny.safetensors") == 0
    assert run("convert", "natural_0.pt", "-o", "natural_0.npz") == 0
    assert run("animate", "x.wav", "--model", "tiny.safetensors", "--style", "natural_0.npz", "-o", "y.npz") == 0
    one, two = artalk.load("x.npz"), artalk.load("y.npz")
    assert one.channels == FLAME
    assert np.array_equal(one.values, two.values)
    assert np.array_equal(artalk.load("raw.npz").values, raw.generate(artalk.listen("x.wav")).values)
    assert np.array_equal(artalk.load("ahead.npz").values, artalk.load("raw.npz").values)
    assert not np.array_equal(artalk.load("int8.npz").values, one.values)
    capsys.readouterr()
    for arguments, sentence in (
        (("animate", "x.wav", "--raw", "-o", "z.npz"), "raw leaves out"),
        (("animate", "x.wav", "--model", "none.pt", "-o", "z.npz"), "none is at"),
        (("animate", "x.wav", "--style", "natural_0.pt", "-o", "z.npz"), "FLAME"),
        (("convert", "x.wav", "-o", "z.npz"), "convert reads a .pt"),
        (("convert", "none.pt", "-o", "z.npz"), "none is at"),
        (("convert", "natural_0.pt", "-o", "z.safetensors"), "holds a state dict"),
    ):
        assert run(*arguments) == 2
        error = capsys.readouterr().err
        assert sentence in error
        assert error.count("\n") == 1
    assert not list(desk.glob("z.*"))


def test_files_of_arkit_are_written_by_the_users_map(checkpoint, desk, capsys):
    command = ("animate", "x.wav", "--model", checkpoint, "-o", "take.csv")
    assert run(*command) == 2
    assert "artalk assets add flame-map TABLE.csv" in capsys.readouterr().err
    (desk / "table.csv").write_text("shape,expression0,expression1,jawX\njawOpen,0,0.5,0.3\nmouthSmileLeft,2,0,0\n")
    assert run("assets", "add", "flame-map", "table.csv") == 0
    assert run(*command, "-o", "take.npz") == 0
    take, wanted = artalk.load("take.csv"), artalk.retarget(artalk.load("take.npz"), "arkit")
    assert take.channels == ARKIT
    assert np.abs(take.values[:, :52] - wanted.values[:, :52]).max() < 1e-4
    assert np.ptp(take.values[:, ARKIT.index("jawOpen")]) > 0.01
    assert run(*command, "--gain", "head=0") == 2
    assert "gains are for arkit motion" in capsys.readouterr().err


def test_a_model_is_opened_once(checkpoint):
    from artalk.models.released.generator import opened

    assert opened(checkpoint) is opened(checkpoint)
    assert opened(checkpoint, Options(raw=True)) is not opened(checkpoint)


@pytest.mark.slow
def test_the_exported_model_is_torch_to_a_hundred_thousandth(checkpoint, tmp_path):
    from artalk.generators.released import ReleasedOnnx
    from artalk.models.released.export import export

    contents = file.read(checkpoint)
    export(contents, tmp_path / "tiny.released.onnx")
    made = artalk.api.generator(tmp_path / "tiny.released.onnx")
    assert isinstance(made, ReleasedOnnx)
    true = Released(contents.model())
    for condition in (Condition(), STYLE, Condition(style=STYLE.style, style_strength=2.0)):
        assert (
            np.abs(made.generate(spoken(), condition).values - true.generate(spoken(), condition).values).max() < 1e-5
        )
    stream = made.stream(STYLE)
    pieces = [stream.nothing, *stream.feed(spoken().samples[:9000]), *stream.feed(spoken().samples[9000:])]
    joined = Motion.join([*pieces, *stream.finish()])
    assert np.array_equal(joined.values, made.generate(spoken(), STYLE).values)
    with pytest.raises(BadInput, match="float32, float16 or int8"):
        export(contents, tmp_path / "x.released.onnx", "int4")


@pytest.fixture(scope="module")
def mimi_net():
    """The Mimi network with random weights."""
    package = pytest.importorskip("transformers")
    torch.manual_seed(0)
    net = package.MimiModel(package.MimiConfig()).eval()
    for name, tensor in net.state_dict().items():
        if name.endswith("embed_sum"):  # a fresh codebook is all zeros
            tensor.normal_()
    return net


def with_mimi(net):
    """The config and the tensors of a tiny model that hears by `net`."""
    config = dataclasses.replace(tiny.CONFIG, speech="mimi", features=512)
    state = {name: t for name, t in tiny.tensors(config).items() if not name.startswith("audio_encoder.")}
    return config, state | {f"audio_encoder.acoustic_model.{name}": t for name, t in net.state_dict().items()}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # transformers' own
def test_the_mimi_variant_from_its_files_live_and_offline(mimi_net, tmp_path):
    checkpoint = tiny.write(tmp_path, with_mimi(mimi_net)[1])
    file.convert(checkpoint, tmp_path / "mimi.safetensors")
    made = []
    for path in (checkpoint, tmp_path / "mimi.safetensors"):
        model = Released.load(path)
        whole = model.generate(spoken(), STYLE)
        stream = model.stream(STYLE)
        cuts = np.split(spoken().samples, [700, 9000, 9001, 20_000])
        pieces = [stream.nothing, *(piece for cut in cuts for piece in stream.feed(cut)), *stream.finish()]
        assert np.array_equal(Motion.join(pieces).values, whole.values)
        made.append(whole.values)
    assert np.array_equal(*made)
    assert np.ptp(made[0], axis=0).max() > 0.01


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # transformers' own
def test_the_mimi_variant(mimi_net):
    net, (config, state) = mimi_net, with_mimi(mimi_net)
    found = sizes.read(state, tiny.OFFICIAL)
    assert found == dataclasses.replace(config, wav2vec2=sizes.Wav2vec2Config())
    layout.check(state, found)
    model = ReleasedModel(found, state)
    with torch.inference_mode():
        made = model.speech(torch.from_numpy(tiny.sound(1.0))[None])
        wide = mimi.resampled(torch.from_numpy(tiny.sound(1.0))[None], mimi.kernel(2, 3), 2, 3)
        true = net.quantizer.decode(net.encode(wide[:, None]).audio_codes).transpose(1, 2)
    assert torch.equal(made, true)
    assert made.shape == (1, model.speech.count(tiny.WINDOW), 512)
    motion = Released(model).generate(spoken())
    assert np.isfinite(motion.values).all()
    assert np.abs(motion.values - Released(model).generate(spoken(seed=1)).values).max() > 0.01


@given(st.integers(20, 5500))
def test_what_mimi_hears_is_the_same_sound(frequency):
    times = torch.arange(6400) / 16000
    wide = mimi.resampled(torch.sin(2 * torch.pi * frequency * times)[None], mimi.kernel(2, 3), 2, 3)[0]
    assert len(wide) == 9600
    true = torch.sin(2 * torch.pi * frequency * torch.arange(9600) / 24000)
    assert (wide - true)[60:-60].abs().max() < 0.05


def test_dataclasses_stay_plain():
    assert artalk.config.from_json(sizes.ReleasedConfig, artalk.config.to_json(tiny.CONFIG)) == tiny.CONFIG
    assert dataclasses.replace(tiny.CONFIG, speech="mimi").speech == "mimi"
