"""Recipes at their own size: `tiny` from nothing to lips that follow, `paper` for its first steps."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from artalk import checkpoint, config
from artalk.channels import ARKIT
from artalk.train import log
from artalk.train.loop import train
from artalk.train.recipe import Recipe
from tests.train.corpora import made_corpus

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("undrawn")]

RECIPES = Path(__file__).parents[2] / "recipes"


def losses(folder, stage):
    return np.array([row["losses"]["total"] for row in log.read(folder) if row["stage"] == stage])


def test_tiny_learns_to_move(tmp_path):
    """The whole recipe, as it stands: losses fall, and the mouth of clips not trained on opens with their sound."""
    corpus = made_corpus(tmp_path / "corpus", clips=20, seconds=4.0)
    kept = train(config.load(Recipe, RECIPES / "tiny.toml"), corpus, tmp_path / "run")
    for stage in ("codec", "generator"):
        found = losses(tmp_path / "run", stage)
        assert len(found) == 200
        assert found[-20:].mean() < 0.7 * found[:20].mean(), stage
    model, jaw = checkpoint.load(kept["generator"]).model, ARKIT.index("jawOpen")
    cold = model.steer(temperature=dict.fromkeys(model.trunks, 0.0))
    for entry in corpus.select("validation"):
        clip = corpus.read(entry)
        made = model.generate(torch.tensor(clip.audio.samples)[None], cold)[0, : len(clip.motion), jaw].numpy()
        true = clip.motion.values[:, jaw]
        assert np.corrcoef(made, true)[0, 1] > 0.8
        assert made.std() > 0.5 * true.std()


def test_paper_takes_its_first_steps(tmp_path):
    """Models of the paper's size, few rows: two steps a stage, judged, saved and read again. Takes 7 GB."""
    recipe = config.load(Recipe, RECIPES / "paper.toml")
    brief = {"steps": 2, "rows": 2, "check": 2, "save": 2}
    stages = {name: replace(stage, **brief) for name, stage in recipe.stages.items()}
    data = replace(recipe.data, validation_clips=2)
    corpus = made_corpus(tmp_path / "corpus", clips=5, seconds=4.0)
    kept = train(replace(recipe, stages=stages, data=data), corpus, tmp_path / "run")
    for stage in ("codec", "generator"):
        found = losses(tmp_path / "run", stage)
        assert len(found) == 2
        assert np.isfinite(found).all()
    made = checkpoint.load(kept["generator"])
    assert 190e6 < sum(parameter.numel() for parameter in made.model.parameters()) < 205e6
    assert np.isfinite(made.card["figures"]["score"])
