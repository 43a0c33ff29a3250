"""VRM Animation `.vrma`: a clip that any VRM avatar plays (extension VRMC_vrm_animation 1.0).

A GLB without a mesh: the head's rotation is a bone's, each expression is a node whose translation.x is its weight, and
the gaze is the rotation of a node of its own. The specification asks for all bones that VRM requires, in T-pose;
they are there and do not move.
"""

from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from artalk import rotation
from artalk.channels import ARKIT, ARKIT_SHAPES
from artalk.errors import BadFile, BadInput, Unsupported
from artalk.formats import table
from artalk.formats.atomic import atomic
from artalk.formats.gltf_tracks import key_times
from artalk.motion import Fps, Motion, exact_fps
from artalk.retarget import vrm
from artalk.retarget.joints import GAZE
from artalk.retarget.maps import retarget
from artalk.retarget.names import canonical
from artalk.retarget.vrm import VRM, VRM0
from artalk.rigs import glb
from artalk.rigs.glb import Builder, Glb, Json

EXTENSION = "VRMC_vrm_animation"

Expressions = Literal["presets", "PascalCase", "camelCase"]

# VRM's required bones, with chest and neck, in T-pose: name, parent, metres from the parent. The left is +X.
_BONES: tuple[tuple[str, str, tuple[float, float, float]], ...] = (
    ("hips", "", (0, 0.95, 0)),
    ("spine", "hips", (0, 0.1, 0)),
    ("chest", "spine", (0, 0.13, 0)),
    ("neck", "chest", (0, 0.25, 0)),
    ("head", "neck", (0, 0.08, 0)),
    *(
        (side + name, side + parent if parent[0].isupper() else parent, (sign * x, y, z))
        for side, sign in (("left", 1), ("right", -1))
        for name, parent, (x, y, z) in (
            ("UpperLeg", "hips", (0.09, -0.05, 0.0)),
            ("LowerLeg", "UpperLeg", (0.0, -0.42, 0.0)),
            ("Foot", "LowerLeg", (0.0, -0.4, 0.0)),
            ("UpperArm", "chest", (0.15, 0.18, 0.0)),
            ("LowerArm", "UpperArm", (0.26, 0.0, 0.0)),
            ("Hand", "LowerArm", (0.24, 0.0, 0.0)),
        )
    ),
)

_PRESETS = tuple(name for name in VRM.names[:18] if not name.startswith("look"))
_EYES = (0.0, 0.06, 0.0)


def write(motion: Motion, path: str | Path, expressions: Expressions = "presets") -> None:
    """Write motion of ARKit's or VRM's channels, key k at k / fps seconds.

    `presets` animates VRM's own expressions, which every avatar has. "PascalCase" and "camelCase" animate custom
    expressions named after ARKit's shapes instead ("Perfect Sync"), for avatars that have those; the eyes' direction is
    the gaze in both. Presets that stay 0 are left out, so that an avatar's own moods are not overruled.
    """
    if expressions not in get_args(Expressions):
        raise BadInput(f"expressions are one of {', '.join(get_args(Expressions))}, got {expressions!r}")
    if motion.channels not in (ARKIT, VRM, VRM0):
        raise Unsupported(f"a .vrma holds ARKit or VRM motion, got {motion.channels.name!r}: retarget it first")
    if not len(motion):
        raise BadInput("a .vrma animation has at least one frame, got a motion of none")
    if expressions == "presets":
        spoken = motion if motion.channels in (VRM, VRM0) else retarget(motion, VRM)
        named = {vrm.OLD_NAMES.get(name, name): spoken.channel(name) for name in spoken.channels.names}
        weights = {
            name: named[name] for name in _PRESETS if name in named and (name in vrm.VOWELS or named[name].any())
        }
    elif motion.channels == ARKIT:
        pascal = expressions == "PascalCase"
        weights = {
            (name[0].upper() if pascal else name[0]) + name[1:]: motion.channel(name)
            for name in ARKIT_SHAPES
            if not name.startswith("eyeLook")
        }
    else:
        raise Unsupported("expressions named after ARKit's shapes need ARKit motion, got VRM's presets")
    data = _document(motion, {name: weight.clip(0, 1) for name, weight in weights.items()}, expressions == "presets")
    with atomic(path) as temporary:
        temporary.write_bytes(data)


def read(path: str | Path, fps: Fps | None = None) -> Motion:
    """The first animation of a clip: VRM motion, or ARKit motion where expressions are named after ARKit's shapes.

    The rate is that of the keys unless given. Rotations of neck and head are taken together. Cubic splines are read as
    straight lines between their keys. Raises `BadFile` for a clip without the extension or without an animation.
    """
    document = glb.read(path)
    extension = _extension(document)
    tracks = _tracks(document)
    seconds, rate = _times(document, tracks, fps)
    named = _expressions(document, extension)
    shapes = {shape: node for name, node in named.items() if (shape := canonical(name)) is not None}
    channels = ARKIT if shapes else VRM
    values = np.zeros((len(seconds), len(channels)), np.float32)
    for name, node in (shapes or {name: node for name, node in named.items() if name in VRM}).items():
        if (node, "translation") in tracks:
            values[:, channels.index(name)] = _sampled(tracks[node, "translation"], seconds)[:, 0].clip(0, 1)
    values[:, channels.slice("head")] = _head(document, extension, tracks, seconds)
    look = extension.get("lookAt")
    if isinstance(look, dict) and (look.get("node"), "rotation") in tracks:  # pyright: ignore
        turned = rotation.quat_to_euler(_sampled(tracks[look["node"], "rotation"], seconds))  # pyright: ignore
        _set_looks(values, channels is VRM, -turned[:, 0] / GAZE, turned[:, 1] / GAZE)
    return Motion(values, channels, rate)


def _document(motion: Motion, weights: dict[str, NDArray[np.floating]], presets: bool) -> bytes:
    builder = Builder(Glb({"asset": {"version": "2.0", "generator": "artalk"}, "scene": 0}))
    nodes: dict[str, int] = {}
    for name, parent, offset in _BONES:
        nodes[name] = builder.append("nodes", {"name": name, "translation": list(offset)})
        if parent:
            builder.json["nodes"][nodes[parent]].setdefault("children", []).append(nodes[name])
    looks = builder.append("nodes", {"name": "lookAt"})
    faces = {name: builder.append("nodes", {"name": name}) for name in weights}
    builder.append("scenes", {"nodes": [nodes["hips"], looks, *faces.values()]})
    animation = _Animation(builder, motion)
    animation.add(nodes["head"], "rotation", rotation.rotvec_to_quat(motion.group("head")), "VEC4")
    animation.add(looks, "rotation", _gaze(motion), "VEC4")
    for name, weight in weights.items():
        animation.add(faces[name], "translation", np.stack([weight, 0 * weight, 0 * weight], axis=-1), "VEC3")
    builder.append("animations", animation.json)
    expressions = {name: {"node": node} for name, node in faces.items()}
    builder.json["extensionsUsed"] = [EXTENSION]
    builder.json["extensions"] = {
        EXTENSION: {
            "specVersion": "1.0",
            "humanoid": {"humanBones": {name: {"node": node} for name, node in nodes.items()}},
            "expressions": {"preset" if presets else "custom": expressions},
            "lookAt": {"node": looks, "offsetFromHeadBone": list(_EYES)},
        }
    }
    return builder.pack()


class _Animation:
    """Channels that share their times."""

    def __init__(self, builder: Builder, motion: Motion) -> None:
        self._builder = builder
        self._times = builder.accessor(key_times(motion), "SCALAR", "keys", bounds=True)
        self.json: Json = {"name": "artalk", "channels": [], "samplers": []}

    def add(self, node: int, path: str, values: NDArray[Any], kind: Literal["VEC3", "VEC4"]) -> None:
        output = self._builder.accessor(values.astype(np.float32), kind, "keys")
        self.json["channels"].append({"sampler": len(self.json["samplers"]), "target": {"node": node, "path": path}})
        self.json["samplers"].append({"input": self._times, "output": output, "interpolation": "LINEAR"})


def _gaze(motion: Motion) -> NDArray[np.float64]:
    """The (frames, 4) rotation of the gaze: yaw outside pitch, as the specification reads it."""
    if motion.channels == ARKIT:
        up, left = vrm.gaze(motion).T
    else:
        named = {vrm.OLD_NAMES.get(name, name): motion.channel(name) for name in motion.channels.names}
        up, left = named["lookUp"] - named["lookDown"], named["lookLeft"] - named["lookRight"]
    return rotation.euler_to_quat(-GAZE * up, GAZE * left, 0.0 * up)


def _set_looks(values: NDArray[np.float32], presets: bool, up: NDArray[np.float64], left: NDArray[np.float64]) -> None:
    names = {"lookUp": up, "lookDown": -up, "lookLeft": left, "lookRight": -left}
    if presets:
        for name, value in names.items():
            values[:, VRM.index(name)] = value.clip(0, 1)
        return
    rows = vrm.MIXES[[VRM.index(name) for name in names]]
    looks = np.stack([value.clip(0, 1) for value in names.values()], axis=-1)
    moved = rows.any(axis=0)
    values[:, : len(ARKIT_SHAPES)][:, moved] = (looks @ rows)[:, moved].clip(0, 1)


_Track = tuple[NDArray[np.float64], NDArray[np.float64], bool]
"""Seconds of keys (K,), values (K, components), and whether values stay until the next key."""


def _extension(document: Glb) -> Json:
    extensions = glb.mapping(document.json.get("extensions", {}), "extensions", document.name)
    if EXTENSION not in extensions:
        raise BadFile(f"{document.name} is a glTF file without {EXTENSION}: no animation for VRM avatars")
    return glb.mapping(extensions[EXTENSION], EXTENSION, document.name)


def _tracks(document: Glb) -> dict[tuple[int, str], _Track]:
    """What the first animation moves, by node and path."""
    animations = document.objects("animations")
    if not animations:
        raise BadFile(f"{document.name}: no animation is in it")
    samplers = glb.objects(animations[0], "samplers", document.name)
    tracks: dict[tuple[int, str], _Track] = {}
    for channel in glb.objects(animations[0], "channels", document.name):
        target = glb.mapping(channel.get("target"), "a channel's target", document.name)
        width = {"translation": 3, "rotation": 4}.get(str(target.get("path")))
        if width is None or "node" not in target:
            continue
        node = glb.number(target["node"], len(document.objects("nodes")), "a node", document.name)
        sampler = samplers[glb.number(channel.get("sampler"), len(samplers), "a sampler", document.name)]
        tracks[node, str(target["path"])] = _track(document, sampler, width)
    return tracks


def _track(document: Glb, sampler: Json, width: int) -> _Track:
    times = np.asarray(document.accessor(sampler.get("input")), np.float64)[:, 0]
    values = np.asarray(document.accessor(sampler.get("output")), np.float64)
    mode = sampler.get("interpolation", "LINEAR")
    if mode == "CUBICSPLINE" and len(values) == 3 * len(times):
        values = values[1::3]
    if not len(times) or values.shape != (len(times), width) or (np.diff(times) <= 0).any() or times[0] < 0:
        raise BadFile(f"{document.name}: an animation has rising times and as many values, one of these does not")
    if width == 4:
        lengths = np.linalg.norm(values, axis=-1, keepdims=True)
        if (lengths < 1e-6).any():
            raise BadFile(f"{document.name}: rotations are quaternions, one has no length")
        values = values / lengths
    return times, values, mode == "STEP"


def _times(document: Glb, tracks: dict[tuple[int, str], _Track], fps: Fps | None) -> tuple[NDArray[np.float64], Any]:
    """The seconds of the frames, and their rate."""
    if not tracks:
        raise BadFile(f"{document.name}: its animation moves no node")
    densest = max((times for times, _, _ in tracks.values()), key=len)
    last = max(float(times[-1]) for times, _, _ in tracks.values())
    rate = exact_fps(fps) if fps is not None else table.rate_of(densest, document.name) if len(densest) > 1 else 30
    frames = round(last * float(rate)) + 1
    if frames > 100 * len(densest) + 1000:
        raise BadFile(f"{document.name}: {len(densest)} keys are spread over {last:.0f} s, too few for motion")
    return np.arange(frames) / float(rate), exact_fps(rate)


def _sampled(track: _Track, seconds: NDArray[np.float64]) -> NDArray[np.float64]:
    times, values, steps = track
    # A thousandth of a frame's slack: times are float32.
    left = np.clip(np.searchsorted(times, seconds + 1e-4, side="right") - 1, 0, len(times) - 1)
    right = np.minimum(left + 1, len(times) - 1)
    share = ((seconds - times[left]) / np.where(right > left, times[right] - times[left], 1.0)).clip(0, 1)
    share = np.where((share < 1e-3) | (left == right) | steps, 0.0, np.where(share > 0.999, 1.0, share))
    if values.shape[1] == 4:
        return rotation.slerp(values[left], values[right], share)
    return values[left] + (values[right] - values[left]) * share[:, None]


def _expressions(document: Glb, extension: Json) -> dict[str, int]:
    """Names of expressions and their nodes."""
    expressions = glb.mapping(extension.get("expressions", {}), "expressions", document.name)
    named: dict[str, int] = {}
    for group in ("custom", "preset"):
        for name, item in glb.mapping(expressions.get(group, {}), group, document.name).items():
            node = glb.mapping(item, "an expression", document.name).get("node")
            named[name] = glb.number(node, len(document.objects("nodes")), "a node", document.name)
    return named


def _head(
    document: Glb, extension: Json, tracks: dict[tuple[int, str], _Track], seconds: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The (frames, 3) rotation of head and neck against the rest pose, in the model's axes."""
    humanoid = glb.mapping(extension.get("humanoid", {}), "humanoid", document.name)
    bones = glb.mapping(humanoid.get("humanBones", {}), "humanBones", document.name)
    rest = _rest(document)
    turned = np.tile([0.0, 0.0, 0.0, 1.0], (len(seconds), 1))
    for bone in ("neck", "head"):
        if bone not in bones:
            continue
        index = glb.mapping(bones[bone], bone, document.name).get("node")
        node = glb.number(index, len(rest), "a bone's node", document.name)
        if (node, "rotation") in tracks:
            parent, own = rest[node]
            local = _sampled(tracks[node, "rotation"], seconds)
            here = rotation.quat_multiply(rotation.quat_multiply(parent, local), rotation.quat_conjugate(own))
            turned = rotation.quat_multiply(turned, here)
    return rotation.quat_to_rotvec(turned)


def _rest(document: Glb) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """For each node the resting rotation of its parent and its own, in the model's space."""
    nodes = document.objects("nodes")
    parents = {
        glb.number(child, len(nodes), "a child", document.name): k
        for k, node in enumerate(nodes)
        for child in _children(node)
    }
    world: dict[int, NDArray[np.float64]] = {}

    def turn(k: int) -> NDArray[np.float64]:
        chain: list[int] = []
        while k not in world and k not in chain:
            chain.append(k)
            k = parents.get(k, -1)
            if k < 0:
                break
        above = world.get(k, np.array([0.0, 0.0, 0.0, 1.0]))
        for node in reversed(chain):
            above = rotation.quat_multiply(above, _local(nodes[node], document.name))
            world[node] = above
        return above

    identity = np.array([0.0, 0.0, 0.0, 1.0])
    return [(turn(parents[k]) if k in parents else identity, turn(k)) for k in range(len(nodes))]


def _children(node: Json) -> list[Any]:
    children: Any = node.get("children", [])
    return children if isinstance(children, list) else []  # pyright: ignore[reportUnknownVariableType]


def _local(node: Json, name: str) -> NDArray[np.float64]:
    quat = glb.floats(node.get("rotation", [0, 0, 0, 1]), 4, "a rotation", name)
    length = float(np.linalg.norm(quat))
    if length < 1e-6:
        raise BadFile(f"{name}: a rotation is a quaternion, one has no length")
    return quat / length
