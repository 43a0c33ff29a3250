"""What is measured over several clips: takes of the upper face, minutes of life, and what nobody measured."""

from dataclasses import replace

import numpy as np
import pytest

from artalk.channels import ARKIT
from artalk.evaluate import judge, metrics, style
from artalk.evaluate.face import of_rig
from artalk.evaluate.performers import performer
from artalk.rigs.head import head
from tests.train.corpora import made_corpus

BROW = ARKIT.index("browInnerUp")


@pytest.fixture(scope="module")
def face():
    return of_rig(head())


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return made_corpus(tmp_path_factory.mktemp("corpus"), clips=50)


def lively(corpus, made, true):
    """Held-out clips with brows that rise by `made` and `true` of a random walk, another in each clip."""
    for number, entry in enumerate(judge.chosen(corpus, 50)):
        still = np.zeros((entry.frames, len(ARKIT)), np.float32)
        moves = np.random.default_rng(number).random(entry.frames)
        shows = [still.copy(), still.copy()]
        for values, share in zip(shows, (made, true), strict=True):
            values[:, BROW] = share * moves
        yield judge.Shown(entry, *shows)


def test_takes_are_of_one_speaker_and_long_enough(corpus, face):
    seconds = sum(entry.seconds for entry in judge.chosen(corpus, 50))
    takes = judge.dynamics(face, list(lively(corpus, 1.0, 1.0)))
    assert takes == [0.0] * int(seconds / 2 // judge.TAKE) * 2
    assert judge.dynamics(face, list(lively(corpus, 1.0, 1.0))[:4]) == []


def test_dead_brows_are_the_worst_and_half_alive_ones_half_as_bad(corpus, face):
    dead, half = (np.mean(judge.dynamics(face, list(lively(corpus, share, 1.0)))) for share in (0.0, 0.5))
    assert half == pytest.approx(dead / 2, rel=0.01)
    assert dead > 0.05


def test_what_was_not_measured_counts_in_no_take(corpus, face):
    entry = judge.chosen(corpus, 1)[0]
    clip = corpus.read(entry)
    made = clip.motion.values + 0.5
    assert clip.observed[BROW]
    shown = judge.shown(clip, made)
    assert (shown.made[:, ARKIT.index("tongueOut")] == 0).all()
    assert (shown.made[:, BROW] == made[:, BROW]).all()


def test_a_sample_shows_the_mean_where_nothing_was_measured(corpus):
    entries = [entry for entry in corpus.select("train", speaker="a")][:2]
    clips = [corpus.read(entry) for entry in entries]
    blind = [replace(clip, observed=clip.observed & (np.arange(len(ARKIT)) != BROW)) for clip in clips]
    mean = corpus.statistics["real"]["browInnerUp"][0]
    whole, part = (style.sample(corpus, some).values for some in (clips, blind))
    assert np.allclose(part[:, BROW], mean)
    assert np.allclose(np.delete(part, BROW, 1), np.delete(whole, BROW, 1))
    assert len(whole) == sum(entry.frames for entry in entries)


def test_life_is_looked_for_in_whole_minutes(corpus):
    entries = judge.chosen(corpus, 50)
    (only,) = judge.minutes(corpus, entries)
    assert len(only) == sum(entry.frames for entry in entries) * 640
    assert [len(take) for take in judge.minutes(corpus, entries * 4)] == [60 * 16000] * 2
    figures = judge.life(performer("rules", corpus), corpus, entries * 4)
    assert figures["blink_rate"][1] <= figures["blink_rate"][0] <= figures["blink_rate"][2]


def test_the_truth_of_takes_is_another_take_of_the_same_face(corpus, face):
    entries = judge.chosen(corpus, 50)
    truth = judge.truth(corpus, entries, face)
    rest = judge.measure(performer("rest", corpus), corpus, entries, face)
    assert len(truth.takes) == len(rest.takes) > 0
    assert truth.overall["fdd_takes"][0] < rest.overall["fdd_takes"][0]
    assert metrics.ratio(rest.takes, rest.takes) == (1, 1, 1)
