from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from artalk.channels import ARKIT, ARKIT_SHAPES, FLAME, FLAME112
from artalk.errors import BadFile, BadInput, MissingFile
from artalk.motion import Motion
from artalk.retarget import flame
from artalk.retarget.flame import COEFFICIENTS, UNSEEN, FlameMap


def table(seed: int = 0) -> np.ndarray:
    """Shapes that are clearly different in FLAME, as those of a face are."""
    rng = np.random.default_rng(seed)
    made = rng.normal(0, 0.2, (len(ARKIT_SHAPES), len(COEFFICIENTS)))
    made[:, -3:] = 0
    made[ARKIT_SHAPES.index("jawOpen"), -3] = 0.35
    return made


def a_map() -> FlameMap:
    return flame.from_table(table(), ARKIT_SHAPES)


def arkit(seed: int = 0, frames: int = 5) -> Motion:
    rng = np.random.default_rng(seed)
    values = rng.uniform(0, 0.9, (frames, len(ARKIT))).astype(np.float32)
    values[:, :52] *= rng.random((frames, 52)) < 0.2
    values[:, 52:] -= 0.5
    for side in ("Left", "Right"):  # an eye looks one way at a time
        for one, other in (("Down", "Up"), ("In", "Out")):
            values[:, ARKIT.index(f"eyeLook{one}{side}")] *= values[:, ARKIT.index(f"eyeLook{other}{side}")] == 0
    return Motion(values, ARKIT, Fraction(25), start=3)


@given(st.integers(0, 30))
def test_arkit_comes_back_from_flame_with_eyes(seed: int) -> None:
    motion = arkit(seed).with_channels(tongueOut=0)
    back = flame.to_arkit(flame.from_arkit(motion, a_map(), FLAME112), a_map())
    np.testing.assert_allclose(back.values, motion.values, atol=0.06)
    np.testing.assert_allclose(back.values[:, 52:], motion.values[:, 52:], atol=1e-6)
    assert (back.start, back.fps) == (motion.start, motion.fps)


def test_without_eyes_the_gaze_and_never_the_tongue_comes_back() -> None:
    back = flame.to_arkit(flame.from_arkit(arkit(), a_map()), a_map())
    assert back.channels == ARKIT
    assert not back.values[:, ARKIT.indices(UNSEEN)].any()


def test_from_arkit_a_shape_is_its_row_and_shapes_add() -> None:
    motion = Motion(np.eye(len(ARKIT), dtype=np.float32), ARKIT, Fraction(25))
    made = flame.from_arkit(motion, a_map())
    np.testing.assert_allclose(made.group("expression")[:52], table()[:, :100], atol=1e-6)
    np.testing.assert_allclose(made.channel("jawX")[ARKIT.index("jawOpen")], 0.35, atol=1e-6)
    np.testing.assert_array_equal(made.group("head")[52:], np.eye(3))


def test_weights_stay_within_bounds_whatever_comes() -> None:
    values = np.random.default_rng(0).normal(0, 30, (20, len(FLAME))).astype(np.float32)
    found = flame.to_arkit(Motion(values, FLAME, Fraction(25)), a_map()).values[:, :52]
    assert found.min() >= 0
    assert found.max() <= 1
    assert found.max() == 1


def test_an_eyes_turn_is_its_gaze() -> None:
    motion = Motion(np.zeros((1, len(ARKIT)), np.float32), ARKIT, Fraction(25))
    motion = motion.with_channels(eyeLookOutLeft=0.6, eyeLookInRight=0.6, eyeLookUpLeft=0.3, eyeLookUpRight=0.3)
    made = flame.from_arkit(motion, a_map(), FLAME112)
    np.testing.assert_allclose(made.group("leftEye"), [[-0.15, 0.3, 0]], atol=1e-6)
    np.testing.assert_allclose(made.group("rightEye"), [[-0.15, 0.3, 0]], atol=1e-6)


def test_a_map_is_stored_whole(tmp_path: Path) -> None:
    made = FlameMap(
        table(), np.eye(52), np.ones((52, 103)), {"to flame mm": 0.5}, np.ones((52, 2)), "x and y", "ab12", "ict"
    )
    flame.save(made, tmp_path / "map.npz")
    again = flame.load(tmp_path / "map.npz")
    for name in ("table", "hessian", "cross", "shape_mm"):
        np.testing.assert_array_equal(getattr(again, name), getattr(made, name))
    assert (again.errors, again.source) == (made.errors, made.source)
    assert (again.model, again.head) == ("ab12", "ict")
    assert again.words() == "a FLAME map from x and y: to flame mm 0.5"
    assert "not measured" in a_map().words()


def csv_of(names: list[str], columns: list[str], rows: np.ndarray) -> str:
    lines = [",".join([name, *(repr(float(value)) for value in row)]) for name, row in zip(names, rows, strict=True)]
    return "\n".join([",".join(["shape", *columns]), *lines])


def test_a_users_table_is_read_in_all_its_layouts(tmp_path: Path) -> None:
    # 51 shapes in another order and spelling, without a tongue, as public tables have them.
    order = sorted(name for name in ARKIT_SHAPES if name != "tongueOut")
    rows = table()[[ARKIT_SHAPES.index(name) for name in order]]
    spelt = [name[0].upper() + name[1:] for name in order]
    np.savez(tmp_path / "rows.npz", table=rows, names=spelt)
    np.savez(tmp_path / "columns.npz", table=rows.T, names=spelt)
    (tmp_path / "t.csv").write_text(csv_of(spelt, list(COEFFICIENTS), rows))
    expected = table()
    expected[ARKIT_SHAPES.index("tongueOut")] = 0
    for name in ("rows.npz", "columns.npz", "t.csv"):
        np.testing.assert_allclose(flame.load(tmp_path / name).table, expected, atol=1e-12)


def test_a_table_of_fewer_expressions_is_read(tmp_path: Path) -> None:
    rows = np.arange(10.0).reshape(2, 5)
    made = flame.from_table(rows, ["jawOpen", "mouthPucker"]).table
    np.testing.assert_array_equal(made[ARKIT_SHAPES.index("jawOpen")][[0, 1, 2, 100, 101, 102]], [0, 1, 0, 2, 3, 4])
    (tmp_path / "t.csv").write_text(csv_of(["jawOpen", "mouthPucker"], ["jawX", "expression7"], rows[:, :2]))
    assert flame.load(tmp_path / "t.csv").table[ARKIT_SHAPES.index("mouthPucker"), 7] == 6


TABLES = {
    "names.csv": ("shape,expression0\nnose,1", "named after ARKit's shapes"),
    "columns.csv": ("shape,a,b\njawOpen,1,2", "columns are called expression0"),
    "ragged.csv": ("shape,expression0,jawX\njawOpen,1", "rows are as long"),
    "words.csv": ("shape,expression0\njawOpen,much", "wanted numbers"),
    "nan.csv": ("shape,expression0\njawOpen,nan", "finite"),
    "empty.csv": ("", "columns are called"),
    "text.npz": ("hello", "no .npz"),
    "table.npy": ("hello", "table and names"),
    "table.txt": ("hello", "table and names"),
}


@pytest.mark.parametrize("name", TABLES)
def test_a_wrong_table_is_refused(name: str, tmp_path: Path) -> None:
    text, sentence = TABLES[name]
    (tmp_path / name).write_text(text)
    with pytest.raises(BadFile, match=sentence):
        flame.load(tmp_path / name)


def test_wrong_arrays_are_refused(tmp_path: Path) -> None:
    whole = {"table": np.zeros((52, 103)), "names": np.array(ARKIT_SHAPES)}
    for harm, sentence in (
        ({"table": np.full((52, 103), np.nan)}, "finite"),
        ({"table": np.zeros((52, 104))}, "up to 103"),
        ({"table": np.zeros(52)}, "up to 103"),
        ({"names": np.array(["jawOpen"])}, "a table is"),
        ({"metric": np.eye(5)}, "metric"),
        ({"format": np.array("other")}, "no FLAME map of this artalk"),
        ({"format": np.array(flame.FORMAT), "version": np.array(1)}, "no whole FLAME map"),
    ):
        np.savez(tmp_path / "t.npz", **cast(Any, whole | harm))
        with pytest.raises(BadFile, match=sentence):
            flame.load(tmp_path / "t.npz")
    np.savez(tmp_path / "t.npz", names=whole["names"])
    with pytest.raises(BadFile, match="lacks table"):
        flame.load(tmp_path / "t.npz")
    with pytest.raises(MissingFile):
        flame.load(tmp_path / "nowhere.npz")
    with pytest.raises(MissingFile):
        flame.load(tmp_path / "nowhere.csv")


def test_other_motion_is_refused() -> None:
    with pytest.raises(BadInput, match="arkit motion is wanted, got 'flame'"):
        flame.from_arkit(flame.from_arkit(arkit(), a_map()), a_map())
    with pytest.raises(BadInput, match="flame or flame112 motion is wanted, got 'arkit'"):
        flame.to_arkit(arkit(), a_map())
    with pytest.raises(BadInput, match="FLAME's channels are"):
        flame.from_arkit(arkit(), a_map(), ARKIT)
