"""The recipes on pretrained encoders train: each for a few steps, all made small but the recipe's own ways."""
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false, reportIndexIssue=false
# pyright: reportOptionalOperand=false, reportOptionalMemberAccess=false, reportOptionalSubscript=false

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("transformers", reason="pretrained speech encoders need the extra `encoders`")

from artalk import checkpoint, config
from artalk.errors import BadInput, MissingFile
from artalk.models.speech.pretrained import Pretrained, PretrainedConfig
from artalk.train import log
from artalk.train.learners import begin
from artalk.train.loop import train
from artalk.train.recipe import Data, Recipe, Sound
from artalk.train.windows import Shape, Takes
from tests.models.encoders import folder_of, small
from tests.train.corpora import made_corpus
from tests.train.recipes import smallest

ROOT = Path(__file__).parents[2]
RECIPES = {"wav2vec": "wav2vec2", "xls-r": "xls-r", "hubert": "hubert", "wavlm": "wavlm", "mimi": "mimi"}
PLAIN = Sound(voice=0.0, tempo=0.0, noise=0.0, room=0.0, band=0.0)


@pytest.fixture(scope="module", autouse=True)
def without_curves():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("artalk.train.log.draw", lambda folder: None)
        yield


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return made_corpus(tmp_path_factory.mktemp("corpus"))


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return {name: folder_of(name, tmp_path_factory.mktemp(name)) for name in RECIPES.values()}


def shrunk(name, folders, steps=3):
    """A recipe of the repository on a small random encoder: its stages, data and ways, other sizes."""
    recipe, least = config.load(Recipe, ROOT / "recipes" / f"{name}.toml"), smallest()
    kind = RECIPES[name]
    speech = replace(recipe.model.speech, encoder=small(kind), layers=min(recipe.model.speech.layers, 1), width=16)
    speech = replace(speech, chunk=10, back=5, ahead=min(speech.ahead, 2))
    few = {"codec": 1, "generator": steps}
    stages = {
        key: replace(stage, steps=few[key], rows=2, warmup=1, check=few[key], save=few[key])
        for key, stage in recipe.stages.items()
    }
    data = replace(recipe.data, validation_clips=1, style_seconds=(1.0, 1.5))
    return replace(
        recipe, model=replace(least.model, speech=speech), stages=stages, data=data, encoder=str(folders[kind])
    )


def tensors(model):
    return {name: tensor for name, tensor in model.state_dict().items() if name.startswith("speech.encoder.")}


@pytest.mark.parametrize("name", RECIPES)
def test_each_recipe_trains_the_generator_on_its_encoder(corpus, folders, tmp_path, name):
    recipe = shrunk(name, folders)
    kept = train(recipe, corpus, tmp_path)
    rows = [row["losses"]["total"] for row in log.read(tmp_path) if row["stage"] == "generator"]
    assert len(rows) == 3
    assert np.isfinite(rows).all()
    loaded = checkpoint.load(kept["generator"])
    assert np.isfinite(loaded.card["figures"]["score"])
    assert loaded.model.generate(torch.zeros(1, 6400), loaded.model.steer()).shape == (1, 10, 55)
    fresh = Pretrained(loaded.model.config.speech, 25.0)
    fresh.read(recipe.encoder)
    same = {
        n: torch.equal(t, tensors(loaded.model)[f"speech.encoder.{n}"]) for n, t in fresh.encoder.state_dict().items()
    }
    if recipe.model.speech.tune == "frozen":
        assert all(same.values())
    else:
        assert all(same[n] for n in same if "feature_extractor" in n)
        assert not all(same.values())


def test_the_published_recipes_name_published_encoders():
    chosen = {name: config.load(Recipe, ROOT / "recipes" / f"{name}.toml") for name in RECIPES}
    assert {recipe.model.speech.architecture.kind for recipe in chosen.values()} == {
        "wav2vec2",
        "hubert",
        "wavlm",
        "mimi",
    }
    assert {recipe.data.cached for recipe in chosen.values()} == {True, False}
    assert {recipe.model.speech.tune for recipe in chosen.values()} == {"frozen", "layers"}


class Killed(Exception):
    pass


@pytest.mark.parametrize("name", ["wav2vec", "hubert"])
def test_a_killed_run_goes_on_to_the_very_same_weights(corpus, folders, tmp_path, name):
    """With features from the disk and with a tuned encoder: killed between two saves."""
    recipe = shrunk(name, folders)
    stages = recipe.stages | {"generator": replace(recipe.stages["generator"], steps=4, save=2)}
    recipe = replace(recipe, stages=stages)

    def kill(progress):
        if (progress.stage, progress.step) == ("generator", 3):
            raise Killed

    whole = train(recipe, corpus, tmp_path / "whole")
    with pytest.raises(Killed):
        train(recipe, corpus, tmp_path / "killed", kill)
    resumed = train(recipe, corpus, tmp_path / "killed")
    one, two = (checkpoint.load(kept["generator"]).model.state_dict() for kept in (whole, resumed))
    assert all(torch.equal(one[key], two[key]) for key in one)
    assert [row["losses"] for row in log.read(tmp_path / "whole")] == [
        row["losses"] for row in log.read(tmp_path / "killed")
    ]


def test_each_clip_is_heard_once(folders, tmp_path, monkeypatch):
    corpus, recipe = made_corpus(tmp_path / "corpus"), shrunk("wav2vec", folders, steps=2)
    heard, raw = [], Pretrained.raw
    monkeypatch.setattr(Pretrained, "raw", lambda self, sound: heard.append(self.training) or raw(self, sound))
    train(recipe, corpus, tmp_path / "one")
    files = sorted((corpus.folder / "features").rglob("*.npy"))
    assert len(files) == sum(heard) == len(corpus.select("train")) + 1  # and silence
    heard.clear()
    train(replace(recipe, seed=1), corpus, tmp_path / "two")
    assert heard  # by the averaged model, to judge held-out clips
    assert not any(heard)
    assert sorted((corpus.folder / "features").rglob("*.npy")) == files
    assert len(type(corpus)(corpus.folder)) == 10


def test_features_stay_beside_their_motion(corpus):
    """A made-up encoder that hears loudness: through cuts, joins and pauses it stays with the sound's own loudness."""

    def loudness(sound):
        return np.sqrt((sound.reshape(-1, 640) ** 2).mean(axis=1, keepdims=True)).astype(np.float16)

    data = replace(Data(), sound=replace(PLAIN, gain=(0.0, 0.0)), windows=2, pauses=0.5)
    takes = Takes(corpus, "train", data, Shape(40, 12, 5), 0, True, False, loudness)
    plain = Takes(corpus, "train", data, Shape(40, 12, 5), 0, True, False)
    for step in range(4):
        batch, same = takes.batch(step, 4), plain.batch(step, 4)
        assert same.heard is None
        assert torch.equal(batch.motion, same.motion)
        assert torch.equal(batch.sound, same.sound)
        heard = batch.heard[..., 0].numpy()
        sound = batch.sound[:, 12 * 640 : -5 * 640].numpy().reshape(4, 80, 640)
        for row in range(4):
            assert np.corrcoef(heard[row], np.sqrt((sound[row] ** 2).mean(axis=1)))[0, 1] > 0.98
        assert batch.heard.shape == (4, 80, 1)


def test_what_is_tuned_learns_slower(corpus, folders, tmp_path):
    from artalk.train import loop

    recipe = shrunk("hubert", folders)
    learner = begin(recipe.stages["codec"], recipe, corpus, {})
    assert learner.slow() == []
    kept = train(replace(recipe, stages={"codec": recipe.stages["codec"]}), corpus, tmp_path)
    learner = begin(recipe.stages["generator"], recipe, corpus, {"codec": kept["codec"]})
    groups = loop._groups(learner, recipe.stages["generator"])
    assert [group.get("share", 1.0) for group in groups] == [1.0, 1.0, 0.05]
    counted = [id(parameter) for group in groups for parameter in group["params"]]
    assert len(counted) == len(set(counted))
    assert set(counted) == {id(p) for p in learner.parameters() if p.requires_grad}


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"encoder": ""}, "its name in model.speech.encoder and its folder in encoder"),
        ({"model": smallest().model}, "its name in model.speech.encoder and its folder in encoder"),
        ({"data": Data(cached=True)}, "set voice, tempo, noise, room, band to 0"),
        ({"data": Data(cached=True, sound=PLAIN), "tune": "all"}, "that stays frozen"),
        ({"data": Data(cached=True, sound=PLAIN), "model": smallest().model, "encoder": ""}, "that stays frozen"),
    ],
)
def test_recipes_that_make_no_sense_are_refused(folders, changes, complaint):
    recipe = shrunk("wavlm", folders)
    if "tune" in changes:
        speech = replace(recipe.model.speech, tune=changes["tune"])
        changes = {"data": changes["data"], "model": replace(recipe.model, speech=speech)}
    with pytest.raises(BadInput, match=complaint):
        replace(recipe, **changes)


def test_a_folder_that_is_not_there_is_a_sentence(corpus, folders, tmp_path):
    recipe = replace(shrunk("mimi", folders), encoder="kyutai/mimi")
    with pytest.raises(MissingFile, match="a local folder, 'kyutai/mimi' is none"):
        train(recipe, corpus, tmp_path)
    assert isinstance(recipe.model.speech, PretrainedConfig)
