"""Videos from end to end, where MediaPipe and recordings of a face are here."""

import json
from pathlib import Path

import numpy as np
import pytest

import artalk
from artalk import api, assets
from artalk.data import tracks
from artalk.errors import BadInput
from artalk.formats import npz
from artalk.generators.living import trained
from artalk.generators.shipped import shipped
from artalk.motion import Motion
from artalk.prepare import output, preview, quality, video
from artalk.prepare.tracker import chosen_face
from artalk.prepare.video import Wishes
from tests.prepare.command import run
from tests.prepare.videos import seen, write
from tests.shared import shared

pytest.importorskip("mediapipe", reason="MediaPipe is not installed: pip install 'artalk[track]'")


@pytest.fixture(scope="module")
def task() -> Path:
    return shared("assets/face_landmarker_v2_with_blendshapes.task")


@pytest.fixture(scope="module")
def grid() -> Path:
    return shared("assets/video/grid_bbaf2n.mpg")


@pytest.fixture(scope="module")
def prepared(grid, task):
    return video.prepare(grid, task)


@pytest.fixture(scope="module")
def pictures(grid):
    return seen(grid)


def same_lips(done, other) -> float:
    count = min(len(done.performance.aperture), len(other.performance.aperture))
    return float(np.corrcoef(done.performance.aperture[:count], other.performance.aperture[:count])[0, 1])


def test_lips_follow_the_corpus_tracks_of_the_same_sentence(prepared):
    track = tracks.read(shared("corpus/grid_s1/tracks/bbaf2n.npz"))
    gap = tracks.lip_gap(track)
    assert len(prepared.motion) == len(gap) == 75
    assert np.corrcoef(prepared.performance.aperture, gap)[0, 1] > 0.995
    assert np.corrcoef(quality.lip_gap(prepared.motion), gap)[0, 1] > 0.97
    report = prepared.quality
    assert report.tracked == 1
    assert report.residual[0] < 0.01 * report.eyes
    assert report.agreement["eyeBlinkLeft"] > 0.95
    assert report.sealed == 1
    assert report.warnings == ()


def test_a_turned_phone_and_an_uneven_clock_change_little(pictures, prepared, task, tmp_path):
    turned = write(tmp_path / "turned.mp4", [np.rot90(picture, 1) for picture in pictures], turned=-90)
    assert same_lips(video.prepare(turned, task), prepared) > 0.99
    kept = sorted({0, *np.random.default_rng(0).choice(75, 60, replace=False).tolist()})
    uneven = write(tmp_path / "uneven.mkv", [pictures[k] for k in kept], [k / 25 for k in kept])
    done = video.prepare(uneven, task)
    assert not done.quality.steady
    assert same_lips(done, prepared) > 0.93


def test_one_of_two_faces_is_followed(pictures, prepared, task, tmp_path):
    small = [np.pad(picture[::2, ::2], ((72, 72), (0, 0), (0, 0))) for picture in pictures[::-1]]
    both = write(tmp_path / "two.mp4", [np.concatenate(pair, axis=1) for pair in zip(pictures, small, strict=True)])
    large = video.prepare(both, task)
    assert large.quality.eyes > 55
    assert same_lips(large, prepared) > 0.99
    assert large.quality.others > 0.9
    assert any("others" in warning for warning in large.quality.warnings)
    right = video.prepare(both, task, Wishes(which="right"))
    assert right.quality.eyes < 40
    # The small one plays backwards, and the tracker's delay with it.
    lips, gap = right.performance.aperture, prepared.performance.aperture
    backwards, forwards = (float(np.corrcoef(curve[2:-2], gap[2:-2])[0, 1]) for curve in (lips[::-1], lips))
    assert backwards > max(0.75, forwards + 0.3)


def test_cuts_and_a_covered_lens(pictures, task, tmp_path):
    dark = [np.full_like(pictures[0], 90)] * 20
    cut = [np.ascontiguousarray(picture[:, ::-1]) for picture in pictures[:40]]
    done = video.prepare(write(tmp_path / "cut.mp4", [*pictures[:40], *dark, *cut]), task)
    assert done.quality.shots == 3
    assert len(done.quality.gaps) == 1
    start, stop, why = done.quality.gaps[0]
    assert (start, stop, why) == (pytest.approx(1.6, abs=0.05), pytest.approx(2.4, abs=0.05), "lost")


def test_no_face_is_a_sentence(task, tmp_path):
    with pytest.raises(BadInput, match="no face was found"):
        video.prepare(write(tmp_path / "none.mp4", [np.zeros((96, 96, 3), np.uint8)] * 5), task)


@pytest.mark.slow
def test_an_offset_is_found_and_mended(grid, pictures, prepared, task, tmp_path):
    sound = prepared.sound.cut(0, 3)
    late = write(tmp_path / "late.mp4", pictures, sound=sound, sound_at=0.3)
    found = video.prepare(late, task)
    assert found.quality.offset == pytest.approx(-0.3, abs=0.1)
    mended = video.prepare(late, task, Wishes(offset=-0.3))
    assert mended.quality.offset == pytest.approx(0, abs=0.1)
    # The motion waits for the sound: its first frames lie before the first picture.
    assert mended.quality.gaps[0][:2] == (0.0, pytest.approx(0.28, abs=0.05))


def test_a_preview_shows_both(prepared, tmp_path, monkeypatch):
    monkeypatch.setattr(preview, "LONGEST", 0.2)
    preview.save(prepared, tmp_path / "look.mp4")
    shown = seen(tmp_path / "look.mp4")
    assert len(shown) == 5
    assert shown[0].shape == (preview.HEIGHT, 2 * preview.HEIGHT, 3)
    left, right = shown[2][:, : preview.HEIGHT], shown[2][:, preview.HEIGHT :]
    green = (left[..., 1] > 180) & (left[..., 0] < 120) & (left[..., 2] < 160)
    assert green.sum() > 20
    assert right.std() > 20


def test_landmarks_of_the_motion_lie_where_they_were_tracked(prepared):
    seen_there = prepared.take.on(prepared.clock, 30, 31)
    tracker = prepared.performance.tracker
    solved = preview.solved_points(tracker, seen_there, prepared.motion.cut(30, 31))
    moving = ~np.isin(tracker.face.numbers, preview.STABLE_ROWS)
    apart = np.linalg.norm((solved - seen_there.points[0, tracker.face.numbers])[moving, :2], axis=1)
    assert apart.mean() < 2


def test_what_is_written_says_what_it_is_worth(prepared, tmp_path):
    output.save(prepared, tmp_path / "me.npz")
    output.save(prepared, tmp_path / "me.csv")
    assert quality.from_json(npz.notes(tmp_path / "me.npz")["quality"]) == prepared.quality
    assert np.array_equal(artalk.load(tmp_path / "me.npz").values, prepared.motion.values)
    assert len(artalk.load(tmp_path / "me.csv")) == 75


@pytest.fixture
def at_home(task, tmp_path, monkeypatch):
    monkeypatch.setenv("ARTALK_HOME", str(tmp_path / "home"))
    assets.add("face-landmarker", task)


@pytest.mark.usefixtures("at_home")
def test_the_command_line(grid, tmp_path, capsys):
    code, out, err = run(capsys, "prepare", grid, "-o", tmp_path / "me.npz", "--json")
    assert code == 0
    assert json.loads(out)[0]["quality"]["tracked"] == 1
    assert "face      seen in 100.0%" in err
    code, out, _ = run(capsys, "show", tmp_path / "me.npz")
    assert "75 frames" in out
    assert "pixels between the eyes" in out
    code, _, err = run(capsys, "style", "from", grid, "-o", tmp_path / "me.style.npz")
    assert "style     of 3.0 s" in err
    assert len(artalk.load(tmp_path / "me.style.npz")) == 75


@pytest.mark.usefixtures("at_home")
def test_the_default_model_knows_its_reader_by_a_video(grid):
    """Solved on the built-in head and with lids that move, he was a rounded mumbler to it."""
    model = trained(shipped("artalk"))
    asked = model.style(api.condition(model, grid).style)
    like = {name: float(asked @ model.style(name)) for name in model.styles}
    if "grid_s1" not in like:
        pytest.skip("the model that ships has learnt from another reader")
    assert max(like, key=lambda name: like[name]) == "grid_s1"
    assert like["grid_s1"] > 0.9


@pytest.mark.usefixtures("at_home")
def test_several_videos_are_one_style_and_one_person(grid, tmp_path, capsys):
    smiling = grid.with_name("grid_bbaf3s.mpg")
    code, _, err = run(capsys, "style", "from", grid, smiling, "-o", tmp_path / "me.style.npz")
    assert (code, "style     of 6.0 s" in err) == (0, True)
    both = artalk.load(tmp_path / "me.style.npz")
    assert len(both) == 150
    alone = api.style_from(smiling).motion.channel("mouthSmileLeft").mean()
    assert alone < 0.02  # it is taken for the rest
    assert both.channel("mouthSmileLeft")[75:].mean() > 0.05
    assert npz.notes(tmp_path / "me.style.npz")["face"] == "head"


@pytest.mark.usefixtures("at_home")
def test_a_video_is_a_style(grid):
    style = api.condition(api.generator("artalk-live"), grid).style
    assert isinstance(style, Motion)
    assert len(style) == 75


def test_the_face_followed_is_the_one_nearest_to_the_last():
    faces = [np.zeros((478, 3), np.float32) + place for place in ([10, 0, 0], [90, 0, 0], [50, 0, 0])]
    for face, size in zip(faces, (4, 2, 9), strict=True):
        face[263, 0] += size
    assert chosen_face(faces, None) == 2
    assert chosen_face(faces, None, "left") == 0
    assert chosen_face(faces, None, "right") == 1
    assert chosen_face(faces, np.full((478, 3), 85, np.float32)) == 1
