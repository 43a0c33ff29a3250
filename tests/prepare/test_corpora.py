import json
from fractions import Fraction

import numpy as np
import pytest

from artalk.audio import Audio
from artalk.channels import ARKIT
from artalk.data.clips import Clip, Entry, Writer
from artalk.generators.generator import FREE
from artalk.generators.visemes import Visemes
from artalk.motion import Motion
from artalk.prepare import corpora
from tests.prepare.command import run
from tests.prepare.test_sync import babble


def clip(name: str, source: str, late: int = 0, seen: bool = True) -> Clip:
    sound = babble(5, seed=len(name)).cut(0, 5)
    motion = Visemes().generate(sound, FREE)
    values = np.roll(motion.values, late, axis=0)
    entry = Entry(name, source, "me", "en", "", 0, 0.0, "real", "train", "", "CC0", "me")
    return Clip(entry, sound, Motion(values, ARKIT, Fraction(25)), np.full(len(ARKIT), seen))


@pytest.fixture
def corpus(tmp_path):
    writer = Writer(tmp_path / "corpus")
    for k in range(3):
        writer.add(clip(f"good{'x' * k}", "good"))
        writer.add(clip(f"late{'x' * k}", "late", late=5))
    unseen = clip("blind", "blind", seen=False)
    writer.add(Clip(unseen.entry, Audio(np.zeros(80000, np.float32), 16000), unseen.motion, unseen.observed))
    return writer.finish()


def test_a_corpus_says_whether_lips_go_with_the_sound(corpus):
    found = {source.source: source for source in corpora.check(corpus)}
    assert found["good"].clips == 3
    assert found["good"].together == 1
    assert found["good"].offset is not None
    assert found["good"].offset[0] == pytest.approx(-corpora.sync.USUAL, abs=0.012)
    assert found["late"].offset is not None
    assert found["late"].offset[0] == pytest.approx(0.2 - corpora.sync.USUAL, abs=0.012)
    assert found["blind"].closures is None
    assert found["blind"].blinks is None
    assert "lips and sound agree in 100%" in found["late"].words()


def test_at_most_so_many_clips_are_read(corpus):
    assert [source.clips for source in corpora.check(corpus, most=1)] == [1, 1, 1]


def test_show_tells_and_draws(corpus, tmp_path, capsys):
    code, out, _ = run(capsys, "show", corpus.folder, "--plot", tmp_path / "a.png")
    assert code == 0
    assert "quality   good, 3 clips" in out
    assert (tmp_path / "a.png").read_bytes()[:4] == b"\x89PNG"
    facts = json.loads(run(capsys, "show", corpus.folder, "--json")[1])
    assert {source["source"] for source in facts["quality"]} == {"good", "late", "blind"}
