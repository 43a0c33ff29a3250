"""The ICT-FaceKit head (USC, MIT licence) as a rig: a folder of .obj files, or one file packed from it.

Li et al., "Learning Formation of Physically-Based Face Attributes" (CVPR 2020). The folder is FaceXModel of
https://github.com/ICT-VGL/ICT-FaceKit; the head itself is not part of artalk.
"""

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from artalk.channels import ARKIT_SHAPES
from artalk.errors import BadFile, MissingFile
from artalk.rigs.blendshape import BlendshapeRig
from artalk.rigs.rig import FloatArray, IntArray, Joint, Landmarks, Material, Mesh

WHERE = "https://github.com/ICT-VGL/ICT-FaceKit (folder FaceXModel, MIT licence)"

NEUTRAL = "generic_neutral_mesh"

CENTIMETRE = 0.01

VERTICES = 26719

SPLIT = ("browInnerUp", "cheekPuff")
"""ARKit shapes that ICT has for each side; ARKit's is the sum of both."""

MULTIPIE: tuple[int, ...] = (
    1225, 1888, 1052, 367, 1719, 1722, 2199, 1447, 966, 3661, 4390, 3927, 3924, 2608, 3272, 4088, 3443, 268, 493, 1914,
    2044, 1401, 3615, 4240, 4114, 2734, 2509, 978, 4527, 4942, 4857, 1140, 2075, 1147, 4269, 3360, 1507, 1542, 1537,
    1528, 1518, 1511, 3742, 3751, 3756, 3721, 3725, 3732, 5708, 5695, 2081, 0, 4275, 6200, 6213, 6346, 6461, 5518, 5957,
    5841, 5702, 5711, 5533, 6216, 6207, 6470, 5517, 5966,
)  # fmt: skip
"""The vertices of the 68 Multi-PIE landmarks, as the model's own vertex_indices.json lists them."""

LANDMARKS = Landmarks(
    inner_upper_lip=MULTIPIE[62],
    inner_lower_lip=MULTIPIE[66],
    left_mouth_corner=MULTIPIE[64],
    right_mouth_corner=MULTIPIE[60],
    extra={"noseTip": MULTIPIE[30], "chin": MULTIPIE[8]},
)

SKIN = Material("skin", (0.58, 0.34, 0.25), roughness=0.5, subsurface=0.6)
TEETH = Material("teeth", (0.75, 0.71, 0.62), roughness=0.25)
GUMS = Material("gums", (0.42, 0.12, 0.11), roughness=0.35, subsurface=0.5)
EYE = Material("eyes", (0.82, 0.80, 0.77), roughness=0.08)

MATERIALS: dict[str, Material] = {
    "M_Face": SKIN,
    "M_BackHead": SKIN,
    "M_GumsTongue": GUMS,
    "M_Teeth": TEETH,
    "M_ScleraLeft": EYE,
    "M_ScleraRight": EYE,
}
"""ICT's materials by ours. The rest (tear film, occlusion and blend shells, lashes, the iris behind the cornea)
needs transparency to make sense and is left out; the iris is painted on the cornea, a lid line on the lids."""

SOCKET = slice(11248, 14062)
"""The vertices of the mouth's lining, which ICT counts to the back of the head."""


_LIPS = np.array([0.78, 0.45, 0.48])
_BROWS = np.array([0.25, 0.2, 0.17])
_LIDS = np.array([0.3, 0.22, 0.2])
_LINING = np.array([0.45, 0.2, 0.2])
_IRIS = np.array([0.13, 0.2, 0.24])


@dataclass(frozen=True, eq=False)
class Model:
    """ICT's own numbers.

    `neutral` (26719, 3) and `expressions` (53, 26719, 3) in centimetres, `faces` (F, 4) with -1 as the fourth corner
    of triangles, `materials` (F,) by ICT's names.
    """

    neutral: FloatArray
    faces: IntArray
    materials: NDArray[np.str_]
    names: tuple[str, ...]
    expressions: NDArray[Any]


def load(path: str | Path) -> BlendshapeRig:
    """The rig from ICT-FaceKit's folder or from a file that `pack` made; it has no tongueOut.

    Raises `MissingFile` with a list when the folder is incomplete, `BadFile` for another model.
    """
    return build(read(path))


def read(path: str | Path) -> Model:
    """Read the folder FaceXModel, or a packed .npz."""
    path = Path(path)
    if path.is_dir():
        return _check(_read_folder(path), path)
    if path.is_file():
        return _check(_read_packed(path), path)
    raise MissingFile(f"no such folder or file: {path}; ICT-FaceKit is had from {WHERE}")


def pack(model: Model, path: str | Path) -> None:
    """Write `model` as one .npz file; deltas become float16, which is a fiftieth of a millimetre at the most."""
    with Path(path).open("wb") as file:
        np.savez_compressed(
            file,
            neutral=model.neutral,
            faces=model.faces,
            materials=model.materials,
            expression_names=np.array(model.names),
            expressions=model.expressions.astype(np.float16),
        )


def sources(shape: str) -> tuple[str, ...]:
    """ICT's names for an ARKit shape: `eyeBlinkLeft` is eyeBlink_L, `browInnerUp` both sides; none for tongueOut."""
    if shape == "tongueOut":
        return ()
    if shape in SPLIT:
        return (f"{shape}_L", f"{shape}_R")
    if shape in ("jawLeft", "jawRight", "mouthLeft", "mouthRight"):
        return (shape,)
    for side in ("Left", "Right"):
        if shape.endswith(side):
            return (f"{shape.removesuffix(side)}_{side[0]}",)
    return (shape,)


def build(model: Model) -> BlendshapeRig:
    """The rig, in metres: eyes turn by their joints, the neck's base stands still."""
    row = {name: i for i, name in enumerate(model.names)}
    shapes = tuple(shape for shape in ARKIT_SHAPES if sources(shape))
    deltas = np.zeros((len(shapes), len(model.neutral), 3), np.float32)
    for delta, shape in zip(deltas, shapes, strict=True):
        for source in sources(shape):
            delta += model.expressions[row[source]].astype(np.float32) * np.float32(CENTIMETRE)
    vertices = (model.neutral * CENTIMETRE).astype(np.float32)
    eyes = {"leftEye": _corners(model, "M_ScleraLeft"), "rightEye": _corners(model, "M_ScleraRight")}
    joints = _joints(vertices, eyes)
    skin = _skin(vertices, joints, model)
    return BlendshapeRig(_mesh(model, vertices, eyes), shapes, deltas, joints, skin, LANDMARKS)


def _read_folder(folder: Path) -> Model:
    names = tuple(dict.fromkeys(name for shape in ARKIT_SHAPES for name in sources(shape)))
    wanted = [f"{name}.obj" for name in (NEUTRAL, *names)]
    missing = [name for name in wanted if not (folder / name).is_file()]
    if missing:
        raise MissingFile(
            f"{folder} lacks {len(missing)} of ICT-FaceKit's {len(wanted)} files: {', '.join(missing)}; "
            f"they are in {WHERE}"
        )
    neutral = _vertices(folder / wanted[0])
    faces, materials = _faces(folder / wanted[0])
    expressions = np.empty((len(names), *neutral.shape), np.float32)
    for row, name in enumerate(wanted[1:]):
        vertices = _vertices(folder / name)
        if vertices.shape != neutral.shape:
            raise BadFile(f"{folder / name} has {len(vertices)} vertices, the neutral mesh {len(neutral)}")
        expressions[row] = vertices - neutral
    return Model(neutral, faces, materials, names, expressions)


def _lines(path: Path) -> list[str]:
    try:
        if path.stat().st_size > 100_000_000:
            raise BadFile(f"{path} is larger than any .obj of ICT-FaceKit")
        return path.read_text("ascii", errors="replace").splitlines()
    except OSError as error:
        raise BadFile(f"{path} cannot be read: {error.strerror}") from error


def _vertices(path: Path) -> FloatArray:
    rows = [line[2:] for line in _lines(path) if line.startswith("v ")]
    try:
        vertices = np.array(" ".join(rows).split(), np.float32).reshape(len(rows), 3)
    except ValueError as error:
        raise BadFile(f"{path}: a vertex line is 'v' and three numbers: {error}") from error
    if not np.isfinite(vertices).all():
        raise BadFile(f"{path}: a vertex is not finite")
    return vertices


def _faces(path: Path) -> tuple[IntArray, NDArray[np.str_]]:
    faces: list[list[int]] = []
    materials: list[str] = []
    material = ""
    for line in _lines(path):
        if line.startswith("usemtl "):
            material = line[7:].strip()
        elif line.startswith("f "):
            try:
                corners = [int(corner.split("/")[0]) - 1 for corner in line[2:].split()]
            except ValueError as error:
                raise BadFile(f"{path}: a face line is 'f' and vertex numbers, got {line[:60]!r}") from error
            if len(corners) not in (3, 4):
                raise BadFile(f"{path}: a face has 3 or 4 corners, got {line[:60]!r}")
            faces.append((corners + [-1])[:4])
            materials.append(material)
    return np.array(faces, np.int32).reshape(-1, 4), np.array(materials, np.str_)


def _read_packed(path: Path) -> Model:
    try:
        with np.load(path, allow_pickle=False) as data:
            names = tuple(str(name) for name in data["expression_names"])
            return Model(
                np.asarray(data["neutral"], np.float32),
                np.asarray(data["faces"], np.int32),
                np.asarray(data["materials"], np.str_),
                names,
                np.asarray(data["expressions"]),
            )
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise BadFile(f"{path} is no packed ICT-FaceKit model: {error}; add the folder of .obj files anew") from error


def _check(model: Model, path: Path) -> Model:
    wanted = {name for shape in ARKIT_SHAPES for name in sources(shape)}
    if missing := sorted(wanted - set(model.names)):
        raise BadFile(f"{path} lacks the expressions {', '.join(missing)}")
    shapes = (model.neutral.shape, model.expressions.shape, model.faces.shape[1:], model.materials.shape)
    faces = len(model.faces)
    if shapes != ((VERTICES, 3), (len(model.names), VERTICES, 3), (4,), (faces,)):
        raise BadFile(f"{path} is not ICT-FaceKit's light model of {VERTICES} vertices; it is had from {WHERE}")
    if model.faces[:, :3].min(initial=0) < 0 or model.faces.max(initial=0) >= VERTICES or model.faces.min() < -1:
        raise BadFile(f"{path}: a face asks for a vertex that is not there")
    if not np.isfinite(model.neutral).all() or not np.isfinite(model.expressions).all():
        raise BadFile(f"{path}: a vertex is not finite")
    if not {"M_Face", "M_ScleraLeft", "M_ScleraRight"} <= set(model.materials.tolist()):
        raise BadFile(f"{path}: the materials of the face and the eyes are not named; it is had from {WHERE}")
    return model


def _corners(model: Model, material: str) -> NDArray[np.int32]:
    corners = np.unique(model.faces[model.materials == material])
    return corners[corners >= 0]


def _joints(vertices: FloatArray, eyes: dict[str, NDArray[np.int32]]) -> tuple[Joint, ...]:
    chin, nose = vertices[LANDMARKS.extra["chin"]], vertices[MULTIPIE[33]]
    ears = (vertices[MULTIPIE[0]] + vertices[MULTIPIE[16]]) / 2
    bottom = float(vertices[:, 1].min())
    return (
        Joint("neck", (0.0, bottom, float(ears[2]) - 0.02)),
        # The skull nods on the atlas, which lies behind the jaw's hinge at the height of the nose's base.
        Joint("head", (0.0, float(nose[1]), float(ears[2]) - 0.01), "neck"),
        Joint("jaw", (0.0, float(ears[1] + chin[1]) / 3, float(ears[2])), "head"),
        *(Joint(name, _centre(vertices[at]), "head") for name, at in eyes.items()),
    )


def _centre(points: FloatArray) -> tuple[float, float, float]:
    """The centre of an eyeball: a sphere fitted to its back half, which has no cornea."""
    back = points[points[:, 2] < np.median(points[:, 2])].astype(np.float64)
    middle = back.mean(axis=0)
    system = np.concatenate([2 * (back - middle), np.ones((len(back), 1))], axis=1)
    # Normal equations: four unknowns, well apart.
    right = system.T @ ((back - middle) ** 2).sum(axis=1)
    answer = np.asarray(np.linalg.solve(system.T @ system, right), np.float64)
    x, y, z = (float(value) for value in answer[:3] + middle)
    return x, y, z


def _skin(vertices: FloatArray, joints: tuple[Joint, ...], model: Model) -> FloatArray:
    columns = {joint.name: i for i, joint in enumerate(joints)}
    chin, bottom = vertices[LANDMARKS.extra["chin"], 1] - 0.005, vertices[:, 1].min() + 0.005
    share = np.clip((vertices[:, 1] - bottom) / (chin - bottom), 0, 1)
    skin = np.zeros((len(vertices), len(joints)), np.float32)
    skin[:, columns["head"]] = share * share * (3 - 2 * share)
    skin[:, columns["neck"]] = 1 - skin[:, columns["head"]]
    for joint, side in (("leftEye", "Left"), ("rightEye", "Right")):
        for part in (f"M_Sclera{side}", f"M_Iris{side}"):
            at = _corners(model, part)
            skin[at] = 0
            skin[at, columns[joint]] = 1
    return skin


def _mesh(model: Model, vertices: FloatArray, eyes: dict[str, NDArray[np.int32]]) -> Mesh:
    materials = tuple(dict.fromkeys(MATERIALS.values()))
    kept = np.isin(model.materials, list(MATERIALS))
    quads, names = model.faces[kept], model.materials[kept]
    number = np.array([materials.index(MATERIALS[str(name)]) for name in names], np.int32)
    second = quads[:, 3] >= 0
    faces = np.concatenate([quads[:, :3], quads[second][:, [0, 2, 3]]])
    numbers = np.concatenate([number, number[second]])
    return Mesh(vertices, faces.astype(np.int32), numbers, materials, _paint(model, vertices, eyes))


def _paint(model: Model, vertices: FloatArray, eyes: dict[str, NDArray[np.int32]]) -> FloatArray:
    """Vertex colours: lips, brows, lids and irises, which ICT has as textures."""
    colors = np.ones_like(vertices)
    face = np.zeros(len(vertices), bool)
    face[_corners(model, "M_Face")] = True
    points = vertices.astype(np.float64)
    lips = points[list(MULTIPIE[48:60])]
    front = face & (points[:, 2] > lips[:, 2].min() - 0.015)
    _blend(colors, front * _inside(points[:, :2], lips[:, :2], 0.0015), _LIPS)
    for brow in (MULTIPIE[17:22], MULTIPIE[22:27]):
        distance = _to_line(points, points[list(brow)])
        _blend(colors, face * np.clip((0.0055 - distance) / 0.003, 0, 1), _BROWS)
    for lid in (MULTIPIE[36:40], MULTIPIE[42:46]):
        distance = _to_line(points, points[list(lid)])
        _blend(colors, face * np.clip((0.002 - distance) / 0.0012, 0, 1), _LIDS)
    colors[SOCKET] = _LINING
    for at in eyes.values():
        ball = points[at]
        outward = ball - np.array(_centre(vertices[at]))
        angle = np.arctan2(np.linalg.norm(outward[:, :2], axis=1), outward[:, 2])
        painted = np.ones_like(ball)
        _blend(painted, np.clip((0.42 - angle) / 0.04, 0, 1), _IRIS)
        _blend(painted, np.clip((0.17 - angle) / 0.04, 0, 1), np.full(3, 0.01))
        colors[at] = painted
    return colors


def _blend(colors: NDArray[Any], share: NDArray[Any], target: NDArray[np.float64]) -> None:
    colors += share[:, None] * (target - colors)


def _inside(points: NDArray[np.float64], polygon: NDArray[np.float64], soft: float) -> NDArray[np.float64]:
    """How far (0..1) points (N, 2) lie within a polygon (P, 2), fading over `soft` outside of it."""
    ahead = np.roll(polygon, -1, axis=0)
    within = np.zeros(len(points), bool)
    for (x0, y0), (x1, y1) in zip(polygon, ahead, strict=True):
        crosses = (y0 > points[:, 1]) != (y1 > points[:, 1])
        within ^= crosses & (points[:, 0] < (x1 - x0) * (points[:, 1] - y0) / (y1 - y0 if y1 != y0 else 1) + x0)
    distance = _to_line(points, np.concatenate([polygon, polygon[:1]]))
    return np.where(within, 1.0, np.clip(1 - distance / soft, 0, 1))


def _to_line(points: NDArray[np.float64], line: NDArray[np.float64]) -> NDArray[np.float64]:
    """The distance of points (N, D) from a chain of segments (P, D)."""
    best = np.full(len(points), np.inf)
    for start, end in zip(line[:-1], line[1:], strict=True):
        along = end - start
        share = np.clip(((points - start) @ along) / max(float(along @ along), 1e-12), 0, 1)
        best = np.minimum(best, np.linalg.norm(points - start - share[:, None] * along, axis=1))
    return best
