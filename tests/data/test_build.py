import numpy as np
import pytest

from artalk.audio import Audio
from artalk.channels import ARKIT
from artalk.data import build
from artalk.data.clips import Entry
from artalk.errors import BadInput, MissingFile
from tests.shared import shared


def test_long_recordings_are_cut_in_quiet_places():
    rng = np.random.default_rng(0)
    samples = 0.3 * rng.standard_normal(40 * 16000)
    for second in range(6, 40, 6):
        samples[second * 16000 : second * 16000 + 6400] = 0
    found = build.pieces(Audio(samples.astype(np.float32), 16000))
    assert found[0][0] == 0
    assert found[-1][1] == 1000
    assert all(end == start for (_, end), (start, _) in zip(found[:-1], found[1:], strict=True))
    for _, end in found[:-1]:
        assert 0 <= (end / 25) % 6 <= 0.6


def test_quiet_is_put_around_speech():
    sound = Audio(np.full(8000, 0.1, np.float32), 16000)
    whole, phones = build.with_quiet(sound, [(0.0, 0.5, "a")], 1)
    assert float(whole.duration) == pytest.approx(0.5 + build.LEAD + build.TAIL)
    assert [phone for _, _, phone in phones] == ["sil", "a", "sil"]
    assert np.abs(whole.samples[:6000]).max() < 0.02


def test_what_is_known_of_consent_is_said_and_no_more():
    facts = ("en", "one", 0, 0.0, "real", "train", "")
    entries = {source: Entry("a", source, source, *facts, **terms) for source, terms in build.TERMS.items()}
    assert {source for source, entry in entries.items() if not entry.shareable} == {"facegood_zh"}
    assert all(entry.licence and entry.credit for entry in entries.values())


def test_wrong_wishes(tmp_path):
    with pytest.raises(BadInput):
        build.build(tmp_path, tmp_path, tmp_path / "out", ["nothing"])
    with pytest.raises(MissingFile):
        build.build(tmp_path, tmp_path, tmp_path / "out", ["grid_s1"])


def test_a_small_corpus_from_real_recordings(tmp_path):
    pytest.importorskip("pocketsphinx")
    folder, face = shared("corpus"), shared("assets/ict_facekit_light.npz")
    sources = ["grid_s1", "nathalie_nl"]
    corpus = build.build(folder, face, tmp_path, sources, count=3)
    assert len(corpus) == 9
    assert corpus.verify() == []
    assert all(entry.shareable for entry in corpus.entries)
    real, taught = corpus.select(kind="real"), corpus.select(kind="taught")
    assert len(real) == len(taught) == 3
    clip = corpus.read(real[0])
    assert len(clip.motion) == 75
    assert not clip.observed[ARKIT.slice("head")].any()
    assert clip.observed[ARKIT.index("jawOpen")]
    assert corpus.read(taught[0]).observed[ARKIT.slice("head")].all()
    stamps = {path: path.stat().st_mtime_ns for path in (tmp_path / "clips").iterdir()}
    build.build(folder, face, tmp_path, sources, count=3)
    assert stamps == {path: path.stat().st_mtime_ns for path in (tmp_path / "clips").iterdir()}
