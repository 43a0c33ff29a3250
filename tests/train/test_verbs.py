"""artalk train, evaluate and export, as typed: from a corpus to a model that animate's runner takes."""

import json
from dataclasses import replace

import pytest
import torch

from artalk import config
from artalk.audio import Audio
from artalk.cli import main
from artalk.generators.exported import Exported
from tests.train.corpora import made_corpus
from tests.train.recipes import smallest


@pytest.fixture
def run(capsys):
    def run(*arguments):
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return ended.value.code, out, err

    return run


@pytest.fixture(autouse=True)
def threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)
    torch.set_flush_denormal(False)


def test_from_a_corpus_to_a_model_that_runs(run, tmp_path):
    corpus = made_corpus(tmp_path / "corpus")
    recipe = smallest()
    stages = {name: replace(stage, steps=3, check=3, save=3) for name, stage in recipe.stages.items()}
    (tmp_path / "recipe.toml").write_text(config.to_toml(replace(recipe, stages=stages)))
    code, _, err = run("train", tmp_path / "recipe.toml", corpus.folder, "-o", tmp_path / "run", "--threads", 1)
    assert code == 0, err
    assert "generator 3/3" in err
    assert "aperture" in err
    best = tmp_path / "run" / "generator" / "best.safetensors"

    code, _, err = run("export", best, "-o", tmp_path / "model.onnx")
    assert code == 0, err
    assert "MB, float16, at most" in err
    exported = Exported.load(tmp_path / "model.onnx")
    entry = corpus.select("validation")[0]
    motion = exported.generate(Audio(corpus.read(entry).audio.samples, 16000))
    assert len(motion) == 50

    code, out, err = run("evaluate", corpus.folder, "rest", best, tmp_path / "model.onnx", "--json", "--clips", 2)
    assert code == 0, err
    truth, rest, torch_model, onnx_model = json.loads(out)["performers"]
    assert truth["means"]["lve"]["mean"] == 0
    assert rest["name"] == "rest"
    assert torch_model["overall"].keys() >= {"style_right", "lips_between", "blink_rate"}
    lve = [row["means"]["lve"]["mean"] for row in (torch_model, onnx_model)]
    assert lve[0] == pytest.approx(lve[1], abs=1.0)

    code, out, _ = run("evaluate", corpus.folder, "rules", "--clips", 2, "--plot", tmp_path / "figures.png")
    assert code == 0
    assert "2 held-out clips" in out
    assert (tmp_path / "figures.png").is_file()
    assert "made 0.3" in run("show", corpus.folder)[1]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["train", "gone.toml", "nowhere", "-o", "run"], "none is at 'gone.toml'"),
        (["train", "defualt", "nowhere", "-o", "run"], "by name there are default, hubert, "),
        (["train", "tiny", "nowhere", "-o", "run"], "a corpus is a folder"),
        (["evaluate", "nowhere", "rules"], "a corpus is a folder"),
        (["export", "gone.safetensors", "-o", "model.onnx"], "none is at 'gone.safetensors'"),
    ],
)
def test_a_mistake_is_one_sentence_and_2(run, tmp_path, monkeypatch, arguments, sentence):
    monkeypatch.chdir(tmp_path)
    code, _, err = run(*arguments)
    assert code == 2
    assert sentence in err
    assert len(err.strip().splitlines()) == 1
