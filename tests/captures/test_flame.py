"""FLAME coefficients in the layouts of the usual trackers, written by the tests."""

import pickle
from fractions import Fraction

import numpy as np
import pytest

from artalk import captures, rotation
from artalk.channels import ARKIT, FLAME
from artalk.errors import BadFile
from artalk.formats import files
from artalk.motion import Motion
from tests.captures.reading import read

FRAMES = 12
RNG = np.random.default_rng(0)
EXP = RNG.standard_normal((FRAMES, 100)).astype(np.float32)
HEAD = (0.3 * RNG.standard_normal((FRAMES, 3))).astype(np.float32)
JAW = np.abs(0.2 * RNG.standard_normal((FRAMES, 3))).astype(np.float32)
SHAPE = RNG.standard_normal((FRAMES, 300)).astype(np.float32)
POSE = np.concatenate([HEAD, JAW], axis=1)


def body():
    poses = np.zeros((FRAMES, 165), np.float32)
    poses[:, 45:48], poses[:, 66:69] = HEAD, JAW
    return poses


LAYOUTS = {
    "spectre": {"exp": EXP[:, :50], "pose": POSE, "shape": SHAPE[:, :100]},
    "tfhp": {"exp": EXP, "pose": POSE, "shape": SHAPE[:, :100]},
    "deca": {"expcode": EXP[:, None, :50], "posecode": POSE[:, None], "shapecode": SHAPE[:, None, :100]},
    "emica": {"expcode": EXP, "jawpose": JAW, "globalpose": HEAD, "shapecode": SHAPE},
    "vhap": {"expr": EXP, "jaw_pose": JAW, "rotation": HEAD, "neck_pose": 0 * HEAD, "translation": HEAD},
    "smplx": {"expression": EXP, "jaw_pose": JAW, "global_orient": HEAD, "betas": SHAPE[0, :10]},
    "beat2": {"expressions": EXP, "poses": body(), "mocap_frame_rate": np.array(30), "gender": np.array("neutral")},
    "full": {"exp": EXP, "pose": np.concatenate([HEAD, 0 * HEAD, JAW, HEAD, HEAD], axis=1)},
    "matrices": {"exp": EXP, "jaw": rotation.rotvec_to_matrix(JAW)[:, :2], "rotation": rotation.rotvec_to_matrix(HEAD)},
}


def check(capture, exp=EXP, head=HEAD, jaw=JAW):
    assert capture.motion.channels == FLAME
    want = np.concatenate([np.pad(exp, ((0, 0), (0, 100 - exp.shape[1]))), head, jaw], axis=1)
    np.testing.assert_allclose(capture.motion.values, want, atol=2e-6)
    assert not capture.observed[ARKIT.index("eyeLookUpLeft")]
    assert capture.observed[ARKIT.index("jawOpen")]
    assert capture.observed[ARKIT.slice("head")].all() == bool(np.ptp(head))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts_of_npz(tmp_path, layout):
    np.savez(tmp_path / "take.npz", **LAYOUTS[layout])
    assert captures.is_capture(tmp_path / "take.npz")
    capture = read(tmp_path / "take.npz")
    check(capture, EXP[:, :50] if layout in ("spectre", "deca") else EXP)
    assert capture.motion.fps == (30 if layout == "beat2" else 25)
    if layout == "spectre":
        assert capture.identity is not None
        np.testing.assert_allclose(capture.identity, SHAPE[:, :100].mean(axis=0), rtol=1e-5)


@pytest.mark.parametrize(
    ("columns", "exp", "head", "jaw"),
    [
        ((EXP, HEAD, JAW), EXP, HEAD, JAW),
        ((EXP, JAW), EXP, 0 * HEAD, JAW),
        ((EXP[:, :50], HEAD, JAW), EXP[:, :50], HEAD, JAW),
        ((EXP[:, :50], JAW), EXP[:, :50], 0 * HEAD, JAW),
        ((EXP[:, :50], JAW[:, :1]), EXP[:, :50], 0 * HEAD, JAW * [1, 0, 0]),
        ((EXP, JAW[:, :1]), EXP, 0 * HEAD, JAW * [1, 0, 0]),
    ],
)
def test_plain_arrays_by_their_width(tmp_path, columns, exp, head, jaw):
    np.save(tmp_path / "take.npy", np.concatenate(columns, axis=1))
    check(read(tmp_path / "take.npy", fps=30), exp, head, jaw)
    assert read(tmp_path / "take.npy", fps=30).motion.fps == 30


def test_a_neck_turns_after_the_whole_head_and_a_bodys_head_after_its_neck(tmp_path):
    poses = body()
    poses[:, 36:39] = [[0.2, 0.1, 0.0]]
    np.savez(tmp_path / "body.npz", expressions=EXP, poses=poses)
    np.savez(tmp_path / "flame.npz", exp=EXP, jaw=JAW, global_pose=HEAD, neck_pose=poses[:, 36:39])
    neck, head = (rotation.rotvec_to_matrix(part) for part in (poses[:, 36:39], HEAD))
    for name, want in (("body", neck @ head), ("flame", head @ neck)):
        got = rotation.rotvec_to_matrix(read(tmp_path / f"{name}.npz").motion.group("head"))
        np.testing.assert_allclose(got, want, atol=1e-5)


def test_folders_with_a_file_or_a_folder_a_frame(tmp_path):
    for k in range(FRAMES):
        place = tmp_path / "emoca" / f"{k:06d}_000"
        place.mkdir(parents=True)
        for name, rows in (("exp", EXP[:, :50]), ("pose", POSE), ("shape", SHAPE[:, :100])):
            np.save(place / f"{name}.npy", rows[k])
    check(read(tmp_path / "emoca"), EXP[:, :50])
    assert list(captures.find(tmp_path)) == [tmp_path / "emoca"]


def test_torch_files_plain_and_of_the_metrical_tracker(tmp_path):
    torch = pytest.importorskip("torch")
    torch.save(torch.tensor(np.concatenate([EXP, POSE], axis=1)), tmp_path / "style.pt")
    check(read(tmp_path / "style.pt"))
    (tmp_path / "person").mkdir()
    six = rotation.rotvec_to_matrix(JAW)[:, :2].reshape(FRAMES, 1, 6).astype(np.float32)
    for k in range(FRAMES):
        frame = {"flame": {"exp": EXP[k : k + 1], "jaw": six[k], "eyes": np.zeros((1, 12), np.float32)}}
        frame |= {"camera": {"R": np.eye(3)[None]}, "frame_id": k, "img_size": np.array([512, 512])}
        torch.save(frame, tmp_path / "person" / f"{k:05d}.frame")
    check(read(tmp_path / "person"), head=0 * HEAD)


class Bomb:
    def __reduce__(self):
        return (open, ("bang", "w"))


def test_nothing_is_unpickled(tmp_path, monkeypatch):
    torch = pytest.importorskip("torch")
    monkeypatch.chdir(tmp_path)
    torch.save({"exp": Bomb()}, tmp_path / "bomb.pt")
    (tmp_path / "old.pt").write_bytes(pickle.dumps(Bomb()))
    np.save(tmp_path / "bomb.npy", np.array([Bomb()], object), allow_pickle=True)
    np.savez(tmp_path / "bomb.npz", exp=np.array([Bomb()], object), jaw=JAW)
    for name in ("bomb.pt", "old.pt", "bomb.npy", "bomb.npz"):
        with pytest.raises(BadFile):
            read(tmp_path / name)
    assert not (tmp_path / "bang").exists()


@pytest.mark.parametrize(
    ("arrays", "says"),
    [
        ({"exp": EXP}, "no jaw"),
        ({"jaw": JAW, "exp": EXP[:5]}, "differ in length"),
        ({"exp": EXP, "pose": POSE[:, :4]}, "a pose has 6"),
        ({"exp": EXP, "jaw": POSE[:, :5]}, "a rotation has"),
        ({"exp": EXP * np.nan, "jaw": JAW}, "NaN"),
        ({"exp": EXP[:0], "jaw": JAW[:0]}, "no frames"),
        ({"exp": EXP, "pose": POSE, "fps": np.array(0.0)}, "frame rate"),
        ({"exp": np.array("x"), "jaw": JAW}, "table of numbers"),
    ],
)
def test_what_fits_no_layout_is_named(tmp_path, arrays, says):
    np.savez(tmp_path / "bad.npz", **arrays)
    with pytest.raises(BadFile, match=says):
        read(tmp_path / "bad.npz")


def test_cut_files_and_other_files(tmp_path):
    np.savez(tmp_path / "whole.npz", **LAYOUTS["tfhp"])
    (tmp_path / "cut.npz").write_bytes((tmp_path / "whole.npz").read_bytes()[:2000])
    (tmp_path / "cut.npy").write_bytes(b"\x93NUMPY\x01\x00")
    np.save(tmp_path / "other.npy", np.zeros((4, 7)))
    for name in ("cut.npz", "cut.npy", "other.npy"):
        with pytest.raises(BadFile):
            read(tmp_path / name)
        assert not captures.is_capture(tmp_path / name)


def test_our_own_motion_files_are_captures_too(tmp_path):
    values = np.concatenate([EXP, POSE], axis=1)
    files.save(Motion(values, FLAME, Fraction(25)), tmp_path / "flame.npz")
    check(read(tmp_path / "flame.npz"))
    files.save(Motion(RNG.random((5, 55)).astype(np.float32), ARKIT, Fraction(25)), tmp_path / "arkit.npz")
    assert read(tmp_path / "arkit.npz").motion.channels == ARKIT
    assert [path.name for path in captures.find(tmp_path)] == ["arkit.npz", "flame.npz"]
