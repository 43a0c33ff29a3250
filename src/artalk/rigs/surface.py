"""What an avatar's parts look like: glTF's materials and textures as a `Material` and vertex colours."""

import io
import struct
import zlib
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from artalk.errors import BadFile
from artalk.rigs.glb import Glb, Json, floats, mapping, number
from artalk.rigs.rig import Material

Float = NDArray[np.float64]
Int = NDArray[np.int64]

TEXTURE = 512
"""Pixels to which a texture is reduced before it colours vertices: finer detail than the mesh would only be noise."""

MAX_PIXELS = 8192 * 8192


@dataclass(frozen=True, eq=False)
class Look:
    """`colors` (V, 3) linear, which multiply the material's; `there` (F,) is False for faces that are cut out."""

    material: Material
    colors: Float
    there: NDArray[np.bool_]
    notes: tuple[str, ...]


class Textures:
    """A document's pictures, each decoded once."""

    def __init__(self, glb: Glb) -> None:
        self.glb = glb
        self._pixels: dict[int, Float] = {}

    def places(self, info: Json, attributes: Json, count: int) -> Float:
        """Where in the picture the vertices lie, (V, 2)."""
        glb = self.glb
        channel = f"TEXCOORD_{number(info.get('texCoord', 0), 16, 'texCoord', glb.name)}"
        if channel not in attributes:
            raise BadFile(f"{glb.name}: the mesh has no {channel}")
        uv = glb.attribute(attributes, channel, count, (2,))
        extensions = mapping(info.get("extensions", {}), "extensions", glb.name)
        if isinstance(extensions.get("KHR_texture_transform"), dict):
            moved = cast(Json, extensions["KHR_texture_transform"])
            scale = floats(moved.get("scale", [1, 1]), 2, "a texture's scale", glb.name)
            uv = uv * scale + floats(moved.get("offset", [0, 0]), 2, "a texture's offset", glb.name)
        return uv

    def pixels(self, info: Json) -> Float:
        """The picture of a texture: (H, W, 4) linear colour and alpha, at most `TEXTURE` pixels a side."""
        source = self.glb.item("textures", info.get("index")).get("source")
        index = number(source, len(self.glb.objects("images")), "a texture's image", self.glb.name)
        if index not in self._pixels:
            data, _ = self.glb.view(self.glb.item("images", index).get("bufferView"))
            self._pixels[index] = _decode(data, self.glb.name)
        return self._pixels[index]


def look(textures: Textures, primitive: Json, faces: Int, count: int) -> Look:
    """How a primitive of `count` vertices and `faces` (F, 3) looks; a texture that cannot be read becomes a note."""
    glb = textures.glb
    attributes = mapping(primitive.get("attributes", {}), "attributes", glb.name)
    item = glb.item("materials", primitive["material"]) if "material" in primitive else {}
    pbr = mapping(item.get("pbrMetallicRoughness", {}), "a material", glb.name)
    factor = floats(pbr.get("baseColorFactor", [1, 1, 1, 1]), 4, "baseColorFactor", glb.name)
    rgba = np.ones((count, 4))
    notes: list[str] = []
    at_faces = np.ones(len(faces))
    if isinstance(pbr.get("baseColorTexture"), dict):
        try:
            info = cast(Json, pbr["baseColorTexture"])
            pixels, uv = textures.pixels(info), textures.places(info, attributes, count)
            rgba = _sample(pixels, uv)
            at_faces = _opacity(pixels, uv, faces)
        except (BadFile, OSError, ValueError, SyntaxError, EOFError, struct.error, zlib.error) as error:
            notes.append(f"a texture of {item.get('name', 'a material')!r} is left out: {error}")
    if "COLOR_0" in attributes:
        tint = glb.attribute(attributes, "COLOR_0", count, (3, 4))
        rgba[:, : tint.shape[1]] *= np.clip(tint, 0, 1)
    mode = item.get("alphaMode", "OPAQUE")
    cutoff = item.get("alphaCutoff", 0.5) if mode == "MASK" else 0.35 if mode == "BLEND" else -1.0
    cutoff = float(floats([cutoff], 1, "alphaCutoff", glb.name)[0])
    material = _material(item, pbr, factor[:3], glb.name)
    return Look(material, rgba[:, :3], at_faces * factor[3] >= cutoff, tuple(notes))


def _decode(data: bytes, name: str) -> Float:
    from PIL import Image

    with Image.open(io.BytesIO(data), formats=("PNG", "JPEG")) as picture:
        if picture.width * picture.height > MAX_PIXELS:
            raise BadFile(f"{name}: a texture of {picture.width}×{picture.height} pixels is too large")
        # A JPEG can be decoded small at once.
        picture.draft("RGB", (TEXTURE, TEXTURE))
        small = picture.convert("RGBA")
    small.thumbnail((TEXTURE, TEXTURE), Image.Resampling.BOX)
    pixels = np.asarray(small, np.float64) / 255
    pixels[..., :3] = _to_linear(pixels[..., :3])
    return pixels


def _material(item: Json, surface: Json, color: Float, name: str) -> Material:
    title = str(item.get("name", "material"))
    extensions = mapping(item.get("extensions", {}), "extensions", name)
    # Toon and unlit surfaces have no highlight; what is called skin is soft.
    flat = any(key in extensions for key in ("KHR_materials_unlit", "VRMC_materials_mtoon")) or "VRM" in title
    skin = any(word in title.lower() for word in ("skin", "face", "head", "body"))
    rough = 1.0 if flat else float(floats([surface.get("roughnessFactor", 1.0)], 1, "roughness", name)[0])
    red, green, blue = (float(part) for part in np.clip(color, 0, 1))
    return Material(
        title,
        (red, green, blue),
        roughness=min(max(rough, 0.05), 1.0),
        specular=0.2 if flat else 1.0,
        subsurface=0.4 if skin else 0.0,
    )


def _to_linear(srgb: Float) -> Float:
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)


def _sample(pixels: Float, uv: Float) -> Float:
    """Bilinear samples (N, 4) of a repeating texture at `uv` (N, 2)."""
    height, width = pixels.shape[:2]
    x = np.mod(uv[:, 0], 1) * width - 0.5
    y = np.mod(uv[:, 1], 1) * height - 0.5
    left, top = np.floor(x).astype(np.int64), np.floor(y).astype(np.int64)
    right_share, low_share = (x - left)[:, None], (y - top)[:, None]
    columns, rows = (left % width, (left + 1) % width), (top % height, (top + 1) % height)
    upper = pixels[rows[0], columns[0]] * (1 - right_share) + pixels[rows[0], columns[1]] * right_share
    lower = pixels[rows[1], columns[0]] * (1 - right_share) + pixels[rows[1], columns[1]] * right_share
    return upper * (1 - low_share) + lower * low_share


def _opacity(pixels: Float, uv: Float, faces: Int) -> Float:
    """The mean alpha of each face (F,), from seven points of it."""
    corners = uv[faces]
    middles = (corners + np.roll(corners, 1, axis=1)) / 2
    points = np.concatenate([corners, middles, corners.mean(axis=1, keepdims=True)], axis=1)
    return _sample(pixels, points.reshape(-1, 2))[:, 3].reshape(len(faces), -1).mean(axis=1)
