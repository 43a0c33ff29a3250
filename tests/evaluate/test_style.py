"""The style trials: what they tell apart, that they are blind to what is said, and that who copies a style passes."""

from fractions import Fraction

import numpy as np
import pytest

from artalk.audio import Audio
from artalk.channels import ARKIT
from artalk.data.clips import SAMPLE_RATE, Clip, Entry, Writer
from artalk.data.styles import named, styled
from artalk.evaluate import judge, style
from artalk.evaluate.face import of_rig
from artalk.evaluate.performers import Performer
from artalk.motion import Motion
from artalk.rigs.head import head

STYLES = ("", "smiling", "left", "stern")
FRAMES = 50


@pytest.fixture(scope="module")
def face():
    return of_rig(head())


def speech(seed):
    """Sound whose loudness is the jaw, and the motion that goes with it."""
    rng = np.random.default_rng(seed)
    jaw = np.clip(np.convolve(rng.normal(0, 1, FRAMES + 4), np.ones(5) / 5, "valid"), 0, 1) * 0.5
    sound = np.repeat(jaw, 640) * np.sin(np.arange(FRAMES * 640) / 12)
    return Audio(sound.astype(np.float32), SAMPLE_RATE), moved(jaw, rng)


def moved(jaw, rng):
    values = np.zeros((FRAMES, len(ARKIT)), np.float32)
    values[:, ARKIT.index("jawOpen")] = jaw
    for name in ("mouthSmileLeft", "mouthSmileRight", "mouthLowerDownLeft", "mouthLowerDownRight"):
        values[:, ARKIT.index(name)] = 0.3 * jaw
    values[:, ARKIT.index("browInnerUp")] = 0.1 * rng.random(FRAMES)
    return Motion(values, ARKIT, Fraction(25))


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    writer = Writer(tmp_path_factory.mktemp("styles"))
    for number in range(64):
        way, sentence = STYLES[number % 4], number // 4
        sound, motion = speech(number)
        split = "validation" if sentence % 2 else "train"
        name = f"clip{number}"
        entry = Entry(name, "made", "one", "en", name, FRAMES, 2.0, "real", split, way, "CC0", "nobody")
        writer.add(Clip(entry, sound, styled(motion, named(way)), np.ones(len(ARKIT), bool)))
    return writer.finish()


class Copycat(Performer):
    """Opens the jaw with the loudness, and takes over whatever stands out in the sample."""

    name, styled = "copycat", True

    def __init__(self, listens=True):
        self.listens = listens

    def perform(self, audio, style=None, seed=0):
        level = np.abs(audio.samples).reshape(-1, 640).max(axis=1)
        made = moved(level.astype(np.float32), np.random.default_rng(0)).values
        if style is None or not self.listens:
            return made
        return (made + np.maximum(style.values.min(axis=0), 0)).astype(np.float32) * self._sides(style)

    def _sides(self, style):
        scale = np.ones(len(ARKIT), np.float32)
        for left, right in (("mouthSmileLeft", "mouthSmileRight"), ("mouthLowerDownLeft", "mouthLowerDownRight")):
            both = style.values[:, [ARKIT.index(left), ARKIT.index(right)]].mean(axis=0) + 1e-3
            scale[[ARKIT.index(left), ARKIT.index(right)]] = both / both.mean()
        return scale


def test_true_motion_is_recognised_and_chance_is_known(corpus, face):
    assert style.ceiling(corpus, face)["style_right"] == (1, 1, 1)
    assert style.chance(corpus) == 0.25
    assert judge.truth(corpus, judge.chosen(corpus, 4), face).overall["style_right"][0] == 1


def test_who_follows_the_sample_is_right_and_who_does_not_is_as_good_as_chance(corpus, face):
    follows = style.trials(Copycat(), corpus, face)
    deaf = style.trials(Copycat(listens=False), corpus, face)
    assert follows["style_right"][0] > 0.8
    assert deaf["style_right"][0] == 0.25
    assert follows["style_distance"][0] < deaf["style_distance"][0]


def test_a_sentence_alone_is_further_from_its_way_than_several(corpus, face):
    one, five = (style.ceiling(corpus, face, count)["style_distance"][0] for count in (1, 5))
    assert five < one


def test_the_look_of_a_way_does_not_ask_in_which_order_things_were_said(corpus, face):
    clips = [style.curves(face, corpus.read(entry).motion.values) for entry in corpus.select("train", style="left")]
    scale = np.ones((2, clips[0].shape[1]))
    assert style.distance(style.look(clips), style.look(clips[::-1]), scale) == 0
    other = [style.curves(face, corpus.read(entry).motion.values) for entry in corpus.select("train", style="stern")]
    assert style.distance(style.look(clips), style.look(other), scale) > 0


def test_curves_are_in_millimetres(face):
    values = np.zeros((3, len(ARKIT)), np.float32)
    values[1, ARKIT.index("jawOpen")] = 0.5
    values[2, ARKIT.index("headY")] = 0.1
    found = style.curves(face, values)
    assert found.shape == (3, 13)
    assert found[1, 0] - found[0, 0] == pytest.approx(float(face.aperture(values)[1] - face.aperture(values)[0]))
    assert found[1, 0] - found[0, 0] > 10
    assert np.allclose(found[2] - found[0], 10 * np.eye(13)[11], atol=1e-4)


def test_a_foreign_style_costs_lips_what_it_changes(corpus, face):
    entries = judge.chosen(corpus, 8)

    def own(entry):
        return judge.example(corpus, entry)

    assert abs(style.cost(Copycat(), corpus, entries, face, own)["style_cost"][0]) < 0.05

    class Upset(Copycat):
        def perform(self, audio, style=None, seed=0):
            assert style is not None
            smiles = style.values[:, ARKIT.index("mouthSmileLeft")].min() > 0.2
            made = super().perform(audio)
            return made[::-1] if smiles else made

    plain = [entry for entry in entries if entry.style != "smiling"]
    assert style.cost(Upset(), corpus, plain, face, own)["style_cost"][0] > 0.1


def test_a_corpus_of_one_way_has_no_trials(corpus, face, tmp_path):
    writer = Writer(tmp_path)
    for entry in corpus.select(style="left"):
        writer.add(corpus.read(entry))
    alone = writer.finish()
    assert style.trials(Copycat(), alone, face) == style.ceiling(alone, face) == {}
    assert np.isnan(style.chance(alone))


def test_ways_that_nobody_has_met(corpus, face):
    """Who copies what stands out goes along a part of the way; who does not listen, none of it."""
    follows, low, high = style.followed(Copycat(), corpus, "made", face, lots=4)
    assert 0.05 < follows < 1
    assert low < follows < high
    assert style.followed(Copycat(listens=False), corpus, "made", face, lots=4)[0] == 0
    assert np.isnan(style.followed(Copycat(), corpus, "nobody", face)[0])
