"""A corpus in tar archives is the corpus."""

import io
import json
import multiprocessing
import tarfile
from dataclasses import replace

import numpy as np
import pytest

from artalk.data import shards
from artalk.data.clips import Corpus, Writer
from artalk.data.shards import Shards, open_corpus, write
from artalk.errors import BadFile, BadInput, MissingFile
from tests.data.test_clips import a_clip


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    writer = Writer(tmp_path_factory.mktemp("corpus"))
    for k in range(17):
        writer.add(a_clip(f"clip-{k}", 5 + k, seed=k, consent="asked", split="validation" if k % 4 == 0 else "train"))
    return writer.finish()


def test_shards_are_the_corpus(corpus, tmp_path):
    made = write(corpus, tmp_path / "shards", least=3)
    assert sorted(path.name for path in (tmp_path / "shards").iterdir()) == [
        *(f"corpus-0000{k}.tar" for k in range(3)),
        "shards.json",
    ]
    assert made.entries == corpus.entries
    assert made.statistics == corpus.statistics
    assert made.words() == corpus.words()
    assert made.verify() == []
    for entry in corpus.entries:
        a, b = corpus.read(entry), made.read(entry.id)
        np.testing.assert_array_equal(a.audio.samples, b.audio.samples)
        np.testing.assert_array_equal(a.motion.values, b.motion.values)
        assert a.entry == b.entry
    assert isinstance(open_corpus(tmp_path / "shards"), Shards)
    assert not isinstance(open_corpus(corpus.folder), Shards)


def test_any_reader_of_tars_finds_the_clips_of_a_shard_side_by_side(corpus, tmp_path):
    write(corpus, tmp_path, name="x")
    seen = []
    with tarfile.open(tmp_path / "x-00000.tar") as archive:
        for member in archive:
            name, _, kind = member.name.partition(".")
            file = archive.extractfile(member)
            assert file is not None
            data = file.read()
            if kind == "json":
                seen.append(name)
                assert json.loads(data)["id"] == name
            else:
                assert (name, kind) == (seen[-1], "npz")
                with np.load(io.BytesIO(data)) as arrays:
                    assert len(arrays["motion"]) == 5 + int(name.partition("-")[2])
    assert sorted(seen) == sorted(entry.id for entry in corpus.entries)


def test_large_corpora_make_several_of_about_a_size_and_the_same_bytes_each_time(corpus, tmp_path):
    one, two = (write(corpus, tmp_path / name, size=40_000) for name in "ab")
    names = sorted(path.name for path in one.folder.iterdir())
    assert len(names) > 5
    assert [(one.folder / name).read_bytes() for name in names] == [(two.folder / name).read_bytes() for name in names]
    write(corpus, tmp_path / "a", least=2)
    assert len(list((tmp_path / "a").iterdir())) == 3


def test_nothing_is_shared_before_its_terms_are_filled(tmp_path):
    writer = Writer(tmp_path / "corpus")
    writer.add(a_clip("a"))
    corpus = writer.finish()
    with pytest.raises(BadInput, match="clips of made have no licence, credit or consent"):
        write(corpus, tmp_path / "shards")
    assert not (tmp_path / "shards").exists()
    assert len(write(corpus, tmp_path / "shards", private=True)) == 1
    assert json.loads((tmp_path / "shards" / "shards.json").read_text())["private"] is True


def test_a_killed_write_leaves_no_corpus(corpus, tmp_path, monkeypatch):
    write(corpus, tmp_path, least=3)

    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(shards, "_fill", stop)
    with pytest.raises(KeyboardInterrupt):
        write(corpus, tmp_path, least=3)
    with pytest.raises(MissingFile):
        Shards(tmp_path)


def test_damage_is_found_and_named(corpus, tmp_path):
    made = write(corpus, tmp_path, least=2)
    whole = (tmp_path / "corpus-00001.tar").read_bytes()
    (tmp_path / "corpus-00001.tar").write_bytes(whole[: len(whole) // 2])
    lost = made.verify()
    assert 0 < len(lost) < len(made)
    with pytest.raises(BadFile, match="is cut"):
        made.read(lost[-1])
    (tmp_path / "corpus-00001.tar").unlink()
    with pytest.raises(MissingFile, match=r"corpus-00001\.tar"):
        made.read(lost[-1])
    with pytest.raises(MissingFile, match="no clip"):
        made.read("nobody")
    (tmp_path / "shards.json").write_text("{}")
    with pytest.raises(BadFile):
        Shards(tmp_path)
    changed = Corpus(corpus.folder)
    changed.entries = (replace(changed.entries[0], sha256="0" * 64), *changed.entries[1:])
    with pytest.raises(BadFile, match="has changed"):
        write(changed, tmp_path / "other")


def _sum(place):
    folder, name = place
    return float(np.abs(Shards(folder).read(name).motion.values).sum())


def test_several_processes_read_them_at_once(corpus, tmp_path):
    made = write(corpus, tmp_path, least=2)
    places = [(tmp_path, entry.id) for entry in made.entries]
    with multiprocessing.get_context("fork").Pool(2) as pool:
        sums = pool.map(_sum, places)
    assert sums == [float(np.abs(corpus.read(entry).motion.values).sum()) for entry in corpus.entries]
