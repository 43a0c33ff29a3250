"""Which of ours drives what of theirs: an avatar's bones and shapes, found by their names.

ARKit's shapes come first, in all their spellings, among morph targets and then among a VRM's expressions; then the
visemes that stand in for mouth shapes the avatar lacks, and the presets for blinks and looks.
"""

import re
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np

from artalk.channels import ARKIT, ARKIT_SHAPES, Channels
from artalk.motion import Motion
from artalk.retarget.maps import OCULUS, VRM, retarget
from artalk.retarget.names import canonical, match
from artalk.retarget.vrm import OLD_NAMES, VOWELS
from artalk.rigs.rig import FloatArray
from artalk.rigs.scene import Bind, Float, Scene, nearest_rotation

BONES = ("neck", "head", "jaw", "leftEye", "rightEye")
"""The joints that are looked for, by VRM's names."""

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


class Matching:
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
        return [node for node in self.scene.shown.get(bind.mesh, []) if bind.node in (None, node)]

    def binds_of(self, node: int) -> list[Bind]:
        """The binds that act on a node."""
        mesh = self.scene.meshes[node]
        every = (bind for binds in self.binds.values() for bind in binds)
        return [bind for bind in every if bind.mesh == mesh and bind.node in (None, node)]

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
            # What the visemes carry would be moved twice; the rest, and smiles, keep what they have.
            for name in _carried(self.visemes, list(stand_ins)):
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
            tuple(dict.fromkeys(note for patch in self.scene.patches for note in patch.look.notes)),
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


_ANY_FPS = Motion(np.zeros((0, len(ARKIT)), np.float32), ARKIT, cast(Any, 25)).fps
"""The names are mapped frame by frame, so that any rate does."""


def _carried(visemes: Channels, names: list[str]) -> list[str]:
    """The shapes of the mouth of which the visemes `names` have some part."""
    alone = np.zeros((len(names), len(visemes)), np.float32)
    alone[np.arange(len(names)), visemes.indices(names)] = 1
    parts = retarget(Motion(alone, visemes, _ANY_FPS), ARKIT).values.max(axis=0)
    mouth = (name for name in MOUTH if not name.startswith(("mouthSmile", "mouthFrown", "tongue")))
    return [name for name in mouth if parts[ARKIT.index(name)] > 0]


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
