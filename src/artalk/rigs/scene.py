"""The scene of a glTF document at rest: nodes in the world, and its meshes as triangles with shapes and skins."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from artalk import rotation
from artalk.errors import BadFile
from artalk.rigs import surface
from artalk.rigs.glb import Glb, Json, floats, mapping, number
from artalk.rigs.surface import Look

Float = NDArray[np.float64]
Int = NDArray[np.int64]

MAX_VERTICES = 1_000_000
MAX_PATCHES = 4096
MAX_TARGETS = 1000


@dataclass(eq=False)
class Patch:
    """One primitive in the world: `vertices` (V, 3), `faces` (F, 3), `linear` (V, 3, 3) turns a vertex's own deltas
    into the world's, `node` carries the mesh, `bones` (V, K) node numbers and `weights` (V, K) that sum to 1."""

    node: int
    mesh: int
    primitive: Json
    vertices: Float
    normals: Float
    faces: Int
    linear: Float
    bones: Int
    weights: Float
    look: Look


@dataclass(frozen=True)
class Bind:
    """`weight` of a morph target: `target` of `mesh`, on `node` alone or on every node that shows the mesh."""

    mesh: int
    target: int
    weight: float = 1.0
    node: int | None = None

    def times(self, share: float) -> "Bind":
        """The same with a share of the weight."""
        return replace(self, weight=self.weight * share)


class Scene:
    """A document's nodes and what they carry, checked while they are read."""

    def __init__(self, glb: Glb) -> None:
        self.glb = glb
        self.nodes = glb.objects("nodes")
        self._textures = surface.Textures(glb)
        self.parents = self._find_parents()
        self.order = self._reachable()

    @cached_property
    def meshes(self) -> dict[int, int]:
        """The mesh of each node that shows one."""
        count = len(self.glb.objects("meshes"))
        shown = [node for node in self.order if "mesh" in self.nodes[node]]
        return {node: number(self.nodes[node]["mesh"], count, "a node's mesh", self.glb.name) for node in shown}

    @cached_property
    def local(self) -> list[Float]:
        """Each node's (4, 4) transform from its own space to its parent's."""
        return [_local(node, self.glb.name) for node in self.nodes]

    @cached_property
    def world(self) -> dict[int, Float]:
        """The (4, 4) transform to the world of each node that the scene shows."""
        world: dict[int, Float] = {}
        for index in self.order:
            parent = self.parents[index]
            world[index] = self.local[index] if parent is None else world[parent] @ self.local[index]
            if not np.abs(world[index]).max() < 1e6:
                raise BadFile(f"{self.glb.name}: node {index} lies more than a thousand kilometres away")
        return world

    def rotation(self, index: int | None) -> Float:
        """The (3, 3) rotation of a node in the world, without its scale; the identity for None."""
        if index is None:
            return np.eye(3)
        return nearest_rotation(self.world[index][:3, :3])

    @cached_property
    def patches(self) -> list[Patch]:
        """All triangles that the scene shows."""
        return self._patches()

    @cached_property
    def bones(self) -> frozenset[int]:
        """The nodes that skins name as joints."""
        lists = [skin.get("joints") for skin in self.glb.objects("skins")]
        joints = [joint for found in lists if isinstance(found, list) for joint in cast(list[Any], found)]
        return frozenset(self.index(joint) for joint in joints)

    @cached_property
    def extensions(self) -> Json:
        """The document's extensions."""
        return self.mapping(self.glb.json.get("extensions", {}))

    def mapping(self, value: object) -> Json:
        """`value` as an object of the document."""
        return mapping(value, "part of an extension", self.glb.name)

    def index(self, node: object) -> int:
        """`node` as the number of a node."""
        return number(node, len(self.nodes), "a node", self.glb.name)

    def has(self, node: object) -> bool:
        """Whether the scene shows a node."""
        return self.index(node) in self.world

    @cached_property
    def shown(self) -> dict[int, list[int]]:
        """The nodes that show each mesh."""
        shown: dict[int, list[int]] = {}
        for node, mesh in self.meshes.items():
            shown.setdefault(mesh, []).append(node)
        return shown

    def bind(self, item: Json, by_node: bool) -> Bind:
        """A VRM's bind: by node and 0..1 in version 1.0, by mesh and 0..100 in version 0.x."""
        node = self.index(item.get("node")) if by_node else None
        of = item.get("mesh") if node is None else self.nodes[node].get("mesh")
        mesh = number(of, len(self.glb.objects("meshes")), "the mesh of an expression", self.glb.name)
        target = number(item.get("index"), len(self.target_names(mesh)), "an expression's target", self.glb.name)
        weight = floats([item.get("weight", 1.0 if by_node else 100.0)], 1, "an expression's weight", self.glb.name)[0]
        return Bind(mesh, target, float(weight if by_node else weight / 100), node)

    def name(self, index: int) -> str:
        """A node's name, or its number."""
        return str(self.nodes[index].get("name", f"node {index}"))

    def target_names(self, mesh: int) -> list[str]:
        """The names of a mesh's morph targets; those without one are called by their number."""
        item = self.glb.item("meshes", mesh)
        primitives = self.glb.objects_of(item, "primitives")
        count = max((len(self.glb.objects_of(primitive, "targets")) for primitive in primitives), default=0)
        if count > MAX_TARGETS:
            raise BadFile(f"{self.glb.name}: a mesh has {count} morph targets; at most {MAX_TARGETS} are read")
        names: list[Any] = []
        for owner in (item, *primitives):
            extras = owner.get("extras")
            found = cast(Json, extras).get("targetNames") if isinstance(extras, dict) else None
            if isinstance(found, list) and not names:
                names = cast(list[Any], found)
        return [str(names[i]) if i < len(names) else f"target {i}" for i in range(count)]

    def default_weights(self, node: int) -> Float:
        """The weights that a node's mesh has before any animation."""
        item = self.nodes[node]
        mesh = self.glb.item("meshes", self.meshes[node])
        count = len(self.target_names(self.meshes[node]))
        found = item.get("weights", mesh.get("weights"))
        return np.zeros(count) if found is None or not count else floats(found, count, "weights", self.glb.name)

    def _patches(self) -> list[Patch]:
        found: list[Patch] = []
        total = 0
        for index, mesh in self.meshes.items():
            for primitive in self.glb.objects_of(self.glb.item("meshes", mesh), "primitives"):
                patch = self._patch(index, mesh, primitive, MAX_VERTICES - total)
                if patch is not None:
                    total += len(patch.vertices)
                    found.append(patch)
                if len(found) > MAX_PATCHES:
                    raise BadFile(f"{self.glb.name}: more than {MAX_PATCHES} parts; join the avatar's meshes")
        return found

    def deltas(self, patch: Patch, target: int) -> Float:
        """What morph target number `target` adds to a patch's vertices, (V, 3) in the world."""
        targets = self.glb.objects_of(patch.primitive, "targets")
        if target >= len(targets) or "POSITION" not in targets[target]:
            return np.zeros_like(patch.vertices)
        deltas = self.glb.attribute(targets[target], "POSITION", len(patch.vertices), (3,))
        return np.einsum("vij,vj->vi", patch.linear, deltas)

    def _find_parents(self) -> list[int | None]:
        parents: list[int | None] = [None] * len(self.nodes)
        for index, node in enumerate(self.nodes):
            children = node.get("children", [])
            for child in cast(list[Any], children if isinstance(children, list) else []):
                child = number(child, len(self.nodes), "a node's child", self.glb.name)
                if parents[child] is not None:
                    raise BadFile(f"{self.glb.name}: node {child} has two parents")
                parents[child] = index
        return parents

    def _reachable(self) -> list[int]:
        """The nodes of the default scene, parents first."""
        scenes = self.glb.objects("scenes")
        roots = [index for index, parent in enumerate(self.parents) if parent is None]
        if scenes:
            scene = scenes[number(self.glb.json.get("scene", 0), len(scenes), "the default scene", self.glb.name)]
            listed = scene.get("nodes", [])
            roots = [
                number(root, len(self.nodes), "a scene's node", self.glb.name)
                for root in cast(list[Any], listed if isinstance(listed, list) else [])
            ]
        children: dict[int, list[int]] = {}
        for index, parent in enumerate(self.parents):
            if parent is not None:
                children.setdefault(parent, []).append(index)
        order: list[int] = []
        waiting = [root for root in dict.fromkeys(roots) if self.parents[root] is None][::-1]
        # Each node has one parent, so a walk from roots meets each once and never a ring.
        while waiting:
            order.append(waiting.pop())
            waiting.extend(children.get(order[-1], [])[::-1])
        return order

    def _patch(self, node: int, mesh: int, primitive: Json, room: int) -> Patch | None:
        attributes = mapping(primitive.get("attributes", {}), "attributes", self.glb.name)
        if "POSITION" not in attributes or primitive.get("mode", 4) not in (4, 5, 6):
            return None
        points = self.glb.accessor(attributes["POSITION"]).astype(np.float64)
        count = len(points)
        if not count or points.shape[1] != 3:
            return None
        if count > room:
            raise BadFile(f"{self.glb.name}: more than {MAX_VERTICES} vertices; simplify the avatar")
        faces = self._faces(primitive, count)
        linear, offset, bones, weights = self._placement(node, attributes, count)
        vertices = np.einsum("vij,vj->vi", linear, points) + offset
        normals = np.zeros((count, 3))
        if "NORMAL" in attributes:
            normals = np.einsum("vij,vj->vi", linear, self.glb.attribute(attributes, "NORMAL", count, (3,)))
        if np.linalg.det(linear[0]) < 0:
            # What is mirrored turns its faces inside out.
            faces = faces[:, ::-1]
        look = surface.look(self._textures, primitive, faces, count)
        return Patch(node, mesh, primitive, vertices, normals, faces[look.there], linear, bones, weights, look)

    def _faces(self, primitive: Json, count: int) -> Int:
        corners = np.arange(count)
        if "indices" in primitive:
            corners = self.glb.accessor(primitive["indices"])[:, 0].astype(np.int64)
            if len(corners) and (corners.min() < 0 or corners.max() >= count):
                raise BadFile(f"{self.glb.name}: a triangle asks for vertex {corners.max()} of {count}")
        mode = primitive.get("mode", 4)
        if mode == 4:
            return corners[: len(corners) // 3 * 3].reshape(-1, 3)
        if len(corners) < 3:
            return np.zeros((0, 3), np.int64)
        if mode == 6:
            return np.stack([np.full(len(corners) - 2, corners[0]), corners[1:-1], corners[2:]], axis=1)
        strip = np.stack([corners[:-2], corners[1:-1], corners[2:]], axis=1)
        strip[1::2] = strip[1::2, [1, 0, 2]]
        return strip

    def _placement(self, node: int, attributes: Json, count: int) -> tuple[Float, Float, Int, Float]:
        """Each vertex's linear map (V, 3, 3), offset (V, 3), bones (V, K) and weights (V, K)."""
        item = self.nodes[node]
        if "skin" in item and "JOINTS_0" in attributes and "WEIGHTS_0" in attributes:
            skin = self.glb.item("skins", item["skin"])
            bones, weights = self._influences(skin, attributes, count)
            carry = self._bind(skin)
            blended = np.zeros((count, 4, 4))
            for column in range(bones.shape[1]):
                blended += weights[:, column, None, None] * carry[bones[:, column]]
            joints = np.array([int(joint) for joint in skin["joints"]], np.int64)
            return blended[:, :3, :3], blended[:, :3, 3], joints[bones], weights
        world = self.world[node]
        linear = np.broadcast_to(world[:3, :3], (count, 3, 3))
        return linear, np.broadcast_to(world[:3, 3], (count, 3)), np.full((count, 1), node), np.ones((count, 1))

    def _influences(self, skin: Json, attributes: Json, count: int) -> tuple[Int, Float]:
        joints = skin.get("joints")
        length = len(cast(list[Any], joints)) if isinstance(joints, list) else 0
        bones: list[Float] = []
        weights: list[Float] = []
        for number_ in range(4):
            if f"JOINTS_{number_}" in attributes and f"WEIGHTS_{number_}" in attributes:
                bones.append(self.glb.attribute(attributes, f"JOINTS_{number_}", count, (4,)))
                weights.append(self.glb.attribute(attributes, f"WEIGHTS_{number_}", count, (4,)))
        bone = np.concatenate(bones, axis=1).astype(np.int64)
        weight = np.maximum(np.concatenate(weights, axis=1), 0)
        bone[weight == 0] = 0
        if not length or bone.min() < 0 or bone.max() >= length:
            raise BadFile(f"{self.glb.name}: a vertex follows bone {bone.max()} of a skin of {length}")
        total = weight.sum(axis=1, keepdims=True)
        weight[:, :1] += total == 0
        return bone, weight / np.where(total == 0, 1, total)

    def _bind(self, skin: Json) -> Float:
        """What each bone does to a vertex at rest: its world transform after its inverse bind matrix, (J, 4, 4)."""
        joints = [number(joint, len(self.nodes), "a bone", self.glb.name) for joint in cast(list[Any], skin["joints"])]
        if missing := [joint for joint in joints if joint not in self.world]:
            raise BadFile(f"{self.glb.name}: bone {missing[0]} is not part of the scene")
        inverse = np.tile(np.eye(4), (len(joints), 1, 1))
        if "inverseBindMatrices" in skin:
            stored = self.glb.accessor(skin["inverseBindMatrices"]).astype(np.float64)
            if stored.shape[0] < len(joints) or stored.shape[1] != 16:
                raise BadFile(f"{self.glb.name}: a skin of {len(joints)} bones has {len(stored)} bind matrices")
            inverse = stored[: len(joints)].reshape(-1, 4, 4).transpose(0, 2, 1)
        return np.stack([self.world[joint] for joint in joints]) @ inverse


def nearest_rotation(matrix: Float) -> Float:
    """The rotation (3, 3) nearest to a linear map (3, 3)."""
    u, _, v = np.linalg.svd(matrix)
    if np.linalg.det(u @ v) < 0:
        u[:, 2] = -u[:, 2]
    return u @ v


def _local(node: Json, name: str) -> Float:
    if "matrix" in node:
        return floats(node["matrix"], 16, "a node's matrix", name).reshape(4, 4).T
    quat = floats(node.get("rotation", [0, 0, 0, 1]), 4, "a node's rotation", name)
    length = np.linalg.norm(quat)
    if length < 1e-6:
        raise BadFile(f"{name}: a node's rotation is a unit quaternion, got zeros")
    local = np.eye(4)
    scale = floats(node.get("scale", [1, 1, 1]), 3, "a node's scale", name)
    local[:3, :3] = rotation.quat_to_matrix(quat / length) * scale
    local[:3, 3] = floats(node.get("translation", [0, 0, 0]), 3, "a node's translation", name)
    return local
