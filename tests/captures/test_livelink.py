"""Takes with every trap of the app, written by the tests."""

from fractions import Fraction

import numpy as np
import pytest

from artalk import captures
from artalk.channels import ARKIT, ARKIT_SHAPES
from artalk.errors import BadFile
from artalk.formats import livelink
from artalk.motion import Motion
from tests.captures.reading import read
from tests.shared import shared

EMOTIONS = ("Angry", "Disgusted", "Fearful", "Happy", "Neutral", "Sad", "Surprised")


def wave(frames=120, head=True):
    """Every channel moves in its own way, the jaw and the mouth more to one side than to the other."""
    values = np.zeros((frames, len(ARKIT)), np.float32)
    for column in range(len(ARKIT)):
        values[:, column] = 0.4 + 0.3 * np.sin(np.arange(frames) / (5 + column))
    values[:, ARKIT.index("jawLeft")] *= 0.3
    values[:, ARKIT.index("mouthRight")] *= 0.3
    values[:, ARKIT.slice("head")] = (values[:, ARKIT.slice("head")] - 0.4) if head else 0
    return Motion(values, ARKIT, Fraction(60))


def lines(path):
    return [line.split(",") for line in path.read_text().splitlines()]


def rewritten(path, rows):
    path.write_text("\n".join(",".join(row) for row in rows) + "\n")
    return path


@pytest.fixture
def take(tmp_path):
    livelink.write(wave(), tmp_path / "take.csv", first="23:59:59:30")
    return tmp_path / "take.csv"


def test_a_take_comes_back_over_midnight_with_jaw_and_mouth_on_their_sides(take):
    capture = read(take)
    assert capture.tool == "Live Link Face"
    assert capture.motion.fps == 60
    np.testing.assert_allclose(capture.motion.values, wave().values, atol=2e-6)
    assert capture.observed.all()
    assert capture.seen.all()


@pytest.mark.parametrize("columns", [51, 52, 61, 68])
def test_layouts_of_any_width_in_any_spelling_and_order(take, columns):
    rows = lines(take)
    kept = {51: 2 + 51, 52: 2 + 52, 61: 63, 68: 63}[columns]
    rows = [row[:kept] for row in rows]
    if columns == 68:
        rows = [[*rows[0], *EMOTIONS], *([*row, *["0.5"] * 7] for row in rows[1:])]
    rows[0] = ["timecode", "BlendShapeCount", *(name[0].lower() + name[1:] for name in rows[0][2:])]
    order = [0, 1, *reversed(range(2, len(rows[0])))]
    capture = read(rewritten(take, [[row[k] for k in order] for row in rows]))
    want = wave().values.copy()
    if columns == 51:
        want[:, ARKIT.index("tongueOut")] = 0
    if columns < 61:
        want[:, ARKIT.slice("head")] = 0
    np.testing.assert_allclose(capture.motion.values, want, atol=2e-6)
    assert capture.observed[ARKIT.index("tongueOut")] == (columns > 51)
    assert capture.observed[ARKIT.slice("head")].all() == (columns >= 61)


def test_rows_that_were_dropped_are_bridged_and_longer_holes_are_marked(take):
    rows = lines(take)
    del rows[1 + 30 : 1 + 33]
    del rows[1 + 60 : 1 + 100]
    capture = read(rewritten(take, rows))
    assert len(capture.motion) == 120
    np.testing.assert_allclose(capture.motion.values[103:], wave().values[103:], atol=2e-6)
    assert capture.seen[:74].all()
    assert not capture.seen[78:90].any()
    assert capture.seen[104:].all()


def test_a_take_begins_with_its_first_row_even_where_no_face_was_seen_yet(take):
    rows = lines(take)
    for row in rows[1 : 1 + 24]:
        row[1] = "0"
    capture = read(rewritten(take, rows))
    assert len(capture.motion) == 120
    np.testing.assert_allclose(capture.motion.values[24:], wave().values[24:], atol=2e-6)
    assert not capture.seen[:10].any()
    assert capture.seen[24:].all()
    for row in rows[1:]:
        row[1] = "0"
    with pytest.raises(BadFile, match="no row has a face"):
        read(rewritten(take, rows))


def test_a_head_that_was_never_measured_is_not_observed_and_degrees_are_told(tmp_path):
    livelink.write(wave(head=False), tmp_path / "still.csv")
    assert not read(tmp_path / "still.csv").observed[ARKIT.slice("head")].any()
    livelink.write(wave(), tmp_path / "degrees.csv", degrees=True)
    np.testing.assert_allclose(read(tmp_path / "degrees.csv").motion.group("head"), wave().group("head"), atol=1e-5)


@pytest.mark.parametrize("shape", ["jawLeft", "jawRight", "mouthLeft", "mouthRight"])
def test_one_shape_comes_back_alone(tmp_path, shape):
    values = np.zeros((10, len(ARKIT)), np.float32)
    values[3:, ARKIT.index(shape)] = 1
    livelink.write(Motion(values, ARKIT, Fraction(30)), tmp_path / "one.csv")
    capture = read(tmp_path / "one.csv")
    assert capture.motion.fps == 30
    assert [name for name, seen in zip(ARKIT.names, capture.observed, strict=True) if seen] == [shape]


def test_what_the_app_writes_beside_a_take_is_no_take(tmp_path, take):
    for name in ("take_neutral.csv", "frame_log.csv", "take_raw.csv", "list.csv"):
        (tmp_path / name).write_text("a,b\n1,2\n")
    (tmp_path / ".hidden.csv").write_text(take.read_text())
    assert list(captures.find(tmp_path)) == [take]


def test_a_take_that_the_app_recorded():
    capture = read(shared("corpus/arkit_rom/alex_rom_4.csv"))
    assert capture.motion.fps == 30
    assert capture.motion.duration == pytest.approx(126, abs=6)
    assert not capture.observed[ARKIT.slice("head")].any()
    assert capture.observed[: len(ARKIT_SHAPES)].sum() >= 48
    assert capture.seen.mean() > 0.99
