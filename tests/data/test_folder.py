"""A folder becomes a corpus; a run that is killed goes on, and nothing is lost or doubled."""

import json
import random
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from artalk.channels import ARKIT
from artalk.collect import collect
from artalk.data import folder
from artalk.data.clips import Corpus
from artalk.data.collection import Collection
from artalk.data.folder import Tools, do, gather, is_done, plan, report, tallies
from artalk.errors import BadFile, BadInput, Unsupported
from tests.data.recordings import write_take

ME = Collection("me", language="en", licence="mine", credit="me", consent="my own face")

NO_TOOLS = Tools()

TERMS = 'source = "me"\nlanguage = "en"\nlicence = "mine"\ncredit = "me"\nconsent = "my own face"\n'

COLLECT = "import artalk.collect, sys; artalk.collect.collect(*sys.argv[1:3], processes=int(sys.argv[3]))"


def everything(source, out, collection=ME, tools=NO_TOOLS):
    for task in plan(source, out, collection):
        if not is_done(task):
            do(task, tools)
    return gather(out, collection)


def contents(out):
    """Every file by its place, but for ledgers, whose order is that of the work."""
    return {
        path.relative_to(out).as_posix(): path.read_bytes()
        for path in out.rglob("*")
        if path.is_file() and path.name != ".artalk.jsonl"
    }


@pytest.fixture(scope="module")
def takes(tmp_path_factory):
    """Thirty takes of five people; two of no use, one with a broken table, one that is cut into several clips."""
    place = tmp_path_factory.mktemp("takes")
    for number in range(30):
        speaker, seconds = f"person{number % 5}", (22.0 if number == 7 else 0.5 if number == 8 else 1.5)
        write_take(place / speaker, f"take{number:02d}", seconds, number)
    (place / "person4" / "take09.wav").unlink()
    path = place / "person0" / "take10.csv"
    path.write_text(path.read_text()[:5000])
    (place / "collection.toml").write_text(TERMS)
    return place


@pytest.fixture(scope="module")
def undisturbed(takes, tmp_path_factory):
    out = tmp_path_factory.mktemp("undisturbed") / "corpus"
    everything(takes, out)
    return out


def test_speakers_are_kept_apart_and_what_is_no_use_is_counted(undisturbed):
    corpus = Corpus(undisturbed)
    assert corpus.verify() == []
    assert {entry.speaker for entry in corpus.entries} == {f"person{k}" for k in range(5)}
    held = {entry.speaker for entry in corpus.select("validation")}
    assert len(held) == 1
    assert not held & {entry.speaker for entry in corpus.select("train")}
    assert len(corpus.select(speaker="person2")) == 6 + 2
    told = report(corpus, ME)
    assert {reason: count for reason, (count, _) in told.rejected.items()} == {
        "too short": 1,
        "no sound": 1,
        "unreadable": 1,
    }
    assert (told.recordings, told.used, told.speakers) == (30, 27, 5)
    assert "take10" in told.examples["unreadable"]
    words = told.words()
    assert "27 of 30 recordings" in words
    assert f"held out: {held.pop()}" in words
    assert "not to be shared" not in words


def test_clips_hold_what_the_take_held(undisturbed):
    clip = Corpus(undisturbed).read("me-person1-take01")
    assert clip.entry.language == "en"
    assert (clip.entry.licence, clip.entry.consent) == ("mine", "my own face")
    assert clip.observed[ARKIT.index("jawOpen")]
    assert not clip.observed[ARKIT.index("tongueOut")]
    assert clip.entry.observed == ("eyes", "jaw", "mouth", "head")


@pytest.fixture(scope="module")
def collected(takes, tmp_path_factory):
    out = tmp_path_factory.mktemp("collected") / "corpus"
    collect(takes, out)
    return out


@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize("kills", [3, pytest.param(10, marks=pytest.mark.slow)])
def test_killed_at_random_moments_it_ends_as_if_undisturbed(takes, collected, tmp_path, kills, processes):
    out, chance = tmp_path / "corpus", random.Random(kills)
    records = out / "records" / "me"
    command = [sys.executable, "-c", COLLECT, str(takes), str(out), str(processes)]
    for k in range(kills):
        # At a random moment after some more recordings than before, and in the last round while the index is made.
        wanted = (k + 1) * 30 // kills
        process = subprocess.Popen(command, stderr=subprocess.PIPE)
        while process.poll() is None and len(list(records.glob("[!.]*.json"))) < wanted:
            time.sleep(0.002)
        time.sleep(chance.uniform(0, 0.02))
        process.send_signal(signal.SIGKILL)
        _, said = process.communicate()
        assert process.returncode in (-signal.SIGKILL, 0), said.decode()
    assert collect(takes, out).failed == {}
    assert contents(out) == contents(collected)


def test_doing_it_again_changes_nothing(takes, undisturbed):
    before = contents(undisturbed)
    tasks = plan(takes, undisturbed, ME)
    assert all(is_done(task) for task in tasks)
    for task in tasks[:8]:
        do(task)
    gather(undisturbed, ME)
    assert contents(undisturbed) == before


@pytest.fixture
def small(tmp_path):
    for name in ("ann", "bob", "cid"):
        write_take(tmp_path / "in" / name, "one", 1.5)
    return tmp_path / "in"


def test_terms_that_are_filled_later_need_no_new_work(small, tmp_path):
    bare = Collection("me")
    corpus = everything(small, tmp_path / "out", bare)
    assert not any(entry.shareable for entry in corpus.entries)
    assert "lacks: licence, credit, consent" in report(corpus, bare).words()
    stamp = (tmp_path / "out/records/me/ann-one.json").stat().st_mtime_ns
    filled = replace(bare, licence="CC0", credit="me", consent="asked and signed")
    corpus = everything(small, tmp_path / "out", filled)
    assert all(entry.shareable for entry in corpus.entries)
    assert corpus.verify() == []
    assert corpus.read(corpus.entries[0]).entry.consent == "asked and signed"
    assert (tmp_path / "out/records/me/ann-one.json").stat().st_mtime_ns == stamp


def test_newcomers_move_nobody_and_other_sources_stay(small, tmp_path):
    first = everything(small, tmp_path / "out")
    sides = {entry.speaker: entry.split for entry in first.entries}
    for k in range(12):
        write_take(small / f"new{k}", "one", 1.5, k)
    second = everything(small, tmp_path / "out")
    assert {entry.speaker: entry.split for entry in second.entries}.items() >= sides.items()
    third = everything(small / "ann", tmp_path / "out", Collection("other"))
    assert len(third) == len(second) + 1
    assert len(third.select(source="me")) == len(second)


def test_of_one_speaker_clips_are_held_out(tmp_path):
    for k in range(12):
        write_take(tmp_path / "in", f"take{k}", 1.5, k)
    corpus = everything(tmp_path / "in", tmp_path / "out", Collection("me", validation=0.3))
    assert 0 < len(corpus.select("validation")) < 10
    assert "held out" not in report(corpus, ME).words()


def test_named_speakers_are_held_out(small, tmp_path):
    corpus = everything(small, tmp_path / "out", replace(ME, held_out=("bob",)))
    assert {entry.speaker for entry in corpus.select("validation")} == {"bob"}
    strangers = replace(ME, held_out=("dan",))
    corpus = everything(small, tmp_path / "out2", strangers)
    assert len(corpus.select("validation")) == 1
    assert "held_out names dan" in report(corpus, strangers).words()


def test_masked_groups_are_kept_and_not_learnt_from(small, tmp_path):
    corpus = everything(small, tmp_path / "out", replace(ME, masked=("eyes", "head")))
    clip = corpus.read(corpus.entries[0])
    assert clip.entry.observed == ("jaw", "mouth")
    assert np.ptp(clip.motion.channel("eyeBlinkLeft")) > 0.5
    with pytest.raises(BadInput, match="masked names groups"):
        replace(ME, masked=("ears",))


def test_clips_of_earlier_settings_go(small, tmp_path):
    write_take(small / "ann", "long", 22.0)
    corpus = everything(small, tmp_path / "out")
    assert len(corpus.select(speaker="ann")) > 2
    write_take(small / "ann", "long", 1.5)
    for task in plan(small, tmp_path / "out", ME):
        do(task)
    corpus = gather(tmp_path / "out", ME)
    assert [entry.id for entry in corpus.select(speaker="ann")] == ["me-ann-long", "me-ann-one"]
    assert corpus.verify() == []


def test_what_needs_more_says_what(small, tmp_path):
    (small / "ann" / "film.mp4").write_bytes(b"")
    np.savez(small / "bob" / "two.npz", exp=np.ones((40, 50), np.float32), jaw=np.zeros((40, 3), np.float32))
    shutil.copy(small / "bob" / "one.wav", small / "bob" / "two.wav")
    tasks = {task.item.name: task for task in plan(small, tmp_path / "out", ME)}
    with pytest.raises(Unsupported, match="is a video"):
        do(tasks["ann-film"])
    with pytest.raises(Unsupported, match="FLAME"):
        do(tasks["bob-two"])


def test_videos_and_solvers_are_given_by_who_has_them(small, tmp_path):
    from artalk.captures import Capture
    from artalk.data.recording import Recording
    from artalk.motion import Motion
    from tests.data.recordings import performance, sound, voice

    (small / "ann" / "film.mp4").write_bytes(b"")
    np.savez(small / "bob" / "two.npz", exp=np.ones((90, 50), np.float32), jaw=np.zeros((90, 3), np.float32))
    shutil.copy(small / "bob" / "one.wav", small / "bob" / "two.wav")
    motion = performance(voice(2.0)[1])
    everything_seen = np.ones(len(ARKIT), bool)

    def watch(video: Path, heard):
        assert (video.name, heard) == ("film.mp4", None)
        return Recording(motion, sound(2.0), everything_seen, np.arange(len(motion)) >= 6, residual=0.5)

    def solve(capture):
        assert isinstance(capture, Capture)
        made = Motion(motion.values[: len(capture.motion)], ARKIT, capture.motion.fps)
        return Capture(made, everything_seen, "solved", capture.seen)

    corpus = everything(small, tmp_path / "out", tools=Tools(watch, solve))
    assert {"me-ann-film", "me-bob-two"} <= {entry.id for entry in corpus.entries}
    (told,) = tallies(corpus.folder)
    assert told.seen == pytest.approx(1 - 0.1 / (3 * 1.5 + 2.0 + 3.0), abs=1e-3)
    assert told.residual == (0.5, 0)
    assert "landmarks 0.50 pixels off (sd 0.00)" in told.words()
    assert "face seen in 99.0% of the time, landmarks 0.50 pixels off" in report(corpus, ME).words()


def test_what_was_prepared_is_told_of_every_source_even_one_without_clips(small, tmp_path):
    everything(small, tmp_path / "out")
    write_take(tmp_path / "none", "short", 0.5)
    everything(tmp_path / "none", tmp_path / "out", Collection("nothing"))
    mine, nothing = tallies(tmp_path / "out")
    assert (mine.recordings, mine.used, mine.seen, mine.residual, mine.rejected) == (3, 3, 1.0, None, {})
    assert mine.words() == "prepared  me: 3 of 3 recordings gave clips, face seen in 100.0% of the time"
    assert "rejected  1 × shorter than the least length (1 s): short" in nothing.words()
    assert tallies(tmp_path) == []


def test_records_of_earlier_versions_are_read(small, tmp_path):
    everything(small, tmp_path / "out")
    for path in (tmp_path / "out/records/me").glob("[!p]*.json"):
        old = json.loads(path.read_text())
        path.write_text(json.dumps({name: old[name] for name in ("clips", "rejected")}))
    assert all(is_done(task) for task in plan(small, tmp_path / "out", ME))
    (told,) = tallies(tmp_path / "out")
    assert (told.recordings, told.seen, told.residual) == (3, None, None)
    assert told.words() == "prepared  me: 3 of 3 recordings gave clips"


def test_damaged_records_are_said(small, tmp_path):
    everything(small, tmp_path / "out")
    record = tmp_path / "out/records/me/ann-one.json"
    record.write_text("{")
    assert not is_done(plan(small, tmp_path / "out", ME)[0])
    with pytest.raises(BadFile, match="delete it"):
        folder.read_records(tmp_path / "out", "me")
    everything(small, tmp_path / "out")
    assert json.loads(record.read_text())["clips"] == ["me-ann-one"]
