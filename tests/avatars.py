"""Small avatars made by code, as different programs export them."""

import io
import json
import struct
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from PIL import Image

from artalk.channels import ARKIT_SHAPES

OCULUS = ("sil", "PP", "FF", "TH", "DD", "kk", "CH", "SS", "nn", "RR", "aa", "E", "I", "O", "U")


@dataclass
class Avatar:
    """A face of `rows` × 12 points round the head bone, two eyeballs, and a body; `turned` looks along -Z."""

    targets: tuple[str, ...] = ARKIT_SHAPES
    turned: bool = False
    head: str = "Head"
    eyes: tuple[str, str] = ("LeftEye", "RightEye")
    bones: bool = True
    texture: bytes = b""
    alpha: str = "OPAQUE"
    scale: float = 0.01
    document: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.binary = bytearray()
        self.json: dict[str, Any] = {
            "asset": {"version": "2.0", "generator": "a test"},
            "scene": 0,
            "scenes": [{"nodes": [0]}],
            "nodes": [],
            "meshes": [],
            "accessors": [],
            "bufferViews": [],
            "materials": [{"name": "Wolf3D_Skin", "pbrMetallicRoughness": {"baseColorFactor": [0.8, 0.6, 0.5, 1]}}],
        }
        self._skeleton()
        self._face()
        self._body()
        if self.texture:
            self._texture()
        for key, value in self.document.items():
            self.json[key] = value

    def bytes(self) -> bytes:
        self.json["buffers"] = [{"byteLength": len(self.binary)}]
        text = json.dumps(self.json).encode()
        text += b" " * (-len(text) % 4)
        binary = bytes(self.binary) + bytes(-len(self.binary) % 4)
        chunks = struct.pack("<II", len(text), 0x4E4F534A) + text + struct.pack("<II", len(binary), 0x004E4942) + binary
        return struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks

    def _add(self, values: np.ndarray, kind: str, target: int | None = None, **more: Any) -> int:
        self.binary.extend(bytes(-len(self.binary) % 4))
        view = {"buffer": 0, "byteOffset": len(self.binary), "byteLength": values.nbytes}
        self.json["bufferViews"].append(view | ({"target": target} if target else {}))
        self.binary.extend(values.tobytes())
        code = {"f": 5126, "H": 5123, "B": 5121}[values.dtype.char]
        item = {
            "bufferView": len(self.json["bufferViews"]) - 1,
            "componentType": code,
            "count": len(values),
            "type": kind,
        }
        self.json["accessors"].append(item | more)
        return len(self.json["accessors"]) - 1

    def _points(self, values: np.ndarray) -> int:
        values = values.astype(np.float32)
        low, high = values.min(axis=0).tolist(), values.max(axis=0).tolist()
        return self._add(values, "VEC3", 34962, min=low, max=high)

    def _skeleton(self) -> None:
        """Armature (scaled) → Hips → Neck → Head → eyes; bones lie along their own axes, as rigs have them."""
        half = np.sqrt(0.5)
        side = -1 if self.turned else 1
        unit = 1 / self.scale
        nodes = [
            {"name": "Armature", "scale": [self.scale] * 3, "children": [1, 6, 7]},
            {"name": "Hips", "translation": [0, 1.0 * unit, 0], "rotation": [half, 0, 0, half], "children": [2]},
            # In the hips' frame, which is turned by 90 degrees about X, up is -Z.
            {"name": "Neck", "translation": [0, 0, -0.45 * unit], "rotation": [0, 0, half, half], "children": [3]},
            {"name": self.head, "translation": [0, 0, -0.1 * unit], "rotation": [0, 0.6, 0, 0.8], "children": []},
        ]
        self.json["nodes"] = nodes
        world = self.rest()
        for name, x in zip(self.eyes, (0.03 * side, -0.03 * side), strict=True):
            place = np.linalg.inv(world[3]) @ np.array([x, 1.63, 0.08 * side, 1.0])
            nodes[3]["children"].append(len(nodes))
            nodes.append({"name": name, "translation": place[:3].tolist(), "rotation": [0.48, 0.6, 0, 0.64]})
        if not self.bones:
            for i, node in enumerate(nodes[1:6]):
                node["name"] = f"thing {i}"

    def rest(self) -> list[np.ndarray]:
        parents = {child: i for i, node in enumerate(self.json["nodes"]) for child in node.get("children", [])}
        world: list[np.ndarray] = []
        for i, node in enumerate(self.json["nodes"]):
            x, y, z, w = node.get("rotation", [0, 0, 0, 1])
            local = np.eye(4)
            local[:3, :3] = [
                [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
                [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
                [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
            ]
            local[:3, :3] *= node.get("scale", [1, 1, 1])
            local[:3, 3] = node.get("translation", [0, 0, 0])
            world.append(world[parents[i]] @ local if i in parents else local)
        return world

    def _face(self) -> None:
        """Skinned, in a space of its own that the bind matrices undo; the eyes are a second primitive."""
        side = -1 if self.turned else 1
        rng = np.random.default_rng(5)
        shells = [((0, 1.6, 0), 0.1, 9, 3), ((0.03 * side, 1.63, 0.08 * side), 0.012, 5, 4)]
        shells.append(((-0.03 * side, 1.63, 0.08 * side), 0.012, 5, 5))
        world = self.rest()
        joints = [1, 2, 3, 4, 5]
        # The mesh's own space is the world's, moved and turned over.
        own = np.array([[0, 1, 0, 0.2], [0, 0, 1, -0.1], [1, 0, 0, 0.3], [0, 0, 0, 1]], float)
        inverse = np.stack([np.linalg.inv(world[joint]) @ own for joint in joints])
        skin = {
            "joints": joints,
            "inverseBindMatrices": self._add(inverse.transpose(0, 2, 1).reshape(-1, 16).astype(np.float32), "MAT4"),
        }
        primitives = []
        for centre, radius, rows, bone in shells:
            points, faces = _ball(centre, radius, rows)
            back = np.concatenate([points, np.ones((len(points), 1))], axis=1) @ np.linalg.inv(own).T
            bones = np.zeros((len(points), 4), np.uint8)
            weights = np.zeros((len(points), 4), np.float32)
            bones[:, 0], weights[:, 0] = joints.index(bone), 1
            if bone == 3:
                # The lower face shares its skin with the neck.
                weights[:, 1] = np.clip((1.6 - points[:, 1]) * 5, 0, 0.5)
                weights[:, 0] -= weights[:, 1]
                bones[:, 1] = np.where(weights[:, 1] > 0, 1, 0)
            targets = []
            for _ in self.targets:
                delta = rng.normal(0, 0.004, points.shape) * (bone == 3) * (rng.random((len(points), 1)) < 0.4)
                targets.append({"POSITION": self._points(delta @ np.linalg.inv(own)[:3, :3].T)})
            uv = np.stack([np.linspace(0.01, 0.99, len(points)), np.full(len(points), 0.25)], axis=1)
            attributes = {
                "POSITION": self._points(back[:, :3]),
                "TEXCOORD_0": self._add(uv.astype(np.float32), "VEC2", 34962),
                "JOINTS_0": self._add(bones, "VEC4", 34962),
                "WEIGHTS_0": self._add(weights, "VEC4", 34962),
            }
            indices = self._add(faces.reshape(-1).astype(np.uint16), "SCALAR", 34963)
            primitive = {"attributes": attributes, "indices": indices, "material": 0}
            primitives.append(primitive | ({"targets": targets} if targets else {}))
        mesh = {"name": "Wolf3D_Head", "primitives": primitives}
        self.json["meshes"].append(mesh | ({"extras": {"targetNames": list(self.targets)}} if self.targets else {}))
        self.json["skins"] = [skin]
        self.json["nodes"].append({"name": "Wolf3D_Head", "mesh": 0, "skin": 0})

    def _body(self) -> None:
        points, faces = _ball((0, 0.8 / self.scale, 0), 0.5 / self.scale, 6)
        attributes = {"POSITION": self._points(points)}
        indices = self._add(faces.reshape(-1).astype(np.uint16), "SCALAR", 34963)
        self.json["meshes"].append({"name": "Body", "primitives": [{"attributes": attributes, "indices": indices}]})
        self.json["nodes"].append({"name": "Body", "mesh": 1})

    def _texture(self) -> None:
        self.binary.extend(bytes(-len(self.binary) % 4))
        view = {"buffer": 0, "byteOffset": len(self.binary), "byteLength": len(self.texture)}
        self.json["bufferViews"].append(view)
        self.binary.extend(self.texture)
        self.json["images"] = [{"bufferView": len(self.json["bufferViews"]) - 1, "mimeType": "image/png"}]
        self.json["textures"] = [{"source": 0}]
        self.json["materials"][0]["pbrMetallicRoughness"]["baseColorTexture"] = {"index": 0}
        self.json["materials"][0]["alphaMode"] = self.alpha


def halves(left: tuple[int, int, int, int], right: tuple[int, int, int, int]) -> bytes:
    """A PNG of two colours, sRGB with alpha."""
    pixels = np.zeros((32, 64, 4), np.uint8)
    pixels[:, :32], pixels[:, 32:] = left, right
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


def vrm1(**more: Any) -> Avatar:
    """VRM 1.0 with presets on unnamed targets."""
    presets = ("aa", "ih", "ou", "ee", "oh", "blink", "happy")
    targets = tuple(f"Fcl_{i}" for i in range(len(presets)))
    expressions = {
        name: {"morphTargetBinds": [{"node": 6, "index": index, "weight": 0.8 if name == "aa" else 1.0}]}
        for index, name in enumerate(presets)
    }
    return _vrm1(targets, {"preset": expressions}, **more)


def perfect_sync(shapes: tuple[str, ...] = ARKIT_SHAPES) -> Avatar:
    """VRM 1.0 with ARKit's shapes twice, as targets and as expressions that bind them, and without vowels."""
    expressions = {
        name: {"morphTargetBinds": [{"node": 6, "index": index, "weight": 1.0}]} for index, name in enumerate(shapes)
    }
    return _vrm1(shapes, {"custom": expressions})


def _vrm1(targets: tuple[str, ...], expressions: dict[str, Any], **more: Any) -> Avatar:
    bones = {"head": {"node": 3}, "neck": {"node": 2}, "leftEye": {"node": 4}, "rightEye": {"node": 5}}
    vrm = {"specVersion": "1.0", "humanoid": {"humanBones": bones}, "expressions": expressions}
    return Avatar(targets, bones=False, document={"extensions": {"VRMC_vrm": vrm}}, **more)


def vrm0(**more: Any) -> Avatar:
    """VRM 0.x, which looks along -Z, with A I U E O and clips for Perfect Sync on some shapes."""
    names = ("A", "I", "U", "E", "O", "Blink_L", "Blink_R")
    targets = tuple(f"face.M_F00_{name}" for name in names) + ("clip",)
    groups = [
        {"name": name, "presetName": name.lower(), "binds": [{"mesh": 0, "index": index, "weight": 100}]}
        for index, name in enumerate(names)
    ]
    groups.append({"name": "BrowInnerUp", "presetName": "unknown", "binds": [{"mesh": 0, "index": 7, "weight": 50}]})
    bones = [{"bone": bone, "node": node} for bone, node in (("head", 3), ("leftEye", 4), ("rightEye", 5))]
    vrm = {"humanoid": {"humanBones": bones}, "blendShapeMaster": {"blendShapeGroups": groups}}
    return Avatar(targets, turned=True, bones=False, document={"extensions": {"VRM": vrm}}, **more)


def _ball(centre: tuple[float, float, float], radius: float, rows: int) -> tuple[np.ndarray, np.ndarray]:
    down, round_ = np.meshgrid(np.linspace(0.2, np.pi - 0.2, rows), np.arange(12) * np.pi / 6, indexing="ij")
    points = np.stack([np.sin(down) * np.cos(round_), np.cos(down), np.sin(down) * np.sin(round_)], axis=-1)
    at = np.arange(rows * 12).reshape(rows, 12)
    a, b, c, d = at[:-1], np.roll(at, -1, 1)[:-1], np.roll(at, -1, 1)[1:], at[1:]
    faces = np.concatenate([np.stack([a, c, b], -1).reshape(-1, 3), np.stack([a, d, c], -1).reshape(-1, 3)])
    return points.reshape(-1, 3) * radius + centre, faces
