import json
import xml.etree.ElementTree as ET
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from artalk.channels import ARKIT, FLAME
from artalk.errors import ArtalkError, BadFile, BadInput, Unsupported
from artalk.formats import cues, files
from artalk.motion import Motion, exact_fps
from artalk.retarget.letters import LETTERS, RHUBARB


def spoken(text, fps=25, each=4):
    """Motion that shows the letters of `text` for `each` frames."""
    values = np.zeros((len(text) * each, len(LETTERS)), np.float32)
    for k, letter in enumerate(text):
        values[k * each : (k + 1) * each, LETTERS.index(letter)] = 1
    return Motion(values, RHUBARB, exact_fps(fps))


def test_tsv_is_rhubarbs(tmp_path):
    files.save(spoken("XDAX"), tmp_path / "a.tsv")
    assert (tmp_path / "a.tsv").read_bytes() == b"0.00\tX\n0.16\tD\n0.32\tA\n0.48\tX\n0.64\tX\n"


def test_json_is_rhubarbs(tmp_path):
    files.save(spoken("XD"), tmp_path / "a.cues.json", sound="hello.wav")
    path = str(Path("hello.wav").absolute())
    assert (tmp_path / "a.cues.json").read_text() == (
        "{\n"
        '  "metadata": {\n'
        f'    "soundFile": {json.dumps(path, ensure_ascii=False)},\n'
        '    "duration": 0.32\n'
        "  },\n"
        '  "mouthCues": [\n'
        '    { "start": 0.00, "end": 0.16, "value": "X" },\n'
        '    { "start": 0.16, "end": 0.32, "value": "D" }\n'
        "  ]\n"
        "}\n"
    )
    assert json.loads((tmp_path / "a.cues.json").read_text())["mouthCues"][1]["start"] == 0.16


def test_xml_is_rhubarbs(tmp_path):
    files.save(spoken("XD"), tmp_path / "a.xml", sound="a<b&c.wav")
    root = ET.fromstring((tmp_path / "a.xml").read_text())
    assert root.tag == "rhubarbResult"
    assert (root.findtext("metadata/soundFile") or "").endswith("a<b&c.wav")
    assert root.findtext("metadata/duration") == "0.32"
    found = [(cue.attrib["start"], cue.attrib["end"], cue.text) for cue in root.findall("mouthCues/mouthCue")]
    assert found == [("0.00", "0.16", "X"), ("0.16", "0.32", "D")]


@given(
    st.text("ABCDEFGHX", min_size=1, max_size=20),
    st.sampled_from([24, 25, 29.97, 30, 60, 100, 240]),
    st.sampled_from([".tsv", ".cues.json", ".xml", ".json"]),
)
def test_cues_are_contiguous_and_come_back(tmp_path_factory, text, fps, suffix):
    path = tmp_path_factory.mktemp("cues") / f"a{suffix}"
    motion = spoken(text, fps, each=6)
    made = cues.cues_of(motion)
    assert made[0].start == 0
    assert all(a.end == b.start for a, b in zip(made, made[1:], strict=False))
    assert made[-1].end == pytest.approx(float(motion.duration), abs=0.006)
    if suffix == ".json":
        cues.write_json(motion, path)
    else:
        files.save(motion, path)
    back = files.load(path)
    assert back.fps == 100
    assert cues.cues_of(back) == made


def test_a_face_speaks_in_letters(tmp_path):
    motion = Motion(np.zeros((50, len(ARKIT))), ARKIT, exact_fps(25))
    opened = np.zeros(50)
    opened[20:30] = 0.6
    motion = motion.with_channels(jawOpen=opened, mouthLowerDownLeft=opened / 2, mouthLowerDownRight=opened / 2)
    files.save(motion, tmp_path / "a.tsv")
    assert (tmp_path / "a.tsv").read_text() == "0.00\tX\n0.80\tD\n1.20\tX\n2.00\tX\n"


def test_the_rate_may_be_said(tmp_path):
    files.save(spoken("XDAX"), tmp_path / "a.tsv")
    back = files.load(tmp_path / "a.tsv", fps=25)
    np.testing.assert_array_equal(back.values, spoken("XDAX").values)


def test_what_has_no_cues_is_refused(tmp_path):
    with pytest.raises(Unsupported, match="retarget it first"):
        files.save(Motion(np.zeros((2, 106)), FLAME, exact_fps(25)), tmp_path / "a.tsv")
    with pytest.raises(BadInput, match="at least one frame"):
        files.save(Motion(np.zeros((0, len(ARKIT))), ARKIT, exact_fps(25)), tmp_path / "a.tsv")


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.tsv", "", "at least one"),
        ("a.tsv", "0.00\tX\n", "its end"),
        ("a.tsv", "0.00 X\n1.00 X\n", "a tab"),
        ("a.tsv", "0.00\tQ\n1.00\tX\n", "A B C"),
        ("a.tsv", "0.50\tX\n1.00\tX\n", "begin at 0"),
        ("a.tsv", "0.00\tX\n0.50\tA\n0.20\tX\n", "begin at 0"),
        ("a.tsv", "0.00\tX\nnan\tX\n", "time is seconds"),
        ("a.tsv", "0.00\tX\n1e12\tX\n", "time is seconds"),
        ("a.cues.json", '{"mouthCues": 3}', "mouthCues"),
        ("a.cues.json", '{"mouthCues": [3]}', "mouthCues"),
        ("a.cues.json", '{"mouthCues": [{"start": 0, "end": true, "value": "X"}]}', "time is seconds"),
        ("a.cues.json", '{"other": 3}', "wanted Rhubarb"),
        ("a.xml", "<a>", "no XML"),
        ("a.xml", "<a/>", "at least one"),
        ("a.xml", '<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', "attack"),
        ("a.xml", '<?xml version="1.0" encoding="nonsense"?><a/>', "no XML"),
    ],
)
def test_what_is_wrong_is_said(tmp_path, name, content, says):
    (tmp_path / name).write_text(content)
    with pytest.raises(BadFile, match=says):
        files.load(tmp_path / name)


@given(st.data(), st.sampled_from([".tsv", ".cues.json", ".xml"]))
def test_mutated_text_ends_in_a_typed_error(tmp_path_factory, data, suffix):
    path = tmp_path_factory.mktemp("cues") / f"a{suffix}"
    files.save(spoken("XDAX"), path)
    content = path.read_text()
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(content)))
        content = content[:at] + data.draw(st.text(max_size=3)) + content[at + data.draw(st.integers(0, 9)) :]
    path.write_text(content, encoding="utf-8")
    with suppress(ArtalkError):
        files.load(path)
