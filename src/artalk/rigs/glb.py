"""The GLB container of glTF 2.0: a JSON document and its bytes, read with suspicion and written in few buffer views.

Files come from anywhere, so every number that leads into memory is checked before it is used, and all that can be
wrong ends in `BadFile`. Written by hand rather than with pygltflib because that trusts what it reads, does not know
sparse accessors, and drops what it has no class for, while a user's avatar has to leave as it came.
"""

import base64
import binascii
import json
import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast
from urllib.parse import unquote

import numpy as np
from numpy.typing import NDArray

from artalk.errors import BadFile, MissingFile, Unsupported

Json = dict[str, Any]
Kind = Literal["SCALAR", "VEC2", "VEC3", "VEC4", "MAT4"]

Use = Literal["vertex", "index", "bind", "keys"]
"""What accessors are for; glTF does not let different uses share a buffer view."""

MAX_FILE = 1 << 28
"""Bytes of the largest file that is read: an avatar is some ten megabytes, and memory is bounded by this."""

MAX_JSON = 1 << 26
"""Bytes of the largest document; as Python objects it takes ten times as many."""

MAX_ELEMENTS = 20_000_000
"""Elements of the largest accessor: a sparse one may claim any length without having the bytes."""

MAX_OBJECTS = 100_000
"""Longest list of nodes, meshes, accessors and so on."""

ARRAY_BUFFER, ELEMENT_ARRAY_BUFFER = 34962, 34963

_MAGIC, _JSON, _BIN = 0x46546C67, 0x4E4F534A, 0x004E4942
_COMPONENTS: dict[str, int] = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT4": 16}
_DTYPES: dict[int, str] = {5120: "<i1", 5121: "<u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
_CODES: dict[str, int] = {np.dtype(text).str: code for code, text in _DTYPES.items()}


@dataclass(eq=False)
class Glb:
    """A glTF document with all its bytes in one place.

    `json` is the document; its only buffer, if it has one, is `binary`.
    """

    json: Json
    binary: bytes = b""
    name: str = "the document"

    def objects(self, key: str) -> list[Json]:
        """The document's list `key` ("nodes", "meshes" …), empty when it has none."""
        return objects(self.json, key, self.name)

    def objects_of(self, owner: Json, key: str) -> list[Json]:
        """The list `key` of one of the document's objects."""
        return objects(owner, key, self.name)

    def item(self, key: str, index: object) -> Json:
        """Object number `index` of list `key`."""
        found = self.objects(key)
        return found[number(index, len(found), f"an index into {key}", self.name)]

    def accessor(self, index: object) -> NDArray[np.float64] | NDArray[np.int64]:
        """The (count, components) values of an accessor: integers as int64, floats and normalised ones as float64."""
        item = self.item("accessors", index)
        dtype, width = _layout(item, self.name)
        count = number(item.get("count"), MAX_ELEMENTS + 1, "an accessor's count", self.name)
        if "bufferView" in item:
            values = self._strided(item, dtype, width, count)
        else:
            if count * width > MAX_ELEMENTS:
                raise BadFile(f"{self.name}: an accessor of {count} elements without bytes is too large")
            values = np.zeros((count, width), dtype)
        if "sparse" in item:
            values = self._sparse(item, values)
        return _plain(values, item.get("normalized") is True, self.name)

    def attribute(self, owner: Json, key: str, count: int, widths: tuple[int, ...]) -> NDArray[np.float64]:
        """The (count, width) values of a primitive's or a target's attribute `key`, of one of these widths."""
        values = self.accessor(owner[key]).astype(np.float64)
        if values.shape[0] != count or values.shape[1] not in widths:
            raise BadFile(f"{self.name}: {key} has shape {values.shape} on a primitive of {count} vertices")
        return values

    def view(self, index: object) -> tuple[bytes, Json]:
        """The bytes of a buffer view, and the view."""
        item = self.item("bufferViews", index)
        number(item.get("buffer"), 1, "a buffer view's buffer", self.name)
        start = number(item.get("byteOffset", 0), MAX_FILE, "a buffer view's offset", self.name)
        length = number(item.get("byteLength"), MAX_FILE, "a buffer view's length", self.name)
        if start + length > len(self.binary):
            raise BadFile(
                f"{self.name}: a buffer view ends at byte {start + length} of {len(self.binary)}: the file is cut short"
            )
        return self.binary[start : start + length], item

    def _strided(self, item: Json, dtype: np.dtype[Any], width: int, count: int) -> NDArray[Any]:
        data, view = self.view(item["bufferView"])
        size = dtype.itemsize * width
        stride = number(view.get("byteStride", size), 253, "a byte stride", self.name)
        start = number(item.get("byteOffset", 0), len(data) + 1, "an accessor's offset", self.name)
        if stride < size or (count and start + stride * (count - 1) + size > len(data)):
            raise BadFile(f"{self.name}: an accessor of {count} elements does not fit into its buffer view")
        if not count:
            return np.zeros((0, width), dtype)
        return np.ndarray((count, width), dtype, data, start, (stride, dtype.itemsize)).copy()

    def _sparse(self, item: Json, values: NDArray[Any]) -> NDArray[Any]:
        sparse = mapping(item["sparse"], "a sparse accessor", self.name)
        count = number(sparse.get("count"), len(values) + 1, "a sparse accessor's count", self.name)
        where = mapping(sparse.get("indices"), "sparse indices", self.name)
        what = mapping(sparse.get("values"), "sparse values", self.name)
        if (
            where.get("componentType") not in (5121, 5123, 5125)
            or "bufferView" not in where
            or "bufferView" not in what
        ):
            raise BadFile(f"{self.name}: sparse indices are unsigned integers in a buffer view")
        rows = self._strided(where, np.dtype(_DTYPES[where["componentType"]]), 1, count)[:, 0].astype(np.int64)
        if count and int(rows.max()) >= len(values):
            raise BadFile(f"{self.name}: a sparse accessor changes element {int(rows.max())} of {len(values)}")
        values[rows] = self._strided(what, values.dtype, values.shape[1], count)
        return values


def read(path: str | Path) -> Glb:
    """Read a `.glb`, `.vrm` or `.gltf` with all that belongs to it; a `.gltf`'s own files must lie in its folder.

    Raises `MissingFile`, `BadFile` for what is not glTF 2.0 or is cut short, `Unsupported` for compressed meshes.
    """
    path = Path(path)
    data = _bytes(path)
    if data[:4] == b"glTF":
        document, binary = _chunks(data, path.name)
    elif path.suffix.lower() in (".glb", ".vrm"):
        raise BadFile(f"{path.name}: a binary glTF file begins with 'glTF', this one with {data[:4]!r}")
    else:
        document, binary = parse_json(data, path.name), None
    _check(document, path.name)
    return Glb(document, _gather(document, binary, path), path.name)


def _bytes(path: Path) -> bytes:
    if not path.is_file():
        raise MissingFile(f"no such file: {path}")
    try:
        size = path.stat().st_size
        if size > MAX_FILE:
            raise BadFile(f"{path.name}: {size} bytes are more than the {MAX_FILE} that are read; is this an avatar?")
        return path.read_bytes()
    except OSError as error:
        raise BadFile(f"{path.name} cannot be read: {error.strerror}") from error


def _chunks(data: bytes, name: str) -> tuple[Json, bytes | None]:
    if len(data) < 20:
        raise BadFile(f"{name}: a .glb has at least 20 bytes, this one {len(data)}: the file is cut short")
    _, version, length = struct.unpack_from("<III", data)
    if version != 2:
        raise BadFile(f"{name}: glTF version 2 is read, this file says {version}; export it again as glTF 2.0")
    if length > len(data):
        raise BadFile(f"{name}: the header promises {length} bytes, {len(data)} are there: the file is cut short")
    chunks: dict[int, bytes] = {}
    at = 12
    while at + 8 <= length:
        size, kind = struct.unpack_from("<II", data, at)
        if at + 8 + size > length:
            raise BadFile(f"{name}: a chunk of {size} bytes does not fit into the file: it is cut short")
        chunks.setdefault(kind, data[at + 8 : at + 8 + size])
        at += 8 + size
    if _JSON not in chunks:
        raise BadFile(f"{name}: no JSON chunk, so no glTF document")
    return parse_json(chunks[_JSON], name), chunks.get(_BIN)


def parse_json(data: bytes, name: str, what: str = "a glTF document") -> Json:
    """Read the JSON object that `what` is; NaN, Infinity and numbers too large for a float are refused."""

    def finite(text: str) -> float:
        if not math.isfinite(value := float(text)):
            raise ValueError(f"{text[:40]} is no finite number")
        return value

    if len(data) > MAX_JSON:
        raise BadFile(f"{name}: a document of {len(data)} bytes is larger than the {MAX_JSON} that are read")
    try:
        document = json.loads(data.decode("utf-8"), parse_constant=finite, parse_float=finite)
    except (ValueError, RecursionError) as error:
        raise BadFile(f"{name}: not {what}: {error}") from error
    return mapping(document, what, name)


def _check(document: Json, name: str) -> None:
    version = mapping(document.get("asset"), "asset", name).get("version")
    if not isinstance(version, str) or not version.startswith("2."):
        raise BadFile(f"{name}: glTF 2.0 is read, this file says version {version!r}")
    required = document.get("extensionsRequired", [])
    known = {"KHR_mesh_quantization", "KHR_materials_unlit", "KHR_texture_transform", "KHR_materials_specular"}
    for extension in cast(list[Any], required if isinstance(required, list) else []):
        if "compression" in str(extension) or "basisu" in str(extension):
            raise Unsupported(
                f"{name} needs {extension}: export the avatar without compression, or unpack it "
                "with `npx @gltf-transform/cli copy in.glb out.glb`"
            )
        if str(extension) not in known and not str(extension).startswith(("VRM", "KHR_materials_")):
            raise Unsupported(f"{name} cannot be read without {extension}, which artalk does not know")


def _gather(document: Json, binary: bytes | None, path: Path) -> bytes:
    """Bring buffers and images into one binary; a .glb that holds all in its own chunk keeps it byte for byte."""
    buffers = objects(document, "buffers", path.name)
    images = objects(document, "images", path.name)
    parts = [_buffer(item, binary if i == 0 else None, path) for i, item in enumerate(buffers)]
    packed = bytearray()
    starts: list[int] = []
    for part in parts:
        packed.extend(bytes(-len(packed) % 4))
        starts.append(len(packed))
        packed.extend(part)
    if len(parts) > 1:
        for view in objects(document, "bufferViews", path.name):
            buffer = number(view.get("buffer"), len(parts), "a buffer view's buffer", path.name)
            offset = number(view.get("byteOffset", 0), MAX_FILE, "a buffer view's offset", path.name)
            view["buffer"], view["byteOffset"] = 0, starts[buffer] + offset
    for image in images:
        if isinstance(image.get("uri"), str):
            _embed(document, image, packed, path)
    if len(packed) > MAX_FILE:
        raise BadFile(f"{path.name}: its buffers are larger than {MAX_FILE} bytes together")
    if packed:
        document["buffers"] = [{"byteLength": len(packed)}]
        if len(parts) == 1:
            # The exporter's own notes on the one buffer stay with it.
            document["buffers"][0] = {k: v for k, v in buffers[0].items() if k != "uri"} | {"byteLength": len(packed)}
    return bytes(packed)


def _buffer(item: Json, binary: bytes | None, path: Path) -> bytes:
    length = number(item.get("byteLength"), MAX_FILE, "a buffer's length", path.name)
    data = _uri(item["uri"], path)[0] if isinstance(item.get("uri"), str) else binary
    if data is None:
        raise BadFile(f"{path.name}: a buffer has no bytes: the file is cut short")
    if len(data) < length:
        raise BadFile(f"{path.name}: a buffer promises {length} bytes and has {len(data)}: the file is cut short")
    return data[:length]


def _embed(document: Json, image: Json, packed: bytearray, path: Path) -> None:
    data, kind = _uri(image.pop("uri"), path)
    packed.extend(bytes(-len(packed) % 4))
    views = objects(document, "bufferViews", path.name)
    views.append({"buffer": 0, "byteOffset": len(packed), "byteLength": len(data)})
    document["bufferViews"] = views
    image["bufferView"] = len(views) - 1
    image.setdefault("mimeType", kind)
    packed.extend(data)


def _uri(uri: str, path: Path) -> tuple[bytes, str]:
    """The bytes behind a data: URI or a file beside the document, and their media type; nothing else is opened."""
    if uri.startswith("data:"):
        head, _, body = uri.partition(",")
        try:
            return base64.b64decode(body, validate=True), head[5:].split(";")[0]
        except (binascii.Error, ValueError) as error:
            raise BadFile(f"{path.name}: a data URI is not base64: {error}") from error
    folder = path.parent.resolve()
    text = unquote(uri)
    try:
        if ":" in text or "\\" in text or "\0" in text:
            raise ValueError(text)
        target = (folder / text).resolve()
        target.relative_to(folder)
    except (ValueError, OSError, RuntimeError) as error:
        raise BadFile(f"{path.name} asks for {uri[:200]!r}: only files in its own folder are opened") from error
    if not target.is_file():
        raise MissingFile(f"{path.name} needs {text!r} beside it, which is not there")
    return _bytes(target), "image/png" if target.suffix.lower() == ".png" else "image/jpeg"


def objects(owner: Json, key: str, name: str) -> list[Json]:
    """The list of objects `owner[key]`, empty when there is none, or `BadFile`."""
    found = owner.get(key, [])
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in cast(list[Any], found)):
        raise BadFile(f"{name}: {key} is a list of objects, got {str(cast(Any, found))[:60]!r}")
    if len(cast(list[Any], found)) > MAX_OBJECTS:
        raise BadFile(f"{name}: more than {MAX_OBJECTS} {key}")
    return cast(list[Json], found)


def mapping(value: object, what: str, name: str) -> Json:
    """`value` as a JSON object, or `BadFile`."""
    if not isinstance(value, dict):
        raise BadFile(f"{name}: {what} is an object, got {str(value)[:60]!r}")
    return cast(Json, value)


def number(value: object, end: int, what: str, name: str) -> int:
    """`value` as a whole number in 0 … end - 1, or `BadFile`."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < end:
        raise BadFile(f"{name}: {what} is a whole number below {end}, got {str(value)[:60]!r}")
    return value


def floats(value: object, count: int, what: str, name: str) -> NDArray[np.float64]:
    """`value` as `count` finite numbers, or `BadFile`."""
    got = str(value)[:60]
    items: list[Any] = cast(list[Any], value) if isinstance(value, list) else []
    plain = [item for item in items if isinstance(item, int | float) and not isinstance(item, bool)]
    if len(items) == len(plain) == count:
        try:
            array = np.array(plain, np.float64)
        except OverflowError:
            array = np.full(count, np.inf)
        # A coordinate beyond a thousand kilometres is no avatar's, and its square would overflow in float32.
        if np.isfinite(array).all() and np.abs(array).max(initial=0) < 1e6:
            return array
    raise BadFile(f"{name}: {what} is {count} finite numbers, got {got!r}")


def _layout(item: Json, name: str) -> tuple[np.dtype[Any], int]:
    code, kind = item.get("componentType"), item.get("type")
    if not isinstance(code, int) or code not in _DTYPES or not isinstance(kind, str) or kind not in _COMPONENTS:
        raise BadFile(f"{name}: an accessor of component type {code!r} and type {kind!r} is not glTF's")
    return np.dtype(_DTYPES[code]), _COMPONENTS[kind]


def _plain(values: NDArray[Any], normalized: bool, name: str) -> NDArray[np.float64] | NDArray[np.int64]:
    if values.dtype.kind == "f":
        if not np.isfinite(values).all() or np.abs(values).max(initial=0) > 1e6:
            raise BadFile(f"{name}: an accessor holds numbers that are infinite, NaN or beyond a million")
        return values.astype(np.float64)
    if normalized:
        return np.maximum(values / np.iinfo(values.dtype).max, -1.0)
    return values.astype(np.int64)


@dataclass(eq=False)
class _Pool:
    """Accessors that share a buffer view."""

    target: int | None
    stride: int | None
    view: int
    data: bytearray = field(default_factory=bytearray)


class Builder:
    """Adds accessors to a document and packs both into a GLB.

    Accessors of the same use share a buffer view, so that hundreds of sparse morph targets need two views, not
    hundreds. Bytes that the document had stay where they are, ours follow.
    """

    def __init__(self, glb: Glb) -> None:
        self.json = cast(Json, json.loads(json.dumps(glb.json)))
        self._binary = glb.binary
        self._pools: dict[tuple[str, int | None, int | None], _Pool] = {}

    def append(self, key: str, item: Json) -> int:
        """Add `item` to the document's list `key`; its number."""
        items = cast(list[Json], self.json.setdefault(key, []))
        items.append(item)
        return len(items) - 1

    def accessor(self, values: NDArray[Any], kind: Kind, use: Use, bounds: bool = False) -> int:
        """Add `values` (count,) or (count, components) with their dtype; the accessor's number."""
        values = np.ascontiguousarray(values).astype(values.dtype.newbyteorder("<"), copy=False)
        stride = values[:1].nbytes if use == "vertex" else None
        target = {"vertex": ARRAY_BUFFER, "index": ELEMENT_ARRAY_BUFFER}.get(use)
        view, offset = self._place(values.tobytes(), use, target, stride)
        item: Json = {
            "bufferView": view,
            "byteOffset": offset,
            "componentType": _CODES[values.dtype.str],
            "count": len(values),
            "type": kind,
        }
        return self.append("accessors", item | (_bounds(values) if bounds else {}))

    def sparse(self, rows: NDArray[np.int64], values: NDArray[np.float32], count: int, bounds: bool = False) -> int:
        """Add a VEC3 accessor of `count` elements that are zero but for `values` at `rows`."""
        item: Json = {"componentType": 5126, "count": count, "type": "VEC3"}
        if len(rows):
            index = rows.astype("<u2" if count <= 1 << 16 else "<u4")
            where = self._place(index.tobytes(), "rows", None, None)
            what = self._place(values.astype("<f4").tobytes(), "values", None, None)
            item["sparse"] = {
                "count": len(rows),
                "indices": {"bufferView": where[0], "byteOffset": where[1], "componentType": _CODES[index.dtype.str]},
                "values": {"bufferView": what[0], "byteOffset": what[1]},
            }
        if bounds:
            rest = np.zeros((int(len(rows) < count), 3), np.float32)
            item |= _bounds(np.concatenate([values, rest]))
        return self.append("accessors", item)

    def pack(self) -> bytes:
        """The GLB file."""
        binary = bytearray(self._binary)
        for pool in self._pools.values():
            binary.extend(bytes(-len(binary) % 4))
            self.json["bufferViews"][pool.view] |= {"byteOffset": len(binary), "byteLength": len(pool.data)}
            binary.extend(pool.data)
        if binary:
            self.json.setdefault("buffers", [{}])[0]["byteLength"] = len(binary)
        text = json.dumps(self.json, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
        text += b" " * (-len(text) % 4)
        binary.extend(bytes(-len(binary) % 4))
        chunks = [struct.pack("<II", len(text), _JSON), text]
        if binary:
            chunks += [struct.pack("<II", len(binary), _BIN), bytes(binary)]
        length = 12 + sum(map(len, chunks))
        if length >= 1 << 32:
            raise Unsupported(f"a .glb holds at most 4 GB, this one would have {length} bytes: cut the motion")
        return b"".join([struct.pack("<III", _MAGIC, 2, length), *chunks])

    def _place(self, data: bytes, use: str, target: int | None, stride: int | None) -> tuple[int, int]:
        key = (use, target, stride)
        if key not in self._pools:
            view: Json = {"buffer": 0}
            view |= {"target": target} if target else {}
            view |= {"byteStride": stride} if stride else {}
            self._pools[key] = _Pool(target, stride, self.append("bufferViews", view))
        pool = self._pools[key]
        offset = len(pool.data)
        pool.data.extend(data)
        pool.data.extend(bytes(-len(pool.data) % 4))
        return pool.view, offset


def _bounds(values: NDArray[Any]) -> Json:
    rows = values.reshape(len(values), -1)
    low: Sequence[Any] = rows.min(axis=0).tolist()
    high: Sequence[Any] = rows.max(axis=0).tolist()
    return {"min": low, "max": high}
