"""The user's own avatar as a rig: any `.glb`, `.gltf` or `.vrm` with morph targets or bones whose names we know.

Shapes are found by name, never by position: ARKit's in all their spellings first, then a VRM's expressions, then the
visemes that stand in for mouth shapes the avatar lacks. What was found, replaced and missed is in `AvatarRig.report`.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from artalk import rotation
from artalk.channels import ARKIT, ARKIT_SHAPES, Channels, Group
from artalk.errors import BadFile
from artalk.motion import Motion
from artalk.retarget.maps import OCULUS, VRM, retarget
from artalk.retarget.names import canonical, match
from artalk.retarget.vrm import OLD_NAMES, VOWELS
from artalk.rigs import glb
from artalk.rigs.blendshape import BlendshapeRig, joint_rotations
from artalk.rigs.glb import Glb
from artalk.rigs.rig import Box, FloatArray, Joint, Landmarks, Mesh, Rig
from artalk.rigs.scene import Bind, Float, Int, Patch, Scene, nearest_rotation

BONES = ("neck", "head", "jaw", "leftEye", "rightEye")
"""The joints that are looked for, by VRM's names."""

MAX_DELTAS = 150_000_000
"""Largest number of shapes × vertices × 3 that is held (600 MB as float32)."""

FACE_ROOM = 0.8
"""How far the head may reach beyond the parts that move, as a share of their size."""

MOUTH = tuple(name for name in ARKIT_SHAPES if name.startswith(("jaw", "mouth", "tongue")))

PRESETS: dict[str, dict[str, float]] = {
    "blinkLeft": {"eyeBlinkLeft": 1.0},
    "blinkRight": {"eyeBlinkRight": 1.0},
    "blink": {"eyeBlinkLeft": 0.5, "eyeBlinkRight": 0.5},
    "lookUp": {"eyeLookUpLeft": 0.5, "eyeLookUpRight": 0.5},
    "lookDown": {"eyeLookDownLeft": 0.5, "eyeLookDownRight": 0.5},
    "lookLeft": {"eyeLookOutLeft": 0.5, "eyeLookInRight": 0.5},
    "lookRight": {"eyeLookInLeft": 0.5, "eyeLookOutRight": 0.5},
}
"""VRM's expressions that are means of ARKit's shapes: for what the avatar has no shape of ARKit's."""

FEW = 8
"""With fewer mouth shapes of ARKit's than this, or without jawOpen, an avatar speaks better by its visemes."""

_PRESETS_0 = {old.lower(): new for old, new in OLD_NAMES.items()}
"""VRM 0.x presets, in lower case as files have them, by their VRM 1.0 names."""

_WORDS: dict[str, frozenset[str]] = {
    "neck": frozenset({"neck"}),
    "head": frozenset({"head"}),
    "jaw": frozenset({"jaw"}),
    "leftEye": frozenset({"left", "eye"}),
    "rightEye": frozenset({"right", "eye"}),
}
_SAME = {"l": "left", "r": "right", "eyeball": "eye"}
_NOISE = frozenset(
    {"adj", "base", "bip", "bone", "c", "cc", "def", "face", "grp", "j", "jnt", "joint", "lower", "m", "mixamorig", "x"}
)
"""Words in the bone names of the common rigs (Mixamo, VRoid, Character Creator, Blender) that say nothing."""


@dataclass(frozen=True)
class Report:
    """What an avatar can follow.

    `matched` maps ARKit shapes to the avatar's own names, `approximated` to what stands in for them, `missing` has
    the rest. `bones` maps joints to the avatar's names; `notes` says what else one should know.
    """

    matched: dict[str, str] = field(default_factory=dict[str, str])
    approximated: dict[str, str] = field(default_factory=dict[str, str])
    missing: tuple[str, ...] = ()
    bones: dict[str, str] = field(default_factory=dict[str, str])
    notes: tuple[str, ...] = ()

    def rows(self) -> list[tuple[str, str, str]]:
        """A table for people: (channel, "matched" | "approximated" | "missing", the avatar's name for it)."""
        shapes = [
            (name, "matched", self.matched[name])
            if name in self.matched
            else (name, "approximated", self.approximated[name])
            if name in self.approximated
            else (name, "missing", "")
            for name in ARKIT_SHAPES
        ]
        bones = [(name, "matched" if name in self.bones else "missing", self.bones.get(name, "")) for name in BONES]
        return shapes + bones

    def __str__(self) -> str:
        """One sentence."""
        parts = [f"{len(self.matched)} of {len(ARKIT_SHAPES)} ARKit shapes matched"]
        if self.approximated:
            parts.append(f"{len(self.approximated)} approximated")
        if self.missing:
            parts.append(f"{len(self.missing)} missing ({', '.join(self.missing)})")
        lost = [name for name in ("head", "leftEye", "rightEye") if name not in self.bones]
        return "; ".join([*parts, *([f"no bone for {', '.join(lost)}"] if lost else []), *self.notes])


@dataclass(frozen=True)
class Bone:
    """A bone of the avatar's that a joint of ours turns: `above` (3, 3) is its parent's rotation at rest."""

    node: int
    above: Float
    rest: Float


class AvatarRig(Rig):
    """An avatar that ARKit motion drives, in our space: metres, facing +Z.

    `document` is the file as it came; `report` says which channels it follows; `focus` is the box of the head, for
    a camera; `target_weights` and `bone_rotations` are motion in the document's own terms.
    """

    def __init__(self, document: Glb) -> None:
        scene = Scene(document)
        found = _Found(scene)
        self.document = document
        self.report = found.report
        self.channels: Channels = ARKIT
        self.landmarks: Landmarks | None = None
        self._found = found
        self._inner = _flatten(scene, found)
        self.mesh: Mesh = self._inner.mesh
        self.joints: tuple[Joint, ...] = self._inner.joints
        self.focus: Box | None = _focus(self._inner)

    def pose(self, values: FloatArray) -> FloatArray:
        """Return the (V, 3) vertices for one frame of ARKit `values` (55,)."""
        return self._inner.pose(self.drive(np.asarray(values, np.float32)[None])[0])

    def drive(self, values: FloatArray) -> FloatArray:
        """ARKit `values` (frames, 55) and, after them, the weights of the avatar's other shapes that stand in."""
        values = np.asarray(values, np.float32)
        return np.concatenate([values, self._found.stand_ins(values)], axis=1, dtype=np.float32)

    @property
    def blendshapes(self) -> BlendshapeRig:
        """The avatar as one mesh with shapes, posed by what `drive` gives; its channels go beyond ARKit's."""
        return self._inner

    def target_weights(self, values: FloatArray) -> dict[int, FloatArray]:
        """The morph weights (frames, targets) of each node of the document that moves, from ARKit `values`."""
        driven = self.drive(values)
        scene = self._found.scene
        weights: dict[int, FloatArray] = {}
        for name, binds in self._found.binds.items():
            column = driven[:, self._inner.channels.index(name)]
            for bind in binds:
                for node in self._found.shown(bind):
                    if node not in weights:
                        weights[node] = self._rest(scene, node, len(driven))
                    weights[node][:, bind.target] += bind.weight * column
        return {node: np.clip(weight, 0, 1).astype(np.float32) for node, weight in sorted(weights.items())}

    def _rest(self, scene: Scene, node: int, frames: int) -> FloatArray:
        """Default weights, with zero where a channel of ours takes over."""
        rest = scene.default_weights(node)
        rest[[bind.target for bind in self._found.binds_of(node)]] = 0
        return np.tile(rest.astype(np.float32), (frames, 1))

    def bone_rotations(self, values: FloatArray) -> dict[int, NDArray[np.float64]]:
        """The local rotations (frames, 4), xyzw, of the document's bones, from ARKit `values` (frames, 55)."""
        turns = joint_rotations(np.asarray(values, np.float32))
        facing = self._found.facing
        rotations: dict[int, NDArray[np.float64]] = {}
        for name, bone in self._found.bones.items():
            if name in turns and (name != "jaw" or "jawOpen" not in self.report.matched):
                # A turn in our space, seen from the bone's parent, before the bone's own rest rotation.
                ours = bone.above.T @ facing.T @ rotation.rotvec_to_matrix(turns[name]) @ facing @ bone.above
                rotations[bone.node] = rotation.matrix_to_quat(ours @ bone.rest)
        return rotations

    def motion_values(self, moved: Mapping[tuple[int, str], NDArray[np.float64]], frames: int) -> FloatArray:
        """ARKit values (frames, 55) of an animation: what `target_weights` and `bone_rotations` would turn into it.

        `moved` has (frames, targets) for (node, "weights") and (frames, 4) for (node, "rotation"); shapes that are
        only approximated do not come back.
        """
        values = np.zeros((frames, len(ARKIT)), np.float32)
        for shape in self.report.matched:
            columns = [
                moved[node, "weights"][:, bind.target] / bind.weight
                for bind in self._found.binds[shape]
                for node in self._found.shown(bind)
                if bind.weight > 0 and bind.target < moved.get((node, "weights"), _NOTHING).shape[1]
            ]
            if columns:
                values[:, ARKIT.index(shape)] = np.mean(columns, axis=0)
        bone = self._found.bones.get("head")
        if bone is not None and (bone.node, "rotation") in moved:
            facing = self._found.facing
            local = rotation.quat_to_matrix(moved[bone.node, "rotation"]) @ bone.rest.T
            turn = facing @ bone.above @ local @ bone.above.T @ facing.T
            values[:, ARKIT.slice("head")] = rotation.matrix_to_rotvec(turn)
        return values


def load(path: str | Path) -> AvatarRig:
    """Read the avatar at `path`.

    Raises `MissingFile`, `BadFile` for what is no glTF 2.0 or holds no triangles, `Unsupported` for compressed meshes.
    """
    document = glb.read(path)
    try:
        return AvatarRig(document)
    except (KeyError, TypeError, IndexError, OverflowError) as error:
        # Documents from anywhere can break any rule of the format; what no check names is still the file's fault.
        raise BadFile(f"{Path(path).name} breaks the rules of glTF: {error!r}; try a validator on it") from error


class _Found:
    """What a document offers: bones by our joints, and binds by the names that drive them."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.targets = _named_targets(scene)
        self.expressions = _expressions(scene)
        nodes = _bone_nodes(scene)
        self.facing = _facing(scene, nodes)
        self.bones = {name: _bone(scene, node) for name, node in nodes.items()}
        self.visemes: Channels | None = None
        self.binds: dict[str, list[Bind]] = {}
        self.report = self._choose()

    def shown(self, bind: Bind) -> list[int]:
        """The nodes on which a bind acts."""
        return [node for node in self.scene.shows(bind.mesh) if bind.node in (None, node)]

    def binds_of(self, node: int) -> list[Bind]:
        """The binds that act on a node."""
        return [bind for binds in self.binds.values() for bind in binds if node in self.shown(bind)]

    @property
    def extra(self) -> tuple[str, ...]:
        """The shapes that stand in, in the order of `stand_ins`."""
        return tuple(name for name in self.binds if name not in ARKIT)

    def stand_ins(self, values: FloatArray) -> FloatArray:
        """The weights (frames, extra) of the shapes that stand in, from ARKit `values`."""
        if self.visemes is None:
            return np.zeros((len(values), 0), np.float32)
        motion = retarget(Motion(values, ARKIT, _ANY_FPS), self.visemes)
        return np.clip(motion.values[:, motion.channels.indices(self.extra)], 0, 1)

    def _choose(self) -> Report:
        """Fill `binds` and say what came of it."""
        matched, approximated = self._match()
        visemes = self._find_visemes()
        mouth = [name for name in MOUTH if name in matched]
        if visemes and (len(mouth) < FEW or "jawOpen" not in matched):
            self.visemes, stand_ins = visemes
            # Visemes say nothing of smiles; the rest of the mouth would be moved twice.
            for name in (name for name in MOUTH if not name.startswith(("mouthSmile", "mouthFrown", "tongue"))):
                matched.pop(name, None)
                self.binds.pop(name, None)
                approximated[name] = "visemes"
            self.binds |= stand_ins
        self._use_bones(matched, approximated)
        self._use_presets(matched, approximated)
        return Report(
            {name: matched[name] for name in ARKIT_SHAPES if name in matched},
            {name: approximated[name] for name in ARKIT_SHAPES if name in approximated},
            tuple(name for name in ARKIT_SHAPES if name not in matched and name not in approximated),
            {name: self.scene.name(bone.node) for name, bone in self.bones.items()},
            tuple(dict.fromkeys(note for patch in self.scene.patches for note in patch.notes)),
        )

    def _match(self) -> tuple[dict[str, str], dict[str, str]]:
        """Bind ARKit shapes by the avatar's own names, its morph targets first, then its expressions.

        What was matched, and what is only approximated because one shape serves both sides.
        """
        matched: dict[str, str] = {}
        approximated: dict[str, str] = {}
        for source in (self.targets, self.expressions):
            names = list(source)
            found = match(names)
            mix = found.matrix(names)
            for shape, spellings in found.items():
                if shape not in self.binds and any(source[name] for name in spellings):
                    shares = {name: float(mix[ARKIT_SHAPES.index(shape), names.index(name)]) for name in spellings}
                    self.binds[shape] = [bind.times(shares[name]) for name in spellings for bind in source[name]]
                    exact = len(spellings) != 1 or canonical(spellings[0]) is not None
                    (matched if exact else approximated)[shape] = ", ".join(spellings)
        return matched, approximated

    def _use_bones(self, matched: dict[str, str], approximated: dict[str, str]) -> None:
        if "jaw" in self.bones and "jawOpen" not in matched and "jawOpen" not in approximated:
            approximated["jawOpen"] = f"bone {self.scene.name(self.bones['jaw'].node)}"
        for name in ARKIT_SHAPES:
            bone = self.bones.get("leftEye" if name.endswith("Left") else "rightEye")
            if name.startswith("eyeLook") and name not in matched and bone is not None:
                # The bone turns the eye; a shape would only bring the lids along.
                approximated.setdefault(name, f"bone {self.scene.name(bone.node)}")

    def _use_presets(self, matched: dict[str, str], approximated: dict[str, str]) -> None:
        for name, mix in PRESETS.items():
            binds = self.expressions.get(name)
            if binds and not any(shape in matched or shape in approximated for shape in mix):
                for shape, share in mix.items():
                    self.binds[shape] = [bind.times(share) for bind in binds]
                approximated.update(dict.fromkeys(mix, name))

    def _find_visemes(self) -> tuple[Channels, dict[str, list[Bind]]] | None:
        spoken = {name.lower(): name for name in OCULUS.names}
        also = {"ih": "i", "oh": "o", "ou": "u"}
        found: dict[str, list[Bind]] = {}
        for source in (self.targets, self.expressions):
            for name, binds in source.items():
                bare = re.search(r"(?:viseme|vrc\.v)[_.]?([a-z]{1,3})$", name.lower())
                if bare is not None and f"viseme_{also.get(bare[1], bare[1])}" in spoken:
                    found.setdefault(spoken[f"viseme_{also.get(bare[1], bare[1])}"], []).extend(binds)
        if len(found) >= 5:
            return OCULUS, found
        vowels = {name: self.expressions[name] for name in VOWELS if self.expressions.get(name)}
        return (VRM, vowels) if vowels else None


_NOTHING = np.zeros((0, 0))

_ANY_FPS = Motion(np.zeros((0, len(ARKIT)), np.float32), ARKIT, cast(Any, 25)).fps
"""The names are mapped frame by frame, so that any rate does."""


def _named_targets(scene: Scene) -> dict[str, list[Bind]]:
    named: dict[str, list[Bind]] = {}
    for mesh in sorted(set(scene.meshes.values())):
        for target, name in enumerate(scene.target_names(mesh)):
            named.setdefault(name, []).append(Bind(mesh, target))
    return named


def _expressions(scene: Scene) -> dict[str, list[Bind]]:
    """A VRM's expressions by name, presets by their VRM 1.0 names."""
    extensions = scene.extensions
    named: dict[str, list[Bind]] = {}
    if "VRMC_vrm" in extensions:
        expressions = scene.mapping(scene.mapping(extensions["VRMC_vrm"]).get("expressions", {}))
        for kind in ("preset", "custom"):
            for name, item in scene.mapping(expressions.get(kind, {})).items():
                binds = scene.glb.objects_of(scene.mapping(item), "morphTargetBinds")
                named.setdefault(name, []).extend(scene.bind(bind, by_node=True) for bind in binds)
    elif "VRM" in extensions:
        master = scene.mapping(scene.mapping(extensions["VRM"]).get("blendShapeMaster", {}))
        for group in scene.glb.objects_of(master, "blendShapeGroups"):
            preset = str(group.get("presetName", "unknown")).lower()
            name = str(group.get("name", "")) if preset in ("", "unknown") else _PRESETS_0.get(preset, preset)
            binds = scene.glb.objects_of(group, "binds")
            named.setdefault(name, []).extend(scene.bind(bind, by_node=False) for bind in binds)
    return named


def _bone_nodes(scene: Scene) -> dict[str, int]:
    found = _humanoid(scene)
    bones = scene.bones
    for name in BONES:
        if name not in found:
            empty = (i for i in scene.order if "mesh" not in scene.nodes[i])
            fitting = [i for i in empty if _words(scene.name(i)) == _WORDS[name]]
            # A joint of a skin is surer than a node that merely has the name; then the one nearest to the root.
            fitting.sort(key=lambda i: i not in bones)
            if fitting:
                found[name] = fitting[0]
    return {name: found[name] for name in BONES if name in found}


def _words(name: str) -> frozenset[str]:
    """The words of a bone's name that tell which it is: "mixamorig:LeftEye" and "CC_Base_L_Eye" are {left, eye}."""
    bare = re.split(r"[:|]", name[:200])[-1]
    apart = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", bare).lower()
    apart = re.sub(r"(left|right)?eye(left|right)?(ball)?", r" \1 eye \2 ", apart)
    words = {_SAME.get(word, word) for word in re.split(r"[^a-z]+", apart) if word}
    return frozenset(words - _NOISE)


def _humanoid(scene: Scene) -> dict[str, int]:
    """A VRM's own map of bones."""
    pairs: list[tuple[str, Any]] = []
    if "VRMC_vrm" in scene.extensions:
        humanoid = scene.mapping(scene.mapping(scene.extensions["VRMC_vrm"]).get("humanoid", {}))
        bones = scene.mapping(humanoid.get("humanBones", {}))
        pairs = [(name, scene.mapping(item).get("node")) for name, item in bones.items()]
    elif "VRM" in scene.extensions:
        humanoid = scene.mapping(scene.mapping(scene.extensions["VRM"]).get("humanoid", {}))
        pairs = [(str(bone.get("bone")), bone.get("node")) for bone in scene.glb.objects_of(humanoid, "humanBones")]
    return {name: scene.index(node) for name, node in pairs if name in BONES and scene.has(node)}


def _facing(scene: Scene, nodes: dict[str, int]) -> Float:
    """The (3, 3) rotation that makes the avatar face +Z: VRM 0.x looks along -Z, and so does whoever has its left eye
    on the -X side."""
    old = "VRM" in scene.extensions and "VRMC_vrm" not in scene.extensions
    if "leftEye" in nodes and "rightEye" in nodes:
        between = scene.world[nodes["leftEye"]][0, 3] - scene.world[nodes["rightEye"]][0, 3]
        old = between < 0 if abs(between) > 1e-4 else old
    return np.diag([-1.0, 1.0, -1.0]) if old else np.eye(3)


def _bone(scene: Scene, node: int) -> Bone:
    return Bone(node, scene.rotation(scene.parents[node]), nearest_rotation(scene.local[node][:3, :3]))


def _flatten(scene: Scene, found: _Found) -> BlendshapeRig:
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
    colors = np.concatenate([patch.colors for patch in patches])
    mesh = Mesh(
        vertices[kept].astype(np.float32),
        welded[solid].astype(np.int32),
        numbers[solid],
        materials,
        _mean(colors, places, len(kept)).astype(np.float32),
    )
    return BlendshapeRig(mesh, shapes, deltas[:, kept], joints, skin[kept].astype(np.float32), channels=channels)


def _joints(scene: Scene, found: _Found) -> tuple[Joint, ...]:
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


def _skin(scene: Scene, found: _Found, joints: Sequence[Joint], patch: Patch) -> Float:
    by_node = {bone.node: name for name, bone in found.bones.items()}
    columns = {joint.name: i for i, joint in enumerate(joints)}
    bones, places = np.unique(patch.bones, return_inverse=True)
    column = np.array([columns[_carrier(scene, by_node, int(bone))] for bone in bones], np.int64)
    at = column[places.reshape(patch.bones.shape)]
    skin = np.zeros((len(patch.vertices), len(joints)))
    for influence in range(at.shape[1]):
        np.add.at(skin, (np.arange(len(at)), at[:, influence]), patch.weights[:, influence])
    return skin


def _rest(scene: Scene, found: _Found, patch: Patch) -> Float:
    """The vertices with the weights that the avatar has by default and that nothing of ours drives."""
    weights = scene.default_weights(patch.node)
    weights[[bind.target for bind in found.binds_of(patch.node)]] = 0
    vertices = patch.vertices.copy()
    for target in np.flatnonzero(weights):
        vertices += weights[target] * scene.deltas(patch, int(target))
    return vertices @ found.facing.T


def _deltas(scene: Scene, found: _Found, patch: Patch, binds: Sequence[Bind]) -> Float:
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
    materials = tuple(dict.fromkeys(patch.material for patch in patches))
    numbers = [np.full(len(patch.faces), materials.index(patch.material), np.int32) for patch in patches]
    return materials, np.concatenate(numbers)


def _focus(rig: BlendshapeRig) -> Box:
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
