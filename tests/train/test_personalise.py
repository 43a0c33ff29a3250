"""Going on with a trained model on one person: what stays, what is rehearsed, what comes out of the command."""

import math
from dataclasses import replace
from typing import cast

import pytest
import torch

from artalk import api, checkpoint, config
from artalk.cli import main
from artalk.data.clips import Corpus
from artalk.errors import BadInput, MissingFile
from artalk.generators.exported import Exported
from artalk.models.artalk import Artalk, ArtalkConfig
from artalk.train import adapt, log
from artalk.train.learners import GeneratorLearner, begin
from artalk.train.loop import train
from artalk.train.recipe import Data, Recipe, Stage
from artalk.train.windows import Shape, Takes
from tests.data.recordings import write_take
from tests.train.corpora import made_corpus
from tests.train.recipes import smallest
from tests.train.test_loop import ROOT, Killed, killer, same, weights

pytestmark = pytest.mark.usefixtures("undrawn")


FROZEN = ("speech.first", "style.lift", "style.blocks", "style.norm", "style.out")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return made_corpus(tmp_path_factory.mktemp("corpus"), seconds=1.2)


@pytest.fixture(scope="module")
def base(corpus, tmp_path_factory):
    """A model that was hardly trained, as a file."""
    stages = {name: replace(stage, steps=2, check=2, save=2) for name, stage in smallest().stages.items()}
    return train(replace(smallest(), stages=stages), corpus, tmp_path_factory.mktemp("base"))["generator"]


@pytest.fixture(scope="module")
def me(tmp_path_factory):
    """Recordings of one person."""
    folder = tmp_path_factory.mktemp("takes") / "me"
    for k in range(4):
        write_take(folder, f"take{k}", 3.0, k)
    return folder


def recipe(base, **values):
    brief = {"steps": 4, "rows": 4, "rate": 3e-3, "warmup": 1, "ema": 0.5, "check": 4, "save": 2, "frozen": FROZEN}
    data = Data(validation_clips=2, style_seconds=(1.0, 1.5))
    return Recipe(stages={"person": Stage("generator", **(brief | values))}, data=data, init=str(base))


def speaker(corpus, name):
    """One speaker's part of a corpus."""
    part = Corpus(corpus.folder)
    part.entries = tuple(entry for entry in part.entries if entry.speaker == name)
    return part


@pytest.fixture(scope="module")
def run(corpus, base, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    said = []
    return folder, train(recipe(base), speaker(corpus, "b"), folder, said.append)["person"], said


def test_what_is_frozen_stays_and_the_rest_learns(run, base):
    before = weights(base)
    learner = torch.load(run[0] / "person" / "state.pt", weights_only=True)["learner"]
    after = {name.removeprefix("model."): tensor for name, tensor in learner.items()}
    for name, tensor in before.items():
        stays = name.startswith(("codec.", *(f"{part}." for part in FROZEN)))
        assert not stays or torch.equal(tensor, after[name]), name
    for name in ("trunks.lips.regress.1.weight", "speech.second.weight", "style.null"):
        assert not torch.equal(before[name], after[name]), name


def test_the_model_keeps_its_config_its_styles_and_where_it_comes_from(run, base):
    old, new = checkpoint.load(base), checkpoint.load(run[1])
    assert new.model.config == old.model.config
    assert new.styles["a"] == old.styles["a"]
    assert set(new.styles) == {"a", "b"}
    assert new.card["base"] == old.card
    assert config.load(Recipe, run[0] / "recipe.toml").model == old.model.config


def test_it_is_judged_before_and_after_and_never_ends_worse(run, base, corpus, tmp_path):
    said = [progress for progress in run[2] if progress.figures]
    assert [progress.step for progress in said] == [0, 4]
    card = checkpoint.load(run[1]).card
    assert card["before"] == said[0].figures
    best = min(said, key=lambda progress: adapt.ratio(progress.figures, card["before"]))
    assert (card["step"], card["figures"]) == (best.step, best.figures)
    assert [row["step"] for row in log.read(run[0])] == [*range(5)]


def test_a_model_that_only_gets_worse_is_the_base(run, base, corpus, tmp_path, monkeypatch):
    figures = iter([(1.0, 0.3), (math.nan, 0.1), (0.9, 0.35)])

    def judge(_, judged, *__):
        return dict(zip(("lve", "score"), next(figures), strict=True)) if judged.select("validation") else {}

    monkeypatch.setattr(GeneratorLearner, "judge", judge)
    kept = train(recipe(base, check=2), speaker(corpus, "b"), tmp_path)["person"]
    assert same(weights(kept), weights(base))
    assert checkpoint.load(kept).card["step"] == 0


@pytest.mark.parametrize("step", [1, 3])
def test_a_killed_run_goes_on_to_the_very_same_weights(run, base, corpus, tmp_path, step):
    with pytest.raises(Killed):
        train(recipe(base), speaker(corpus, "b"), tmp_path, killer("person", step))
    resumed = train(recipe(base), speaker(corpus, "b"), tmp_path)["person"]
    mine, theirs = (torch.load(folder / "person" / "state.pt", weights_only=True) for folder in (tmp_path, run[0]))
    assert same(mine["learner"], theirs["learner"])
    assert mine["before"] == theirs["before"]
    assert same(weights(resumed), weights(run[1]))
    assert checkpoint.load(resumed).card == checkpoint.load(run[1]).card
    assert [row["losses"] for row in log.read(tmp_path)] == [row["losses"] for row in log.read(run[0])]


def test_a_rehearsal_has_its_share_of_the_rows_and_figures_of_its_own(base, corpus, tmp_path):
    data, shape = Data(windows=1, style_seconds=(1.0, 1.5)), Shape(10, 4, 2)
    mine = Takes(speaker(corpus, "b"), "train", data, shape, 0, True, True)
    others = Takes(speaker(corpus, "a"), "train", data, shape, 0, True, True, first=mine.ways)
    mixed = adapt.Rehearsed(mine, others, 0.25)
    ways = mixed.batch(3, 8).style_id
    assert ways is not None
    assert ways.tolist() == [1, 1, 0, 0, 0, 0, 0, 0]
    halves = [mixed.batch(3, 8, rank, 2) for rank in range(2)]
    assert torch.equal(torch.stack([half.motion for half in halves], 1).flatten(0, 1), mixed.batch(3, 8).motion)
    best = train(recipe(base, steps=2), speaker(corpus, "b"), tmp_path, rehearsal=speaker(corpus, "a"))["person"]
    card = checkpoint.load(best).card
    assert {"lve", "others.lve"} <= card["figures"].keys()
    assert "of others" in adapt.gained(card)


def test_without_a_rehearsal_the_model_rehearses_what_it_does_itself(run, base, corpus, tmp_path):
    made = Corpus(run[0] / "replay")
    assert {entry.split for entry in made.entries} == {"train"}
    assert {(entry.style, entry.kind) for entry in made.entries} == {("a", "taught")}
    loaded, clip = checkpoint.load(base), made.read(made.entries[0])
    model = cast(Artalk, loaded.model)
    sound, style = torch.tensor(clip.audio.samples)[None], torch.tensor([loaded.styles["a"]])
    lips = model.codec.stream("lips").columns
    again = model.generate(sound, model.steer(1, style))[0, : len(clip.motion)].numpy()
    assert abs(again[:, lips].clip(0, 1) - clip.motion.values[:, lips]).max() < 1e-3
    unstyled = replace(loaded, styles={"b": loaded.styles["b"]})
    assert {entry.style for entry in adapt.replay(unstyled, speaker(corpus, "b"), tmp_path).entries} == {"free"}


def test_what_is_gained_is_said_in_words():
    before = {"lve": 2.0, "aperture": 0.8, "width": 0.6}
    after = {"lve": 1.5, "aperture": 0.85, "width": 0.7}
    said = adapt.gained({"before": before, "figures": after})
    assert "2.00 → 1.50 mm (-25 %), lip gap r 0.800 → 0.850" in said
    assert adapt.gained({"figures": after}) == adapt.gained({"before": {}, "figures": {}}) == ""


def test_too_little_of_a_person_is_said(corpus):
    few = Corpus(corpus.folder)
    assert "there are 12 s of this person; 60 s and more are asked" in adapt.shortage(few)
    few.entries = 5 * few.entries
    assert adapt.shortage(few) == ""
    few.entries = ()
    with pytest.raises(BadInput, match="nothing of the recordings could be learnt from"):
        adapt.shortage(few)


def test_a_corpus_with_both_sides_stays_as_it_is(corpus):
    assert adapt.person(corpus.folder).entries == corpus.entries


@pytest.mark.parametrize("split", ["train", "validation"])
@pytest.mark.parametrize(("clips", "held"), [(10, ["clip4"]), (3, ["clip1"]), (2, ["clip1"]), (1, [])])
def test_clips_on_one_side_are_divided(corpus, monkeypatch, split, clips, held):
    alone = Corpus(corpus.folder)
    alone.entries = tuple(replace(entry, split=split) for entry in alone.entries[:clips])
    monkeypatch.setattr(adapt, "open_corpus", lambda _: alone)
    made = adapt.person(corpus.folder)
    assert [entry.id for entry in made.select("validation")] == held
    assert len(made.select("train")) == clips - len(held)


def test_the_command_makes_a_model_of_a_person_out_of_a_folder(base, me, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "recipe.toml").write_text(config.to_toml(recipe(base)))
    arguments = ["train", str(tmp_path / "recipe.toml"), "--data", str(me), "--threads", "1"]

    def call():
        with pytest.raises(SystemExit) as stop:
            main(arguments)
        assert stop.value.code == 0, capsys.readouterr().err
        return capsys.readouterr().err

    said = call()
    assert "4 of 4 recordings gave 4 clips" in said
    assert "there are 12 s of this person" in said
    assert "person before" in said
    assert "held-out clips of this person: lips" in said
    exported = Exported.load(tmp_path / "me-run" / "model.onnx")
    assert set(exported.styles) == {"a", "b", "me"}
    assert len(api.animate(str(me / "take0.wav"), model=tmp_path / "me-run" / "model.onnx", style="me")) == 75
    changed = (tmp_path / "me-run" / "model.onnx").stat().st_mtime_ns
    assert "held-out clips of this person: lips" in call()
    assert (tmp_path / "me-run" / "model.onnx").stat().st_mtime_ns == changed


def test_the_recipe_names_parts_that_the_default_model_has():
    found = config.load(Recipe, ROOT / "recipes" / "personalise.toml")
    assert found.init == "artalk"
    model = config.load(Recipe, ROOT / "recipes" / "default.toml").model
    learner = GeneratorLearner(Artalk(model))
    everything = sum(parameter.numel() for parameter in learner.parameters() if parameter.requires_grad)
    learner.freeze(found.stages["person"].frozen)
    learned = sum(parameter.numel() for parameter in learner.parameters() if parameter.requires_grad)
    assert 0.5 < learned / everything < 0.99


def test_losses_may_be_weighed_anew_and_nothing_else_of_the_model(base, corpus):
    own = checkpoint.load(base).model.config
    assert adapt.base(recipe(base)).model.config == own
    further = replace(recipe(base, weights={"huber": 1.0}), model=own)
    learner = begin(further.stages["person"], further, corpus, {}, adapt.base(further))
    assert learner.model.config == replace(own, weights=replace(own.weights, huber=1.0))
    for model in (ArtalkConfig(dropout=0.1), ArtalkConfig(weights=replace(own.weights, huber=1.0))):
        with pytest.raises(BadInput, match=r"no \[model\]"):
            adapt.base(replace(recipe(base), model=model))


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"encoder": "folder"}, "neither encoder"),
        ({"stages": {"codec": Stage("codec", 1)}}, "one stage, a generator"),
        ({"data": Data(cached=True)}, "nor data.cached"),
    ],
)
def test_a_recipe_that_goes_on_has_one_generator(base, values, sentence):
    with pytest.raises(BadInput, match=sentence):
        replace(recipe(base), **values)


def test_mistakes_are_sentences(base, corpus, tmp_path, monkeypatch):
    with pytest.raises(BadInput, match="frozen names parts of the model"):
        train(recipe(base, frozen=("speach",)), corpus, tmp_path / "one")
    with pytest.raises(BadInput, match=r"no \[model\]"):
        adapt.base(replace(recipe(base), model=replace(smallest().model, dropout=0.3)))
    with pytest.raises(BadInput, match="is a codec"):
        adapt.base(recipe(base.parents[1] / "codec" / "best.safetensors"))
    with pytest.raises(MissingFile, match="none is at"):
        adapt.base(recipe(tmp_path / "none.safetensors"))
    monkeypatch.setattr(adapt, "WEIGHTS", tmp_path)
    with pytest.raises(MissingFile, match="'artalk' are not in this package"):
        adapt.base(recipe("artalk"))
    with pytest.raises(BadInput, match="share of rows to rehearse"):
        Data(rehearsal=1.0)
    assert adapt.base(smallest()) is None
    assert math.isclose(Data().rehearsal, 0.5)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["train", "recipe.toml"], "one of the two"),
        (["train", "recipe.toml", "corpus", "--data", "me", "-o", "run"], "one of the two"),
        (["train", "recipe.toml", "corpus"], "say where the run goes"),
        (["train", "recipe.toml", "--data", "nowhere"], "nowhere"),
        (["train", "recipe.toml", "--data", "me", "--rehearse", "nowhere"], "a corpus is a folder"),
    ],
)
def test_a_mistake_on_the_command_line_is_one_sentence(base, me, tmp_path, monkeypatch, capsys, arguments, sentence):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "recipe.toml").write_text(config.to_toml(recipe(base)))
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    err = capsys.readouterr().err
    assert stop.value.code == 2
    assert sentence in err
    assert len(err.strip().splitlines()) == 1
    assert not (tmp_path / "me-run").exists()
