"""A folder into a corpus by the command: here, on two processes, on a local Ray cluster."""

import json
import os
import random
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from artalk import api, assets, audio
from artalk.channels import ARKIT, ARKIT_SHAPES
from artalk.collect import collect
from artalk.data.clips import Corpus
from artalk.data.shards import Shards
from artalk.data.tracks import Person
from artalk.errors import BadInput
from artalk.prepare import people, video
from artalk.retarget import flame
from tests.captures.reading import read
from tests.data.recordings import write_take, write_wav
from tests.data.test_folder import contents
from tests.prepare import command
from tests.shared import shared

TERMS = 'source = "me"\nlanguage = "en"\nlicence = "CC0"\ncredit = "me"\nconsent = "asked"\nheld_out = ["bob"]\n'


@pytest.fixture(scope="module")
def takes(tmp_path_factory):
    place = tmp_path_factory.mktemp("takes")
    for k, name in enumerate(("ann", "bob", "cid", "ann")):
        write_take(place / name, f"take{k}", 3.5, k)
    (place / "collection.toml").write_text(TERMS)
    return place


@pytest.fixture(scope="module")
def alone(takes, tmp_path_factory):
    out = tmp_path_factory.mktemp("alone")
    collect(takes, out)
    return out


@pytest.fixture
def run(capsys):
    return partial(command.run, capsys)


def test_the_command_makes_a_corpus_and_a_second_run_has_nothing_to_do(takes, run, tmp_path):
    code, out, err = run("prepare", takes, "-o", tmp_path / "corpus", "--jobs", "2")
    assert (code, out) == (0, "")
    assert "me: 4 of 4 recordings gave 4 clips" in err
    assert "held out: bob" in err
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "corpus" / "clips").iterdir()}
    code, out, _ = run("prepare", takes, "-o", tmp_path / "corpus", "--json", "-q")
    assert code == 0
    assert json.loads(out)["clips"] == 4
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "corpus" / "clips").iterdir()} == before
    shown = run("show", tmp_path / "corpus")[1]
    assert "3 clips" not in shown
    assert "prepared  me: 4 of 4 recordings gave clips, face seen in 100.0% of the time" in shown
    assert json.loads(run("show", tmp_path / "corpus", "--json")[1])["prepared"][0]["recordings"] == 4


def test_processes_make_what_one_makes(takes, alone, tmp_path):
    collect(takes, tmp_path / "two", processes=2)
    assert contents(tmp_path / "two") == contents(alone)
    assert Corpus(alone).verify() == []


def test_lips_that_belong_to_another_sound_are_rejected_and_late_ones_are_moved(tmp_path):
    for k in range(2):
        write_take(tmp_path / "in", f"take{k}", 8.5, k)
    (tmp_path / "in" / "take1.wav").write_bytes((tmp_path / "in" / "take0.wav").read_bytes())
    samples = np.frombuffer((tmp_path / "in" / "take0.wav").read_bytes()[44:], "<i2").astype(np.float32) / 32767
    write_wav(tmp_path / "in" / "take0.wav", samples[6400:])  # the lips now come 0.4 s late
    done = collect(tmp_path / "in", tmp_path / "out")
    (entry,) = done.corpus.entries
    assert entry.id == "in-take0"
    clip = done.corpus.read(entry)
    jaw = clip.motion.channel("jawOpen")
    loud = np.abs(clip.audio.samples).reshape(-1, 640).mean(axis=1)
    agree = [np.corrcoef(jaw[lag : len(loud)], loud[: len(loud) - lag])[0, 1] for lag in range(13)]
    assert np.argmax(agree) <= 2
    assert done.report.rejected["out of sync"][0] == 1


def test_one_take_of_flame_without_a_flame_file_says_how_it_is_had_before_any_work(run, tmp_path, monkeypatch):
    monkeypatch.setenv("ARTALK_HOME", str(tmp_path / "home"))
    write_take(tmp_path / "in", "one", 2.0)
    np.savez(tmp_path / "in" / "two.npz", exp=np.ones((50, 50), np.float32), jaw=np.zeros((50, 3), np.float32))
    (tmp_path / "in" / "two.wav").write_bytes((tmp_path / "in" / "one.wav").read_bytes())
    code, _, err = run("prepare", tmp_path / "in", "-o", tmp_path / "out")
    assert (code, err.count("\n")) == (2, 1)
    assert "FLAME motion becomes ARKit's" in err
    assert not list((tmp_path / "out" / "clips").iterdir())


def test_flame_becomes_arkit_by_the_users_map(run, tmp_path, monkeypatch):
    monkeypatch.setenv("ARTALK_HOME", str(tmp_path / "home"))
    rows = np.random.default_rng(0).normal(size=(52, 103))
    made = flame.from_table(rows, ARKIT_SHAPES)
    assets.keep("flame-map", lambda path: flame.save(made, path))
    write_take(tmp_path / "in", "one", 2.0)
    motion = read(tmp_path / "in" / "one.csv").motion.resample(25)
    values = flame.from_arkit(motion, made).values
    np.savez(tmp_path / "in" / "one.npz", exp=values[:, :100], pose=values[:, 100:])
    (tmp_path / "in" / "one.csv").unlink()
    assert run("prepare", tmp_path / "in", "-o", tmp_path / "out")[0] == 0
    clip = Corpus(tmp_path / "out").read("in-one")
    assert np.abs(clip.motion.channel("jawOpen") - motion.channel("jawOpen")).max() < 0.1
    assert not clip.observed[ARKIT.index("eyeLookUpLeft")]


def test_videos_of_grid_become_clips_with_their_words(run, tmp_path):
    pytest.importorskip("mediapipe")
    model, video = shared("assets/face_landmarker_v2_with_blendshapes.task"), shared("assets/video/grid_bbaf2n.mpg")
    (tmp_path / "GRID" / "s1").mkdir(parents=True)
    (tmp_path / "GRID" / "s1" / "bbaf2n.mpg").write_bytes(video.read_bytes())
    recipe = Path(__file__).parents[1] / "recipes" / "public" / "grid.toml"
    code, _, err = run("prepare", tmp_path / "GRID", "-o", tmp_path / "out", "--recipe", recipe, "--model", model)
    assert code == 0
    assert "about 33000 recordings of 33 speakers: is the download whole?" in err
    clip = Corpus(tmp_path / "out").read("grid-s1-bbaf2n")
    assert clip.entry.text == "bin blue at f two now"
    assert clip.entry.observed == ("jaw", "mouth", "brows")
    assert len(clip.motion) == 75
    assert np.ptp(clip.motion.channel("jawOpen")) > 0.1
    told = json.loads(run("show", tmp_path / "out", "--json")[1])["prepared"][0]
    assert told["seen"] == 1
    assert 0.2 < told["residual"][0] < 0.6


def test_what_tracking_needs_is_missed_before_any_work(run, tmp_path, monkeypatch):
    monkeypatch.setenv("ARTALK_HOME", str(tmp_path / "home"))
    write_take(tmp_path / "in", "one", 2.0)
    (tmp_path / "in" / "film.mp4").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "mediapipe", None)
    code, _, err = run("prepare", tmp_path / "in", "-o", tmp_path / "out")
    assert code == 2
    assert "artalk[track]" in err
    monkeypatch.setitem(sys.modules, "mediapipe", sys)
    assert "artalk assets add face-landmarker" in run("prepare", tmp_path / "in", "-o", tmp_path / "out")[2]
    assert not list((tmp_path / "out" / "clips").iterdir())
    assert "solved on head or ict" in run("prepare", tmp_path / "in", "-o", tmp_path / "out", "--solve-on", "moon")[2]


@pytest.mark.parametrize("shift", [0.2, -0.2, 0.0])
def test_pictures_that_are_moved_leave_what_has_both(tmp_path, monkeypatch, shift):
    """Ends without a picture once counted as a face out of sight, and short recordings were lost."""
    write_take(tmp_path / "in", "film", 2.0)
    capture = read(tmp_path / "in" / "film.csv").motion.resample(25)
    (tmp_path / "in" / "film.csv").unlink()
    (tmp_path / "in" / "film.mp4").write_bytes(b"")
    (tmp_path / "in" / "film.wav").rename(tmp_path / "film.wav")
    sound = audio.load(tmp_path / "film.wav")
    lost = 5 if shift else 0
    seen = np.ones(len(capture), bool)
    seen[len(seen) - lost :] = not lost or shift < 0
    seen[:lost] &= shift >= 0
    made = SimpleNamespace(
        motion=capture,
        sound=sound,
        shift=shift,
        face="head",
        performance=SimpleNamespace(ok=seen),
        quality=SimpleNamespace(residual=(0.4, 0.5)),
    )
    monkeypatch.setattr(api, "prepare", lambda *_, **__: made)
    monkeypatch.setitem(sys.modules, "mediapipe", sys)
    done = collect(tmp_path / "in", tmp_path / "out", model="face.task")
    (entry,) = done.corpus.entries
    clip = done.corpus.read(entry)
    first = 5 if shift < 0 else 0
    assert len(clip.motion) == len(capture) - lost
    assert np.abs(clip.motion.values - capture.values[first : first + len(clip.motion)]).max() < 0.01
    at = first * 640
    assert np.abs(clip.audio.samples - sound.samples[at : at + len(clip.audio.samples)]).max() < 0.01


def test_a_video_without_a_face_is_counted(tmp_path, monkeypatch):
    write_take(tmp_path / "in", "one", 2.0)
    (tmp_path / "in" / "one.wav").rename(tmp_path / "in" / "film.wav")
    (tmp_path / "in" / "one.csv").unlink()
    (tmp_path / "in" / "film.mp4").write_bytes(b"")

    def nobody(*_, **__):
        raise BadInput("no face is in it")

    monkeypatch.setattr(api, "prepare", nobody)
    monkeypatch.setitem(sys.modules, "mediapipe", sys)
    done = collect(tmp_path / "in", tmp_path / "out", model="face.task")
    assert done.report.rejected == {"no face": (1, 2.0)}


class Films:
    """Videos that are not tracked: what `collect` asks of `api` about whom."""

    def __init__(self, monkeypatch, folder, count=3):
        self.folder, self.met, self.given, self.counts, self.killed_at = folder, [], [], [], 99
        for k in range(count):
            self.add(f"ann/film{k}", k)
        self.add("bob/film", 7)
        monkeypatch.setattr(video, "glance", self.glance)
        monkeypatch.setattr(people, "meet", self.meet)
        monkeypatch.setattr(api, "prepare_check", lambda **_: Path("face.task"))
        monkeypatch.setattr(api, "prepare", self.prepare)
        monkeypatch.setitem(sys.modules, "mediapipe", sys)

    def add(self, name, seed):
        path = self.folder / f"{name}.mp4"
        write_take(path.parent, path.stem, 2.0, seed)
        path.with_suffix(".csv").unlink()
        path.write_bytes(b"")

    def glance(self, film, _):
        self.met.append(film.name)
        if self.met[self.killed_at :]:
            raise KeyboardInterrupt
        return people.Glance(np.zeros((6, 478, 3)), np.ones(6, bool))

    def meet(self, seen, _):
        self.counts.append(len(seen))
        lids = {"Left": (0.01, 0.001), "Right": (0.01, 0.001)}
        return Person(np.ones((478, 3)), lids, {"Left": np.zeros(2), "Right": np.zeros(2)})

    def prepare(self, video, *, met, **_):
        self.given.append((Path(video).name, met is not None))
        raise BadInput("no face is in it")

    def collect(self, out, **options):
        self.met, self.given, self.counts = [], [], []
        collect(self.folder, out, model="face.task", **options)
        return self.met, sorted(self.given)


def test_a_speakers_videos_are_met_once_and_newcomers_move_nobody(tmp_path, monkeypatch):
    films = Films(monkeypatch, tmp_path / "in")
    met, given = films.collect(tmp_path / "out")
    assert (met, films.counts) == (["film0.mp4", "film1.mp4", "film2.mp4"], [3])
    assert given == [("film.mp4", False), *((f"film{k}.mp4", True) for k in range(3))]
    assert films.collect(tmp_path / "out") == ([], [])
    films.add("ann/film3", 9)
    assert films.collect(tmp_path / "out") == ([], [("film3.mp4", True)])
    films.add("bob/more", 10)  # bob's first film is worth more now
    assert films.collect(tmp_path / "out") == (["film.mp4", "more.mp4"], [("film.mp4", True), ("more.mp4", True)])
    assert len(films.collect(tmp_path / "out", again=True)[0]) == 6
    assert not list((tmp_path / "out" / "records" / "in" / "people" / "glances").glob("*.npz"))


def test_a_run_that_is_killed_while_it_meets_a_speaker_need_not_look_again(tmp_path, monkeypatch):
    films = Films(monkeypatch, tmp_path / "in")
    films.killed_at = 2
    with pytest.raises(KeyboardInterrupt):
        films.collect(tmp_path / "out")
    films.killed_at = 99
    assert films.collect(tmp_path / "out")[0] == ["film2.mp4"]
    assert films.counts == [3]


def test_a_corpus_that_is_moved_is_still_done(tmp_path, monkeypatch):
    films = Films(monkeypatch, tmp_path / "in")
    films.collect(tmp_path / "out")
    (tmp_path / "out").rename(tmp_path / "moved")
    assert films.collect(tmp_path / "moved") == ([], [])


def test_who_smiles_in_one_video_of_three_smiles_in_the_corpus(run, tmp_path):
    pytest.importorskip("mediapipe")
    model = shared("assets/face_landmarker_v2_with_blendshapes.task")
    for name in ("bbaf2n", "bbaf3s", "bbaf4p"):
        place = tmp_path / "in" / f"{name}.mpg"
        place.parent.mkdir(exist_ok=True)
        place.write_bytes(shared(f"assets/video/grid_{name}.mpg").read_bytes())
    assert run("prepare", tmp_path / "in", "-o", tmp_path / "out", "--model", model)[0] == 0
    corpus = Corpus(tmp_path / "out")
    clips = {entry.id[-6:]: corpus.read(entry).motion for entry in corpus.entries}
    smiles = {
        name: (motion.channel("mouthSmileLeft") + motion.channel("mouthSmileRight")).mean() / 2
        for name, motion in clips.items()
    }
    assert smiles["bbaf3s"] > 0.08
    assert max(smiles["bbaf2n"], smiles["bbaf4p"]) < 0.03


@pytest.mark.slow
def test_videos_killed_while_they_are_met_and_solved_end_as_if_undisturbed(tmp_path):
    pytest.importorskip("mediapipe")
    model = shared("assets/face_landmarker_v2_with_blendshapes.task")
    for speaker in ("ann", "bob"):
        (tmp_path / "in" / speaker).mkdir(parents=True)
        for name in ("bbaf2n", "bbaf3s", "bbaf4p"):
            film = shared(f"assets/video/grid_{name}.mpg").read_bytes()
            (tmp_path / "in" / speaker / f"{name}.mpg").write_bytes(film)
    collect(tmp_path / "in", tmp_path / "whole", model=str(model))
    call = "import sys, artalk.collect; artalk.collect.collect(*sys.argv[1:3], processes=2, model=sys.argv[3])"
    command = [sys.executable, "-c", call, tmp_path / "in", tmp_path / "out", model]
    place, chance = tmp_path / "out" / "records" / "in", random.Random(0)
    for wanted in (1, 3, 5, 7, 9, 11):  # of six glances and six records
        process = subprocess.Popen([str(part) for part in command], stderr=subprocess.DEVNULL)

        def done():
            met = 3 * len(list((place / "people").glob("[!.]*.npz")))
            looked = max(met, len(list((place / "people" / "glances").glob("[!.]*.npz"))))
            return looked + len(list(place.glob("[!.]*.json"))) - (place / "plan.json").is_file()

        while process.poll() is None and done() < wanted:
            time.sleep(0.005)
        time.sleep(chance.uniform(0, 0.3))
        process.kill()
        process.wait()
    assert collect(tmp_path / "in", tmp_path / "out", model=str(model)).failed == {}
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


def test_shards_by_the_command(alone, run, tmp_path):
    code, _, err = run("shards", alone, "-o", tmp_path / "shards", "--least", "2")
    assert code == 0
    assert "wrote 2 shards with 4 clips" in err
    assert Shards(tmp_path / "shards").verify() == []
    assert "4 clips" in run("show", tmp_path / "shards")[1]


def test_training_draws_the_same_takes_from_shards_with_any_number_of_workers(alone, run, tmp_path):
    torch = pytest.importorskip("torch")
    from artalk.data.shards import open_corpus, write
    from artalk.train.recipe import Data, Sound
    from artalk.train.windows import Shape, Takes

    write(Corpus(alone), tmp_path / "shards", least=2)
    data = Data(sound=Sound(voice=0.0, tempo=0.0, noise=0.0, room=0.0, band=0.0))

    def takes_of(place):
        return Takes(open_corpus(place), "train", data, Shape(window=25, past=12, lookahead=5), 0, True, True)

    class Rows(torch.utils.data.Dataset):
        def __init__(self, takes):
            self.takes = takes

        def __len__(self):
            return 12

        def __getitem__(self, index):
            return {name: torch.tensor(value) for name, value in self.takes.row(index // 4, index % 4).items()}

    plain = takes_of(alone)
    workers = torch.utils.data.DataLoader(
        Rows(takes_of(tmp_path / "shards")), batch_size=4, num_workers=2, multiprocessing_context="fork"
    )
    for step, batch in enumerate(workers):
        whole = plain.batch(step, 4)
        for name in ("motion", "sound", "style_clip"):
            assert torch.equal(batch[name], getattr(whole, name)), name


@pytest.mark.slow
def test_a_ray_cluster_of_two_machines_makes_what_one_process_makes(takes, alone, tmp_path):
    pytest.importorskip("ray")
    code = f"""
import sys
from ray.cluster_utils import Cluster
from artalk.collect import collect
cluster = Cluster(initialize_head=True, head_node_args={{"num_cpus": 1, "include_dashboard": False}})
cluster.add_node(num_cpus=1)
done = collect({str(takes)!r}, {str(tmp_path / "out")!r}, ray=cluster.address)
again = collect({str(takes)!r}, {str(tmp_path / "out")!r}, ray=cluster.address)
print(len(done.corpus), done.failed)
cluster.shutdown()
"""
    root = Path(__file__).parents[1]
    # In a process of its own: Ray leaves threads and sockets behind that pytest would complain of.
    settings = {**os.environ, "RAY_USAGE_STATS_ENABLED": "0", "PYTHONPATH": str(root)}
    made = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=root, env=settings, timeout=300
    )
    assert made.returncode == 0, made.stderr
    assert made.stdout.split() == ["4", "{}"]
    assert contents(tmp_path / "out") == contents(alone)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["prepare", "{takes}"], "say where the corpus goes"),
        (["prepare", "{takes}", "-o", "-"], "say where the corpus goes"),
        (["prepare", "{takes}", "{takes}", "-o", "{tmp}"], "one folder at a time"),
        (["prepare", "{takes}", "-o", "{tmp}", "--to", "csv"], "--to is for videos"),
        (["prepare", "{tmp}/none", "-o", "{tmp}", "--recipe", "none.toml"], "none.toml"),
        (["prepare", "{tmp}", "-o", "{tmp}/x"], "nothing to prepare"),
        (["prepare", "{takes}", "-o", "{tmp}/x", "--ray", "127.0.0.1:1"], "Ray"),
        (["shards", "{tmp}", "-o", "{tmp}/x"], "index.json"),
    ],
)
def test_mistakes_are_one_sentence(takes, run, tmp_path, arguments, says, monkeypatch):
    if "--ray" in arguments:
        # Whether Ray is installed or not, and without waiting for one that never answers.
        monkeypatch.setitem(sys.modules, "ray", None)
    code, out, err = run(*(text.format(takes=takes, tmp=tmp_path) for text in arguments))
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert says.lower() in err.lower()
