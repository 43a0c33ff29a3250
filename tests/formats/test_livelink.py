import csv
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from artalk.channels import ARKIT, ARKIT_SHAPES, FLAME
from artalk.errors import ArtalkError, BadFile, BadInput, Unsupported
from artalk.formats import files, livelink
from artalk.motion import Motion, exact_fps
from tests.formats.motions import arkit, one_hot
from tests.shared import shared

# As the app writes it; kept apart from the code on purpose.
HEADER = (
    "Timecode,BlendshapeCount,EyeBlinkLeft,EyeLookDownLeft,EyeLookInLeft,EyeLookOutLeft,EyeLookUpLeft,EyeSquintLeft,"
    "EyeWideLeft,EyeBlinkRight,EyeLookDownRight,EyeLookInRight,EyeLookOutRight,EyeLookUpRight,EyeSquintRight,"
    "EyeWideRight,JawForward,JawRight,JawLeft,JawOpen,MouthClose,MouthFunnel,MouthPucker,MouthRight,MouthLeft,"
    "MouthSmileLeft,MouthSmileRight,MouthFrownLeft,MouthFrownRight,MouthDimpleLeft,MouthDimpleRight,MouthStretchLeft,"
    "MouthStretchRight,MouthRollLower,MouthRollUpper,MouthShrugLower,MouthShrugUpper,MouthPressLeft,MouthPressRight,"
    "MouthLowerDownLeft,MouthLowerDownRight,MouthUpperUpLeft,MouthUpperUpRight,BrowDownLeft,BrowDownRight,BrowInnerUp,"
    "BrowOuterUpLeft,BrowOuterUpRight,CheekPuff,CheekSquintLeft,CheekSquintRight,NoseSneerLeft,NoseSneerRight,TongueOut,"
    "HeadYaw,HeadPitch,HeadRoll,LeftEyeYaw,LeftEyePitch,LeftEyeRoll,RightEyeYaw,RightEyePitch,RightEyeRoll"
)


def rows_of(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_the_header_and_the_first_row_are_the_apps(tmp_path):
    livelink.write(arkit(2, 60).with_channels(eyeBlinkLeft=0.0041966378), tmp_path / "a.csv")
    lines = (tmp_path / "a.csv").read_bytes().decode().split("\n")
    assert lines[0] == HEADER
    assert lines[1].startswith("00:00:00:00.000,61,0.0041966378,")
    assert lines[2].startswith("00:00:00:01.000,61,0.0041966378,")
    assert lines[3] == ""


def test_every_shape_lands_in_its_own_column(tmp_path):
    livelink.write(one_hot(), tmp_path / "a.csv")
    for row, shape in zip(rows_of(tmp_path / "a.csv"), ARKIT_SHAPES, strict=True):
        lit = [name for name in list(row)[2:54] if float(row[name]) == 1]
        assert [name.lower() for name in lit] == [shape.lower()]
    # The trap: by position, right comes first.
    columns = HEADER.split(",")
    assert columns.index("JawRight") < columns.index("JawLeft")
    assert columns.index("MouthRight") < columns.index("MouthLeft")


@pytest.mark.parametrize(
    ("fps", "start", "codes"),
    [
        (60, 0, ["00:00:00:00.000", "00:00:00:01.000", "00:00:00:02.000"]),
        (30, 29, ["00:00:00:58.000", "00:00:01:00.000", "00:00:01:02.000"]),
        (25, 0, ["00:00:00:00.000", "00:00:00:02.400", "00:00:00:04.800"]),
        ("29.97", 0, ["00:00:00:00.000", "00:00:00:02.002", "00:00:00:04.004"]),
        (25, 25 * 3600, ["01:00:00:00.000", "01:00:00:02.400", "01:00:00:04.800"]),
    ],
)
def test_timecodes_count_sixtieths_of_a_second(tmp_path, fps, start, codes):
    livelink.write(arkit(3, fps, start=start), tmp_path / "a.csv")
    assert [row["Timecode"] for row in rows_of(tmp_path / "a.csv")] == codes


def test_a_take_may_begin_at_any_time_of_day(tmp_path):
    livelink.write(arkit(120, 60), tmp_path / "a.csv", first="23:59:59:30.500")
    codes = [row["Timecode"] for row in rows_of(tmp_path / "a.csv")]
    assert codes[0] == "23:59:59:30.500"
    assert codes[29:31] == ["23:59:59:59.500", "00:00:00:00.500"]
    back = livelink.read(tmp_path / "a.csv")
    assert (len(back), back.fps) == (120, 60)
    with pytest.raises(BadInput, match="timecode"):
        livelink.write(arkit(2), tmp_path / "a.csv", first="noon")


@given(
    st.sampled_from([1, 12, 23.976, 24, 25, 29.97, 30, 48, 50, 59.94, 60, 100, 120, 240]),
    st.integers(3, 200),
    st.integers(0, 5000),
    st.integers(0, 9),
)
def test_motion_comes_back_at_any_rate(tmp_path_factory, fps, frames, start, seed):
    path = tmp_path_factory.mktemp("csv") / "a.csv"
    motion = arkit(frames, fps, seed, start)
    livelink.write(motion, path)
    back = livelink.read(path)
    assert back.fps == motion.fps
    np.testing.assert_allclose(back.values, motion.values, atol=1e-6)


def angle(motion, name, tmp_path, **options):
    livelink.write(motion, tmp_path / "angle.csv", **options)
    return float(rows_of(tmp_path / "angle.csv")[0][name])


def test_angles_are_radians_with_the_apps_signs(tmp_path):
    still = Motion(np.zeros((2, len(ARKIT))), ARKIT, exact_fps(60))
    up = still.with_channels(eyeLookUpLeft=1)
    assert angle(up, "LeftEyePitch", tmp_path) == pytest.approx(-0.5)
    # As in the recorded take: an eye that looks outwards on the subject's left turns by a negative yaw.
    assert angle(still.with_channels(eyeLookOutLeft=1), "LeftEyeYaw", tmp_path) == pytest.approx(-0.5)
    assert angle(still.with_channels(eyeLookOutRight=1), "RightEyeYaw", tmp_path) == pytest.approx(0.5)
    assert angle(still.with_channels(headX=0.3), "HeadPitch", tmp_path) == pytest.approx(0.3)
    assert angle(still.with_channels(headY=0.3), "HeadYaw", tmp_path) == pytest.approx(-0.3)
    assert angle(still.with_channels(headZ=0.3), "HeadRoll", tmp_path) == pytest.approx(-0.3)
    assert angle(still.with_channels(headX=0.3), "HeadPitch", tmp_path, degrees=True) == pytest.approx(17.188734)


def test_degrees_are_read_when_said_or_when_nothing_else_is_possible(tmp_path):
    motion = arkit(20).with_groups(head=[0.2, -0.4, 0.1])
    livelink.write(motion, tmp_path / "a.csv", degrees=True)
    np.testing.assert_allclose(livelink.read(tmp_path / "a.csv").values, motion.values, atol=1e-6)
    small = motion.with_groups(head=[0.01, 0, 0])
    livelink.write(small, tmp_path / "a.csv", degrees=True)
    back = livelink.read(tmp_path / "a.csv", degrees=True)
    np.testing.assert_allclose(back.group("head"), small.group("head"), atol=1e-6)


def rewrite(path, change):
    with open(path, newline="") as file:
        rows = change(list(csv.reader(file)))
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows(rows)


def test_dropped_rows_are_filled_in_by_timecode(tmp_path):
    motion = arkit(90, 30)
    livelink.write(motion, tmp_path / "a.csv")
    rewrite(tmp_path / "a.csv", lambda rows: rows[:40] + rows[42:])
    back = livelink.read(tmp_path / "a.csv")
    assert (len(back), back.fps) == (90, 30)
    kept = [k for k in range(90) if k not in (39, 40)]
    np.testing.assert_allclose(back.values[kept], motion.values[kept], atol=1e-6)
    expected = (2 * motion.values[38] + motion.values[41]) / 3
    np.testing.assert_allclose(back.values[39, :52], expected[:52], atol=1e-5)


def test_frames_without_a_face_are_filled_in(tmp_path):
    motion = arkit(30, 60)
    livelink.write(motion, tmp_path / "a.csv")

    def blind(rows):
        rows[11] = [rows[11][0], "0", *["0"] * 61]
        return rows

    rewrite(tmp_path / "a.csv", blind)
    back = livelink.read(tmp_path / "a.csv")
    middle = (motion.values[9] + motion.values[11]) / 2
    np.testing.assert_allclose(back.values[10, :52], middle[:52], atol=1e-5)


@pytest.mark.parametrize("keep", [51, 52, 61])
@pytest.mark.parametrize("spelling", ["BlendshapeCount", "BlendShapeCount"])
def test_columns_are_found_by_name_in_older_layouts(tmp_path, keep, spelling):
    motion = arkit(70, 60)
    livelink.write(motion, tmp_path / "a.csv")

    def older(rows):
        # camelCase, the right eye first, as an older version of the app had it.
        order = [0, 1, *range(9, 16), *range(2, 9), *range(16, 63)][: keep + 2]
        rows = [[row[k] for k in order] for row in rows]
        rows[0] = ["Timecode", spelling, *(name[0].lower() + name[1:] for name in rows[0][2:])]
        return rows

    rewrite(tmp_path / "a.csv", older)
    back = livelink.read(tmp_path / "a.csv")
    np.testing.assert_allclose(back.values[:, :51], motion.values[:, :51], atol=1e-6)
    np.testing.assert_allclose(back.channel("tongueOut"), motion.channel("tongueOut") * (keep > 51), atol=1e-6)
    np.testing.assert_allclose(back.group("head"), motion.group("head") * (keep == 61), atol=1e-6)


def test_emotions_and_tongue_columns_do_no_harm(tmp_path):
    motion = arkit(70, 60)
    livelink.write(motion, tmp_path / "a.csv")
    more = ["Angry", "Disgusted", "Fearful", "Happy", "TongueLeft", "Sad", "Surprised"]
    rewrite(tmp_path / "a.csv", lambda rows: [[*rows[0], *more], *([*row, *["0.5"] * 7] for row in rows[1:])])
    np.testing.assert_allclose(livelink.read(tmp_path / "a.csv").values, motion.values, atol=1e-6)


@pytest.mark.parametrize("base", [24, 25, 30])
def test_timecodes_of_other_tools_may_count_their_own_frames(tmp_path, base):
    motion = arkit(80, base)
    livelink.write(motion, tmp_path / "a.csv")

    def own(rows):
        for k, row in enumerate(rows[1:]):
            row[0] = f"10:00:{k // base:02d}:{k % base:02d}"
        return rows

    rewrite(tmp_path / "a.csv", own)
    back = livelink.read(tmp_path / "a.csv")
    assert (back.fps, len(back)) == (base, 80)


@pytest.mark.parametrize("code", [lambda k: str(k), lambda k: "", lambda k: "00:00:00:00"])
def test_without_timecodes_the_rows_are_even(tmp_path, code):
    livelink.write(arkit(20, 30), tmp_path / "a.csv")
    rewrite(tmp_path / "a.csv", lambda rows: [rows[0], *([code(k), *row[1:]] for k, row in enumerate(rows[1:]))])
    assert livelink.read(tmp_path / "a.csv").fps == 60
    back = livelink.read(tmp_path / "a.csv", fps=25)
    assert (len(back), back.fps) == (20, 25)


@pytest.mark.parametrize("frames", [0, 1])
def test_takes_of_no_and_of_one_frame(tmp_path, frames):
    motion = arkit(frames, 60)
    livelink.write(motion, tmp_path / "a.csv")
    np.testing.assert_allclose(livelink.read(tmp_path / "a.csv").values, motion.values, atol=1e-6)


def test_other_channels_are_refused(tmp_path):
    with pytest.raises(Unsupported, match="retarget it first"):
        livelink.write(Motion(np.zeros((2, 106)), FLAME, exact_fps(25)), tmp_path / "a.csv")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "empty"),
        ("Timecode,BlendshapeCount\n00:00:00:00,61\n", "no column"),
        ("Timecode,BlendshapeCount,JawOpen\n00:00:00:00,61\n", "row 2: wanted 3 cells"),
        ("Timecode,BlendshapeCount,JawOpen\n00:00:00:00,61,wide\n", "row 2: wanted numbers"),
        ("Timecode,BlendshapeCount,JawOpen\n00:00:00:00,61,nan\n", "finite"),
        ("BlendshapeCount,JawOpen\n61,0.5\n", "Timecode"),
        ("Timecode,BlendshapeCount,JawOpen\n00:00:00:00,61,0\n09:00:00:00,61,0\n09:00:00:01,61,0\n", "spread|apart"),
    ],
)
def test_what_is_wrong_is_said(tmp_path, content, says):
    (tmp_path / "a.csv").write_text(content)
    with pytest.raises(BadFile, match=says):
        files.load(tmp_path / "a.csv")


def test_bytes_that_are_no_text(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"Timecode,\xff\xfe\x00")
    with pytest.raises(BadFile, match="UTF-8"):
        files.load(tmp_path / "a.csv")


@given(st.data())
def test_mutated_text_ends_in_a_typed_error(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("csv") / "a.csv"
    livelink.write(arkit(3, 60), path)
    content = path.read_text()
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content) - 1))
        content = content[:at] + data.draw(st.text(max_size=4)) + content[at + data.draw(st.integers(0, 30)) :]
        content = content or "x"
    path.write_text(content, encoding="utf-8")
    with suppress(ArtalkError):
        files.load(path)


def test_a_recorded_take_comes_back(tmp_path):
    source = shared("corpus/arkit_rom/alex_rom_4.csv")
    motion = files.load(source)
    # 3809 rows; two frames were dropped, as the timecodes tell.
    assert (len(motion), motion.fps) == (3811, 30)
    recorded = rows_of(source)
    np.testing.assert_allclose(motion.channel("jawRight")[:100], [float(row["JawRight"]) for row in recorded[:100]])
    livelink.write(motion, tmp_path / "a.csv")
    np.testing.assert_allclose(livelink.read(tmp_path / "a.csv").values, motion.values, atol=1e-6)
    # Our eye angles agree with the sensor's.
    ours = rows_of(tmp_path / "a.csv")
    for name in ("LeftEyeYaw", "RightEyeYaw", "LeftEyePitch", "RightEyePitch"):
        pairs = np.array([(float(a[name]), float(b[name])) for a, b in zip(ours[:1000], recorded[:1000], strict=True)])
        assert np.corrcoef(pairs.T)[0, 1] > 0.98
