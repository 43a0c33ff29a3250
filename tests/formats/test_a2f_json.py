import json
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from artalk.channels import ARKIT, FLAME
from artalk.errors import ArtalkError, BadFile, Unsupported
from artalk.formats import a2f_json, files
from artalk.motion import Motion, exact_fps
from artalk.retarget.maps import A2F, retarget
from tests.formats.motions import arkit, one_hot


@given(st.integers(0, 20), st.sampled_from([24, 25, 29.97, 30, 60, "100/3", 12.5]), st.integers(0, 9))
def test_motion_and_head_come_back(tmp_path_factory, frames, fps, seed):
    path = tmp_path_factory.mktemp("json") / "a.json"
    motion = arkit(frames, fps, seed)
    files.save(motion, path)
    back = files.load(path)
    assert back.fps == motion.fps
    np.testing.assert_allclose(back.values, motion.values, atol=1e-7)


def test_the_keys_are_audio2faces(tmp_path):
    a2f_json.write(one_hot(), tmp_path / "a.json", sound="speech.wav")
    document = json.loads((tmp_path / "a.json").read_text())
    assert document["exportFps"] == 60
    assert (document["numPoses"], document["numFrames"]) == (52, 52)
    assert document["facsNames"][:2] == ["EyeBlinkLeft", "EyeLookDownLeft"]
    assert document["facsNames"][15:18] == ["JawLeft", "JawRight", "JawOpen"]
    assert document["weightMat"] == np.eye(52).tolist()
    assert document["joints"] == ["head"]
    assert document["rotations"][0] == [[0, 0, 0, 1]]
    assert document["trackPath"] == "speech.wav"


def test_motion_in_its_own_names_is_written_too(tmp_path):
    motion = retarget(arkit(), A2F)
    a2f_json.write(motion, tmp_path / "a.json")
    np.testing.assert_allclose(a2f_json.read(tmp_path / "a.json").values[:, :52], motion.values, atol=1e-7)


def test_the_former_46_poses_are_read(tmp_path):
    names = ["jawDrop", "lipCornerPullerL", "innerBrowRaiserL", "innerBrowRaiserR", "eyesCloseR", "lipPressor"]
    document = {"exportFps": 30, "facsNames": names, "weightMat": [[0.1, 0.2, 0.3, 0.5, 0.6, 0.7]]}
    (tmp_path / "a.json").write_text(json.dumps(document))
    back = files.load(tmp_path / "a.json")
    for name, value in {
        "jawOpen": 0.1,
        "mouthSmileLeft": 0.2,
        "browInnerUp": 0.4,
        "eyeBlinkRight": 0.6,
        "mouthPressLeft": 0.7,
        "mouthPressRight": 0.7,
    }.items():
        assert back.channel(name)[0] == pytest.approx(value)


def test_the_rate_may_be_said(tmp_path):
    files.save(arkit(), tmp_path / "a.json")
    assert files.load(tmp_path / "a.json", fps=25).fps == 25


def test_other_channels_are_refused(tmp_path):
    with pytest.raises(Unsupported, match="retarget it first"):
        files.save(Motion(np.zeros((2, 106)), FLAME, exact_fps(25)), tmp_path / "a.json")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"facsNames": None}, "facsNames"),
        ({"facsNames": ["a"] * 52}, "none of facsNames"),
        ({"weightMat": [[0] * 51] * 2}, r"\(frames, 52\)"),
        ({"weightMat": [[0] * 52, [0] * 51]}, "rows of one length"),
        ({"weightMat": [["wide"] * 52] * 2}, "table of numbers"),
        ({"weightMat": [[1e300] * 52] * 2}, "no weights"),
        ({"numFrames": 3}, "numFrames says 3"),
        ({"numPoses": 46}, "numPoses says 46"),
        ({"exportFps": "fast"}, "exportFps"),
        ({"exportFps": 0}, "frame rate"),
        ({"rotations": [[[0, 0, 0, 0]]] * 2}, "no length"),
    ],
)
def test_what_is_wrong_is_said(tmp_path, changes, says):
    files.save(arkit(2), tmp_path / "a.json")
    document = json.loads((tmp_path / "a.json").read_text())
    (tmp_path / "a.json").write_text(json.dumps(document | changes))
    with pytest.raises(BadFile, match=says):
        files.load(tmp_path / "a.json")


@given(st.data())
def test_mutated_text_ends_in_a_typed_error(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("json") / "a.json"
    files.save(Motion(np.zeros((1, len(ARKIT))), ARKIT, exact_fps(30)), path)
    content = path.read_text()
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content)))
        piece = data.draw(st.sampled_from(["", "0", "[", "{", '"', "null", "-1", "1e999", "NaN", "é", "true", ","]))
        content = content[:at] + piece + content[at + data.draw(st.integers(0, 30)) :]
    path.write_text(content, encoding="utf-8")
    with suppress(ArtalkError):
        files.load(path)


@pytest.mark.parametrize("content", ["", "[" * 100000, "[]", "3", '{"a": 1e99999}', "1" * 5000, '{"facsNames": {}}'])
def test_hostile_json_ends_in_a_typed_error(tmp_path, content):
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(BadFile):
        files.load(tmp_path / "a.json")
