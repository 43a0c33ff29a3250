"""From GRID as it is published to a model of it by two commands, small: prepare, train; then the face is animated."""

import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from artalk import api, checkpoint, cli, config, cookbook
from artalk.channels import ARKIT
from artalk.data.clips import Corpus
from artalk.generators.exported import Exported
from artalk.prepare import terms, video
from artalk.train.recipe import Recipe
from tests.data.recordings import sound
from tests.miniatures import MINIATURES, Watcher

pytestmark = pytest.mark.usefixtures("undrawn")


def command(*arguments):
    """A command that goes well."""
    with pytest.raises(SystemExit) as stop:
        cli.main([str(argument) for argument in arguments])
    assert stop.value.code == 0, arguments


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """`artalk prepare GRID/ -o corpus/ --recipe grid`, where the tracker's model is the tests'."""
    place = tmp_path_factory.mktemp("grid")
    MINIATURES["grid"].made(place / "GRID")
    (place / "face.task").write_bytes(b"")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(video, "Tracker", Watcher)
        patch.setitem(sys.modules, "mediapipe", sys)
        prepare = ("prepare", place / "GRID", "-o", place / "corpus", "--recipe", "grid")
        command(*prepare, "--model", place / "face.task", "-q")
    return place / "corpus"


def shortest(name, path, **model):
    """A recipe that comes with the package, with a step of few rows for each stage."""
    whole = config.load(Recipe, cookbook.find(name, cookbook.TRAININGS))
    stages = {stage: replace(what, steps=1, rows=2, check=1, save=1) for stage, what in whole.stages.items()}
    data = replace(whole.data, validation_clips=2, style_seconds=(1.0, 1.5))
    path.write_text(config.to_toml(replace(whole, stages=stages, data=data, model=replace(whole.model, **model))))
    return path


def trained(corpus, recipe, folder):
    """The second command; the best model."""
    command("train", recipe, corpus, "-o", folder / "run", "--threads", 1, "-q")
    best = folder / "run" / "generator" / "best.safetensors"
    assert terms.of(checkpoint.load(best).card).face == "head"
    return best


def rests(values):
    """Motion (50, 55) speaks, and moves nothing that GRID's recipe masks."""
    assert values.shape == (50, len(ARKIT))
    assert np.isfinite(values).all()
    assert np.ptp(values[:, ARKIT.index("jawOpen")]) > 0
    for group in ("eyes", "head"):
        assert not values[:, ARKIT.slice(group)].any(), group


def test_what_the_recipe_masks_rests(corpus, tmp_path):
    assert Corpus(corpus).read("grid-s1-bbaf2n").motion.channel("eyeBlinkLeft").max() > 0.9  # there, and not learnt
    best = trained(corpus, shortest("tiny", tmp_path / "tiny.toml"), tmp_path)
    model, speech = checkpoint.load(best).model, torch.tensor(sound(2.0).samples)[None]
    rests(model.generate(speech, model.steer(1), torch.Generator().manual_seed(0))[0, :50].numpy())


@pytest.mark.slow
@pytest.mark.parametrize("name", ["tiny", "default"])
def test_rules_move_what_is_masked_where_the_recipe_says_so(corpus, tmp_path, name):
    """At the recipes' own size; `default` has rules, and stages that ask for more ways of moving than GRID has."""
    rules = {"rules": ("eyes", "head")} if name == "tiny" else {}
    best = trained(corpus, shortest(name, tmp_path / "recipe.toml", **rules), tmp_path)
    command("export", best, "-o", tmp_path / "model.onnx", "-q")
    rests(Exported.load(tmp_path / "model.onnx").generate(sound(2.0)).values)
    motion = api.animate(sound(2.0), model=tmp_path / "model.onnx", seed=1)
    assert np.isfinite(motion.values).all()
    for group in ("eyes", "head"):
        assert np.ptp(motion.group(group), axis=0).max() > 0.01, group
