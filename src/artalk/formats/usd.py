"""USD out: a UsdSkel face with blend shapes, joints and the performance, for Omniverse, Unreal, Houdini, Blender."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from artalk import rotation
from artalk.channels import ARKIT, ARKIT_SHAPES
from artalk.errors import BadFile, needs
from artalk.formats.atomic import atomic
from artalk.formats.gltf import MOVES, influences, moving, normal_deltas, vertex_normals
from artalk.formats.performer import performer
from artalk.motion import Motion
from artalk.rigs.blendshape import BlendshapeRig, joint_rotations
from artalk.rigs.gltf import AvatarRig
from artalk.rigs.rig import FloatArray, Joint, Material, Rig

ROOT = "/artalk"

SUFFIXES = (".usda", ".usdc", ".usd")

NORMAL = 2e-3
"""Change of a unit normal that counts as much as a move of `MOVES`."""


def write(motion: Motion, path: str | Path, rig: Rig | None = None) -> None:
    """Write `motion` (ARKit channels) on `rig` as `.usda` (text) or `.usdc`.

    Frame k is time code k at `timeCodesPerSecond` = fps; metres, +Y up. The animation names all 52 shapes, whether or
    not the rig has them. Needs usd-core (`NeedsExtra`); raises `BadInput` without a rig or a frame, `Unsupported` for
    other channels or rigs.
    """
    path = Path(path)
    face, values = _driven(motion, performer(motion, path, rig, SUFFIXES))
    needs("pxr", "usd", f"writing {path.suffix}")
    stage = _Stage(motion, face, values)
    with atomic(path) as temporary:
        stage.export(temporary)


def _driven(motion: Motion, rig: BlendshapeRig | AvatarRig) -> tuple[BlendshapeRig, FloatArray]:
    """The shapes to write, and the values (frames, channels) that move them."""
    return (rig.blendshapes, rig.drive(motion.values)) if isinstance(rig, AvatarRig) else (rig, motion.values)


class _Stage:
    """A stage in memory; USD's modules come without types, so they are `Any` here."""

    def __init__(self, motion: Motion, rig: BlendshapeRig, values: FloatArray) -> None:
        what = "writing USD"
        self.gf: Any = needs("pxr.Gf", "usd", what)
        self.vt: Any = needs("pxr.Vt", "usd", what)
        self.sdf: Any = needs("pxr.Sdf", "usd", what)
        self.tf: Any = needs("pxr.Tf", "usd", what)
        self.geom: Any = needs("pxr.UsdGeom", "usd", what)
        self.shade: Any = needs("pxr.UsdShade", "usd", what)
        self.skel: Any = needs("pxr.UsdSkel", "usd", what)
        usd: Any = needs("pxr.Usd", "usd", what)
        self.stage: Any = usd.Stage.CreateInMemory()
        self._clock(motion)
        root = self.skel.Root.Define(self.stage, ROOT)
        self.stage.SetDefaultPrim(root.GetPrim())
        mesh = self._mesh(rig)
        self._materials(rig, mesh)
        self._shapes(rig, mesh)
        self._animation(rig, values)
        binding = self.skel.BindingAPI.Apply(root.GetPrim())
        self._joints(rig, mesh)
        binding.CreateSkeletonRel().SetTargets([f"{ROOT}/skeleton"])
        binding.CreateAnimationSourceRel().SetTargets([f"{ROOT}/performance"])
        self._extent(rig, mesh)

    def export(self, path: Path) -> None:
        """Write the file; the suffix says which kind."""
        if not self.stage.GetRootLayer().Export(str(path)):
            raise BadFile(f"USD could not write {path.name!r}")

    def _clock(self, motion: Motion) -> None:
        self.stage.SetTimeCodesPerSecond(float(motion.fps))
        self.stage.SetFramesPerSecond(float(motion.fps))
        self.stage.SetStartTimeCode(0)
        self.stage.SetEndTimeCode(len(motion) - 1)
        self.geom.SetStageUpAxis(self.stage, self.geom.Tokens.y)
        self.geom.SetStageMetersPerUnit(self.stage, 1.0)

    def _mesh(self, rig: BlendshapeRig) -> Any:
        mesh = self.geom.Mesh.Define(self.stage, f"{ROOT}/face")
        mesh.CreatePointsAttr(self._vectors(rig.mesh.vertices))
        mesh.CreateFaceVertexCountsAttr(self._integers(np.full(len(rig.mesh.faces), 3)))
        mesh.CreateFaceVertexIndicesAttr(self._integers(rig.mesh.faces.reshape(-1)))
        mesh.CreateSubdivisionSchemeAttr(self.geom.Tokens.none)
        mesh.CreateDoubleSidedAttr(True)
        mesh.CreateNormalsAttr(self._vectors(vertex_normals(rig.mesh.vertices, rig.mesh.faces)))
        mesh.SetNormalsInterpolation(self.geom.Tokens.vertex)
        # Colours belong to the corners of faces, so that they do not run over where materials meet.
        colors, places = np.unique(_corner_colors(rig), axis=0, return_inverse=True)
        color = mesh.CreateDisplayColorPrimvar(self.geom.Tokens.faceVarying)
        color.Set(self._vectors(colors))
        color.SetIndices(self._integers(places.reshape(-1)))
        return mesh

    def _materials(self, rig: BlendshapeRig, mesh: Any) -> None:
        self.geom.Scope.Define(self.stage, f"{ROOT}/materials")
        bound = self.shade.MaterialBindingAPI.Apply(mesh.GetPrim())
        taken: set[str] = set()
        for number, material in enumerate(rig.mesh.materials):
            faces = np.flatnonzero(rig.mesh.face_materials == number)
            name = self._identifier(material.name, taken)
            made = self._material(f"{ROOT}/materials/{name}", material)
            if len(faces):
                subset = bound.CreateMaterialBindSubset(name, self._integers(faces))
                self.shade.MaterialBindingAPI.Apply(subset.GetPrim()).Bind(made)

    def _material(self, path: str, material: Material) -> Any:
        made = self.shade.Material.Define(self.stage, path)
        types = self.sdf.ValueTypeNames
        color = self.shade.Shader.Define(self.stage, f"{path}/color")
        color.CreateIdAttr("UsdPrimvarReader_float3")
        color.CreateInput("varname", types.String).Set("displayColor")
        color.CreateInput("fallback", types.Float3).Set(self.gf.Vec3f(*material.color))
        surface = self.shade.Shader.Define(self.stage, f"{path}/surface")
        surface.CreateIdAttr("UsdPreviewSurface")
        out = color.CreateOutput("result", types.Float3)
        surface.CreateInput("diffuseColor", types.Color3f).ConnectToSource(out)
        surface.CreateInput("roughness", types.Float).Set(float(np.clip(material.roughness, 0, 1)))
        surface.CreateInput("metallic", types.Float).Set(0.0)
        made.CreateSurfaceOutput().ConnectToSource(surface.ConnectableAPI(), "surface")
        return made

    def _shapes(self, rig: BlendshapeRig, mesh: Any) -> None:
        tilts = normal_deltas(rig, vertex_normals(rig.mesh.vertices, rig.mesh.faces))
        taken: set[str] = set()
        paths: list[Any] = []
        for name, delta, tilt in zip(rig.shapes, rig.deltas, tilts, strict=True):
            shape = self.skel.BlendShape.Define(self.stage, f"{ROOT}/face/{self._identifier(name, taken)}")
            rows, offsets = moving(np.concatenate([delta, tilt * (MOVES / NORMAL)], axis=1), MOVES)
            shape.CreateOffsetsAttr(self._vectors(offsets[:, :3]))
            shape.CreateNormalOffsetsAttr(self._vectors(tilt[rows]))
            shape.CreatePointIndicesAttr(self._integers(rows))
            paths.append(shape.GetPath())
        binding = self.skel.BindingAPI.Apply(mesh.GetPrim())
        binding.CreateBlendShapesAttr(self.vt.TokenArray(list(rig.shapes)))
        binding.CreateBlendShapeTargetsRel().SetTargets(paths)

    def _joints(self, rig: BlendshapeRig, mesh: Any) -> None:
        paths = joint_paths(rig.joints)
        skeleton = self.skel.Skeleton.Define(self.stage, f"{ROOT}/skeleton")
        skeleton.CreateJointsAttr(self.vt.TokenArray(paths))
        bind = [self.gf.Matrix4d(1).SetTranslate(self.gf.Vec3d(*joint.position)) for joint in rig.joints]
        rest = [self.gf.Matrix4d(1).SetTranslate(self.gf.Vec3d(*offset)) for offset in _offsets(rig.joints).tolist()]
        skeleton.CreateBindTransformsAttr(self.vt.Matrix4dArray(bind))
        skeleton.CreateRestTransformsAttr(self.vt.Matrix4dArray(rest))
        followed = influences(rig)
        if followed is not None:
            binding = self.skel.BindingAPI(mesh.GetPrim())
            binding.CreateGeomBindTransformAttr(self.gf.Matrix4d(1))
            indices = binding.CreateJointIndicesPrimvar(False, 4)
            indices.Set(self._integers(followed[0].reshape(-1)))
            weights = binding.CreateJointWeightsPrimvar(False, 4)
            weights.Set(self._floats(followed[1].reshape(-1)))

    def _animation(self, rig: BlendshapeRig, values: FloatArray) -> None:
        made = self.skel.Animation.Define(self.stage, f"{ROOT}/performance")
        shapes = (*ARKIT_SHAPES, *(name for name in rig.shapes if name not in ARKIT))
        made.CreateBlendShapesAttr(self.vt.TokenArray(list(shapes)))
        weights = made.CreateBlendShapeWeightsAttr()
        for frame, row in enumerate(values[:, rig.channels.indices(shapes)]):
            weights.Set(self._floats(row), frame)
        made.CreateJointsAttr(self.vt.TokenArray(joint_paths(rig.joints)))
        made.CreateTranslationsAttr(self._vectors(_offsets(rig.joints)))
        made.CreateScalesAttr(self.vt.Vec3hArray([self.gf.Vec3h(1, 1, 1)] * len(rig.joints)))
        turns = made.CreateRotationsAttr()
        for frame, quats in enumerate(_quaternions(rig, values)):
            # USD's quaternions have their real part first.
            turns.Set(self.vt.QuatfArray([self.gf.Quatf(w, x, y, z) for x, y, z, w in quats.tolist()]), frame)

    def _extent(self, rig: BlendshapeRig, mesh: Any) -> None:
        """A box that holds the face whatever it does: the mesh's, as far as shapes and turns can take it."""
        reach = float(np.abs(rig.deltas).sum(axis=0).max(initial=0)) + 0.5 * float(
            np.ptp(rig.mesh.vertices, axis=0).max()
        )
        low, high = rig.mesh.vertices.min(axis=0) - reach, rig.mesh.vertices.max(axis=0) + reach
        mesh.CreateExtentAttr(self._vectors(np.stack([low, high])))

    def _identifier(self, name: str, taken: set[str]) -> str:
        plain: str = self.tf.MakeValidIdentifier(name or "unnamed")
        found, count = plain, 1
        while found in taken:
            count += 1
            found = f"{plain}_{count}"
        taken.add(found)
        return found

    def _vectors(self, values: NDArray[Any]) -> Any:
        return self.vt.Vec3fArray.FromNumpy(np.ascontiguousarray(values, np.float32).reshape(-1, 3))

    def _floats(self, values: NDArray[Any]) -> Any:
        return self.vt.FloatArray.FromNumpy(np.ascontiguousarray(values, np.float32))

    def _integers(self, values: NDArray[Any]) -> Any:
        return self.vt.IntArray.FromNumpy(np.ascontiguousarray(values, np.int32))


def joint_paths(joints: tuple[Joint, ...]) -> list[str]:
    """UsdSkel's names of joints: from the root, as in "neck/head/leftEye"."""
    paths: dict[str, str] = {}
    for joint in joints:
        paths[joint.name] = joint.name if joint.parent is None else f"{paths[joint.parent]}/{joint.name}"
    return list(paths.values())


def _offsets(joints: tuple[Joint, ...]) -> NDArray[np.float64]:
    places = {joint.name: np.array(joint.position, np.float64) for joint in joints}
    offsets = [places[joint.name] - (0 if joint.parent is None else places[joint.parent]) for joint in joints]
    return np.array(offsets, np.float64).reshape(-1, 3)


def _quaternions(rig: BlendshapeRig, values: FloatArray) -> NDArray[np.float64]:
    """The joints' rotations (frames, J, 4), xyzw."""
    turns = joint_rotations(values, rig.channels)
    quats = np.tile([0.0, 0.0, 0.0, 1.0], (len(values), len(rig.joints), 1))
    for column, joint in enumerate(rig.joints):
        if joint.name in turns:
            quats[:, column] = rotation.rotvec_to_quat(turns[joint.name])
    return quats


def _corner_colors(rig: BlendshapeRig) -> NDArray[np.float32]:
    materials = np.array([material.color for material in rig.mesh.materials], np.float32)
    corners = rig.mesh.colors[rig.mesh.faces] * materials[rig.mesh.face_materials][:, None]
    # 16 bits a colour: fewer distinct rows, and nothing that an eye or a screen could tell.
    return (np.round(np.clip(corners, 0, 1).reshape(-1, 3) * 4095) / 4095).astype(np.float32)
