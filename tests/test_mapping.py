"""FLAME motion as a user meets it: with a table, with a FLAME file, with neither."""

import os
import pickle
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

import artalk
from artalk import assets, cli, mapping
from artalk.channels import ARKIT, ARKIT_SHAPES, FLAME, FLAME112
from artalk.errors import BadInput, MissingAsset
from artalk.motion import Motion
from artalk.retarget import flame
from artalk.retarget.flame import COEFFICIENTS
from artalk.rigs.head import head
from tests.avatars import Avatar
from tests.flames import layout, tiny
from tests.shared import shared


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ARTALK_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def table(home: Path, tmp_path: Path) -> Path:
    """A user's table, added."""
    rng = np.random.default_rng(0)
    path = tmp_path / "table.npz"
    np.savez(path, table=rng.normal(0, 0.2, (52, len(COEFFICIENTS))), names=np.array(ARKIT_SHAPES))
    assets.add("flame-map", path)
    return path


def flame_motion(frames: int = 4) -> Motion:
    rng = np.random.default_rng(1)
    return Motion(rng.normal(0, 0.3, (frames, len(FLAME))).astype(np.float32), FLAME, Fraction(25), start=1)


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize("to", ["arkit", "oculus"])
def test_without_file_and_table_it_says_both_ways(to: str) -> None:
    with pytest.raises(MissingAsset, match=r"flame\.is\.tue.*assets add flame FILE.*assets add flame-map TABLE"):
        artalk.retarget(flame_motion(), to)
    with pytest.raises(MissingAsset, match="artalk assets add flame"):
        artalk.retarget(flame_motion(), to, per_frame=True)


@pytest.mark.usefixtures("home")
def test_eyes_come_and_go_without_a_map() -> None:
    motion = flame_motion()
    eyed = artalk.retarget(motion, "flame112")
    assert eyed.channels == FLAME112
    assert not eyed.group("leftEye").any()
    assert eyed.start == 1
    np.testing.assert_array_equal(artalk.retarget(eyed, FLAME).values, motion.values)
    assert artalk.retarget(motion, "flame") is motion


@pytest.mark.usefixtures("table")
def test_a_table_carries_motion_to_any_channels() -> None:
    arkit = artalk.retarget(flame_motion(), "arkit")
    assert arkit.channels == ARKIT
    visemes = artalk.retarget(flame_motion(), "oculus")
    np.testing.assert_allclose(visemes.values, artalk.retarget(arkit, "oculus").values)
    capture = artalk.retarget(arkit, "mediapipe52")
    made = artalk.retarget(capture, "flame")
    assert (made.channels, made.fps, made.start) == (FLAME, Fraction(25), 1)


@pytest.mark.usefixtures("table")
def test_flame_motion_is_drawn_on_the_head_and_written_for_others(tmp_path: Path) -> None:
    reaches_every_file(flame_motion(), tmp_path)


def reaches_every_file(motion: Motion, folder: Path) -> None:
    """FLAME motion becomes tables and scenes with ARKit's weights by the map, and a video of the head."""
    artalk.save(motion, folder / "take.npz")
    run = [str(folder / "take.npz"), "-o"]
    for name in ("take.csv", "take.glb", "take.json"):
        assert call("retarget", *run, str(folder / name), "--to", "arkit") == 0
    assert call("render", *run, str(folder / "take.mp4"), "--size", "32", "--backend", "raster") == 0
    assert (folder / "take.mp4").read_bytes()[4:8] == b"ftyp"
    wanted = artalk.retarget(motion, "arkit").values[:, :52]
    assert wanted.max() > 0.05
    for name, error in (("take.glb", 1e-5), ("take.csv", 1e-3)):
        np.testing.assert_allclose(artalk.load(folder / name).values[:, :52], wanted, atol=error, err_msg=name)


@pytest.mark.usefixtures("table")
def test_flame_motion_is_drawn_on_a_users_avatar(tmp_path: Path) -> None:
    (tmp_path / "me.glb").write_bytes(Avatar().bytes())
    clip = artalk.render(flame_motion(2), tmp_path / "me.glb", size=(32, 32), backend="raster")
    assert clip.motion.channels == ARKIT
    np.testing.assert_array_equal(clip.motion.values, artalk.retarget(flame_motion(2), "arkit").values)
    one, two = clip.frames()
    assert one.shape == (32, 32, 3)
    assert (one != two).any()


def call(*arguments: str) -> Any:
    with pytest.raises(SystemExit) as stop:
        cli.main(list(arguments))
    return stop.value.code


def test_a_map_is_solved_once_and_anew_for_another_file(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    np.savez(tmp_path / "flame.npz", **cast(Any, layout(head(), front=0.06)))
    assert call("assets", "add", "flame", str(tmp_path / "flame.npz")) == 0
    smile = np.zeros((1, len(ARKIT)), np.float32)
    smile[0, ARKIT.index("mouthSmileLeft")] = 0.8
    motion = Motion(smile, ARKIT, Fraction(25))
    back = artalk.retarget(artalk.retarget(motion, "flame"), "arkit")
    np.testing.assert_allclose(back.values, motion.values, atol=0.05)
    assert (home / "flame-map.npz").is_file()
    reaches_every_file(artalk.retarget(motion, "flame"), tmp_path)
    framed = artalk.retarget(artalk.retarget(motion, "flame", per_frame=True), "arkit", per_frame=True)
    np.testing.assert_allclose(framed.values, motion.values, atol=0.08)
    capsys.readouterr()
    assert call("assets", "fit") == 0
    out = capsys.readouterr().out
    assert "to flame mm" in out
    assert "mouthSmileLeft" in out
    solved: list[str] = []
    monkeypatch.setattr(mapping, "solve", lambda: solved.append("again"))
    mapping.flame_map()
    assert not solved
    np.savez(tmp_path / "other.npz", **cast(Any, tiny(expressions=100, people=300)))
    assets.add("flame", tmp_path / "other.npz")
    mapping.flame_map()
    assert solved == ["again"]
    face = artalk.rig("flame")
    assert face.channels == FLAME112
    assert len(artalk.rig(f"flame:{tmp_path / 'flame.npz'}").mesh.vertices) > len(face.mesh.vertices)


@pytest.mark.usefixtures("home")
def test_frames_are_fitted_to_the_maps_head(monkeypatch: pytest.MonkeyPatch) -> None:
    table = np.random.default_rng(0).normal(0, 0.2, (52, len(COEFFICIENTS)))
    asked: list[str] = []

    def fit(face: str) -> Any:
        asked.append(face)
        raise MissingAsset("that is all")

    monkeypatch.setattr(mapping, "_fit", fit)
    for face in ("ict", "", "head"):
        kept = replace(flame.from_table(table, ARKIT_SHAPES), head=face)
        assets.keep("flame-map", lambda path, kept=kept: flame.save(kept, path))
        for work in (
            lambda: artalk.retarget(flame_motion(), "arkit", per_frame=True),
            lambda: artalk.retarget(
                Motion(np.zeros((1, 55), np.float32), ARKIT, Fraction(25)), "flame", per_frame=True
            ),
            mapping.shapes_on_flame,
        ):
            with pytest.raises(MissingAsset, match="that is all"):
                work()
    assert asked == ["ict"] * 3 + ["head"] * 6


@pytest.mark.slow
@pytest.mark.usefixtures("home")
def test_a_map_to_ict_is_used_frame_by_frame_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("assets", "add", "ict", str(shared("assets/ict_facekit_light.npz"))) == 0
    np.savez(tmp_path / "flame.npz", **cast(Any, layout(head(), front=0.06)))
    assert call("assets", "add", "flame", str(tmp_path / "flame.npz")) == 0
    capsys.readouterr()
    assert call("assets", "fit", "--rig", "ict") == 0
    assert "from ict and the FLAME file" in capsys.readouterr().out
    made = mapping.flame_map()
    assert made.head == "ict"
    assert made.errors["to flame mm"] < 0.5 * made.errors["moved mm"]
    vertices, deltas = mapping.shapes_on_flame()
    assert deltas.shape == (52, len(vertices), 3)
    smile = np.zeros((1, len(ARKIT)), np.float32)
    smile[0, ARKIT.index("mouthSmileLeft")] = 0.8
    framed = artalk.retarget(Motion(smile, ARKIT, Fraction(25)), "flame", per_frame=True)
    mapped = artalk.retarget(Motion(smile, ARKIT, Fraction(25)), "flame")
    face = artalk.rig("flame")
    near, far = (face.pose(artalk.retarget(one, "flame112").values[0])[vertices] for one in (framed, mapped))
    # Both move FLAME as ICT's smile does, the fit of the frame at least as well.
    wanted = face.mesh.vertices[vertices] + 0.8 * deltas[list(ARKIT_SHAPES).index("mouthSmileLeft")]
    errors = [np.linalg.norm(shown - wanted, axis=1).mean() for shown in (near, far)]
    assert errors[0] <= errors[1] + 2e-5
    assert errors[0] < 0.5 * np.linalg.norm(0.8 * deltas[list(ARKIT_SHAPES).index("mouthSmileLeft")], axis=1).mean()


@pytest.mark.usefixtures("home")
def test_a_pickle_that_runs_code_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    class Evil:
        def __reduce__(self) -> Any:
            return os.system, (f"touch {tmp_path / 'ran'}",)

    (tmp_path / "flame.pkl").write_bytes(pickle.dumps({"v_template": Evil()}))
    assert call("assets", "add", "flame", str(tmp_path / "flame.pkl")) == 2
    said = capsys.readouterr().err
    assert "posix.system" in said or "nt.system" in said
    assert said.count("\n") == 1
    assert not (tmp_path / "ran").exists()


@pytest.mark.usefixtures("home")
def test_only_known_heads_are_fitted() -> None:
    with pytest.raises(MissingAsset, match="assets add flame PATH"):
        mapping.solve()
    with pytest.raises(BadInput, match="to head or ict"):
        mapping.solve("me.glb")
