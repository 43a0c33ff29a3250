"""Pretrained speech encoders: the numbers that transformers gives, from local folders alone, chunk by chunk."""
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false, reportIndexIssue=false
# pyright: reportOptionalOperand=false, reportOptionalMemberAccess=false, reportOptionalSubscript=false

import dataclasses
import importlib
import json
import os
import socket

import numpy as np
import pytest
import torch

pytest.importorskip("transformers", reason="pretrained speech encoders need the extra `encoders`")

from artalk import checkpoint, config
from artalk.errors import BadFile, BadInput, MissingFile
from artalk.models.artalk import Artalk, ArtalkConfig
from artalk.models.regression import Regression
from artalk.models.speech.architectures import HOP, PRESETS, build, read
from artalk.models.speech.cache import Features
from artalk.models.speech.mel import SpeechConfig
from artalk.models.speech.pretrained import Pretrained, PretrainedConfig
from tests.models import encoders, tiny
from tests.models.encoders import KINDS, folder_of, small, tensors_of, write


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    def refuse(*arguments, **options):
        raise AssertionError("something asked for the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return {name: folder_of(name, tmp_path_factory.mktemp(name)) for name in KINDS}


def pretrained(name, folder=None, seed=0, **changes):
    torch.manual_seed(seed)
    model = Pretrained(encoders.config(name, **changes), 25.0)
    if folder:
        model.read(folder)
    return model.eval()


def sound(frames, seed=0, batch=1):
    return tiny.noise_sound(batch * frames * HOP, seed).reshape(batch, -1)


@pytest.mark.parametrize("name", ["wav2vec2", "xls-r", "hubert", "wavlm"])
def test_features_are_those_of_the_published_model(folders, name):
    """What transformers makes of the same samples, its own extractor before it."""
    transformers = importlib.import_module("transformers")
    heard, piece = build(small(name)).eval(), sound(17)
    read(heard, small(name), folders[name])
    extract = transformers.Wav2Vec2FeatureExtractor(do_normalize=True)
    ready = extract(piece[0].numpy(), sampling_rate=16000, return_tensors="pt").input_values
    theirs = type(encoders.published(name)).from_pretrained(folders[name], local_files_only=True).eval()
    with torch.no_grad():
        mine, wanted = heard(piece), theirs(torch.nn.functional.pad(ready, (40, 40))).last_hidden_state
    assert mine.shape == (1, 34, 16)
    torch.testing.assert_close(mine, wanted, atol=1e-5, rtol=1e-5)
    assert wanted.std() > 0.1


def test_mimi_s_features_are_those_before_its_last_step(folders):
    heard, piece = build(small("mimi")).eval(), sound(16)
    read(heard, small("mimi"), folders["mimi"])
    theirs = encoders.published("mimi").encoder
    with torch.no_grad():
        mine, faster = heard(piece), heard.resampled(piece)
        wanted = theirs(faster[:, None]).latents
        torch.testing.assert_close(theirs.downsample(mine.transpose(1, 2)), wanted, atol=1e-5, rtol=1e-5)
    assert mine.shape == (1, 16, 16)
    assert wanted.std() > 0.01


@pytest.mark.parametrize("hertz", [50, 440, 3000, 6500])
def test_the_sound_that_mimi_hears_is_the_same_sound(hertz):
    codec = build(small("mimi"))
    slow, fast = (
        torch.sin(2 * torch.pi * hertz * torch.arange(n) / rate) for n, rate in ((3200, 16000), (4800, 24000))
    )
    error = (codec.resampled(slow[None])[0] - fast)[200:-200]
    assert error.abs().max() < 2e-3
    assert codec.resampled(slow[None]).shape == (1, 4800)


@pytest.mark.parametrize("name", KINDS)
def test_windows_with_their_margins_hear_what_the_whole_hears(folders, name):
    model, piece = pretrained(name, folders[name]), sound(5 + 30 + 2)
    with torch.no_grad():
        whole = model(piece).features
        parts = [model(piece[:, start * HOP : (start + 17) * HOP]).features for start in (0, 10, 20)]
    assert whole.shape == (1, 30, 24)
    torch.testing.assert_close(torch.cat(parts, dim=1), whole, atol=1e-5, rtol=1e-5)
    assert whole.std() > 0.05


@pytest.mark.parametrize("name", KINDS)
def test_sound_outside_the_margins_is_not_heard(folders, name):
    model, piece = pretrained(name, folders[name]), sound(5 + 20 + 2)
    late = piece.clone()
    late[:, 17 * HOP :] = 0.5
    with torch.no_grad():
        before, after = model(piece).features, model(late).features
    torch.testing.assert_close(after[:, :10], before[:, :10], atol=1e-6, rtol=0)
    assert (after[:, 10:] - before[:, 10:]).abs().max() > 1e-3


def test_an_end_that_fills_no_chunk_is_heard_with_silence_after_it(folders):
    model, piece = pretrained("wav2vec2", folders["wav2vec2"]), sound(5 + 13 + 2)
    with torch.no_grad():
        padded = torch.nn.functional.pad(piece, (0, 7 * HOP))
        assert torch.equal(model(piece).features, model(padded).features[:, :13])


@pytest.mark.parametrize("samples", [0, 100, 5 * HOP, 7 * HOP, 8 * HOP + 1])
def test_too_little_sound_is_refused(samples):
    with pytest.raises(BadInput, match="frames of 640 samples"):
        pretrained("wav2vec2")(torch.zeros(1, samples))


@pytest.mark.parametrize("loud", [0.0, 1e-9, 100.0])
def test_silence_and_extremes_stay_finite(folders, loud):
    for name in KINDS:
        features = pretrained(name, folders[name])(loud * sound(17)).features
        assert torch.isfinite(features).all(), name


def test_fewer_layers_are_the_first_ones(folders):
    one, two = (pretrained("wav2vec2", folders["wav2vec2"], layers=n) for n in (1, 2))
    assert len(one.encoder.net.encoder.layers) == 1
    assert len(two.encoder.net.encoder.layers) == 2
    assert torch.equal(*(m.encoder.net.encoder.layers[0].attention.q_proj.weight for m in (one, two)))


@pytest.mark.parametrize(("tune", "convolutions", "layers"), [("frozen", 0, 0), ("layers", 0, 1), ("all", 1, 1)])
@pytest.mark.parametrize("name", KINDS)
def test_what_is_tuned_learns_and_the_rest_stays(name, tune, convolutions, layers):
    model = pretrained(name, tune=tune, dropout=0.1).train()
    assert model.encoder.training is (tune != "frozen")
    model(sound(17)).features.square().sum().backward()
    of_convolutions = {id(p) for p in model.encoder.convolutions()}
    moved = {True: 0, False: 0}
    for parameter in model.encoder.parameters():
        if parameter.grad is not None and parameter.grad.any():
            moved[id(parameter) in of_convolutions] += 1
    assert (moved[True] > 0, moved[False] > 0) == (bool(convolutions), bool(layers))
    assert model.project.weight.grad is not None
    assert len(list(model.tuned())) == sum(p.requires_grad for p in model.encoder.parameters())


def test_frozen_features_do_not_depend_on_the_mode(folders):
    model = pretrained("hubert", folders["hubert"], dropout=0.5)
    quiet = model(sound(17)).features
    assert torch.equal(model.train()(sound(17)).features, quiet)


# ── folders ──


@pytest.mark.parametrize("name", KINDS)
def test_both_kinds_of_files_and_spellings_are_read(folders, name, tmp_path):
    tensors = tensors_of(folders[name])
    old = {
        key.replace("parametrizations.weight.original0", "weight_g").replace(
            "parametrizations.weight.original1", "weight_v"
        ): tensor
        for key, tensor in tensors.items()
    }
    head = "" if name == "mimi" else {"xls-r": "wav2vec2"}.get(name, name) + "."
    wanted = pretrained(name, folders[name]).encoder.state_dict()
    for number, (given, file) in enumerate([(old, "pytorch_model.bin"), (tensors, "model.safetensors")]):
        given = {head + key: tensor for key, tensor in given.items()} | {"lm_head.weight": torch.ones(3, 16)}
        folder = write(tmp_path / str(number), given, file)
        found = pretrained(name, folder, seed=1).encoder.state_dict()
        assert all(torch.equal(found[key], wanted[key]) for key in wanted)


def test_mimi_s_flat_layout_and_transformers_own_are_the_same(folders, tmp_path):
    flat = tensors_of(folders["mimi"])
    assert any(key.startswith("encoder.layers.") for key in flat)
    own = {
        key.replace("encoder_transformer.", "encoder.encoder_transformer.", 1)
        if key.startswith("encoder_transformer.")
        else key.replace("encoder.layers.", "encoder.encoder_seanet.layers.", 1)
        if key.startswith("encoder.layers.")
        else key: tensor
        for key, tensor in flat.items()
    }
    one, two = (pretrained("mimi", place).fingerprint() for place in (folders["mimi"], write(tmp_path / "own", own)))
    assert one == two


def test_weights_in_several_files_are_put_together(folders, tmp_path):
    tensors = tensors_of(folders["hubert"])
    names = sorted(tensors)
    for number, part in enumerate((names[:20], names[20:])):
        write(tmp_path, {name: tensors[name] for name in part}, f"model-0000{number}-of-00002.safetensors")
    assert pretrained("hubert", tmp_path).fingerprint() == pretrained("hubert", folders["hubert"]).fingerprint()


class Evil:
    def __reduce__(self):
        return os.mkdir, ("evil",)


def broken(kind, tensors, folder):
    """A folder that is wrong in one way."""
    name = next(name for name in tensors if name.endswith("layers.0.attention.q_proj.weight"))
    if kind == "a missing tensor":
        del tensors[name]
    elif kind == "another shape":
        tensors[name] = torch.zeros(8, 8)
    elif kind == "not a number":
        tensors[name][0, 0] = float("nan")
    elif kind == "infinity":
        tensors[name][0, 0] = float("inf")
    elif kind == "another architecture":
        encoders.say(folder, model_type="hubert")
    elif kind == "norms elsewhere":
        encoders.say(folder, model_type="wav2vec2", do_stable_layer_norm=True)
    elif kind == "a config that is none":
        (folder / "config.json").write_text("[1")
    elif kind == "a config that is a list":
        (folder / "config.json").write_text("[1]")
    write(folder, tensors)
    if kind == "cut off":
        whole = (folder / "model.safetensors").read_bytes()
        (folder / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    elif kind in ("code", "text", "a list", "nothing"):
        (folder / "model.safetensors").unlink()
        path = folder / "pytorch_model.bin"
        contents = {"code": Evil(), "a list": [1, 2]}
        torch.save(contents[kind], path) if kind in contents else path.write_text("" if kind == "nothing" else "hello")
    elif kind == "no files":
        (folder / "model.safetensors").unlink()


@pytest.mark.parametrize(
    "kind",
    [
        *("a missing tensor", "another shape", "not a number", "infinity", "another architecture", "norms elsewhere"),
        *("a config that is none", "a config that is a list", "cut off", "code", "text", "a list", "nothing"),
    ],
)
def test_broken_and_hostile_folders_are_refused(folders, tmp_path, monkeypatch, kind):
    monkeypatch.chdir(tmp_path)
    broken(kind, tensors_of(folders["wav2vec2"]), tmp_path)
    model = pretrained("wav2vec2")
    before = model.fingerprint()
    with pytest.raises(BadFile):
        model.read(tmp_path)
    assert model.fingerprint() == before
    assert not (tmp_path / "evil").exists()


def test_a_name_of_the_hub_is_no_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(MissingFile, match="a local folder, 'facebook/wav2vec2-base' is none"):
        pretrained("wav2vec2").read("facebook/wav2vec2-base")
    with pytest.raises(MissingFile, match=r"neither .safetensors nor"):
        pretrained("wav2vec2").read(tmp_path)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("wav2vec2-base", 94_371_712),
        ("xls-r-300m", 315_438_720),
        ("hubert-base", 94_371_712),
        ("hubert-large", 315_438_720),
        ("wavlm-base", 94_381_936),
    ],
)
def test_the_published_sizes(name, parameters):
    """The papers' counts; the mask's embedding, which is not used here, is one width of it."""
    with torch.device("meta"):
        encoder = build(PRESETS[name])
    assert sum(p.numel() for p in encoder.parameters()) == parameters - PRESETS[name].width


# ── configs ──


def test_a_model_s_config_chooses_its_encoder():
    mel = config.from_dict(ArtalkConfig, {"speech": {"bands": 40}})
    assert isinstance(mel.speech, SpeechConfig)
    assert isinstance(config.from_dict(ArtalkConfig, {"speech": {}}).speech, SpeechConfig)
    other = config.from_dict(ArtalkConfig, {"speech": {"encoder": "xls-r-300m", "layers": 12}})
    assert other.speech == PretrainedConfig("xls-r-300m", layers=12)
    assert other.speech.architecture.width == 1024
    own = ArtalkConfig(speech=PretrainedConfig(small("wavlm")))
    assert config.from_json(ArtalkConfig, config.to_json(own)) == own
    assert config.from_toml(ArtalkConfig, config.to_toml(own)) == own


@pytest.mark.parametrize(
    ("table", "complaint"),
    [
        ({"encoder": "wav2vec9"}, "a speech encoder is one of wav2vec2-base"),
        ({"encoder": "mimi", "chunk": 30}, "chunks of 30 frames do not fill windows of 100"),
        ({"encoder": "mimi", "chunk": 0}, "at least 1"),
        ({"encoder": "mimi", "tune": "some"}, "'frozen', 'layers', 'all'"),
        ({"encoder": "mimi", "sample_rate": 8000}, "16000 samples a second"),
        ({"encoder": "mimi", "chunks": 100, "back": 5}, "PretrainedConfig has encoder, layers"),
        ({"encoder": {"kind": "whisper"}}, "'wav2vec2', 'hubert', 'wavlm', 'mimi'"),
        ({"encoder": {"kind": "mimi", "width": 10, "heads": 3}}, "3 heads divide"),
        ({"bandz": 40, "width": 192}, "SpeechConfig has sample_rate, bands"),
    ],
)
def test_a_wrong_encoder_is_a_sentence(table, complaint):
    with pytest.raises(BadInput, match=complaint):
        config.from_dict(ArtalkConfig, {"speech": table})


@pytest.mark.parametrize("layers", [-1, 3])
def test_layers_that_are_not_there_are_refused(layers):
    with pytest.raises(BadInput, match="of 2 layers"):
        pretrained("wav2vec2", layers=layers)


# ── features on disk ──


def test_features_are_made_once_and_read_by_numpy(folders, tmp_path, monkeypatch):
    model = pretrained("xls-r", folders["xls-r"])
    features, samples = Features(tmp_path / "features", model), sound(23)[0].numpy()
    made = np.array(features.of(samples))
    padded = torch.nn.functional.pad(torch.tensor(samples)[None], (5 * HOP, 2 * HOP))
    np.testing.assert_allclose(made, model.raw(padded)[0], rtol=2e-3, atol=2e-3)
    assert made.shape == (23, 32)
    monkeypatch.setattr(Pretrained, "raw", None)
    again = Features(tmp_path / "features", model).of(samples)
    np.testing.assert_array_equal(again, made)
    files = list(features.folder.iterdir())
    assert sorted(path.suffix for path in files) == [".json", ".npy"]
    np.testing.assert_array_equal(np.load(next(p for p in files if p.suffix == ".npy")), made)
    assert json.loads((features.folder / "encoder.json").read_text())["encoder"]["kind"] == "wav2vec2"


@pytest.mark.parametrize("spoil", [b"", b"x", b"\x93NUMPY", None])
def test_a_broken_file_of_features_is_made_again(folders, tmp_path, spoil):
    features, samples = Features(tmp_path, pretrained("mimi", folders["mimi"])), sound(11)[0].numpy()
    made = np.array(features.of(samples))
    path = next(features.folder.glob("*.npy"))
    if spoil is None:
        np.save(path, made[:-1])
    else:
        path.write_bytes(spoil)
    np.testing.assert_array_equal(features.of(samples), made)
    np.testing.assert_array_equal(np.load(path), made)


def test_other_weights_margins_and_sounds_are_kept_apart(folders, tmp_path):
    base = pretrained("wav2vec2", folders["wav2vec2"])
    others = [pretrained("wav2vec2"), *(pretrained("wav2vec2", folders["wav2vec2"], **c) for c in CHANGES)]
    prints = {model.fingerprint() for model in [base, *others]}
    assert len(prints) == 1 + len(others)
    assert pretrained("wav2vec2", folders["wav2vec2"], seed=5, width=20).fingerprint() == base.fingerprint()
    features = Features(tmp_path, base)
    features.of(sound(3)[0].numpy())
    features.of(sound(3, seed=1)[0].numpy())
    assert len(list(features.folder.glob("*.npy"))) == 2


CHANGES = ({"back": 6}, {"ahead": 3}, {"chunk": 20}, {"layers": 1})


def test_features_of_what_changes_are_not_kept(tmp_path):
    with pytest.raises(BadInput, match="frozen"):
        Features(tmp_path, pretrained("wav2vec2", tune="all"))
    features = Features(tmp_path, pretrained("wav2vec2"))
    for samples in (np.zeros(0, np.float32), np.zeros(HOP + 1, np.float32), np.zeros((2, HOP), np.float32)):
        with pytest.raises(BadInput, match="whole frames"):
            features.of(samples)
    (tmp_path / "file").write_text("")
    with pytest.raises(BadFile, match="cannot be kept"):
        Features(tmp_path / "file", pretrained("wav2vec2"))


# ── in the model ──


def model_with(name, **changes):
    torch.manual_seed(0)
    return Artalk(tiny.config(speech=encoders.config(name, phones=("a", "b", "c"), **changes)))


@pytest.mark.parametrize("name", KINDS)
def test_the_model_steps_live_as_it_was_trained(folders, name):
    """`generate`, step by step from its state, hears what training's whole pass hears."""
    model = model_with(name).eval()
    model.speech.read(folders[name])
    piece = sound(20)
    margins = torch.nn.functional.pad(piece, (5 * HOP, 2 * HOP))
    heard = []
    handle = model.speech.register_forward_hook(lambda _, __, output: heard.append(output.features))
    motion = model.generate(piece, model.steer(), torch.Generator().manual_seed(0))
    handle.remove()
    assert motion.shape == (1, 20, 55)
    with torch.no_grad():
        torch.testing.assert_close(torch.cat(heard, dim=1), model.speech(margins).features, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", KINDS)
def test_sound_after_the_lookahead_changes_nothing(folders, name):
    model = tiny.rough(model_with(name), by=1.0)
    model.speech.read(folders[name])
    piece = sound(30)
    late = piece.clone()
    late[:, 12 * HOP :] = torch.sin(torch.arange(18 * HOP) / 8)
    cold = model.steer(temperature={"lips": 0.0, "rest": 0.0})
    one, two = (model.generate(x, cold) for x in (piece, late))
    assert torch.equal(one[:, :10], two[:, :10])
    assert not torch.equal(one[:, 10:], two[:, 10:])


def test_losses_take_features_in_the_place_of_sound(folders):
    model = model_with("wav2vec2").eval()
    model.speech.read(folders["wav2vec2"])
    tiny.rough(model).requires_grad_(False)
    batch = tiny.batch(speech=model.config.speech)
    told = dataclasses.replace(batch, heard=model.speech.raw(batch.sound), sound=torch.zeros_like(batch.sound))
    one, two, deaf = (model.losses(b)["total"] for b in (batch, told, dataclasses.replace(told, heard=None)))
    torch.testing.assert_close(one, two)
    assert abs(float(one - deaf)) > 1e-4


def test_the_baseline_hears_with_it_too(folders, tmp_path):
    torch.manual_seed(0)
    regression = Regression(tiny.config(speech=encoders.config("hubert"))).eval()
    regression.speech.read(folders["hubert"])
    made = regression.generate(sound(13))
    assert made.shape == (1, 13, 55)
    regression.save(tmp_path / "r.safetensors", {})
    assert torch.equal(Regression.load(tmp_path / "r.safetensors").generate(sound(13)), made)


@pytest.mark.parametrize("name", KINDS)
def test_a_checkpoint_needs_no_folder(folders, name, tmp_path):
    model = model_with(name).eval()
    model.speech.read(folders[name])
    checkpoint.save(checkpoint.Checkpoint(model), tmp_path / "m.safetensors")
    loaded = checkpoint.load(tmp_path / "m.safetensors").model
    cold = dict.fromkeys(model.trunks, 0.0)
    one, two = (m.generate(sound(10), m.steer(temperature=cold)) for m in (model, loaded))
    assert torch.equal(one, two)
    assert loaded.speech.fingerprint() == model.speech.fingerprint()
