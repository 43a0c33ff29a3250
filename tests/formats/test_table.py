import numpy as np
import pytest

from artalk.errors import BadFile, MissingFile
from artalk.formats import files, table
from artalk.retarget.maps import A2F
from tests.formats.motions import arkit


def a2f_csv(motion):
    header = ",".join(["timeCode", *(f"blendShapes.{name}" for name in A2F.names)])
    rows = [
        ",".join([f"{time:.6f}", *(f"{value:.8f}" for value in values[:52])])
        for time, values in zip(motion.times, motion.values, strict=True)
    ]
    return "\n".join([header, *rows]) + "\n"


@pytest.mark.parametrize("fps", [24, 29.97, 30, 60])
def test_audio2faces_table_is_read(tmp_path, fps):
    motion = arkit(50, fps)
    (tmp_path / "a.csv").write_text(a2f_csv(motion))
    back = files.load(tmp_path / "a.csv")
    assert back.fps == motion.fps
    np.testing.assert_allclose(back.values[:, :52], motion.values[:, :52], atol=1e-6)


def test_a_table_without_times_needs_a_rate(tmp_path):
    (tmp_path / "a.csv").write_text("JawOpen,headY\n0.5,0.1\n0.25,-0.1\n")
    assert files.load(tmp_path / "a.csv").fps == 30
    back = files.load(tmp_path / "a.csv", fps=25)
    assert back.fps == 25
    np.testing.assert_allclose(back.channel("jawOpen"), [0.5, 0.25])
    np.testing.assert_allclose(back.channel("headY"), [0.1, -0.1])


def test_uneven_rows_go_to_their_times(tmp_path):
    (tmp_path / "a.csv").write_text("time,JawOpen\n0,0\n0.1,0.1\n0.2,0.2\n0.5,0.5\n0.6,0.6\n")
    back = table.read(tmp_path / "a.csv")
    assert back.fps == 10
    np.testing.assert_allclose(back.channel("jawOpen"), np.arange(7) / 10, atol=1e-6)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("name,value\na,1\n", "no column"),
        ("time,JawOpen\n1,0\n0,0\n", "rise"),
        ("time,JawOpen\n0,0\n0,0\n", "rise"),
        ("time,JawOpen\n0,0\n1,0\n1e9,0\n", "spread|apart"),
        ("time,JawOpen\n0,0\n1e-9,0\n", "apart"),
    ],
)
def test_what_is_wrong_is_said(tmp_path, content, says):
    (tmp_path / "a.csv").write_text(content)
    with pytest.raises(BadFile, match=says):
        files.load(tmp_path / "a.csv")


def test_a_missing_file_is_said(tmp_path):
    with pytest.raises(MissingFile):
        table.read(tmp_path / "none.csv")
