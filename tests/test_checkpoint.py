"""A model is one file: what is saved is what is loaded, and what is exported does what torch does."""

import os

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from artalk import checkpoint
from artalk.checkpoint import Checkpoint
from artalk.errors import BadFile, BadInput, MissingFile
from artalk.generators.exported import Exported, Settings
from artalk.generators.generator import FREE, Condition
from artalk.models.codec import Codec
from tests.models.tiny import WINDOW, bare, config, noise_sound, rough


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A model as it ships: weights that whole numbers can hold."""
    path = tmp_path_factory.mktemp("model") / "tiny.safetensors"
    checkpoint.save(Checkpoint(bare(2, "vector")), path, "int8")
    return Checkpoint(checkpoint.load(path).model, {"licence": "MIT"}, {"calm": [1.0, 0, 0, 0, 0, 0]})


@pytest.fixture(scope="module")
def graphs(made):
    return checkpoint.trace(made.model)


@pytest.fixture(scope="module")
def exported(made, graphs, tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "tiny.onnx"
    checkpoint.export(made, path, graphs=graphs)
    return path


def test_a_model_comes_back_as_it_was(made, tmp_path):
    checkpoint.save(made, tmp_path / "a.safetensors")
    again = checkpoint.load(tmp_path / "a.safetensors")
    assert again.model.config == made.model.config
    assert (again.card, again.styles) == (made.card, made.styles)
    for name, tensor in made.model.state_dict().items():
        assert torch.equal(again.model.state_dict()[name], tensor), name
    assert not again.model.training


@pytest.mark.parametrize(("weights", "share", "step"), [("float16", 0.75, 2**-11), ("int8", 0.6, 0.5 / 127)])
def test_fewer_bits_shrink_the_file_and_hardly_move_the_weights(made, tmp_path, weights, share, step):
    model = rough(Codec(made.model.config.codec))
    for stored in ("float32", weights):
        checkpoint.save(Checkpoint(model), tmp_path / stored, stored)
    assert os.path.getsize(tmp_path / weights) < share * os.path.getsize(tmp_path / "float32")
    again = checkpoint.load(tmp_path / weights).model.state_dict()
    for name, tensor in model.state_dict().items():
        assert again[name].dtype == tensor.dtype
        most = tensor.abs().flatten(1).amax(dim=1) if tensor.ndim > 1 else tensor.abs()
        wrong = (again[name] - tensor).abs()
        assert (wrong <= 1.001 * step * most.reshape(-1, *[1] * (tensor.ndim - 1))).all(), name
    assert torch.equal(again["mean"], model.mean)


def test_what_was_stored_in_whole_numbers_is_stored_so_again_without_loss(made, tmp_path):
    codec = rough(Codec(made.model.config.codec))
    checkpoint.save(Checkpoint(codec), tmp_path / "one", "int8")
    checkpoint.save(checkpoint.load(tmp_path / "one"), tmp_path / "two", "int8")
    one, two = (load_file(tmp_path / name) for name in ("one", "two"))
    whole = [name for name, tensor in one.items() if tensor.dtype == torch.int8]
    assert len(whole) > 10
    assert all(torch.equal(one[name], two[name]) for name in whole)


BIG = "streams.lips.encoder.blocks.0.qkv.weight"


@pytest.fixture(scope="module")
def whole(made, tmp_path_factory):
    """The tensors and the header of a codec in whole numbers."""
    path = tmp_path_factory.mktemp("codec") / "whole.safetensors"
    checkpoint.save(Checkpoint(rough(Codec(made.model.config.codec))), path, "int8")
    with safe_open(path, "pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, file.metadata()  # noqa: SIM118


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({f"{BIG}.scale": None}, r"qkv\.weight is int8 and has no "),
        ({f"{BIG}.scale": torch.ones(3)}, r"qkv\.weight\.scale is torch.float32 \(72,\), got torch.float32 \(3,\)"),
        ({f"{BIG}.scale": torch.ones(72, 24)}, r"got torch.float32 \(72, 24\)"),
        ({f"{BIG}.scale": torch.ones(72).half()}, r"is torch.float32 \(72,\), got torch.float16"),
        ({f"{BIG}.scale": torch.full((72,), torch.nan)}, "no scale"),
        ({f"{BIG}.scale": torch.full((72,), torch.inf)}, "no scale"),
        ({f"{BIG}.scale": torch.full((72,), 3e38)}, "no scale"),
        ({f"{BIG}.scale": torch.zeros(72)}, "no scale"),
        ({f"{BIG}.scale": -torch.ones(72)}, "no scale"),
        ({BIG: None}, r"tensors that its config asks for, see .*qkv\.weight, .*qkv\.weight\.scale"),
        ({BIG: torch.ones(72, 24)}, r"asks for, see .*qkv\.weight\.scale"),
        ({BIG: torch.ones(72, 3, dtype=torch.int8)}, r"qkv\.weight is torch.float32 \(72, 24\), got"),
        ({BIG: torch.tensor(1, dtype=torch.int8)}, r"qkv\.weight\.scale is torch.float32 \(\), got"),
        ({BIG: torch.ones(72, 24, dtype=torch.int32), f"{BIG}.scale": None}, "got torch.int32"),
        ({"mean": torch.full((55,), torch.nan)}, "mean holds numbers that are not finite"),
        ({"mean": torch.zeros(55, dtype=torch.int8)}, "mean is int8 and has no mean.scale"),
        ({"weights": "float16"}, "is int8 in a file that says float16"),
        ({"weights": None}, "is int8 in a file that says float16"),
        ({"weights": "int4"}, "stored as float32, float16 or int8, got 'int4'"),
        ({"config": None}, "a CodecConfig is JSON"),
        ({"config": '{"tiles": 3}'}, "unknown key 'tiles'"),
        ({"card": "hello"}, "its card is no JSON object"),
        ({"styles": "[1]"}, "its styles is no JSON object"),
        ({"styles": None}, "its styles is no JSON object"),
    ],
)
def test_files_whose_parts_do_not_fit_one_another(whole, tmp_path, change, complaint):
    tensors, header = dict(whole[0]), dict(whole[1])
    for key, value in change.items():
        place, key = (header, f"artalk.{key}") if f"artalk.{key}" in header else (tensors, key)
        del place[key]
        if value is not None:
            place[key] = value
    save_file(tensors, tmp_path / "odd.safetensors", header)
    with pytest.raises(BadFile, match=complaint) as caught:
        checkpoint.load(tmp_path / "odd.safetensors")
    assert "odd.safetensors" in str(caught.value)


def test_a_file_from_before_weights_were_named_is_read(made, tmp_path):
    codec = rough(Codec(made.model.config.codec))
    checkpoint.save(Checkpoint(codec), tmp_path / "new", "float16")
    with safe_open(tmp_path / "new", "pt") as file:
        header = file.metadata()
    del header["artalk.weights"]
    save_file(load_file(tmp_path / "new"), tmp_path / "old", header)
    new, old = (checkpoint.load(tmp_path / name).model.state_dict() for name in ("new", "old"))
    assert all(torch.equal(new[name], old[name]) for name in new)


def test_files_that_are_no_checkpoints(tmp_path, made):
    with pytest.raises(MissingFile, match="none is at"):
        checkpoint.load(tmp_path / "no.safetensors")
    (tmp_path / "text.safetensors").write_text("hello")
    with pytest.raises(BadFile, match=r"no \.safetensors"):
        checkpoint.load(tmp_path / "text.safetensors")
    save_file({"x": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(BadFile, match="no artalk model"):
        checkpoint.load(tmp_path / "other.safetensors")
    with pytest.raises(MissingFile, match="needs the folder"):
        checkpoint.save(made, tmp_path / "nowhere" / "a.safetensors")
    with pytest.raises(BadInput, match="float32, float16 or int8, got 'int4'"):
        checkpoint.save(made, tmp_path / "a.safetensors", "int4")
    assert not (tmp_path / "a.safetensors").exists()


def test_a_generator_adopts_a_codec_of_its_own_config(made):
    codec = rough(Codec(made.model.config.codec), seed=5)
    model = checkpoint.adopt(bare(2, "vector"), codec)
    assert all(torch.equal(a, b) for a, b in zip(model.codec.parameters(), codec.parameters(), strict=True))
    with pytest.raises(BadInput, match="differ in past"):
        checkpoint.adopt(bare(1, "vector"), codec)


def test_the_exported_model_is_torch_to_a_ten_thousandth(made, exported):
    sound = noise_sound(5 * WINDOW * 640 + 100)
    far = checkpoint.deviation(made, exported, sound)
    assert far.largest < 1e-4


def test_several_speakers_at_once_are_torch_s_too(made, exported):
    model, runner = made.model, Exported.load(exported, Settings(temperature=0.0))
    sound = torch.stack([noise_sound(model.step_samples, seed) for seed in range(3)])
    done = runner.heard_many([(runner.begin(FREE, 0), row.numpy()) for row in sound])
    steering = model.steer(3, temperature={"lips": 0.0, "rest": 0.0})
    with torch.no_grad():
        true, spoken, after = model.step(model.begin(3), sound, model.noise(3), steering)
    for row, (motion, heard, state) in enumerate(done):
        assert np.abs(true[row].numpy() - motion).max() < 1e-4
        assert np.abs(spoken[row].numpy() - heard).max() < 1e-4
        for name, array in state.arrays.items():
            assert np.abs(after[name][row].numpy() - array[0]).max() < 1e-3


def test_for_the_same_noise_the_exported_model_draws_the_same_motion(made, exported):
    drawn_alike(made.model, exported)


def drawn_alike(model, path):
    runner = Exported.load(path)
    sound = noise_sound(model.step_samples + WINDOW * 640)
    state = runner.begin(FREE, 7)
    motion, _ = runner.step(state, sound.numpy())
    from artalk.generators.exported import _noise

    steering, there, pieces = model.steer(temperature={"lips": 0.0, "rest": 1.0}), model.begin(), []
    for window in range(2):
        shapes = model.noise_shapes().items()
        noise = {n: torch.from_numpy(_noise(7, i, window, (1, *s))) for i, (n, s) in enumerate(shapes)}
        piece = sound[None, window * WINDOW * 640 :][:, : model.step_samples]
        with torch.no_grad():
            part, _, there = model.step(there, piece, noise, steering)
        pieces.append(part[0].numpy())
    assert np.abs(np.concatenate(pieces) - motion).max() < 1e-4


@pytest.mark.parametrize("weights", ["float16", "int8"])
def test_smaller_weights_do_nearly_the_same(made, graphs, exported, tmp_path, weights):
    path = tmp_path / "small.onnx"
    checkpoint.export(made, path, weights, graphs)
    assert os.path.getsize(path) < os.path.getsize(exported)
    sound = noise_sound(3 * WINDOW * 640)
    far = checkpoint.deviation(made, path, sound)
    other = Checkpoint(bare(2, "vector", seed=9))
    strange = checkpoint.deviation(other, path, sound)
    assert far.mean < 0.25 * strange.mean
    # What int8 holds already, int8 holds again: the same numbers are shipped to run and to tune from.
    assert weights == "float16" or far.largest < 1e-4


def test_bits_that_see_those_before_them_export_too(tmp_path):
    model = bare(0, seed=4, chain=6)
    path = tmp_path / "bare.onnx"
    checkpoint.export(Checkpoint(model), path)
    sound = noise_sound(3 * WINDOW * 640)
    assert checkpoint.deviation(Checkpoint(model), path, sound).largest < 1e-4
    drawn_alike(model, path)
    assert b"/artalk/" not in path.read_bytes(), "no lines of Python, and no machine's paths"
    free = bare(0, seed=4)
    free.load_state_dict({name: part for name, part in model.state_dict().items() if ".chain." not in name})
    assert not torch.allclose(*(m.generate(sound[None], m.steer()) for m in (model, free))), "the chain does something"


def test_wrong_exports_are_refused(made, tmp_path):
    with pytest.raises(BadInput, match="this is a codec"):
        checkpoint.export(Checkpoint(Codec(config().codec)), tmp_path / "a.onnx")
    with pytest.raises(BadInput, match="float32, float16 or int8"):
        checkpoint.export(made, tmp_path / "a.onnx", "int4")
    with pytest.raises(BadInput, match="style 'odd' has 6 numbers, got 1"):
        checkpoint.export(Checkpoint(made.model, styles={"odd": [1.0]}), tmp_path / "a.onnx")
    assert not list(tmp_path.iterdir())


def test_guidance_costs_branches_and_matches_torch(made, exported):
    model = made.model
    sound = noise_sound(2 * WINDOW * 640)
    runner = Exported.load(exported, Settings(temperature=0.0, sound_guidance=1.5))
    need = (2 * WINDOW + runner.lookahead) * 640
    motion, after = runner.step(runner.begin(Condition("calm", 2.0), 0), np.pad(sound.numpy(), (0, need - len(sound))))
    assert after.arrays["memory.lips"].shape[1] == 3
    guidance = 2.0 * model.config.style_guidance
    steering = model.steer(1, torch.tensor([made.styles["calm"]]), guidance, 1.5, {"lips": 0.0, "rest": 0.0})
    assert np.abs(model.generate(sound[None], steering)[0].numpy() - motion).max() < 1e-4
