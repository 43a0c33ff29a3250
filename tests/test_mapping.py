"""FLAME motion as a user meets it: with a table, with a FLAME file, with neither."""

import os
import pickle
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
from artalk.retarget.flame import COEFFICIENTS
from artalk.rigs.head import head
from tests.flames import layout, tiny


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
    artalk.save(flame_motion(), tmp_path / "take.npz")
    run = [str(tmp_path / "take.npz"), "-o"]
    for name in ("take.csv", "take.glb", "take.json"):
        assert call("retarget", *run, str(tmp_path / name), "--to", "arkit") == 0
    assert call("render", *run, str(tmp_path / "take.mp4"), "--size", "32", "--backend", "raster") == 0
    back = artalk.load(tmp_path / "take.glb").values[:, :52]
    np.testing.assert_allclose(back, artalk.retarget(flame_motion(), "arkit").values[:, :52], atol=1e-5)


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
