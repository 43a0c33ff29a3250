"""A model is one file: what is saved is what is loaded, and what is exported does what torch does."""

import dataclasses
import os

import numpy as np
import pytest
import torch

from artalk import checkpoint
from artalk.checkpoint import Checkpoint
from artalk.errors import BadFile, BadInput, MissingFile
from artalk.generators.exported import Exported, Settings
from artalk.generators.generator import FREE, Condition
from artalk.models.codec import Codec
from tests.models.tiny import WINDOW, bare, config, noise_sound, rough


@pytest.fixture(scope="module")
def made():
    return Checkpoint(bare(2, "vector"), {"licence": "MIT"}, {"calm": [1.0, 0, 0, 0, 0, 0]})


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


def test_half_precision_halves_the_file_and_hardly_moves_the_weights(made, tmp_path):
    model = rough(Codec(dataclasses.replace(made.model.config.codec)))
    for name, half in (("full", False), ("half", True)):
        checkpoint.save(Checkpoint(model), tmp_path / f"{name}.safetensors", half)
    full, half = (os.path.getsize(tmp_path / f"{name}.safetensors") for name in ("full", "half"))
    assert half < 0.75 * full
    again = checkpoint.load(tmp_path / "half.safetensors").model
    assert isinstance(again, Codec)
    for name, tensor in model.state_dict().items():
        assert again.state_dict()[name].dtype == tensor.dtype
        assert torch.allclose(again.state_dict()[name], tensor, rtol=1e-3, atol=1e-4)


def test_files_that_are_no_checkpoints(tmp_path, made):
    with pytest.raises(MissingFile, match="none is at"):
        checkpoint.load(tmp_path / "no.safetensors")
    (tmp_path / "text.safetensors").write_text("hello")
    with pytest.raises(BadFile, match=r"no \.safetensors"):
        checkpoint.load(tmp_path / "text.safetensors")
    from safetensors.torch import save_file

    save_file({"x": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(BadFile, match="no artalk model"):
        checkpoint.load(tmp_path / "other.safetensors")
    with pytest.raises(MissingFile, match="needs the folder"):
        checkpoint.save(made, tmp_path / "nowhere" / "a.safetensors")


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


def test_for_the_same_noise_the_exported_model_draws_the_same_motion(made, exported):
    model, runner = made.model, Exported.load(exported)
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
            part, there = model.step(there, piece, noise, steering)
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


def test_a_live_model_of_one_binary_stream_exports_too(tmp_path):
    model = bare(0, seed=4)
    checkpoint.export(Checkpoint(model), tmp_path / "bare.onnx")
    sound = noise_sound(3 * WINDOW * 640)
    assert checkpoint.deviation(Checkpoint(model), tmp_path / "bare.onnx", sound).largest < 1e-4


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
    steering = model.steer(1, torch.tensor([made.styles["calm"]]), 2.0, 1.5, {"lips": 0.0, "rest": 0.0})
    assert np.abs(model.generate(sound[None], steering)[0].numpy() - motion).max() < 1e-4
