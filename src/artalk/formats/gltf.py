"""glTF 2.0: a `.glb` with the face, its shapes, its joints and the performance as one animation.

A `BlendshapeRig` is written whole; an avatar that the user brought leaves as it came, with the animation added.
"""

from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from artalk import rotation
from artalk.channels import ARKIT, ARKIT_SHAPES
from artalk.errors import BadFile, BadInput, Unsupported
from artalk.formats import table
from artalk.formats.atomic import atomic
from artalk.formats.gltf_tracks import key_times, tracks
from artalk.formats.performer import performer
from artalk.motion import Fps, Motion, exact_fps
from artalk.rigs.blendshape import BlendshapeRig, joint_rotations
from artalk.rigs.glb import Builder, Glb, Json
from artalk.rigs.gltf import AvatarRig, load
from artalk.rigs.rig import FloatArray, IntArray, Material, Rig
from artalk.rigs.scene import nearest_rotation

ANIMATION = "artalk"
"""The animation's name in the file."""

SUFFIXES = (".glb", ".vrm")

MAX_FRAMES = 2_000_000
"""Frames that `read` makes at the most: nine hours at 60 fps."""

MOVES = 5e-7
"""Metres below which a vertex counts as still: half a micron; float32 coordinates of a head are no finer."""

TILTS = 2e-3
"""Change of a unit normal (about 0.1 degrees) below which it is not stored."""


def write(motion: Motion, path: str | Path, rig: Rig | None = None) -> None:
    """Write `motion` (ARKit channels) on `rig` as a `.glb` (or `.vrm` for an avatar that is one).

    Key k stands at k / fps seconds and interpolates linearly. All 52 shapes are there in the order of
    `ARKIT_SHAPES`, named in `mesh.extras.targetNames`; one that the rig lacks is empty, so that the file carries the
    whole performance. A vertex follows its four strongest joints. Primitive i holds the vertices that material i's
    faces use, in rising order of their numbers.

    Raises `BadInput` without a rig or a frame, `Unsupported` for other channels or rigs.
    """
    path = Path(path)
    face = performer(motion, path, rig, SUFFIXES)
    if path.suffix.lower() == ".vrm" and not (isinstance(face, AvatarRig) and face.is_vrm):
        raise BadInput(f"{path.name} is to be a VRM avatar: give --rig AVATAR.vrm, or write a .glb")
    data = _avatar(motion, face) if isinstance(face, AvatarRig) else _head(motion, face)
    with atomic(path) as temporary:
        temporary.write_bytes(data)


def read(path: str | Path, fps: Fps | None = None) -> Motion:
    """Read the ARKit motion of a `.glb`, `.gltf` or `.vrm`: our animation, or else the first one that moves shapes.

    Shapes are found by name as in `artalk.rigs.gltf`; the head's turn comes from its bone. Without `fps` the rate is
    that of the keys, or 30 where they are uneven. Raises `BadFile` where no animation moves a shape of ARKit's.
    """
    rig = load(path)
    name = Path(path).name
    found = tracks(rig.document, ANIMATION)
    if not found or not rig.report.matched:
        raise BadFile(f"{name} has no animation of shapes with ARKit names, so it holds no motion to read")
    times = max((track.times for track in found.values()), key=len)
    rate = exact_fps(fps) if fps is not None else _rate(times, name)
    # Keys stand at float32 seconds, which are coarser the longer the take: the last may seem to come too early.
    slack = max(1e-3, float(np.spacing(np.float32(times[-1]))) * float(rate))
    frames = int(np.floor(float(times[-1]) * float(rate) + slack)) + 1
    if frames > MAX_FRAMES:
        raise BadFile(f"{name}: an animation of {float(times[-1]):g} seconds is longer than artalk reads")
    at = np.arange(frames) / float(rate)
    return Motion(rig.motion_values({key: track.at(at) for key, track in found.items()}, frames), ARKIT, rate)


def _rate(times: NDArray[np.float64], name: str) -> Fraction:
    """The frame rate of keys; 30 where they are uneven, or too few to be frames."""
    steps = np.diff(times)
    coarse = float(np.spacing(np.float32(times[-1])))
    if not len(steps) or not 1e-3 - coarse <= steps.mean() <= 1 or np.ptp(steps) > 0.02 * steps.mean() + 2 * coarse:
        return Fraction(30)
    return table.rate_of(times, name)


def _head(motion: Motion, rig: BlendshapeRig) -> bytes:
    builder = Builder(Glb({"asset": {"version": "2.0", "generator": "artalk"}, "scene": 0}))
    for material in rig.mesh.materials:
        builder.append("materials", _material(material))
    if any(material.specular < 1 for material in rig.mesh.materials):
        builder.json["extensionsUsed"] = ["KHR_materials_specular"]
    face: Json = {"name": "face", "mesh": builder.append("meshes", _mesh(builder, rig))}
    roots = [builder.append("nodes", face)]
    joints: dict[str, int] = {}
    if rig.joints:
        root, joints = _joints(builder, rig)
        roots.append(root)
        face["skin"] = builder.append("skins", _skin(builder, rig, root, joints))
    builder.append("scenes", {"name": "artalk", "nodes": roots})
    turns = {node: quats for name, quats in _turns(motion).items() if (node := joints.get(name)) is not None}
    weights = {0: np.stack([motion.channel(name) for name in ARKIT_SHAPES], axis=1)}
    _animate(builder, motion, weights, turns)
    return builder.pack()


def _avatar(motion: Motion, rig: AvatarRig) -> bytes:
    builder = Builder(rig.document)
    weights = rig.target_weights(motion.values)
    turns = rig.bone_rotations(motion.values)
    if not weights and not turns:
        raise Unsupported(f"{rig.document.name} has no shape, head or eye bone that ARKit motion could move")
    for node in turns:
        _without_matrix(builder.json["nodes"][node])
    _animate(builder, motion, weights, turns)
    return builder.pack()


def _without_matrix(node: Json) -> None:
    """Give a node that has a matrix its translation, rotation and scale: glTF animates nothing else."""
    if "matrix" not in node:
        return
    matrix = np.array(node.pop("matrix"), np.float64).reshape(4, 4).T
    turn = nearest_rotation(matrix[:3, :3])
    node["translation"] = matrix[:3, 3].tolist()
    node["rotation"] = rotation.matrix_to_quat(turn).tolist()
    node["scale"] = np.diag(turn.T @ matrix[:3, :3]).tolist()


def _turns(motion: Motion) -> dict[str, NDArray[np.float64]]:
    return {name: rotation.rotvec_to_quat(turn) for name, turn in joint_rotations(motion.values).items()}


def _animate(
    builder: Builder, motion: Motion, weights: dict[int, FloatArray], turns: dict[int, NDArray[np.float64]]
) -> None:
    """Add the animation: `weights` (frames, targets) and `turns` (frames, 4) by node."""
    times = builder.accessor(key_times(motion), "SCALAR", "keys", bounds=True)
    animation: Json = {"name": ANIMATION, "channels": [], "samplers": []}

    def channel(node: int, path: Literal["weights", "rotation"], output: int) -> None:
        animation["channels"].append({"sampler": len(animation["samplers"]), "target": {"node": node, "path": path}})
        animation["samplers"].append({"input": times, "output": output, "interpolation": "LINEAR"})

    for node, values in weights.items():
        channel(node, "weights", builder.accessor(values.astype(np.float32).reshape(-1), "SCALAR", "keys"))
    for node, quats in turns.items():
        channel(node, "rotation", builder.accessor(quats.astype(np.float32), "VEC4", "keys"))
    # Many players show the first animation only, so ours goes before those that an avatar brought.
    builder.json["animations"] = [animation, *builder.json.get("animations", [])]


def _material(material: Material) -> Json:
    found: Json = {
        "name": material.name,
        "pbrMetallicRoughness": {
            "baseColorFactor": [*(float(np.clip(part, 0, 1)) for part in material.color), 1.0],
            "metallicFactor": 0.0,
            "roughnessFactor": float(np.clip(material.roughness, 0, 1)),
        },
        "doubleSided": material.double_sided,
    }
    if material.specular < 1:
        found["extensions"] = {"KHR_materials_specular": {"specularFactor": max(material.specular, 0.0)}}
    return found


def _mesh(builder: Builder, rig: BlendshapeRig) -> Json:
    """The mesh with one primitive a material.

    Each has its own vertices: primitives that share them would make a viewer hold the whole face's shapes for each.
    """
    normals = vertex_normals(rig.mesh.vertices, rig.mesh.faces)
    tilts = normal_deltas(rig, normals)
    columns = {name: i for i, name in enumerate(rig.shapes)}
    followed = influences(rig)
    primitives: list[Json] = []
    for material in range(len(rig.mesh.materials)):
        faces = rig.mesh.faces[rig.mesh.face_materials == material]
        if not len(faces):
            continue
        used, corners = np.unique(faces, return_inverse=True)
        attributes = {
            "POSITION": builder.accessor(rig.mesh.vertices[used].astype(np.float32), "VEC3", "vertex", bounds=True),
            "NORMAL": builder.accessor(normals[used], "VEC3", "vertex"),
            "COLOR_0": builder.accessor(np.clip(rig.mesh.colors[used], 0, 1).astype(np.float32), "VEC3", "vertex"),
        }
        if followed is not None:
            attributes["JOINTS_0"] = builder.accessor(followed[0][used], "VEC4", "vertex")
            attributes["WEIGHTS_0"] = builder.accessor(followed[1][used], "VEC4", "vertex")
        primitives.append(
            {
                "attributes": attributes,
                "indices": builder.accessor(_indices(corners, len(used)), "SCALAR", "index"),
                "material": material,
                "mode": 4,
                "targets": _targets(builder, rig, tilts, columns, used),
            }
        )
    if not primitives:
        raise BadInput("a .glb needs a rig with faces, got a mesh of none")
    return {"name": "face", "primitives": primitives, "extras": {"targetNames": list(ARKIT_SHAPES)}}


def _targets(
    builder: Builder, rig: BlendshapeRig, tilts: FloatArray, columns: dict[str, int], used: NDArray[Any]
) -> list[Json]:
    still = np.zeros(0, np.int64), np.zeros((0, 3), np.float32)
    empty: int | None = None
    targets: list[Json] = []
    for name in ARKIT_SHAPES:
        target: Json = {}
        for kind, deltas, limit in (("POSITION", rig.deltas, MOVES), ("NORMAL", tilts, TILTS)):
            rows, values = moving(deltas[columns[name]][used], limit) if name in columns else still
            if len(rows):
                target[kind] = builder.sparse(rows, values, len(used), bounds=kind == "POSITION")
            else:
                empty = builder.sparse(*still, len(used), bounds=True) if empty is None else empty
                target[kind] = empty
        targets.append(target)
    return targets


def moving(deltas: FloatArray, limit: float) -> tuple[NDArray[np.int64], FloatArray]:
    """The rows of `deltas` (V, 3) with a part beyond `limit`, and what they are."""
    rows = np.flatnonzero(np.abs(deltas).max(axis=1) > limit)
    return rows, deltas[rows].astype(np.float32)


def _indices(corners: NDArray[Any], vertices: int) -> NDArray[Any]:
    return corners.reshape(-1).astype(np.uint16 if vertices < 1 << 16 else np.uint32)


def vertex_normals(vertices: FloatArray, faces: IntArray) -> FloatArray:
    """The (V, 3) unit normals of the vertices, weighted by the areas of their faces; +Z where there is none."""
    corners = vertices[faces].astype(np.float64)
    across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    at = faces.reshape(-1)
    spread = np.repeat(across, 3, axis=0)
    summed = np.stack([np.bincount(at, spread[:, axis], len(vertices)) for axis in range(3)], axis=1)
    length = np.linalg.norm(summed, axis=1, keepdims=True)
    upright = np.broadcast_to([0.0, 0.0, 1.0], summed.shape)
    return np.where(length > 1e-12, summed / np.maximum(length, 1e-12), upright).astype(np.float32)


def normal_deltas(rig: BlendshapeRig, normals: FloatArray) -> FloatArray:
    """What each shape at 1 adds to the `normals` (V, 3) at rest, (S, V, 3)."""
    tilts = np.empty_like(rig.deltas)
    for tilt, delta in zip(tilts, rig.deltas, strict=True):
        tilt[:] = vertex_normals(rig.mesh.vertices + delta, rig.mesh.faces) - normals
    return tilts


def influences(rig: BlendshapeRig) -> tuple[NDArray[Any], FloatArray] | None:
    """Joint numbers (V, 4) and weights (V, 4), strongest first; unused places are joint 0 with weight 0."""
    if not rig.joints:
        return None
    skin = _held(rig)
    order = np.argsort(-skin, axis=1, kind="stable")[:, :4]
    weights = np.take_along_axis(skin, order, axis=1)
    weights = weights / np.maximum(weights.sum(axis=1, keepdims=True), 1e-12)
    joints = np.where(weights > 0, order, 0)
    room = ((0, 0), (0, 4 - joints.shape[1]))
    dtype = np.uint8 if len(rig.joints) < 256 else np.uint16
    return np.pad(joints, room).astype(dtype), np.pad(weights, room).astype(np.float32)


def _held(rig: BlendshapeRig) -> NDArray[np.float64]:
    """Skin weights with the jaw's given to its parent: `pose` moves the jaw's skin by shapes, its joint turns props."""
    skin = np.asarray(rig.skin, np.float64).copy()
    names = [joint.name for joint in rig.joints]
    for column, joint in enumerate(rig.joints):
        if joint.name == "jaw" and joint.parent is not None:
            skin[:, names.index(joint.parent)] += skin[:, column]
            skin[:, column] = 0
    return skin


def _joints(builder: Builder, rig: BlendshapeRig) -> tuple[int, dict[str, int]]:
    """Add a still root and the joints below it; the root's node, and each joint's."""
    root: Json = {"name": "root", "children": []}
    top = builder.append("nodes", root)
    nodes: dict[str, int] = {}
    for joint in rig.joints:
        parent = next((other for other in rig.joints if other.name == joint.parent), None)
        origin = np.array(parent.position if parent else (0.0, 0.0, 0.0))
        offset = (np.array(joint.position, np.float64) - origin).tolist()
        nodes[joint.name] = builder.append("nodes", {"name": joint.name, "translation": offset})
        above = builder.json["nodes"][nodes[parent.name]] if parent else root
        above.setdefault("children", []).append(nodes[joint.name])
    return top, nodes


def _skin(builder: Builder, rig: BlendshapeRig, root: int, nodes: dict[str, int]) -> Json:
    inverse = np.tile(np.eye(4, dtype=np.float32), (len(rig.joints), 1, 1))
    inverse[:, 3, :3] = -np.array([joint.position for joint in rig.joints], np.float32)
    return {
        "name": "joints",
        "skeleton": root,
        "joints": [nodes[joint.name] for joint in rig.joints],
        "inverseBindMatrices": builder.accessor(inverse.reshape(-1, 16), "MAT4", "bind"),
    }
