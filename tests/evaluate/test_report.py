import json

import numpy as np
import pytest

from artalk.channels import ARKIT
from artalk.errors import BadInput, MissingFile
from artalk.evaluate import judge, report
from artalk.evaluate.face import of_rig
from artalk.evaluate.performers import performer
from artalk.rigs.head import head
from tests.train.corpora import made_corpus


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return made_corpus(tmp_path_factory.mktemp("corpus"))


@pytest.fixture(scope="module")
def judged(corpus):
    face = of_rig(head())
    entries = judge.chosen(corpus, 80)
    return [
        judge.judge(performer(name, corpus), corpus, entries, face) for name in ("rest", "mean", "rules", "nearest")
    ]


def test_only_held_out_clips_are_judged(corpus):
    assert {entry.split for entry in judge.chosen(corpus, 80)} == {"validation"}
    assert len(judge.chosen(corpus, 3)) == 3
    assert judge.chosen(corpus, 80, source="other") == []


def test_the_nearest_neighbour_of_a_tone_is_that_tone(judged):
    by_name = {row.name: row for row in judged}
    assert by_name["nearest"].interval("aperture")[0] > 0.9
    assert (
        by_name["nearest"].interval("lve")[0] < by_name["mean"].interval("lve")[0] < by_name["rest"].interval("lve")[0]
    )
    assert np.isnan(by_name["rest"].interval("aperture")[0])


def test_the_truth_is_perfect_and_still_measured(corpus):
    truth = judge.truth(corpus, judge.chosen(corpus, 80), of_rig(head()))
    assert truth.interval("aperture") == pytest.approx((1, 1, 1))
    assert truth.interval("lve") == (0, 0, 0)
    assert truth.interval("jitter")[0] > 0


def test_the_mean_is_that_of_the_training_split(corpus):
    values = np.concatenate([corpus.read(entry).motion.values for entry in corpus.select("train")])
    made = performer("mean", corpus).perform(corpus.read(corpus.entries[0]).audio)
    assert made.shape == (50, len(ARKIT))
    assert np.allclose(made, values.mean(axis=0) * (np.arange(55) != ARKIT.index("tongueOut")), atol=1e-4)


def test_words_name_every_figure_with_its_unit_and_interval(judged):
    text = report.words(judged, "a corpus")
    for name in ("lip gap (aperture), r", "LVE (lve), mm", "closures", "blinks (blink_rate), a minute"):
        assert name in text
    assert "nan" not in text
    mean, low, high = judged[3].interval("lve")
    assert f"{mean:8.3f}  ({low:.3f} to {high:.3f})" in text


def test_json_holds_every_clip_and_no_nan(judged):
    held = json.loads(report.as_json(judged), parse_constant=lambda name: pytest.fail(name))
    assert [row["name"] for row in held["performers"]] == ["rest", "mean", "rules", "nearest"]
    assert set(held["performers"][0]["clips"]) == {"clip0", "clip1", "clip5", "clip6"}
    assert held["performers"][0]["means"]["aperture"]["mean"] is None
    assert held["units"]["lve"] == "mm"
    assert held["performers"][2]["overall"]["blink_rate"].keys() == {"mean", "low", "high"}


def test_the_plot_is_a_picture(judged, tmp_path):
    report.plot(judged, tmp_path / "figures.png")
    assert (tmp_path / "figures.png").read_bytes()[:4] == b"\x89PNG"


@pytest.mark.parametrize(("name", "error"), [("fastest", BadInput), ("gone.onnx", MissingFile)])
def test_who_cannot_be_judged(corpus, name, error):
    with pytest.raises(error):
        performer(name, corpus)


def test_nobody_is_no_report():
    with pytest.raises(BadInput):
        report.words([], "nowhere")
