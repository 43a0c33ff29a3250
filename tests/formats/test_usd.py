from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from artalk.channels import ARKIT, ARKIT_SHAPES, FLAME
from artalk.errors import BadInput, MissingFile, NeedsExtra, Unsupported
from artalk.formats import usd
from artalk.motion import Motion
from artalk.rigs import ict
from artalk.rigs.gltf import load
from artalk.rigs.rig import Rig
from tests.avatars import OCULUS, Avatar
from tests.formats.test_gltf import FPS, head, performance
from tests.shared import shared

Usd = pytest.importorskip("pxr.Usd", reason="USD needs usd-core")
UsdGeom = pytest.importorskip("pxr.UsdGeom")
UsdShade = pytest.importorskip("pxr.UsdShade")
UsdSkel = pytest.importorskip("pxr.UsdSkel")


def baked_as_posed(path: Path, rig: Rig, motion: Motion, atol: float = 1e-4) -> None:
    """USD's own skinning gives what the rig poses."""
    stage = Usd.Stage.Open(str(path))
    assert UsdSkel.BakeSkinning(UsdSkel.Root(stage.GetPrimAtPath("/artalk")))
    points = UsdGeom.Mesh(stage.GetPrimAtPath("/artalk/face")).GetPointsAttr()
    for frame in range(len(motion)):
        np.testing.assert_allclose(np.array(points.Get(frame)), rig.pose(motion.values[frame]), atol=atol)


@pytest.mark.parametrize("suffix", [".usda", ".usdc"])
def test_usd_bakes_what_the_rig_poses(tmp_path: Path, suffix: str) -> None:
    rig, motion = head(), performance()
    usd.write(motion, tmp_path / f"head{suffix}", rig)
    baked_as_posed(tmp_path / f"head{suffix}", rig, motion)


def test_clock_axis_and_unit_are_stated(tmp_path: Path) -> None:
    usd.write(performance(7), tmp_path / "head.usda", head())
    stage = Usd.Stage.Open(str(tmp_path / "head.usda"))
    assert stage.GetTimeCodesPerSecond() == pytest.approx(float(FPS))
    assert (stage.GetStartTimeCode(), stage.GetEndTimeCode()) == (0, 6)
    assert UsdGeom.GetStageUpAxis(stage) == "Y"
    assert UsdGeom.GetStageMetersPerUnit(stage) == 1
    assert stage.GetDefaultPrim().GetPath() == "/artalk"
    assert (tmp_path / "head.usda").read_text().startswith("#usda 1.0")


def test_shapes_are_sparse_and_weights_are_the_motion(tmp_path: Path) -> None:
    rig, motion = head(), performance(4)
    usd.write(motion, tmp_path / "head.usdc", rig)
    stage = Usd.Stage.Open(str(tmp_path / "head.usdc"))
    animation = UsdSkel.Animation(stage.GetPrimAtPath("/artalk/performance"))
    assert list(animation.GetBlendShapesAttr().Get()) == list(ARKIT_SHAPES)
    weights = np.array(animation.GetBlendShapeWeightsAttr().Get(2))
    np.testing.assert_array_equal(weights, motion.values[2, :52])
    binding = UsdSkel.BindingAPI(stage.GetPrimAtPath("/artalk/face"))
    assert list(binding.GetBlendShapesAttr().Get()) == list(rig.shapes)
    for name, path in zip(rig.shapes, binding.GetBlendShapeTargetsRel().GetTargets(), strict=True):
        shape = UsdSkel.BlendShape(stage.GetPrimAtPath(path))
        assert path.name == name
        rows, offsets = np.array(shape.GetPointIndicesAttr().Get()), np.array(shape.GetOffsetsAttr().Get())
        assert len(rows) == len(offsets) == len(shape.GetNormalOffsetsAttr().Get()) < len(rig.mesh.vertices)
        np.testing.assert_allclose(offsets, rig.deltas[rig.shapes.index(name)][rows], atol=1e-7)


def test_materials_and_colours_are_there(tmp_path: Path) -> None:
    rig = head()
    usd.write(performance(1), tmp_path / "head.usda", rig)
    stage = Usd.Stage.Open(str(tmp_path / "head.usda"))
    mesh = UsdGeom.Mesh(stage.GetPrimAtPath("/artalk/face"))
    subsets = UsdShade.MaterialBindingAPI(mesh.GetPrim()).GetMaterialBindSubsets()
    assert {s.GetPrim().GetName() for s in subsets} == {"skin", "brow", "eye"}
    assert sum(len(s.GetIndicesAttr().Get()) for s in subsets) == len(rig.mesh.faces)
    bound, _ = UsdShade.MaterialBindingAPI(subsets[1].GetPrim()).ComputeBoundMaterial()
    surface, _, _ = bound.ComputeSurfaceSource()
    assert surface.GetIdAttr().Get() == "UsdPreviewSurface"
    assert surface.GetInput("roughness").Get() == pytest.approx(0.9)
    colors = np.array(mesh.GetDisplayColorPrimvar().ComputeFlattened())
    expected = rig.mesh.colors[rig.mesh.faces[0]] * rig.mesh.materials[rig.mesh.face_materials[0]].color
    np.testing.assert_allclose(colors[:3], expected, atol=2e-4)


def test_a_real_head_is_written(tmp_path: Path) -> None:
    rig, motion = ict.load(shared("assets/ict_facekit_light.npz")), performance(2)
    usd.write(motion, tmp_path / "ict.usdc", rig)
    assert (tmp_path / "ict.usdc").stat().st_size < rig.deltas.nbytes
    baked_as_posed(tmp_path / "ict.usdc", rig, motion)


def test_an_avatar_is_written_as_one_mesh(tmp_path: Path) -> None:
    motion = performance(3)
    for names in (ARKIT_SHAPES, tuple(f"viseme_{name}" for name in OCULUS)):
        (tmp_path / "me.glb").write_bytes(Avatar(names).bytes())
        rig = load(tmp_path / "me.glb")
        usd.write(motion, tmp_path / "me.usda", rig)
        baked_as_posed(tmp_path / "me.usda", rig, motion)


def test_names_that_are_no_identifiers_and_rigs_without_joints(tmp_path: Path) -> None:
    rig, motion = head(), performance(2)
    named = tuple(replace(material, name="skin (1)!") for material in rig.mesh.materials)
    bare = replace(
        rig, mesh=replace(rig.mesh, materials=named), joints=(), skin=np.zeros((len(rig.mesh.vertices), 0), np.float32)
    )
    usd.write(motion, tmp_path / "bare.usda", bare)
    baked_as_posed(tmp_path / "bare.usda", bare, motion)


def test_what_cannot_be_written_is_said_and_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rig, motion = head(), performance()
    with pytest.raises(BadInput, match="rig"):
        usd.write(motion, tmp_path / "a.usda")
    with pytest.raises(Unsupported, match="retarget"):
        usd.write(Motion(np.zeros((2, len(FLAME)), np.float32), FLAME, Fraction(25)), tmp_path / "a.usda", rig)
    with pytest.raises(BadInput, match="at least one frame"):
        usd.write(Motion(motion.values[:0], ARKIT, FPS), tmp_path / "a.usda", rig)
    with pytest.raises(MissingFile):
        usd.write(motion, tmp_path / "no" / "a.usda", rig)
    with pytest.raises(BadInput, match=r"\.usda, \.usdc"):
        usd.write(motion, tmp_path / "a.obj", rig)
    monkeypatch.setitem(__import__("sys").modules, "pxr", None)
    with pytest.raises(NeedsExtra, match=r"artalk\[usd\]"):
        usd.write(motion, tmp_path / "a.usda", rig)
    assert not list(tmp_path.iterdir())
