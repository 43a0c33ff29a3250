"""One capture by one command: motion, a style, or what is in it."""

import json

import numpy as np
import pytest

import artalk
from artalk import api, assets, mapping
from artalk.channels import ARKIT, ARKIT_SHAPES, FLAME
from artalk.errors import BadInput
from artalk.formats import livelink, npz
from artalk.generators.living import trained
from artalk.generators.shipped import shipped
from artalk.generators.visemes import Visemes
from artalk.motion import Motion
from artalk.prepare import captured, style, terms
from artalk.retarget import flame
from artalk.rigs.head import head
from tests.captures.test_tables import beat, wide
from tests.data.recordings import performance, voice, write_take
from tests.prepare.command import run

SECONDS = 2.5


def coefficients(motion, place):
    """FLAME coefficients of ARKit motion by a map that is the user's, as SPECTRE leaves them."""
    made = flame.from_table(np.random.default_rng(0).normal(size=(52, 103)), ARKIT_SHAPES)
    assets.keep("flame-map", lambda path: flame.save(made, path))
    values = flame.from_arkit(motion, made).values
    np.savez(place, exp=values[:, :100], pose=values[:, 100:])


def mouth(seconds=SECONDS, fps=25):
    return performance(voice(seconds)[1]).resample(fps)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A capture of each kind."""
    folder = tmp_path_factory.mktemp("captures")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ARTALK_HOME", str(folder / "home"))
        coefficients(mouth(), folder / "spectre.npz")
    write_take(folder, "take", SECONDS)
    beat(folder / "1_wayne_0_1_1.json", 150)
    wide(folder / "scores.csv", [k / 30 for k in range(75)], "time", 75)
    near = np.arange(0, len(head().mesh.vertices), 5)
    moved = [head().morph(row)[near] for row in mouth(SECONDS, 30).values[:, :55]]
    np.save(folder / "voca.npy", np.stack(moved).astype(np.float32))
    frames = np.load(folder / "spectre.npz")
    for k, (exp, pose) in enumerate(zip(frames["exp"], frames["pose"], strict=True)):
        (folder / "deca" / f"{k:05d}").mkdir(parents=True)
        np.save(folder / "deca" / f"{k:05d}" / "exp.npy", exp)
        np.save(folder / "deca" / f"{k:05d}" / "pose.npy", pose)
    return folder


@pytest.fixture(autouse=True)
def at_home(place, monkeypatch):
    monkeypatch.setenv("ARTALK_HOME", str(place / "home"))
    near = np.arange(0, len(head().mesh.vertices), 5)
    deltas = head().deltas[:, near].astype(np.float64)
    monkeypatch.setattr(mapping, "shapes_on_flame", lambda: (np.arange(len(near)), deltas))


KINDS = {
    "take.csv": ("Live Link Face", 150, "60"),
    "1_wayne_0_1_1.json": ("BEAT's ARKit JSON", 150, "60"),
    "scores.csv": ("MediaPipe's scores", 75, "30"),
    "spectre.npz": ("FLAME coefficients", 63, "25"),
    "deca": ("FLAME coefficients", 63, "25"),
    "voca.npy": ("registered vertices", 75, "60"),
}


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_becomes_motion_by_one_command(place, name, tmp_path, capsys):
    tool, frames, fps = KINDS[name]
    code, out, err = run(capsys, "prepare", place / name, "-o", tmp_path / "x.npz", "-o", tmp_path / "x.csv", "--json")
    assert code == 0, err
    (said,) = json.loads(out)
    assert (said["frames"], said["fps"], said["capture"]["tool"]) == (frames, fps, tool)
    assert "of capture" in err
    assert tool in err
    motion = artalk.load(tmp_path / "x.npz")
    assert (motion.channels, len(motion), str(motion.fps)) == (ARKIT, frames, fps)
    assert np.ptp(motion.channel("jawOpen")) > 0.2
    assert len(artalk.load(tmp_path / "x.csv")) == frames


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_is_a_style(place, name, tmp_path, capsys):
    source = place / name
    if name == "voca.npy":  # 75 frames at 60 are short of two seconds
        source = tmp_path / name
        np.save(source, np.tile(np.load(place / name), (2, 1, 1)))
    code, _, err = run(capsys, "style", "from", source, "-o", tmp_path / "me.style.npz")
    assert code == 0, err
    assert "style     of 2.5 s" in err
    followed = api.condition(shipped("artalk"), source).style
    assert isinstance(followed, Motion)
    assert followed.channels == ARKIT
    assert not np.ptp(followed.group("eyes"), axis=0).any()


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_is_shown(place, name, capsys):
    code, out, err = run(capsys, "show", place / name)
    assert code == 0, err
    assert KINDS[name][0] in out
    frames = json.loads(run(capsys, "show", place / name, "--json")[1])["frames"]
    assert frames == KINDS[name][1]


def test_frames_without_a_face_are_no_style(tmp_path, capsys):
    lively = performance(voice(6.0)[1])
    livelink.write(lively, tmp_path / "take.csv")
    lines = (tmp_path / "take.csv").read_text().splitlines()
    column = lines[0].split(",").index("BlendshapeCount")
    for k in range(1 + 60, 1 + 240):
        cells = lines[k].split(",")
        cells[column] = "0"
        lines[k] = ",".join(cells)
    (tmp_path / "take.csv").write_text("\n".join(lines))
    seen = captured.take(tmp_path / "take.csv").capture.seen
    assert 0.4 < seen.mean() < 0.65
    found = api.style_from(tmp_path / "take.csv")
    assert found.seconds == pytest.approx(seen.sum() / 60, abs=0.01)
    followed = api.condition(api.generator("artalk-live"), tmp_path / "take.csv").style
    assert isinstance(followed, Motion)
    assert len(followed) == len(found.motion)
    assert "of the frames" in run(capsys, "show", tmp_path / "take.csv")[1]


def test_a_model_of_flame_gets_flame_as_it_is(place, monkeypatch):
    follower = Visemes()
    monkeypatch.setattr(Visemes, "accepts", frozenset({"style"}))
    monkeypatch.setattr(follower, "channels", FLAME)
    followed = api.condition(follower, place / "spectre.npz").style
    assert isinstance(followed, Motion)
    assert followed.channels == FLAME
    with np.load(place / "spectre.npz") as kept:
        assert np.array_equal(followed.values[:, :100], kept["exp"].astype(np.float32))


def test_traits_that_a_capture_does_not_show_are_not_told(place):
    found = api.style_from(place / "scores.csv")
    assert "head" not in found.traits
    assert {"opening", "blinks"} <= set(found.traits)
    assert "head" not in found.words()


def test_a_preview_is_the_head_with_the_sound_beside_it(place, tmp_path, capsys, monkeypatch):
    asked = []
    monkeypatch.setattr(api, "save", lambda motion, path, audio=None, **_: asked.append((path.name, audio)))
    write_take(tmp_path, "take", 1.0)
    assert run(capsys, "prepare", tmp_path / "take.csv", "-o", tmp_path / "take.mp4")[0] == 0
    assert asked[0][0] == "take.preview.mp4"
    assert float(asked[0][1].duration) == 1.0
    assert run(capsys, "prepare", place / "scores.csv", "-o", tmp_path / "x.mp4")[0] == 0
    assert asked[1] == ("x.mp4", None)


def test_several_captures_go_into_a_folder(place, tmp_path, capsys):
    names = [place / "take.csv", place / "scores.csv"]
    code, _, err = run(capsys, "prepare", *names, "-o", tmp_path / "out", "--to", "npz", "--fps", "25")
    assert (code, "2 done" in err) == (0, True)
    assert sorted(path.name for path in (tmp_path / "out").glob("*.npz")) == ["scores.npz", "take.npz"]
    assert str(artalk.load(tmp_path / "out" / "take.npz").fps) == "25"
    again = run(capsys, "prepare", *names, "-o", tmp_path / "out", "--to", "npz", "--fps", "25")
    assert "2 skipped" in again[2]


def test_a_rate_is_given_to_those_that_do_not_say_theirs(place, tmp_path, capsys):
    code, _, err = run(capsys, "prepare", place / "spectre.npz", "-o", tmp_path / "x.npz", "--source-fps", "30")
    assert code == 0, err
    assert str(artalk.load(tmp_path / "x.npz").fps) == "30"


def test_a_style_is_read_at_a_rate_too(place, tmp_path, capsys):
    code, _, err = run(capsys, "style", "from", place / "spectre.npz", "-o", tmp_path / "a.npz", "--source-fps", "30")
    assert code == 0, err
    assert "style     of 2.1 s" in err  # 63 frames
    followed = api.condition(shipped("artalk"), place / "spectre.npz", fps="30").style
    assert isinstance(followed, Motion)
    assert (len(followed), str(followed.fps)) == (63, "30")
    asked = ("--style", place / "spectre.npz", "--source-fps", "30")
    write_take(tmp_path, "said", 1.0)
    assert run(capsys, "animate", tmp_path / "said.wav", "-o", tmp_path / "b.npz", *asked)[0] == 0
    made = artalk.animate(tmp_path / "said.wav", style=place / "spectre.npz", style_fps=30)
    assert np.array_equal(artalk.load(tmp_path / "b.npz").values, made.values)
    assert not np.array_equal(artalk.animate(tmp_path / "said.wav", style=place / "spectre.npz").values, made.values)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["take.csv", "-o", "x.npz", "--offset", "auto"], "--offset: for videos"),
        (["take.csv", "-o", "x.npz", "--solve-on", "ict", "--raw"], "--solve-on, --raw: for videos"),
        (["none.json", "-o", "x.npz"], "there is no capture"),
        (["take.csv", "-o", "take.csv"], "would be written over"),
        (["take.csv", "-o", "out/"], "a corpus is made of a folder of recordings"),
        (["film.mp4", "take.csv", "-o", "out/"], "a corpus is made of a folder of recordings"),
        (["take.csv", "take.csv", "-o", "corpus/", "--to", "npz"], "files into a corpus"),
        (["film.mp4", "-o", "x.npz", "--source-fps", "30"], "--source-fps is for captures"),
        (["log.csv", "-o", "x.npz"], "no column is named after an ARKit shape"),
        (["broken.json", "-o", "x.npz"], "broken.json"),
    ],
)
def test_mistakes_are_one_sentence(arguments, says, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_take(tmp_path, "take", 0.2)
    (tmp_path / "film.mp4").write_bytes(b"")
    (tmp_path / "log.csv").write_text("time,what\n1,hello\n")
    (tmp_path / "broken.json").write_text("{")
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "index.json").write_text("{}")
    monkeypatch.setattr(api, "prepare_check", lambda *_: None)
    code, out, err = run(capsys, "prepare", *arguments)
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert says in err


def test_flame_without_a_flame_file_says_how_it_is_had(place, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("ARTALK_HOME", str(tmp_path / "home"))
    for verb in (["prepare"], ["style", "from"]):
        code, _, err = run(capsys, *verb, place / "spectre.npz", "-o", tmp_path / "x.npz")
        assert code == 2
        assert "artalk assets add flame FILE" in err
    assert run(capsys, "show", place / "spectre.npz")[0] == 0


def test_a_style_is_put_into_the_terms_of_the_model_that_follows_it(tmp_path):
    person = style.Style(mouth(), SECONDS, {}, "head")
    style.save(person, tmp_path / "me.style.npz")
    assert npz.notes(tmp_path / "me.style.npz") == {"face": "head"}
    wanted = terms.still_eyes(terms.on_ict(person.motion))
    for wish in (person, tmp_path / "me.style.npz"):
        followed = api.condition(shipped("artalk"), wish).style
        assert isinstance(followed, Motion)
        assert np.array_equal(followed.values, wanted.values)
    plain = api.condition(shipped("artalk"), person.motion).style
    assert plain is person.motion


def test_a_model_of_another_corpus_follows_a_style_in_its_own_terms(monkeypatch):
    made = shipped("artalk")
    model = trained(made)
    person = style.Style(mouth(), SECONDS, {}, "head")
    monkeypatch.setattr(model, "card", {"sources": [{"source": "me", "kind": "real"}]})
    monkeypatch.setitem(model.facts, "rules", [])
    assert api.condition(made, person).style is person.motion
    monkeypatch.setitem(model.facts, "rules", ["eyes"])
    followed = api.condition(made, person).style
    assert isinstance(followed, Motion)
    assert np.array_equal(followed.values, terms.still_eyes(person.motion).values)


def test_terms_come_from_a_models_card_or_from_that_of_its_base():
    ours = {"sources": [{"source": "kerstin_de"}, {"source": "grid_s1"}]}
    assert terms.of(ours) == terms.Terms("ict", frozenset({"eyes"}))
    assert terms.of({"sources": [{"source": "me"}], "base": {"base": ours}}) == terms.of(ours)
    assert terms.of({"sources": [{"source": "me"}]}, ["head"]) == terms.Terms("", frozenset({"head"}))
    assert terms.of({}) == terms.Terms()
    seen = [{"source": "me", "kind": "real", "face": "ict"}, {"source": "you", "kind": "real"}]
    assert terms.of({"sources": seen}, ["eyes"]) == terms.Terms("ict", frozenset({"eyes"}))
    assert terms.of({"sources": [*seen, {"source": "her", "kind": "real", "face": "head"}]}) == terms.Terms()
    motion = mouth()
    assert terms.fitting(motion, "ict", terms.Terms("ict")) is motion
    assert terms.fitting(motion, "", terms.Terms("ict")) is motion


def test_too_short_a_capture_is_no_style(tmp_path):
    write_take(tmp_path, "take", 1.0)
    with pytest.raises(BadInput, match="at least 2 seconds"):
        api.style_from(tmp_path / "take.csv")
