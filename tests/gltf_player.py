"""A second reader of GLB, written apart from artalk's: it plays an animation at a key and returns posed vertices."""

import json
import struct
from pathlib import Path

import numpy as np

FORMATS = {5121: "<u1", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
SIZES = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT4": 16}


class Player:
    def __init__(self, path: Path) -> None:
        data = path.read_bytes()
        magic, version, length = struct.unpack("<4sII", data[:12])
        assert (magic, version, length) == (b"glTF", 2, len(data))
        size, kind = struct.unpack("<I4s", data[12:20])
        assert kind == b"JSON"
        assert size % 4 == 0
        self.json = json.loads(data[20 : 20 + size])
        rest = data[20 + size :]
        size, kind = struct.unpack("<I4s", rest[:8])
        assert kind == b"BIN\0"
        self.binary = rest[8 : 8 + size]
        self.nodes = self.json["nodes"]

    def array(self, index: int) -> np.ndarray:
        item = self.json["accessors"][index]
        width, count = SIZES[item["type"]], item["count"]
        values = np.zeros((count, width), FORMATS[item["componentType"]])
        if "bufferView" in item:
            values = self._view(item, item["componentType"], count, width)
        if "sparse" in item:
            sparse = item["sparse"]
            rows = self._view(sparse["indices"], sparse["indices"]["componentType"], sparse["count"], 1)[:, 0]
            assert (np.diff(rows.astype(int)) > 0).all(), "sparse indices rise strictly"
            values = values.copy()
            values[rows] = self._view(sparse["values"], item["componentType"], sparse["count"], width)
        if "min" in item:
            np.testing.assert_array_equal(values.min(axis=0), np.array(item["min"], values.dtype))
            np.testing.assert_array_equal(values.max(axis=0), np.array(item["max"], values.dtype))
        return values

    def _view(self, item: dict, component: int, count: int, width: int) -> np.ndarray:
        view = self.json["bufferViews"][item["bufferView"]]
        dtype = np.dtype(FORMATS[component])
        start = view.get("byteOffset", 0) + item.get("byteOffset", 0)
        stride = view.get("byteStride", dtype.itemsize * width)
        rows = [self.binary[start + k * stride : start + k * stride + dtype.itemsize * width] for k in range(count)]
        return np.frombuffer(b"".join(rows), dtype).reshape(count, width)

    def channels(self, animation: int = 0) -> dict[tuple[int, str], tuple[np.ndarray, np.ndarray]]:
        item = self.json["animations"][animation]
        found = {}
        for channel in item["channels"]:
            sampler = item["samplers"][channel["sampler"]]
            times, values = self.array(sampler["input"])[:, 0], self.array(sampler["output"])
            key = (channel["target"]["node"], channel["target"]["path"])
            found[key] = (times, values.reshape(len(times), -1))
        return found

    def play(self, key: int) -> list[np.ndarray]:
        """The posed vertices of every primitive, in the order of nodes and primitives."""
        animated = {where: values[key] for where, (_, values) in self.channels().items()}
        world = self.world(animated)
        posed = []
        for index, node in enumerate(self.nodes):
            if "mesh" not in node:
                continue
            mesh = self.json["meshes"][node["mesh"]]
            for primitive in mesh["primitives"]:
                targets = primitive.get("targets", [])
                weights = animated.get((index, "weights"), node.get("weights", mesh.get("weights", [0] * len(targets))))
                assert len(weights) == len(targets)
                points = self.array(primitive["attributes"]["POSITION"]).astype(float)
                for weight, target in zip(weights, targets, strict=True):
                    if weight and "POSITION" in target:
                        points = points + float(weight) * self.array(target["POSITION"])
                posed.append(self.place(points, index, primitive, world))
        return posed

    def place(self, points: np.ndarray, index: int, primitive: dict, world: dict[int, np.ndarray]) -> np.ndarray:
        ones = np.concatenate([points, np.ones((len(points), 1))], axis=1)
        node = self.nodes[index]
        if "skin" not in node:
            return (ones @ world[index].T)[:, :3]
        skin = self.json["skins"][node["skin"]]
        inverse = self.array(skin["inverseBindMatrices"]).astype(float).reshape(-1, 4, 4).transpose(0, 2, 1)
        carry = np.stack([world[joint] for joint in skin["joints"]]) @ inverse
        bones = self.array(primitive["attributes"]["JOINTS_0"]).astype(int)
        weights = self.array(primitive["attributes"]["WEIGHTS_0"]).astype(float)
        np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-6)
        matrices = np.einsum("vk,vkij->vij", weights, carry[bones])
        return np.einsum("vij,vj->vi", matrices, ones)[:, :3]

    def world(self, animated: dict[tuple[int, str], np.ndarray]) -> dict[int, np.ndarray]:
        parents = {child: index for index, node in enumerate(self.nodes) for child in node.get("children", [])}

        def matrix(index: int) -> np.ndarray:
            node = self.nodes[index]
            if "matrix" in node:
                assert (index, "rotation") not in animated
                local = np.array(node["matrix"], float).reshape(4, 4).T
            else:
                x, y, z, w = animated.get((index, "rotation"), node.get("rotation", [0, 0, 0, 1]))
                turn = np.array(
                    [
                        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
                        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
                        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
                    ]
                )
                local = np.eye(4)
                local[:3, :3] = turn * np.array(node.get("scale", [1, 1, 1]))
                local[:3, 3] = node.get("translation", [0, 0, 0])
            return matrix(parents[index]) @ local if index in parents else local

        return {index: matrix(index) for index in range(len(self.nodes))}
