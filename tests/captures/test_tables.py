"""BEAT's JSON and MediaPipe's tables, in the layouts in which they are found."""

import json

import numpy as np
import pytest

from artalk.channels import ARKIT, ARKIT_SHAPES
from artalk.errors import BadFile, MissingFile
from tests.captures.reading import read

NAMES = sorted(name for name in ARKIT_SHAPES if name != "tongueOut")


def weights(frames, rate):
    """(frames, 51) in alphabetical order: jawOpen and jawRight stand where they are easily mistaken."""
    time = np.arange(frames) / rate
    return 0.5 + 0.4 * np.sin(np.outer(time, 1 + np.arange(51) / 10) * 6)


def beat(path, count=90, rate=60, **changes):
    document = {
        "names": NAMES,
        "frames": [
            {"weights": row.tolist(), "time": k / rate, "rotation": []} for k, row in enumerate(weights(count, rate))
        ],
    } | changes
    path.write_text(json.dumps(document))
    return path


def test_beat(tmp_path):
    capture = read(beat(tmp_path / "1_wayne_0_1_1.json"))
    assert capture.motion.fps == 60
    got = capture.motion.values[:, ARKIT.indices(NAMES)]
    np.testing.assert_allclose(got, weights(90, 60), atol=1e-6)
    assert not capture.observed[ARKIT.index("tongueOut")]
    assert capture.observed.sum() == 51


def test_beat_counts_time_from_where_the_sound_begins(tmp_path):
    frames = [{"weights": row.tolist(), "time": 0.5 + k / 60} for k, row in enumerate(weights(60, 60))]
    capture = read(beat(tmp_path / "late.json", frames=frames))
    assert len(capture.motion) == 90
    np.testing.assert_allclose(capture.motion.values[30:, ARKIT.indices(NAMES)], weights(60, 60), atol=1e-6)
    assert not capture.seen[:10].any()


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"frames": []}, "no frames"),
        ({"frames": [{"weights": [1, 2], "time": 0}]}, "51 weights"),
        ({"frames": [{"weights": [1, 2]}]}, "51 weights"),
        ({"frames": [{"time": 0}]}, "`weights`"),
        ({"frames": ["x"]}, "`weights`"),
        ({"names": [f"n{k}" for k in range(51)]}, "none of its names"),
        ({"names": "jawOpen"}, "lists"),
    ],
)
def test_bad_beats_are_named(tmp_path, changes, says):
    with pytest.raises(BadFile, match=says):
        read(beat(tmp_path / "bad.json", **changes))


def wide(path, times, header="timestamp", frames=60):
    rows = weights(frames, 30)
    lines = [",".join([header, "_neutral", *NAMES])]
    lines += [",".join(map(str, (time, 0.1, *row))) for time, row in zip(times, rows, strict=True)]
    path.write_text("\n".join(lines))
    return path


@pytest.mark.parametrize(("header", "unit"), [("timestamp_ms", 1e3), ("timestamp", 1e6), ("time", 1), ("t", 1e3)])
def test_mediapipe_tables_in_any_unit_of_time(tmp_path, header, unit):
    times = [round(k / 30 * unit, 6) for k in range(60)]
    capture = read(wide(tmp_path / "scores.csv", times, header))
    assert capture.tool == "MediaPipe's scores"
    assert capture.motion.fps == 30
    np.testing.assert_allclose(capture.motion.values[:, ARKIT.indices(NAMES)], weights(60, 30), atol=1e-6)
    assert not capture.observed[ARKIT.index("tongueOut")]


def test_a_long_table_of_categories(tmp_path):
    rows = weights(40, 30)
    lines = ["frame,index,score,display_name,category_name"]
    for frame, row in enumerate(rows):
        lines += [f"{frame},{k},{row[k]},,{NAMES[k]}" for k in range(51)]
    (tmp_path / "long.csv").write_text("\n".join(lines))
    capture = read(tmp_path / "long.csv", fps=30)
    np.testing.assert_allclose(capture.motion.values[:, ARKIT.indices(NAMES)], rows, atol=1e-6)


def test_a_long_table_without_frames_is_refused(tmp_path):
    (tmp_path / "long.csv").write_text("score,category_name\n0.5,jawOpen\n")
    with pytest.raises(BadFile, match="column of frames"):
        read(tmp_path / "long.csv")
    (tmp_path / "long.csv").write_text("_neutral,jawOpen\n")
    with pytest.raises(BadFile, match="no rows"):
        read(tmp_path / "long.csv")
    with pytest.raises(MissingFile):
        read(tmp_path / "none.csv")
