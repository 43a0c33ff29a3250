import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from artalk.channels import ARKIT, ARKIT_SHAPES
from artalk.errors import BadFile, MissingFile
from artalk.rigs import ict
from artalk.rigs.blendshape import GAZE, BlendshapeRig
from tests.shared import shared


@pytest.fixture(scope="module")
def model() -> ict.Model:
    return ict.read(shared("assets/ict_facekit_light.npz"))


@pytest.fixture(scope="module")
def rig(model: ict.Model) -> BlendshapeRig:
    return ict.build(model)


def values(**channels: float) -> np.ndarray:
    row = np.zeros(len(ARKIT), np.float32)
    for name, value in channels.items():
        row[ARKIT.index(name)] = value
    return row


def test_it_has_all_shapes_but_the_tongue(rig: BlendshapeRig) -> None:
    assert set(ARKIT_SHAPES) - set(rig.shapes) == {"tongueOut"}
    assert len({name for shape in ARKIT_SHAPES for name in ict.sources(shape)}) == 53


def test_it_is_as_large_as_a_person_and_faces_forward(rig: BlendshapeRig) -> None:
    low, high = rig.mesh.vertices.min(axis=0), rig.mesh.vertices.max(axis=0)
    assert 0.2 < high[0] - low[0] < 0.3
    assert 0.3 < high[1] - low[1] < 0.4
    assert rig.landmarks is not None
    nose = rig.mesh.vertices[rig.landmarks.extra["noseTip"]]
    assert nose[2] == pytest.approx(high[2], abs=0.002)
    positions = {joint.name: joint.position for joint in rig.joints}
    assert positions["leftEye"][0] == pytest.approx(0.031, abs=0.002)
    assert positions["rightEye"][0] == pytest.approx(-positions["leftEye"][0], abs=1e-4)


def test_landmarks_sit_on_the_lips(rig: BlendshapeRig) -> None:
    marks = rig.landmarks
    assert marks is not None
    at = rig.mesh.vertices
    assert at[marks.left_mouth_corner, 0] > 0.02
    assert at[marks.right_mouth_corner, 0] < -0.02
    closed = at[marks.inner_upper_lip, 1] - at[marks.inner_lower_lip, 1]
    assert 0 <= closed < 0.002
    opened = rig.pose(values(jawOpen=1))
    assert opened[marks.inner_upper_lip, 1] - opened[marks.inner_lower_lip, 1] > 0.02


def test_shapes_of_both_sides_are_sums(model: ict.Model, rig: BlendshapeRig) -> None:
    for shape in ict.SPLIT:
        rows = [model.names.index(f"{shape}_{side}") for side in "LR"]
        expected = 0.01 * (model.expressions[rows[0]].astype(np.float32) + model.expressions[rows[1]])
        np.testing.assert_allclose(rig.deltas[rig.shapes.index(shape)], expected, atol=1e-7)


def test_left_is_the_subjects(rig: BlendshapeRig) -> None:
    still = rig.mesh.vertices
    for shape in ("mouthSmileLeft", "eyeBlinkLeft", "browDownLeft"):
        moved = np.abs(rig.pose(values(**{shape: 1})) - still).max(axis=1)
        assert still[moved.argmax(), 0] > 0
    assert (rig.pose(values(jawLeft=1)) - still)[:, 0].sum() > 0


def test_eyes_turn_about_their_centres(model: ict.Model, rig: BlendshapeRig) -> None:
    eye = np.unique(model.faces[model.materials == "M_ScleraLeft"])
    eye = eye[eye >= 0]
    posed = rig.pose(values(eyeLookOutLeft=1))
    centre = np.array(next(joint.position for joint in rig.joints if joint.name == "leftEye"))
    front = eye[rig.mesh.vertices[eye, 2].argmax()]
    before, after = rig.mesh.vertices[front] - centre, posed[front] - centre
    assert np.linalg.norm(before) == pytest.approx(np.linalg.norm(after), abs=1e-5)
    turned = np.arctan2(after[0], after[2]) - np.arctan2(before[0], before[2])
    assert turned == pytest.approx(GAZE, abs=0.01)


def test_the_neck_stands_while_the_head_turns(rig: BlendshapeRig) -> None:
    moved = np.abs(rig.pose(values(headY=0.5)) - rig.mesh.vertices).max(axis=1)
    heights = rig.mesh.vertices[:, 1]
    assert moved[heights < heights.min() + 0.004].max() < 1e-6
    assert moved[ict.LANDMARKS.extra["noseTip"]] > 0.03
    np.testing.assert_allclose(rig.skin.sum(axis=1), 1, atol=1e-6)


def test_faces_are_triangles_of_named_materials(rig: BlendshapeRig) -> None:
    assert rig.mesh.faces.min() >= 0
    assert {m.name for m in rig.mesh.materials} == {"skin", "gums", "teeth", "eyes"}
    assert rig.mesh.colors.min() >= 0
    assert rig.mesh.colors.max() <= 1
    lip = rig.mesh.colors[ict.MULTIPIE[51]]
    assert lip[1] < 0.8


def test_a_folder_that_is_incomplete_lists_what_is_missing() -> None:
    with pytest.raises(MissingFile, match=r"lacks 52 of ICT-FaceKit's 54 files: eyeBlink_L.obj, .*noseSneer_R.obj"):
        ict.load(shared("assets/ict_facekit_sample"))


def test_the_folder_and_the_packed_file_are_one_model(model: ict.Model, tmp_path: Path) -> None:
    sample = shared("assets/ict_facekit_sample")
    for name in model.names:
        source = sample / ("jawOpen.obj" if name == "jawOpen" else "generic_neutral_mesh.obj")
        (tmp_path / f"{name}.obj").symlink_to(source)
    (tmp_path / "generic_neutral_mesh.obj").symlink_to(sample / "generic_neutral_mesh.obj")
    read = ict.read(tmp_path)
    np.testing.assert_allclose(read.neutral, model.neutral, atol=1e-4)
    np.testing.assert_array_equal(read.faces, model.faces)
    np.testing.assert_array_equal(read.materials, model.materials)
    jaw = read.expressions[read.names.index("jawOpen")]
    np.testing.assert_allclose(jaw, model.expressions[model.names.index("jawOpen")], atol=2e-3)


def test_packing_keeps_the_model(model: ict.Model, tmp_path: Path) -> None:
    few = replace(model, expressions=model.expressions * np.float16(0))
    ict.pack(few, tmp_path / "packed.npz")
    again = ict.read(tmp_path / "packed.npz")
    np.testing.assert_array_equal(again.neutral, model.neutral)
    assert again.names == model.names


def test_other_files_are_refused(model: ict.Model, tmp_path: Path) -> None:
    (tmp_path / "text.npz").write_text("not a model")
    np.savez(tmp_path / "other.npz", neutral=np.zeros(3))
    ict.pack(
        replace(model, neutral=model.neutral[:100], expressions=model.expressions[:, :100]), tmp_path / "small.npz"
    )
    ict.pack(replace(model, names=("x",) * 53, expressions=model.expressions[:, :1]), tmp_path / "names.npz")
    for name in ("text", "other", "small", "names"):
        with pytest.raises(BadFile, match=f"{name}.npz"):
            ict.load(tmp_path / f"{name}.npz")
    with pytest.raises(MissingFile):
        ict.load(tmp_path / "nowhere")


def test_a_broken_obj_is_refused(tmp_path: Path) -> None:
    sample = shared("assets/ict_facekit_sample")
    names = {name for shape in ARKIT_SHAPES for name in ict.sources(shape)}
    for name in names:
        (tmp_path / f"{name}.obj").write_text("v 0 0\n")
    shutil.copyfile(sample / "generic_neutral_mesh.obj", tmp_path / "generic_neutral_mesh.obj")
    with pytest.raises(BadFile, match="three numbers"):
        ict.load(tmp_path)
