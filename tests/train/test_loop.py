import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from artalk import checkpoint, config
from artalk.errors import BadFile, BadInput
from artalk.models.artalk import Artalk
from artalk.models.codec import Codec
from artalk.models.regression import Regression
from artalk.train import log
from artalk.train.learners import with_phones
from artalk.train.loop import train
from artalk.train.recipe import Recipe
from tests.train.corpora import made_corpus
from tests.train.recipes import smallest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return made_corpus(tmp_path_factory.mktemp("corpus"))


@pytest.fixture(scope="module")
def run(corpus, tmp_path_factory):
    """A whole run: its folder, the best models, what it reported."""
    folder = tmp_path_factory.mktemp("run")
    said = []
    return folder, train(smallest(), corpus, folder, said.append), said


class Killed(Exception):
    pass


def killer(stage, step):
    """A report that ends the run as a kill would, right after a step."""

    def report(progress):
        if (progress.stage, progress.step) == (stage, step):
            raise Killed

    return report


def merged(values, change):
    """Nested values with some of them changed."""
    if not isinstance(change, dict):
        return change
    return values | {name: merged(values.get(name, {}), value) for name, value in change.items()}


def weights(path):
    return checkpoint.load(path).model.state_dict()


def same(one, other):
    return all(torch.equal(one[name], other[name]) for name in one)


def test_a_run_leaves_usable_models_a_log_and_curves(run):
    folder, kept, said = run
    assert isinstance(checkpoint.load(kept["codec"]).model, Codec)
    loaded = checkpoint.load(kept["generator"])
    assert isinstance(loaded.model, Artalk)
    assert loaded.card["figures"]["score"] == pytest.approx(
        min(p.figures["score"] for p in said if p.stage == "generator" and p.figures)
    )
    assert set(loaded.styles) == {"a", "b"}
    assert same(loaded.model.codec.state_dict(), weights(kept["codec"]))
    motion = loaded.model.generate(torch.zeros(1, 16000), loaded.model.steer())
    assert motion.shape == (1, 30, 55)
    rows = log.read(folder)
    assert [row["step"] for row in rows] == [*range(1, 13), *range(1, 9)]
    assert (folder / "curves.png").stat().st_size > 5000
    assert config.load(Recipe, folder / "recipe.toml") == smallest()


def test_the_losses_fall(corpus, tmp_path):
    recipe = smallest()
    longer = {name: replace(stage, steps=40, check=40, save=40) for name, stage in recipe.stages.items()}
    train(replace(recipe, stages=longer), corpus, tmp_path)
    for stage in ("codec", "generator"):
        losses = [row["losses"]["total"] for row in log.read(tmp_path) if row["stage"] == stage]
        assert sum(losses[-8:]) < 0.8 * sum(losses[:8]), stage


@pytest.mark.parametrize(("stage", "step"), [("codec", 6), ("generator", 7)])
def test_a_killed_run_goes_on_to_the_very_same_weights(run, corpus, tmp_path, stage, step):
    """Killed between two saves: steps are done again, chance is the same, so are all numbers."""
    with pytest.raises(Killed):
        train(smallest(), corpus, tmp_path, killer(stage, step))
    resumed = train(smallest(), corpus, tmp_path)
    whole = run[0]
    for name in resumed:
        mine, theirs = (torch.load(folder / name / "state.pt", weights_only=True) for folder in (tmp_path, whole))
        assert same(mine["learner"], theirs["learner"])
        assert same(mine["averaged"], theirs["averaged"])
        assert same(weights(resumed[name]), weights(run[1][name]))
    assert [r["losses"] for r in log.read(tmp_path)] == [r["losses"] for r in log.read(whole)]


def test_a_finished_run_is_not_trained_again(run, corpus):
    said = []
    before = run[1]["generator"].stat().st_mtime_ns
    assert train(smallest(), corpus, run[0], said.append) == run[1]
    assert not said
    assert run[1]["generator"].stat().st_mtime_ns == before


def test_a_folder_belongs_to_one_recipe(run, corpus):
    with pytest.raises(BadInput, match="another recipe"):
        train(replace(smallest(), seed=1), corpus, run[0])


def test_a_broken_state_is_a_sentence(corpus, tmp_path):
    (tmp_path / "codec").mkdir()
    (tmp_path / "codec" / "state.pt").write_bytes(b"not a state")
    with pytest.raises(BadFile, match="begin anew"):
        train(smallest(), corpus, tmp_path)


def test_another_seed_is_another_model(run, corpus, tmp_path):
    recipe = smallest()
    short = replace(recipe, seed=3, stages={"codec": recipe.stages["codec"]})
    assert not same(weights(train(short, corpus, tmp_path)["codec"]), weights(run[1]["codec"]))


def test_the_baseline_trains_in_the_same_loop(corpus, tmp_path):
    stage = replace(smallest().stages["generator"], task="regression")
    kept = train(replace(smallest(), stages={"regression": stage}), corpus, tmp_path)
    model = Regression.load(kept["regression"])
    assert model.generate(torch.zeros(2, 10000)).shape == (2, 16, 55)
    losses = [row["losses"]["total"] for row in log.read(tmp_path)]
    assert losses[-1] < losses[0]


def test_a_generator_needs_a_codec_before_it():
    with pytest.raises(BadInput, match="'codec' comes before"):
        replace(smallest(), stages={"generator": smallest().stages["generator"]})


def test_a_generator_after_a_generator_goes_on_with_it(corpus, tmp_path):
    """With losses of its own, which the first of the two did not know."""
    recipe = smallest()
    first = replace(recipe.stages["generator"], steps=2, weights={"lips": 0.0, "gap": 0.0})
    second = replace(recipe.stages["generator"], steps=1, check=1, save=1, rate=1e-9, spoiling={"own": 0.7})
    stages = {"codec": recipe.stages["codec"], "generator": first, "lips": second}
    kept = train(replace(recipe, stages=stages), corpus, tmp_path)
    before, after = (checkpoint.load(kept[name]).model for name in ("generator", "lips"))
    for name, tensor in before.state_dict().items():
        assert torch.allclose(tensor, after.state_dict()[name], atol=1e-6), name
    assert after.config.spoiling == replace(before.config.spoiling, own=0.7)
    assert before.config == replace(
        after.config, weights=replace(after.config.weights, lips=0.0, gap=0.0), spoiling=before.config.spoiling
    )
    assert config.load(Recipe, tmp_path / "recipe.toml").stages == stages
    known = {row["stage"]: set(row["losses"]) for row in log.read(tmp_path)}
    assert known["lips"] - known["generator"] == {"lips", "gap"}


@pytest.mark.parametrize(
    ("task", "named", "sentence"),
    [
        ("generator", {"lip": 1.0}, "weights of a generator are codes, .* got lip$"),
        ("generator", {"lips": -1.0}, "counts at least 0"),
        ("regression", {"codes": 1.0}, "weights of a regression are velocity, .* got codes"),
        ("style", {"lips": 1.0}, "a style got weights"),
    ],
)
def test_the_weights_of_a_stage_are_checked(task, named, sentence):
    with pytest.raises(BadInput, match=sentence):
        replace(smallest().stages["generator"], task=task, weights=named)


@pytest.mark.parametrize(
    ("task", "named", "sentence"),
    [
        ("generator", {"self": 1.0}, "spoiling has bits, .*own, got self$"),
        ("generator", {"own": 1.5}, "chances from 0 to 1"),
        ("regression", {"own": 1.0}, "a regression got spoiling"),
    ],
)
def test_what_a_stage_spoils_is_checked(task, named, sentence):
    with pytest.raises(BadInput, match=sentence):
        replace(smallest().stages["generator"], task=task, spoiling=named)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"seed": -1}, "a seed is a whole number from 0 on"),
        ({"data": {"style_seconds": (5.0, 1.0)}}, "style_seconds go from a length up"),
        ({"data": {"style_seconds": (0.5, 1.0)}}, r"25 frames at least \(1 s\), style_seconds begin with 0.5"),
        ({"data": {"pause": -1.0}}, "pause and fade are seconds, got 0.35, -1 and 0.06"),
        ({"model": {"codec": {"fps": "50"}}}, "a corpus has arkit at 25 fps"),
        ({"model": {"speech": {"sample_rate": 8000}}}, "a corpus has sound at 16000 Hz"),
        ({"model": {"style": {"width": 18}}}, "multiple of twice the heads, got width 18 and 2 heads"),
        ({"model": {"trunks": {"lips": {"width": 18}}}}, "multiple of twice the heads"),
        ({"model": {"codec": {"streams": {"lips": {"heads": 3}}}}}, "multiple of twice the heads"),
        (
            {"stages": {"a/b": {"task": "codec", "steps": 1}}},
            "letters, digits, - and _, not replay or corpus; got 'a/b'",
        ),
        ({"stages": {"replay": {"task": "codec", "steps": 1}}}, "not replay or corpus"),
        ({"stages": {"later": {"task": "codec", "steps": 1}}}, "after a generator come generators alone"),
    ],
)
def test_a_recipe_is_read_before_it_is_run(change, sentence):
    with pytest.raises(BadInput, match=sentence):
        config.from_dict(Recipe, merged(config.to_dict(smallest()), change))


def test_of_a_corpus_without_phones_none_are_learnt(corpus, tmp_path, monkeypatch):
    """A head that nobody teaches would say of everything that it is speech, or none."""
    assert with_phones(smallest(), corpus).speech.phones
    recipe = smallest()
    silent = {"generator": replace(recipe.stages["generator"], weights={"phones": 0.0})}
    assert not with_phones(replace(recipe, stages=recipe.stages | silent), corpus).speech.phones
    read = type(corpus).read
    monkeypatch.setattr(type(corpus), "read", lambda self, entry: replace(read(self, entry), phones=()))
    assert not with_phones(smallest(), corpus).speech.phones
    stage = replace(smallest().stages["generator"], task="regression", steps=1)
    kept = train(replace(smallest(), stages={"regression": stage}), corpus, tmp_path)
    assert not Regression.load(kept["regression"]).config.speech.phones
    assert "phones" not in log.read(tmp_path)[0]["losses"]


def test_a_generator_begins_with_the_encoders_of_the_stages_before_it(corpus, tmp_path):
    """Style apart by contrast, speech by regression; a generator that hardly learns still has both."""
    recipe = smallest()
    codec, generator = recipe.stages["codec"], recipe.stages["generator"]
    brief = {"steps": 4, "check": 4, "save": 4}
    stages = {
        "codec": replace(codec, **brief),
        "style": replace(codec, task="style", **brief),
        "regression": replace(codec, task="regression", **brief),
        "generator": replace(generator, steps=1, check=1, save=1, rate=1e-9),
    }
    with pytest.raises(BadInput, match="takes of 20 frames are shorter than a style clip"):
        train(replace(recipe, stages=stages), corpus, tmp_path / "short")
    kept = train(replace(recipe, stages=stages, data=replace(recipe.data, windows=3)), corpus, tmp_path)
    made = checkpoint.load(kept["generator"]).model
    style, speech = checkpoint.load(kept["style"]).model.style, Regression.load(kept["regression"]).speech
    for mine, theirs in ((made.style, style), (made.speech, speech)):
        for name, tensor in mine.state_dict().items():
            assert torch.allclose(tensor, theirs.state_dict()[name], atol=1e-6), name
    rows = [row for row in log.read(tmp_path) if row["stage"] == "style"]
    assert set(rows[0]["losses"]) == {"contrast", "traits", "total", "norm"}
    assert rows[-1]["losses"]["traits"] > 0
    assert rows[-1]["figures"]["score"] > 0


def test_bfloat16_trains_too(corpus, tmp_path):
    recipe = smallest()
    brief = {"steps": 2, "check": 2, "save": 2, "precision": "bfloat16"}
    stages = {name: replace(stage, **brief) for name, stage in recipe.stages.items()}
    train(replace(recipe, stages=stages), corpus, tmp_path)
    assert all(torch.isfinite(torch.tensor(row["losses"]["total"])) for row in log.read(tmp_path))


@pytest.mark.parametrize("name", ["tiny", "default", "live", "paper"])
def test_recipes_in_the_repository_are_read(name):
    recipe = config.load(Recipe, ROOT / "recipes" / f"{name}.toml")
    assert {"codec", "generator"} <= {stage.task for stage in recipe.stages.values()}


def torchrun(*what):
    """What two processes on this machine's processor say when they are done."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", *map(str, what)]
    paths = os.pathsep.join((str(ROOT / "src"), str(ROOT)))
    environment = os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)


def trained_by_two(recipe, corpus, folder):
    done = torchrun("-m", "artalk.cli", "train", recipe, corpus.folder, "-o", folder, "--threads", 1)
    assert done.returncode == 0, done.stderr[-2000:]
    return log.read(folder)


def test_two_processes_train_one_model(corpus, tmp_path):
    """Started by torchrun, each takes half of the rows; the saved model is one, and near that of a single process."""
    recipe = smallest()
    stages = {name: replace(stage, steps=3, check=3, save=3) for name, stage in recipe.stages.items()}
    recipe = replace(recipe, stages=stages)
    (tmp_path / "recipe.toml").write_text(config.to_toml(recipe))
    rows = trained_by_two(tmp_path / "recipe.toml", corpus, tmp_path / "two")
    assert [row["step"] for row in rows] == [1, 2, 3, 1, 2, 3]
    single = weights(train(recipe, corpus, tmp_path / "one")["codec"])
    double = weights(tmp_path / "two" / "codec" / "best.safetensors")
    apart = max(float((single[name] - double[name]).abs().max()) for name in single)
    assert apart < 0.02


REVIVED = """
import sys
from dataclasses import replace
from pathlib import Path
import torch
from artalk import config
from artalk.models.codec import Codec
from tests.models.tiny import batch
from tests.train.recipes import smallest

torch.distributed.init_process_group("gloo")
rank = torch.distributed.get_rank()
plain = smallest().model.codec
streams = {name: replace(stream, quantizer="vector", entries=8) for name, stream in plain.streams.items()}
torch.manual_seed(0)
codec = Codec(replace(plain, streams=streams)).train()
for name in codec.streams:
    codec.stream(name).quantizer.usage.zero_()
codec.losses(replace(batch(), motion=batch().motion * (1 - 0.5 * rank)), None, torch.Generator().manual_seed(rank))
books = [codec.stream(name).quantizer.codebook.sum().item() for name in codec.streams]
Path(sys.argv[1], f"books{rank}").write_text(" ".join(f"{book:.6f}" for book in books))
"""
"""Two processes whose codebooks are all unused, and so overwritten, each from a batch of its own."""


def test_two_processes_revive_the_same_codebooks(tmp_path):
    (tmp_path / "revived.py").write_text(REVIVED)
    done = torchrun(tmp_path / "revived.py", tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    one, two = ((tmp_path / f"books{rank}").read_text() for rank in (0, 1))
    assert one == two


KILLED = """
import os, signal, sys
from pathlib import Path
import torch
from artalk import config
from artalk.data.clips import Corpus
from artalk.train.loop import train
from artalk.train.recipe import Recipe

def report(progress):
    if (progress.stage, progress.step) == ("generator", 7):
        os.kill(os.getpid(), signal.SIGKILL)

torch.set_num_threads(1)
train(config.load(Recipe, sys.argv[1]), Corpus(sys.argv[2]), Path(sys.argv[3]), report)
"""
"""A training whose first process is killed between two saves of its second stage."""


@pytest.mark.slow
def test_two_processes_that_were_killed_go_on_to_the_very_same_weights(corpus, tmp_path):
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(config.to_toml(smallest()))
    whole = trained_by_two(recipe, corpus, tmp_path / "whole")
    (tmp_path / "killed.py").write_text(KILLED)
    ended = torchrun(tmp_path / "killed.py", recipe, corpus.folder, tmp_path / "cut")
    assert ended.returncode != 0
    assert "SIGKILL" in ended.stderr
    assert [row["step"] for row in log.read(tmp_path / "cut")] == [*range(1, 13), *range(1, 8)]
    resumed = trained_by_two(recipe, corpus, tmp_path / "cut")
    assert [row["losses"] for row in resumed] == [row["losses"] for row in whole]
    for stage in ("codec", "generator"):
        one, two = (tmp_path / name / stage for name in ("whole", "cut"))
        states = [torch.load(folder / "state.pt", weights_only=True) for folder in (one, two)]
        for part in ("learner", "averaged"):
            assert same(states[0][part], states[1][part])
        assert same(weights(one / "best.safetensors"), weights(two / "best.safetensors"))
