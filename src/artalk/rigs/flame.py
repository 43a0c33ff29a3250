"""FLAME: a head of identity and expression directions, five joints and pose correctives, from the user's own file.

Li, Bolkart, Black, Li & Romero, "Learning a model of facial shape and expression from 4D scans" (SIGGRAPH Asia 2017),
written from the paper's formulas. The same code runs on numpy arrays and on torch tensors, on any device, and can be
differentiated there. The model itself has licences of its own; it never comes with artalk, users bring their file.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from artalk.channels import FLAME, Channels
from artalk.errors import BadFile, BadInput, needs
from artalk.rigs.flame_file import Arrays, arrays
from artalk.rigs.rig import Box, FloatArray, Joint, Landmarks, Material, Mesh, Rig

WHERE = (
    "https://flame.is.tue.mpg.de (after registration, under the licence of the version that you take; artalk never "
    "fetches it): generic_model.pkl of FLAME 2020, flame2023.pkl, or the FLAME_with_eye.pt of ARTalk's users"
)

JOINTS = ("root", "neck", "jaw", "leftEye", "rightEye")
"""FLAME's joints in their order; motion's `head` turns the root."""

IDENTITIES = 300
"""Shape directions that describe people in all releases; expressions follow."""

LARGEST = 10.0
"""Metres from the origin beyond which a template is no head in metres."""

MAX_VERTICES = 1_000_000

EMBEDDINGS: dict[str, tuple[str, str]] = {
    "static": ("static_lmk_faces_idx", "static_lmk_bary_coords"),
    "full": ("full_lmk_faces_idx_with_eye", "full_lmk_bary_coords_with_eye"),
    "mediapipe": ("lmk_face_idx", "lmk_b_coords"),
}
"""Sets of landmarks by name (51 without the contour, 68 and two irises, 105 of MediaPipe's) and their arrays."""

MULTIPIE: dict[str, tuple[int, ...]] = {
    "right_mouth_corner": (60,),
    "inner_upper_lip": (62,),
    "left_mouth_corner": (64,),
    "inner_lower_lip": (66,),
    "noseTip": (30,),
    "rightOuterBrow": (18,),
    "rightInnerBrow": (21,),
    "leftInnerBrow": (22,),
    "leftOuterBrow": (25,),
    "rightUpperLid": (37, 38),
    "rightLowerLid": (40, 41),
    "leftUpperLid": (43, 44),
    "leftLowerLid": (46, 47),
}
"""Our landmarks as means of Multi-PIE's 68 points, of which "static" has all but the first 17."""


@dataclass(frozen=True, eq=False)
class Posed:
    """`vertices` (N, V, 3) and `joints` (N, 5, 3) in metres."""

    vertices: Any
    joints: Any


@dataclass(frozen=True, eq=False)
class Flame:
    """The model's numbers, all numpy or all torch; every size is the file's own.

    `template` (V, 3) metres; `identities` (I, 3V), `expressions` (E, 3V) and `correctives` (36, 3V) are directions, a
    row each; `regressor` (5, V) finds the joints at rest, `weights` (V, 5) tells how vertices follow them, `parents`
    (5) their tree; `faces` (F, 3). `landmarks` maps names of `EMBEDDINGS` to faces (L,) and shares of their corners
    (L, 3).
    """

    template: Any
    identities: Any
    expressions: Any
    correctives: Any
    regressor: Any
    weights: Any
    faces: Any
    parents: tuple[int, ...]
    landmarks: dict[str, tuple[Any, Any]] = field(default_factory=dict[str, tuple[Any, Any]])

    def converted(self, convert: Callable[[Any], Any]) -> "Flame":
        """A copy with every array converted: to another precision, library or device."""
        names = ("template", "identities", "expressions", "correctives", "regressor", "weights", "faces")
        marks = {name: (convert(at), convert(shares)) for name, (at, shares) in self.landmarks.items()}
        return replace(self, **{name: convert(getattr(self, name)) for name in names}, landmarks=marks)

    def torch(self, device: str = "cpu") -> "Flame":
        """A copy in torch, on a device."""
        torch: Any = needs("torch", "train", "FLAME on torch tensors")
        return self.converted(lambda values: torch.from_numpy(np.ascontiguousarray(values)).to(device))

    def with_identity(self, identity: Any) -> "Flame":
        """The model of one person: coefficients (I',) folded into the template; fewer than I leave the rest at 0."""
        _check(identity, self.identities, "identity", dimensions=1)
        moved = identity[None] @ self.identities[: identity.shape[0]]
        return replace(self, template=self.template + moved.reshape(self.template.shape))

    def pose(
        self,
        expression: Any,
        *,
        head: Any = None,
        jaw: Any = None,
        eyes: Any = None,
        neck: Any = None,
        identity: Any = None,
    ) -> Posed:
        """Vertices and joints of N frames.

        `expression` (N, E') and `identity` (N, I') may be shorter than the model's directions. `head`, `neck` and `jaw`
        are rotation vectors (N, 3) in radians, `eyes` (N, 6) the left eye's, then the right one's; what is None is at
        rest. All are of the model's own library. Raises `BadInput` for other shapes.
        """
        _check(expression, self.expressions, "expression")
        frames = expression.shape[0]
        flat = self.template.reshape(1, -1) + expression @ self.expressions[: expression.shape[1]]
        if identity is not None:
            _check(identity, self.identities, "identity", frames)
            flat = flat + identity @ self.identities[: identity.shape[1]]
        joints = self.regressor @ flat.reshape(frames, -1, 3)
        return self._bent(flat, joints, _bends(_rotations(expression, head, neck, jaw, eyes)))

    def pose_about(self, joints: Any, expression: Any, jaw: Any) -> Posed:
        """As `pose`, with joints that are known to rest at `joints` (N, 5, 3): for a part of a model's vertices."""
        _check(expression, self.expressions, "expression")
        flat = self.template.reshape(1, -1) + expression @ self.expressions[: expression.shape[1]]
        return self._bent(flat, joints, _bends(_rotations(expression, None, None, jaw, None)))

    def marks(self, vertices: Any, name: str) -> Any:
        """The landmarks (N, L, 3) called "static", "full" or "mediapipe" on posed vertices (N, V, 3)."""
        if name not in self.landmarks:
            raise BadInput(f"this FLAME file has the landmarks {', '.join(self.landmarks) or 'none'}, not {name!r}")
        faces, shares = self.landmarks[name]
        return (vertices[:, self.faces[faces]] * shares[..., None]).sum(axis=2)

    def _bent(self, flat: Any, at_rest: Any, bend: Any) -> Posed:
        """Pose correctives and linear blend skinning of vertices (N, 3V) about joints that rest at (N, 5, 3)."""
        space, frames = _space(flat), flat.shape[0]
        vertices = (flat + bend[:, 1:].reshape(frames, -1) @ self.correctives).reshape(frames, -1, 3)
        turn = bend + space.eye(3, dtype=bend.dtype, device=bend.device)
        turns, places = [turn[:, 0]], [at_rest[:, 0]]
        for joint, parent in list(enumerate(self.parents))[1:]:
            reach = (turns[parent] @ (at_rest[:, joint] - at_rest[:, parent])[..., None])[..., 0]
            turns.append(turns[parent] @ turn[:, joint])
            places.append(places[parent] + reach)
        moved = space.zeros_like(vertices)
        for joint, (world, place) in enumerate(zip(turns, places, strict=True)):
            turned = (vertices - at_rest[:, joint, None]) @ space.swapaxes(world, 1, 2) + place[:, None]
            moved = moved + self.weights[:, joint, None] * turned
        return Posed(moved, space.stack(places, axis=1))


def _space(array: Any) -> Any:
    """The library that an array comes from: numpy or torch share the names of all that is used here."""
    return import_module(type(array).__module__.split(".")[0])


def _check(values: Any, directions: Any, what: str, frames: int | None = None, dimensions: int = 2) -> None:
    shape = tuple(values.shape)
    fits = len(shape) == dimensions and shape[-1] <= len(directions) and (frames is None or shape[0] == frames)
    if not fits:
        wanted = ("N" if frames is None else str(frames),) * (dimensions - 1)
        raise BadInput(f"{what} is ({', '.join((*wanted, f'up to {len(directions)}'))}), got {shape}")


def _rotations(like: Any, head: Any, neck: Any, jaw: Any, eyes: Any) -> Any:
    """Rotation vectors (N, 5, 3) in the joints' order; what is None is 0."""
    space, frames = _space(like), like.shape[0]
    parts: list[Any] = []
    for name, values, size in (("head", head, 3), ("neck", neck, 3), ("jaw", jaw, 3), ("eyes", eyes, 6)):
        if values is None:
            values = space.zeros((frames, size), dtype=like.dtype, device=like.device)
        if tuple(values.shape) != (frames, size):
            raise BadInput(f"{name} is ({frames}, {size}) radians, got {tuple(values.shape)}")
        parts.append(values)
    return space.concatenate(parts, axis=1).reshape(frames, -1, 3)


def _bends(rotvec: Any) -> Any:
    """Rotation matrices (..., 3, 3) less the identity, by Rodrigues' formula; smooth and exact at 0."""
    space = _space(rotvec)
    square = (rotvec * rotvec).sum(axis=-1)
    still = square < 1e-8
    # At 0 the quotients and their derivatives are those of their series; the root there must not be touched.
    angle = space.sqrt(space.where(still, space.ones_like(square), square))
    sine = space.where(still, 1 - square / 6, space.sin(angle) / angle)
    half = space.sin(angle / 2) / angle
    cosine = space.where(still, 0.5 - square / 24, 2 * half * half)
    x, y, z = rotvec[..., 0], rotvec[..., 1], rotvec[..., 2]
    rows = [
        [-cosine * (y * y + z * z), cosine * x * y - sine * z, cosine * x * z + sine * y],
        [cosine * x * y + sine * z, -cosine * (x * x + z * z), cosine * y * z - sine * x],
        [cosine * x * z - sine * y, cosine * y * z + sine * x, -cosine * (x * x + y * y)],
    ]
    return space.stack([space.stack(row, axis=-1) for row in rows], axis=-2)


def read(path: str | Path, identities: int | None = None) -> Flame:
    """The model of a user's file: `.pkl`, `.npz`, `.pt`, or what `pack` wrote.

    `identities` is the number of directions that describe people, where it is not FLAME's 300. Raises `MissingFile`,
    and `BadFile` for what is no FLAME, is damaged, or asks for code to be run (nothing is).
    """
    return build(arrays(path), Path(path).name, identities)


def pack(flame: Flame, path: str | Path) -> None:
    """Write a numpy model as one `.npz` file in FLAME's own layout, which `read` reads in a moment."""

    def outwards(directions: NDArray[Any]) -> NDArray[Any]:
        return np.ascontiguousarray(directions.T).reshape(len(flame.template), 3, -1)

    marks = {
        key: part
        for name, keys in EMBEDDINGS.items()
        if name in flame.landmarks
        for key, part in zip(keys, flame.landmarks[name], strict=True)
    }
    with Path(path).open("wb") as file:
        np.savez(
            file,
            v_template=flame.template,
            shapedirs=outwards(np.concatenate([flame.identities, flame.expressions])),
            posedirs=outwards(flame.correctives),
            J_regressor=flame.regressor,
            weights=flame.weights,
            kintree_table=np.array([flame.parents, range(len(flame.parents))]),
            f=flame.faces,
            identities=np.array(len(flame.identities)),
            **marks,
        )


def build(found: Arrays, name: str, identities: int | None = None) -> Flame:
    """The model from the arrays of a FLAME file, called `name` in messages."""
    parts = {key.rsplit(".", 1)[-1]: part for key, part in found.items()}
    template = _floats(parts, name, "v_template")
    vertices = len(template)
    _expect(template, (vertices, 3), "v_template", name)
    if not 3 <= vertices <= MAX_VERTICES:
        raise BadFile(f"{name}: a head has 3 to {MAX_VERTICES} vertices, got {vertices}")
    if np.abs(template).max() > LARGEST:
        raise BadFile(f"{name}: FLAME is in metres, a vertex lies {np.abs(template).max():.3g} from the origin")
    shapes = _directions(parts, name, "shapedirs", vertices)
    people = _people(parts, len(shapes), name, identities)
    correctives = _directions(parts, name, "posedirs", vertices)
    parents = _parents(_part(parts, name, "kintree_table"), name)
    _expect(correctives, (9 * (len(parents) - 1), 3 * vertices), "posedirs", name)
    regressor = _floats(parts, name, "J_regressor")
    _expect(regressor, (len(parents), vertices), "J_regressor", name)
    weights = _floats(parts, name, "weights", "lbs_weights")
    _expect(weights, (vertices, len(parents)), "weights", name)
    if weights.min() < -1e-4 or np.abs(weights.sum(axis=1) - 1).max() > 1e-2:
        raise BadFile(f"{name}: the joints' shares of a vertex are not negative and sum to 1, these do not")
    faces = _indices(_part(parts, name, "f", "faces"), vertices, f"{name}: f")
    _expect(faces, (len(faces), 3), "f", name)
    return Flame(
        template,
        shapes[:people],
        shapes[people:],
        correctives,
        regressor,
        weights,
        faces,
        parents,
        _landmarks(parts, len(faces), name),
    )


def _part(parts: Arrays, name: str, *keys: str) -> NDArray[Any]:
    for key in keys:
        if key in parts:
            return parts[key]
    listed = ", ".join(parts)[:200] or "no arrays"
    raise BadFile(f"{name} has no {keys[0]!r}, it holds {listed}; a FLAME file is had from {WHERE}")


def _floats(parts: Arrays, name: str, *keys: str) -> FloatArray:
    part = _part(parts, name, *keys)
    if part.dtype.kind not in "fiu":
        raise BadFile(f"{name}: {keys[0]!r} holds numbers, got {part.dtype}")
    with np.errstate(over="ignore"):
        made = np.ascontiguousarray(part, np.float32)
    # Far below where float32 ends, so that nothing made of it overflows either.
    if not (np.abs(made) < 1e6).all():
        raise BadFile(f"{name}: {keys[0]!r} holds NaN, infinity or absurdly large numbers")
    return made


def _expect(part: NDArray[Any], shape: tuple[int, ...], key: str, name: str) -> None:
    if part.shape != shape:
        raise BadFile(f"{name}: {key!r} is {shape} here, got {part.shape}")


def _directions(parts: Arrays, name: str, key: str, vertices: int) -> FloatArray:
    """Directions (K, 3V) from FLAME's (V, 3, K)."""
    part = _floats(parts, name, key)
    if part.ndim != 3 or part.shape[:2] != (vertices, 3):
        raise BadFile(f"{name}: {key!r} is ({vertices}, 3, K) here, got {part.shape}")
    return np.ascontiguousarray(part.reshape(3 * vertices, -1).T)


def _people(parts: Arrays, shapes: int, name: str, identities: int | None) -> int:
    if identities is None:
        kept = parts.get("identities")
        identities = IDENTITIES if kept is None or kept.shape or kept.dtype.kind not in "iu" else int(kept)
    if not 0 <= identities < shapes:
        raise BadFile(
            f"{name} has {shapes} shape directions, of which {identities} would be people and none expressions; "
            f"say how many there are: artalk.rigs.flame.read(path, identities=N)"
        )
    return identities


def _parents(table: NDArray[Any], name: str) -> tuple[int, ...]:
    if table.shape != (2, len(JOINTS)) or table.dtype.kind not in "iuf":
        raise BadFile(f"{name}: 'kintree_table' is (2, {len(JOINTS)}) whole numbers, got {table.shape} {table.dtype}")
    # The root's parent is -1, which unsigned numbers hold as 4294967295.
    parents = (-1, *(int(parent) for parent in table[0, 1:].tolist()))
    if any(not 0 <= parent < joint for joint, parent in enumerate(parents) if joint):
        raise BadFile(f"{name}: a joint's parent stands before it, got {parents}")
    return parents


def _indices(part: NDArray[Any], count: int, what: str) -> NDArray[np.int64]:
    if part.dtype.kind not in "iu" or part.min(initial=0) < 0 or part.max(initial=0) >= count:
        raise BadFile(f"{what} holds whole numbers from 0 to below {count}, got others")
    return part.astype(np.int64)


def _landmarks(parts: Arrays, faces: int, name: str) -> dict[str, tuple[Any, Any]]:
    found: dict[str, tuple[Any, Any]] = {}
    for marks, (at, shares) in EMBEDDINGS.items():
        if at in parts and shares in parts:
            places = _indices(parts[at], faces, f"{name}: {at}").reshape(-1)
            corners = _floats(parts, name, shares)
            if corners.size != 3 * places.size:
                raise BadFile(f"{name}: {shares!r} is ({len(places)}, 3) here, got {corners.shape}")
            found[marks] = places, corners.reshape(-1, 3)
    return found


SKIN = Material("skin", (0.58, 0.34, 0.25), roughness=0.5, subsurface=0.6)
EYE = Material("eyes", (0.82, 0.80, 0.77), roughness=0.08)


class FlameRig(Rig):
    """A FLAME head as a rig: motion in FLAME's channels, with or without eyes, poses it.

    `scale` multiplies the vertices after posing. A motion's expressions beyond the model's own must be 0.
    """

    def __init__(self, model: Flame, channels: Channels = FLAME, scale: float = 1.0) -> None:
        if not (math.isfinite(scale) and scale > 0):
            raise BadInput(f"a scale is positive, got {scale}")
        self.model = model
        self.channels = channels
        self.scale = scale
        rest = model.pose(np.zeros((1, 0), np.float32))
        self.mesh = _mesh(model, rest.vertices[0] * np.float32(scale))
        self.joints = tuple(
            Joint(name, tuple((place * scale).tolist()), None if parent < 0 else JOINTS[parent])
            for name, parent, place in zip(JOINTS, model.parents, rest.joints[0].astype(np.float64), strict=True)
        )
        self.landmarks: Landmarks | None = landmarks(model)
        self.focus: Box | None = None

    def pose(self, values: FloatArray) -> FloatArray:
        """The (V, 3) vertices of one frame of `values` (channels,)."""
        return self.poses(np.asarray(values, np.float32)[None])[0]

    def poses(self, values: FloatArray, head: bool = True) -> FloatArray:
        """The (N, V, 3) vertices of N frames, with the head's turn or without."""
        part = {group.name: values[:, self.channels.slice(group.name)] for group in self.channels.groups}
        expression, own = part["expression"], len(self.model.expressions)
        if expression[:, own:].any():
            raise BadInput(f"this FLAME has {own} expressions, the motion moves more of them")
        eyes = np.concatenate([part["leftEye"], part["rightEye"]], axis=1) if "leftEye" in part else None
        posed = self.model.pose(
            expression[:, :own], head=part["head"] if head else None, jaw=part["jaw"], eyes=eyes, neck=part.get("neck")
        )
        return np.multiply(posed.vertices, np.float32(self.scale), dtype=np.float32)


def landmarks(model: Flame) -> Landmarks | None:
    """The vertices nearest to the model's own embedding of Multi-PIE's points; None where the file has none."""
    name = next((name for name in ("full", "static") if name in model.landmarks), None)
    if name is None:
        return None
    faces, shares = model.landmarks[name]
    first = 0 if name == "full" else 17
    corners = model.faces[faces]
    at = np.take_along_axis(corners, shares.argmax(axis=1)[:, None], axis=1)[:, 0]
    found = {mark: int(at[points[0] - first]) for mark, points in MULTIPIE.items()}
    four = ("inner_upper_lip", "inner_lower_lip", "left_mouth_corner", "right_mouth_corner")
    rest = {mark: vertex for mark, vertex in found.items() if mark not in four}
    return Landmarks(*(found[mark] for mark in four), extra=rest)


def _mesh(model: Flame, vertices: FloatArray) -> Mesh:
    eye = model.weights[:, 3:].sum(axis=1) > 0.5
    materials = eye[model.faces].all(axis=1).astype(np.int32)
    return Mesh(vertices, model.faces.astype(np.int32), materials, (SKIN, EYE), _colors(model, eye))


def _colors(model: Flame, eye: NDArray[np.bool_]) -> FloatArray:
    """White, with an iris painted on the front of each eyeball."""
    colors = np.ones((len(model.template), 3), np.float32)
    centres = model.regressor @ model.template
    for joint in (3, 4):
        outward = model.template - centres[joint]
        angle = np.arctan2(np.linalg.norm(outward[:, :2], axis=1), outward[:, 2])
        ball = eye & (model.weights[:, joint] > 0.5)
        colors[ball & (angle < 0.42)] = (0.13, 0.2, 0.24)
        colors[ball & (angle < 0.17)] = 0.01
    return colors
