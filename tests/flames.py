"""FLAME files without FLAME: a face of ours in FLAME's layout, whose true relation to ARKit's shapes is known."""

import numpy as np

from artalk.fitting.correspond import _skin_faces
from artalk.rigs import ict
from artalk.rigs.blendshape import BlendshapeRig
from artalk.rigs.flame import MULTIPIE, Flame, build

JAW_TURN = 0.35
"""Radians that the made jaw turns for what jawOpen does."""


def flame_like(rig: BlendshapeRig, marks: bool = True, front: float = -1.0) -> Flame:
    """A model in FLAME's layout from a rig's skin and eyes, another person's face at another size and place.

    Expressions are random mixes of the rig's shapes (but jawOpen, which the jaw joint does) in falling strength. Only
    what lies before z = `front` is taken.
    """
    return build(layout(rig, marks, front), "made")


def layout(rig: BlendshapeRig, marks: bool = True, front: float = -1.0) -> dict[str, np.ndarray]:
    """The arrays of such a file."""
    rng = np.random.default_rng(0)
    faces, kept = parts(rig, front)
    vertices = _other_person(rig.mesh.vertices[kept].astype(np.float64))
    names = [joint.name for joint in rig.joints]
    eyes = np.stack([rig.skin[kept, names.index(name)] for name in ("leftEye", "rightEye")], axis=1)
    eyes = (eyes > 0.5).astype(float)
    jaw = _jaw_share(rig)[kept] * (1 - eyes.sum(axis=1))
    weights = np.zeros((len(kept), 5))
    weights[:, 3:], weights[:, 2] = eyes, jaw
    weights[:, 1] = 1 - weights.sum(axis=1)
    joints = {name: _other_person(np.array([joint.position]))[0] for name, joint in zip(names, rig.joints, strict=True)}
    wanted = [joints["neck"], joints["head"], joints["jaw"], joints["leftEye"], joints["rightEye"]]
    others = [k for k, name in enumerate(rig.shapes) if name != "jawOpen" and not name.startswith("eyeLook")]
    mix = rng.normal(size=(len(others), 100)) * (0.5 * 0.97 ** np.arange(100))
    directions = np.einsum("svc,se->vce", rig.deltas[others][:, kept].astype(np.float64), mix) * 0.3
    people = rng.normal(0, 1e-4, (len(kept), 3, 300))
    made = {
        "v_template": vertices,
        "f": faces,
        "shapedirs": np.concatenate([people, directions * SCALE], axis=2),
        "posedirs": np.zeros((len(kept), 3, 36)),
        "J_regressor": np.stack([_at(vertices, point) for point in wanted]),
        "kintree_table": np.array([[2**32 - 1, 0, 1, 1, 1], range(5)]),
        "weights": weights,
    }
    return made | (_embedding(rig, kept, faces) if marks else {})


SCALE = 0.93
"""Size of the other person."""


def _other_person(points: np.ndarray) -> np.ndarray:
    """A longer, narrower face with a deeper chin, smaller, and elsewhere."""
    x, y, z = points.T
    bent = np.stack([x * (0.95 + 0.4 * y), y * 1.05 + 0.1 * y * y, z * (1 + 0.3 * y) + 0.05 * x * x], axis=1)
    return SCALE * bent + [0.003, -0.02, 0.015]


def parts(rig: BlendshapeRig, front: float = -1.0) -> tuple[np.ndarray, np.ndarray]:
    """The faces (F, 3) of skin and eyes, and the rig's numbers (V,) of the vertices that they use."""
    names = [joint.name for joint in rig.joints]
    eyes = rig.skin[:, [names.index("leftEye"), names.index("rightEye")]].sum(axis=1) > 0.5
    faces = np.concatenate([_skin_faces(rig), rig.mesh.faces[eyes[rig.mesh.faces].all(axis=1)]])
    faces = faces[(rig.mesh.vertices[faces][..., 2] > front).all(axis=1)]
    kept, corners = np.unique(faces, return_inverse=True)
    return corners.reshape(-1, 3), kept


def _jaw_share(rig: BlendshapeRig) -> np.ndarray:
    """How much of the jaw's turn each vertex needs to move as jawOpen moves it."""
    names = [joint.name for joint in rig.joints]
    pivot = np.array(rig.joints[names.index("jaw")].position)
    moved = np.linalg.norm(rig.deltas[rig.shapes.index("jawOpen")], axis=1)
    arm = np.linalg.norm((rig.mesh.vertices - pivot)[:, 1:], axis=1)
    return np.clip(moved / np.maximum(arm * JAW_TURN, 1e-6), 0, 1)


def _at(vertices: np.ndarray, point: np.ndarray) -> np.ndarray:
    """A row of a joint regressor that gives `point`: an affine mix of far-apart vertices."""
    chosen = [int(vertices[:, axis].argmin()) for axis in range(3)] + [
        int(vertices[:, axis].argmax()) for axis in range(3)
    ]
    chosen = list(dict.fromkeys(chosen))
    system = np.concatenate([vertices[chosen], np.ones((len(chosen), 1))], axis=1).T
    row = np.zeros(len(vertices))
    row[chosen] = np.linalg.lstsq(system, np.append(point, 1), rcond=None)[0]
    return row


def _embedding(rig: BlendshapeRig, kept: np.ndarray, faces: np.ndarray) -> dict[str, np.ndarray]:
    """The 51 landmarks, of which only those that the rig names too mean anything."""
    marks = rig.landmarks
    assert marks is not None
    four = ("inner_upper_lip", "inner_lower_lip", "left_mouth_corner", "right_mouth_corner")
    at = {name: getattr(marks, name) for name in four} | marks.extra
    points = {point: at[name] for name, points in MULTIPIE.items() if name in at for point in points}
    if len(rig.mesh.vertices) == ict.VERTICES:
        points = dict(enumerate(ict.MULTIPIE))
    places, shares = np.zeros(51, int), np.tile([1.0, 0, 0], (51, 1))
    for point in range(17, 68):
        if point in points:
            vertex = int(np.flatnonzero(kept == points[point])[0])
            face = int(np.flatnonzero((faces == vertex).any(axis=1))[0])
            places[point - 17] = face
            shares[point - 17] = (faces[face] == vertex).astype(float)
    return {"static_lmk_faces_idx": places, "static_lmk_bary_coords": shares}


def tiny(seed: int = 0, vertices: int = 30, expressions: int = 6, people: int = 4) -> dict[str, np.ndarray]:
    """A random file in FLAME's layout, small enough for slow checks; no face at all."""
    rng = np.random.default_rng(seed)
    return {
        "v_template": rng.normal(0, 0.1, (vertices, 3)),
        "f": rng.integers(0, vertices, (2 * vertices, 3)),
        "shapedirs": rng.normal(0, 0.01, (vertices, 3, people + expressions)),
        "posedirs": rng.normal(0, 0.01, (vertices, 3, 36)),
        "J_regressor": rng.dirichlet(np.ones(vertices), 5),
        "kintree_table": np.array([[2**32 - 1, 0, 1, 1, 1], range(5)], np.int64),
        "weights": rng.dirichlet(np.full(5, 0.3), vertices),
        "static_lmk_faces_idx": rng.integers(0, 2 * vertices, 51),
        "static_lmk_bary_coords": rng.dirichlet(np.ones(3), 51),
    }


def official(seed: int = 3) -> dict[str, np.ndarray]:
    """The random file of official size that the reference's outputs belong to; drawn in the order that they were."""
    draw = np.random.RandomState(seed)
    vertices, faces = 5023, 9976
    weights = draw.dirichlet(np.full(5, 0.3), vertices)
    regressor = np.zeros((5, vertices))
    for row in regressor:
        chosen = draw.choice(vertices, 60, replace=False)
        row[chosen] = draw.dirichlet(np.ones(60))
    model = {
        "f": draw.randint(0, vertices, (faces, 3)),
        "v_template": 0.1 * draw.standard_normal((vertices, 3)),
        "shapedirs": 0.002 * draw.standard_normal((vertices, 3, 400)),
        "posedirs": 0.002 * draw.standard_normal((vertices, 3, 36)),
        "J_regressor": regressor,
        "kintree_table": np.array([[2**32 - 1, 0, 1, 1, 1], range(5)], np.int64),
        "weights": weights,
    }
    marks = {}
    for at, shares, shape in (
        ("static_lmk_faces_idx", "static_lmk_bary_coords", (51,)),
        ("dynamic_lmk_faces_idx", "dynamic_lmk_bary_coords", (79, 17)),
        ("full_lmk_faces_idx_with_eye", "full_lmk_bary_coords_with_eye", (1, 70)),
        ("lmk_face_idx", "lmk_b_coords", (105,)),
    ):
        marks[at] = draw.randint(0, faces, shape)
        marks[shares] = draw.dirichlet(np.ones(3), shape)
    return {
        name: part.astype(np.float32) if part.dtype == np.float64 else part for name, part in (model | marks).items()
    }
