"""Every public corpus from its files to clips by the one command of its page."""

import json
import sys
from functools import partial
from importlib.util import find_spec

import av
import numpy as np
import pytest

from artalk import audio, config, cookbook
from artalk.channels import ARKIT
from artalk.data.clips import Corpus
from artalk.data.collection import Collection
from artalk.data.folder import REASONS
from artalk.data.layouts import LAYOUTS
from artalk.prepare import video
from tests.data.recordings import write_wav
from tests.miniatures import MINIATURES, Watcher, speak, take, write_beat2, write_flame, write_map, write_tfhp
from tests.prepare import command
from tests.prepare.videos import seen
from tests.shared import shared


@pytest.fixture
def run(capsys):
    return partial(command.run, capsys)


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A user's folder: nothing was added to artalk yet."""
    monkeypatch.setenv("ARTALK_HOME", str(tmp_path / "home"))
    return tmp_path


@pytest.fixture
def watched(home, monkeypatch):
    """What is said beside a recipe where videos are tracked by `Watcher`."""
    monkeypatch.setattr(video, "Tracker", Watcher)
    monkeypatch.setitem(sys.modules, "mediapipe", sys)
    (home / "face.task").write_bytes(b"")
    return "--model", home / "face.task"


def test_every_layout_has_a_miniature():
    assert set(MINIATURES) == set(LAYOUTS)


def added(run, home, made_of):
    """Add what a user has to have for captures that are made of FLAME."""
    if made_of == "coefficients":
        assert run("assets", "add", "flame-map", write_map(home / "map.csv"))[0] == 0
    if made_of == "mesh":
        assert run("assets", "add", "flame", write_flame(home / "flame.npz"))[0] == 0


@pytest.mark.parametrize("name", MINIATURES)
def test_a_corpus_from_its_files_to_clips(run, home, watched, name):
    mini = MINIATURES[name]
    recipe = config.load(Collection, cookbook.find(name, cookbook.CORPORA))
    takes = mini.made(home / "MINI")
    added(run, home, mini.made_of)
    code, out, err = run("prepare", home / "MINI", "-o", home / "corpus", "--recipe", name, *watched)
    assert (code, out) == (0, ""), err
    assert f"{name}: 4 of 5 recordings gave 4 clips" in err
    assert f"rejected: 1 × {REASONS[mini.reason]}" in err
    assert f"of {recipe.speakers} speakers: is the download whole?" in err
    corpus = Corpus(home / "corpus")
    assert corpus.verify() == []
    assert {entry.id for entry in corpus.entries} == set(takes)
    for clip_id, facts in mini.takes.values():
        clip = corpus.read(clip_id)
        entry = clip.entry
        assert (entry.speaker, entry.language) == (facts.speaker, facts.language)
        assert (entry.style, entry.text) == (facts.style, facts.text)
        assert (entry.licence, entry.credit, entry.consent) == (recipe.licence, recipe.credit, recipe.consent)
        assert (entry.source, entry.kind, clip.motion.fps) == (name, "real", 25)
        assert entry.face == ("head" if mini.made_of == "videos" else "")
        assert set(entry.observed) <= set(mini.observed)
        assert mini.made_of == "mesh" or entry.observed == mini.observed
        assert not any(clip.observed[ARKIT.slice(group)].any() for group in recipe.masked)
        performs(clip, takes[clip_id], mini.made_of)
    held_apart(corpus, recipe)
    records = [path.read_text() for path in (home / "corpus" / "records" / name).glob("*.json")]
    assert not any(str(home) in text for text in records)
    assert f"{name}: 4 of 5 recordings gave clips" in run("show", home / "corpus")[1]
    assert run("shards", home / "corpus", "-o", home / "shards")[0] == (2 if recipe.missing else 0)


def held_apart(corpus, recipe):
    """Speakers are on one side each: those whom the recipe names are held out, else one of so few."""
    sides = {entry.speaker: entry.split for entry in corpus.entries}
    assert all(sides[entry.speaker] == entry.split for entry in corpus.entries)
    held = {speaker for speaker, side in sides.items() if side == "validation"}
    assert len(held) == 1
    if recipe.held_out:
        assert held <= {speaker.lower() for speaker in recipe.held_out}


def performs(clip, done, made_of):
    """The clip sounds and moves like the take that was written."""
    frames = min(len(clip.motion), len(done.motion))
    assert abs(len(clip.motion) - len(done.motion)) <= 1
    heard, said = (loudness(samples)[:frames] for samples in (clip.audio.samples, done.sound))
    assert np.corrcoef(heard, said)[0, 1] > 0.98
    got, wanted = clip.motion.values[:frames], done.motion.values[:frames]
    jaw = ARKIT.index("jawOpen")
    assert np.corrcoef(got[:, jaw], wanted[:, jaw])[0, 1] > 0.97
    assert np.abs(got[:, jaw] - wanted[:, jaw]).mean() < 0.06
    MOVES[made_of](got, wanted)


def loudness(samples):
    """(frames,) at 25 fps."""
    return np.abs(samples[: len(samples) // 640 * 640]).reshape(-1, 640).mean(axis=1)


def by_name(got, wanted):
    """Weights are those that were captured; there is no tongue, and no head."""
    captured = [column for column, name in enumerate(ARKIT.names[:52]) if name != "tongueOut"]
    assert np.abs(got - wanted)[:, captured].max() < 0.02
    assert not got[:, 52:].any()


def by_a_map(got, wanted):
    """A FLAME map tells apart what it was made of; the head is as it was."""
    brows, head = ARKIT.index("browInnerUp"), ARKIT.slice("head")
    assert np.abs(got - wanted)[:, brows].max() < 0.05
    assert np.abs(got - wanted)[:, head].max() < 2e-3


def by_a_mesh(got, wanted):
    """Only the jaw was opened, and the scale of a jaw's joint is that of the weight."""
    assert np.abs(got[:, ARKIT.index("jawOpen")] - wanted[:, ARKIT.index("jawOpen")]).max() < 0.05
    assert not got[:, ARKIT.slice("head")].any()


def by_sight(got, wanted):
    """What was filmed: brows and head count from how they are at rest, lids from how they open and shut."""
    for name, least in (("browInnerUp", 0.9), ("eyeBlinkLeft", 0.97), ("headY", 0.99)):
        column = ARKIT.index(name)
        assert np.corrcoef(got[:, column], wanted[:, column])[0, 1] > least, name
    assert got[:, ARKIT.index("eyeBlinkLeft")].max() > 0.9


MOVES = {"weights": by_name, "coefficients": by_a_map, "mesh": by_a_mesh, "videos": by_sight}


def test_words_and_phones_come_with_grid_and_lombard_grid(run, home, watched):
    for name in ("grid", "lombard_grid"):
        MINIATURES[name].made(home / name)
        assert run("prepare", home / name, "-o", home / "corpus", "--recipe", name, *watched)[0] == 0
    corpus = Corpus(home / "corpus")
    lombard = corpus.read("lombard_grid-s3-p-bbim4n").phones
    assert [label for _, _, label in lombard] == ["sil", "b", "ɪ", "sil"]
    assert [start for start, _, _ in lombard] == pytest.approx([0, 0.5, 0.6, 0.8])
    if find_spec("pocketsphinx") is None:
        pytest.skip("GRID's phones need the extra align: pip install 'artalk[align]'")
    phones = corpus.read("grid-s2-bbaf2n").phones
    assert phones[0] == pytest.approx((0, 0.2, "sil"), abs=0.05)
    assert [label for _, _, label in phones if label != "sil"][:3] == ["b", "ɪ", "n"]
    assert phones[-1][1] == pytest.approx(2.6, abs=0.05)


@pytest.mark.parametrize("name", ["beat2", "tfhp", "vocaset"])
def test_flame_that_the_user_lacks_is_missed_before_any_work(run, home, name):
    if name == "vocaset":
        (home / "MINI" / "vertices_npy").mkdir(parents=True)
        np.save(home / "MINI" / "vertices_npy" / "FaceTalk_170725_00137_TA_sentence01.npy", np.zeros((9, 1500)))
    else:
        write, take_name = {"beat2": (write_beat2, "x/2_scott_0_1_1"), "tfhp": (write_tfhp, "TH217/000")}[name]
        write(home / "MINI", take_name, take(0, 0.5))
    code, out, err = run("prepare", home / "MINI", "-o", home / "corpus", "--recipe", name)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "artalk assets add flame" in err
    assert ("flame-map TABLE.csv" in err) == (name != "vocaset")  # a map alone does not solve a mesh
    assert not list((home / "corpus").rglob("*.npz"))
    assert [path.name for path in (home / "corpus").rglob("*.json")] == ["plan.json"]


def test_a_corpus_in_flash_with_its_sound_apart_as_it_is_tracked(run, home):
    pytest.importorskip("mediapipe")
    model, source = shared("assets/face_landmarker_v2_with_blendshapes.task"), shared("assets/video/grid_bbaf2n.mpg")
    said = audio.load(source).resampled(16000)
    (home / "CREMA_D" / "VideoFlash").mkdir(parents=True)
    with av.open(str(home / "CREMA_D" / "VideoFlash" / "1001_DFA_ANG_XX.flv"), "w") as container:
        stream = container.add_stream("flv1", rate=25, bit_rate=4_000_000)
        stream.pix_fmt, stream.width, stream.height = "yuv420p", 360, 288
        sound = container.add_stream("libmp3lame", rate=44100, layout="mono")
        for pixels in seen(source):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode(None))
        speak(container, sound, said.samples)
    write_wav(home / "CREMA_D" / "AudioWAV" / "1001_DFA_ANG_XX.wav", said.samples)
    (home / "GRID" / "s1").mkdir(parents=True)
    (home / "GRID" / "s1" / "bbaf2n.mpg").write_bytes(source.read_bytes())
    for name in ("crema_d", "grid"):
        asked = ("--recipe", name, "--model", model)
        assert run("prepare", home / name.upper(), "-o", home / "corpus", *asked)[0] == 0
    corpus = Corpus(home / "corpus")
    flash, grid = corpus.read("crema_d-1001-dfa-ang-xx"), corpus.read("grid-s1-bbaf2n")
    assert (flash.entry.face, grid.entry.face) == ("head", "head")
    assert (flash.entry.style, flash.entry.text) == ("angry", "don't forget a jacket")
    assert flash.observed[ARKIT.slice("head")].all()
    for name in ("jawOpen", "eyeBlinkLeft"):
        assert np.corrcoef(flash.motion.channel(name), grid.motion.channel(name))[0, 1] > 0.95, name
    told = json.loads(run("show", home / "corpus", "--json")[1])["prepared"]
    assert [row["residual"][0] < 0.7 for row in told] == [True, True]
