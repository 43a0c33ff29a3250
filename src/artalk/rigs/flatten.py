"""An avatar's meshes as one `BlendshapeRig`: in our space, with our joints, and seams closed."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from artalk import rotation
from artalk.channels import ARKIT, Channels, Group
from artalk.errors import BadFile
from artalk.retarget.joints import joint_rotations
from artalk.rigs.blendshape import BlendshapeRig
from artalk.rigs.matching import Matching
from artalk.rigs.rig import Box, FloatArray, Joint, Mesh
from artalk.rigs.scene import Bind, Float, Int, Patch, Scene

MAX_DELTAS = 60_000_000
"""Largest number of shapes × vertices × 3 that is held (240 MB as float32)."""

FACE_ROOM = 0.8
"""How far the head may reach beyond the parts that move, as a share of their size."""


def flatten(scene: Scene, found: Matching) -> BlendshapeRig:
    """All patches as one rig whose channels are ARKit's and the stand-ins'."""
    patches = [patch for patch in scene.patches if len(patch.faces)]
    if not patches:
        raise BadFile(f"{scene.glb.name} shows no triangles, so there is no face to move")
    total = sum(len(patch.vertices) for patch in patches)
    if len(found.binds) * total * 3 > MAX_DELTAS:
        raise BadFile(f"{scene.glb.name}: {len(found.binds)} shapes of {total} vertices are too many; simplify it")
    joints = _joints(scene, found)
    vertices = np.concatenate([_rest(scene, found, patch) for patch in patches])
    skin = np.concatenate([_skin(scene, found, joints, patch) for patch in patches])
    shapes = tuple(found.binds)
    deltas = np.zeros((len(shapes), total, 3), np.float32)
    for row, name in enumerate(shapes):
        deltas[row] = np.concatenate([_deltas(scene, found, patch, found.binds[name]) for patch in patches])
    if found.report.approximated.get("jawOpen", "").startswith("bone"):
        shapes, deltas = _with_jaw(shapes, deltas, vertices, skin, joints)
    channels = Channels("avatar", (*ARKIT.groups, Group("stand-ins", len(found.extra))), (*ARKIT.names, *found.extra))
    starts = np.cumsum([0, *(len(patch.vertices) for patch in patches)])
    faces = np.concatenate([patch.faces + start for patch, start in zip(patches, starts, strict=False)])
    normals = np.concatenate([patch.normals for patch in patches]) @ found.facing.T
    kept, places = _weld(vertices, normals, deltas, skin)
    materials, numbers = _materials(patches)
    welded = places[faces]
    solid = (welded != np.roll(welded, 1, axis=1)).all(axis=1)
    colors = np.concatenate([patch.look.colors for patch in patches])
    mesh = Mesh(
        vertices[kept].astype(np.float32),
        welded[solid].astype(np.int32),
        numbers[solid],
        materials,
        _mean(colors, places, len(kept)).astype(np.float32),
    )
    return BlendshapeRig(mesh, shapes, deltas[:, kept], joints, skin[kept].astype(np.float32), channels=channels)


def _joints(scene: Scene, found: Matching) -> tuple[Joint, ...]:
    by_node = {bone.node: name for name, bone in found.bones.items()}
    joints = [Joint("root", (0.0, 0.0, 0.0))]
    for node in scene.order:
        if node in by_node:
            parent = scene.parents[node]
            above = "root" if parent is None else _carrier(scene, by_node, parent)
            joints.append(Joint(by_node[node], _point(found.facing @ scene.world[node][:3, 3]), above))
    return tuple(joints)


def _carrier(scene: Scene, by_node: dict[int, str], node: int) -> str:
    """The joint of ours that carries a node: its own or the nearest above it."""
    at: int | None = node
    while at is not None:
        if at in by_node:
            return by_node[at]
        at = scene.parents[at]
    return "root"


def _skin(scene: Scene, found: Matching, joints: Sequence[Joint], patch: Patch) -> Float:
    by_node = {bone.node: name for name, bone in found.bones.items()}
    columns = {joint.name: i for i, joint in enumerate(joints)}
    bones, places = np.unique(patch.bones, return_inverse=True)
    column = np.array([columns[_carrier(scene, by_node, int(bone))] for bone in bones], np.int64)
    at = column[places.reshape(patch.bones.shape)]
    skin = np.zeros((len(patch.vertices), len(joints)))
    for influence in range(at.shape[1]):
        np.add.at(skin, (np.arange(len(at)), at[:, influence]), patch.weights[:, influence])
    return skin


def _rest(scene: Scene, found: Matching, patch: Patch) -> Float:
    """The vertices with the weights that the avatar has by default and that nothing of ours drives."""
    weights = scene.default_weights(patch.node)
    weights[[bind.target for bind in found.binds_of(patch.node)]] = 0
    vertices = patch.vertices.copy()
    for target in np.flatnonzero(weights):
        vertices += weights[target] * scene.deltas(patch, int(target))
    return vertices @ found.facing.T


def _deltas(scene: Scene, found: Matching, patch: Patch, binds: Sequence[Bind]) -> Float:
    deltas = np.zeros_like(patch.vertices)
    for bind in binds:
        if bind.mesh == patch.mesh and bind.node in (None, patch.node):
            deltas += bind.weight * scene.deltas(patch, bind.target)
    return deltas @ found.facing.T


def _with_jaw(
    shapes: tuple[str, ...], deltas: FloatArray, vertices: Float, skin: Float, joints: Sequence[Joint]
) -> tuple[tuple[str, ...], FloatArray]:
    """Add what the jaw bone does as a shape: exact at jawOpen 0 and 1, a chord of the arc between."""
    column = [joint.name for joint in joints].index("jaw")
    origin = np.array(joints[column].position)
    open_ = np.zeros(len(ARKIT))
    open_[ARKIT.index("jawOpen")] = 1
    turn = rotation.rotvec_to_matrix(joint_rotations(open_.astype(np.float32))["jaw"])
    turned = (vertices - origin) @ turn.T + origin
    delta = skin[:, column, None] * (turned - vertices)
    return ("jawOpen", *shapes), np.concatenate([delta[None].astype(np.float32), deltas])


def _weld(vertices: Float, normals: Float, deltas: FloatArray, skin: Float) -> tuple[Int, Int]:
    """Vertices to keep, and each vertex's place among them: those that were split for texture seams become one.

    Two are one when place, normal, shapes and skin agree, so that lips that touch at rest stay two and hard edges stay
    hard. Shapes are compared by their products with fixed random vectors.
    """
    chance = np.random.default_rng(0)
    length = np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    probes: list[Float] = [chance.standard_normal((len(deltas), 3)) for _ in range(2)]
    probe_skin: Float = chance.standard_normal((skin.shape[1],))
    columns: list[Float] = [
        np.round(vertices, 6),
        np.round(normals / length, 2),
        *(np.round(np.einsum("svi,si->v", deltas, probe)[:, None], 5) for probe in probes),
        np.round(skin @ probe_skin, 4)[:, None],
    ]
    # Adding zero makes -0.0 and 0.0 one value.
    _, kept, places = np.unique(np.concatenate(columns, axis=1) + 0.0, axis=0, return_index=True, return_inverse=True)
    return kept.astype(np.int64), places.reshape(-1).astype(np.int64)


def _mean(values: Float, places: Int, count: int) -> Float:
    counts = np.bincount(places, minlength=count)
    return np.stack([np.bincount(places, column, count) / counts for column in values.T], axis=1)


def _materials(patches: Sequence[Patch]) -> tuple[tuple[Any, ...], NDArray[np.int32]]:
    materials = tuple(dict.fromkeys(patch.look.material for patch in patches))
    numbers = [np.full(len(patch.faces), materials.index(patch.look.material), np.int32) for patch in patches]
    return materials, np.concatenate(numbers)


def head_box(rig: BlendshapeRig) -> Box:
    """The box of the head: what the head's bone carries near the parts that shapes move."""
    vertices = rig.mesh.vertices
    below = {"head"}
    for joint in rig.joints:
        below |= {joint.name} if joint.parent in below else set[str]()
    columns = [i for i, joint in enumerate(rig.joints) if joint.name in below]
    carried = rig.skin[:, columns].sum(axis=1) > 0.5
    moving = np.abs(rig.deltas).max(axis=(0, 2), initial=0) > 1e-4
    head = vertices[carried] if carried.any() else vertices
    low, high = head.min(axis=0), head.max(axis=0)
    if moving.any():
        face = vertices[moving]
        room = FACE_ROOM * float(np.ptp(face, axis=0).max())
        # Long hair follows the head's bone too; what is far from the face need not be in the picture.
        low, high = np.maximum(low, face.min(axis=0) - room), np.minimum(high, face.max(axis=0) + room)
    return _point(low), _point(high)


def _point(values: NDArray[np.floating[Any]]) -> tuple[float, float, float]:
    x, y, z = (float(value) for value in values)
    return x, y, z
