import json
from dataclasses import replace

import numpy as np
import pytest

from artalk.audio import Audio
from artalk.channels import ARKIT
from artalk.data.clips import FPS, SAMPLE_RATE, Clip, Corpus, Entry, Writer, fitted, split_of
from artalk.errors import BadFile, BadInput, MissingFile
from artalk.motion import Motion


def a_clip(name: str = "a", frames: int = 25, seed: int = 0, **changes: object) -> Clip:
    rng = np.random.default_rng(seed)
    entry = Entry(name, "made", "nobody", "en", "one two", 0, 0.0, "real", "train", "", "CC0", "nobody")
    observed = np.zeros(len(ARKIT), np.bool_)
    observed[ARKIT.slice("jaw")] = True
    return Clip(
        replace(entry, **changes),
        Audio(rng.uniform(-0.5, 0.5, frames * 640).astype(np.float32), SAMPLE_RATE),
        Motion(rng.uniform(0, 1, (frames, len(ARKIT))).astype(np.float32), ARKIT, FPS),
        observed,
        ((0.0, 0.4, "sil"), (0.4, 1.0, "tʃ")),
    )


def test_what_is_written_is_read(tmp_path):
    clip = a_clip()
    writer = Writer(tmp_path / "corpus")
    writer.add(clip)
    corpus = writer.finish()
    back = corpus.read("a")
    assert np.abs(back.audio.samples - clip.audio.samples).max() <= 0.5 / 32767 + 1e-7
    assert np.abs(back.motion.values - clip.motion.values).max() < 1e-3
    assert np.array_equal(back.observed, clip.observed)
    assert [label for _, _, label in back.phones] == ["sil", "tʃ"]
    assert corpus.entries[0].observed == ("jaw",)
    assert corpus.entries[0].seconds == 1.0
    assert corpus.verify() == []


def test_a_killed_build_loses_nothing_and_goes_on(tmp_path):
    Writer(tmp_path).add(a_clip("a"))  # no finish
    writer = Writer(tmp_path)
    assert "a" in writer
    assert "b" not in writer
    writer.add(a_clip("b"))
    corpus = writer.finish()
    assert [entry.id for entry in corpus.entries] == ["a", "b"]
    assert corpus.verify() == []


def test_terms_are_brought_up_to_date_in_clips_and_index(tmp_path):
    writer = Writer(tmp_path)
    writer.add(a_clip("a"))
    writer.add(a_clip("b", source="other"))
    writer.finish()
    terms = {"licence": "MIT", "credit": "me", "consent": "asked"}
    writer = Writer(tmp_path)
    writer.renew("made", terms)
    assert not (tmp_path / "index.json").exists()  # killed here, nothing says what is no longer so
    corpus = Writer(tmp_path).finish()
    assert corpus.verify() == []
    assert [(entry.under(terms), entry.shareable) for entry in corpus.entries] == [(True, True), (False, False)]
    assert corpus.read("a").entry.consent == "asked"
    stamp = (tmp_path / "clips" / "a.npz").stat().st_mtime_ns
    Writer(tmp_path).renew("made", terms)
    assert (tmp_path / "index.json").is_file()
    assert (tmp_path / "clips" / "a.npz").stat().st_mtime_ns == stamp


def test_a_corpus_says_on_which_face_it_was_solved_and_an_older_one_says_nothing(tmp_path):
    writer = Writer(tmp_path)
    writer.add(a_clip("a", face="ict"))
    corpus = writer.finish()
    assert [entry.face for entry in corpus.entries] == ["ict"]
    assert "solved on ict" in corpus.words()
    index = json.loads((tmp_path / "index.json").read_text())
    del index["clips"][0]["face"], index["clips"][0]["consent"]
    (tmp_path / "index.json").write_text(json.dumps(index))
    older = Corpus(tmp_path)
    assert [(entry.face, entry.consent) for entry in older.entries] == [("", "")]
    assert "solved on" not in older.words()


def test_a_clip_that_was_taken_away_leaves_the_index(tmp_path):
    writer = Writer(tmp_path)
    writer.add(a_clip("a"))
    writer.add(a_clip("b"))
    writer.finish()
    (tmp_path / "clips" / "a.npz").unlink()
    assert [entry.id for entry in Writer(tmp_path).finish().entries] == ["b"]


def test_a_changed_clip_is_found(tmp_path):
    writer = Writer(tmp_path)
    writer.add(a_clip("a"))
    corpus = writer.finish()
    (tmp_path / "clips" / "a.npz").write_bytes(b"something else")
    assert corpus.verify() == ["a"]
    with pytest.raises(BadFile):
        corpus.read("a")


def test_statistics_count_observed_channels_alone(tmp_path):
    writer = Writer(tmp_path)
    clips = [a_clip("a", seed=1), a_clip("b", seed=2, kind="taught"), a_clip("c", 50, seed=3)]
    for clip in clips:
        writer.add(clip)
    found = writer.finish().statistics
    assert set(found) == {"real", "taught"}
    assert set(found["real"]) == set(ARKIT.names[ARKIT.slice("jaw")])
    jaw = np.concatenate([clips[k].motion.channel("jawOpen") for k in (0, 2)])
    mean, deviation, least, largest, seconds = found["real"]["jawOpen"]
    assert mean == pytest.approx(jaw.mean(), abs=1e-3)
    assert deviation == pytest.approx(jaw.std(), abs=1e-3)
    assert (least, largest) == pytest.approx((jaw.min(), jaw.max()), abs=1e-3)
    assert seconds == 3.0


def test_statistics_know_nothing_of_what_is_held_out(tmp_path):
    writer = Writer(tmp_path)
    writer.add(a_clip("a", seed=1))
    before = writer.finish().statistics
    writer.add(a_clip("b", seed=2, split="validation"))
    writer.add(a_clip("c", seed=3, split="validation", kind="taught"))
    assert writer.finish().statistics == before
    writer.remove("a")
    assert set(writer.finish().statistics) == {"real", "taught"}


def test_selection_and_words(tmp_path):
    writer = Writer(tmp_path)
    writer.add(a_clip("a"))
    writer.add(a_clip("b", split="validation"))
    writer.add(a_clip("c", kind="taught", style="broad"))
    corpus = writer.finish()
    assert [entry.id for entry in corpus.select("train")] == ["a", "c"]
    assert [entry.id for entry in corpus.select(kind="taught", style="broad")] == ["c"]
    words = corpus.words()
    assert "3 clips" in words
    assert "CC0" in words
    assert "broad" in words


def test_splits_are_fixed_and_of_the_wished_size():
    sides = [split_of(f"sentence {k}", 0.1) for k in range(4000)]
    assert sides == [split_of(f"sentence {k}", 0.1) for k in range(4000)]
    assert 0.08 < np.mean([side == "validation" for side in sides]) < 0.12
    # A larger share keeps what was held out before.
    assert all(split_of(f"sentence {k}", 0.2) == "validation" for k in range(4000) if sides[k] == "validation")


def test_bad_corpora_are_named(tmp_path):
    with pytest.raises(MissingFile):
        Corpus(tmp_path)
    (tmp_path / "index.json").write_text("{")
    with pytest.raises(BadFile):
        Corpus(tmp_path)
    (tmp_path / "index.json").write_text(json.dumps({"format": "other"}))
    with pytest.raises(BadFile):
        Corpus(tmp_path)


@pytest.mark.parametrize("name", ["", "../out", "a/b", ".hidden"])
def test_ids_stay_in_the_folder(tmp_path, name):
    with pytest.raises(BadInput):
        Writer(tmp_path).add(a_clip(name))


def test_clips_of_other_rates_are_refused():
    clip = a_clip()
    with pytest.raises(BadInput):
        replace(clip, motion=replace(clip.motion, fps=30))
    with pytest.raises(BadInput):
        replace(clip, audio=Audio(np.zeros(10, np.float32), 8000))
    with pytest.raises(BadInput):
        replace(clip, observed=np.ones(3, np.bool_))


def test_fitted_cuts_or_holds():
    rows = np.arange(6.0).reshape(3, 2)
    assert fitted(rows, 2).tolist() == rows[:2].tolist()
    assert fitted(rows, 5)[-1].tolist() == rows[-1].tolist()
    with pytest.raises(BadInput):
        fitted(rows[:0], 2)
