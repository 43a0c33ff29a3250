import pickle
import sys
import types
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from artalk import rotation
from artalk.channels import FLAME, FLAME112
from artalk.errors import BadFile, BadInput, MissingFile
from artalk.rigs import flame
from artalk.rigs.flame import Flame, FlameRig
from tests.flames import official, tiny
from tests.shared import shared

SMALL = {"identities": 4}


@pytest.fixture(scope="module")
def reference() -> tuple[Flame, Any, Any]:
    """The model of the reference's outputs, its inputs, and the outputs."""
    inputs, outputs = (np.load(shared(f"fixtures/flame/flame_{name}.npz")) for name in ("inputs", "outputs"))
    return flame.build(official(), "official"), inputs, outputs


def posed(model: Flame, inputs: Any, convert: Any, eyes: bool = False) -> flame.Posed:
    return model.pose(
        convert(inputs["exp"]),
        head=convert(inputs["pose"][:, :3]),
        jaw=convert(inputs["pose"][:, 3:]),
        eyes=convert(inputs["eye"]) if eyes else None,
        identity=convert(inputs["shape"]),
    )


@pytest.mark.parametrize("library", ["numpy", "torch", "float64"])
def test_it_is_the_reference(reference: tuple[Flame, Any, Any], library: str) -> None:
    model, inputs, outputs = reference
    convert: Any = np.asarray
    if library == "torch":
        torch = pytest.importorskip("torch")
        model, convert = model.torch(), torch.from_numpy
    if library == "float64":
        convert = partial(np.asarray, dtype=np.float64)
        model = model.converted(lambda part: part if part.dtype.kind == "i" else convert(part))
    found, eyed = posed(model, inputs, convert), posed(model, inputs, convert, eyes=True)
    jawed = model.pose(convert(inputs["exp"]), jaw=convert(inputs["pose"][:, 3:]), identity=convert(inputs["shape"]))
    pairs = {
        "verts_s1": found.vertices,
        "verts_s5": 5 * found.vertices[:, ::10],
        "verts_eye": eyed.vertices,
        "verts_jaw3": jawed.vertices[:, ::10],
        "verts_f64": found.vertices[:, ::10],
        "joints_f64": found.joints,
        "lmks70_s1": model.marks(found.vertices, "full"),
        "dense105_s5": 5 * model.marks(found.vertices, "mediapipe"),
    }
    for name, values in pairs.items():
        np.testing.assert_allclose(np.asarray(values), outputs[name], atol=1e-6, rtol=0, err_msg=name)
    if library == "float64":
        np.testing.assert_allclose(found.vertices[:, ::10], outputs["verts_f64"], atol=5e-9, rtol=0)


def test_the_reference_is_read_from_disk(reference: tuple[Flame, Any, Any], tmp_path: Path) -> None:
    """The three parts of the reference's file, each with its own names."""
    torch = pytest.importorskip("torch")
    _, inputs, outputs = reference
    file: dict[str, dict[str, Any]] = {"flame_model": {}, "lmk_embeddings": {}, "lmk_embeddings_mediapipe": {}}
    for name, part in official().items():
        dense = name in ("lmk_face_idx", "lmk_b_coords")
        kind = "lmk_embeddings_mediapipe" if dense else "lmk_embeddings" if "lmk" in name else "flame_model"
        file[kind][name] = torch.from_numpy(part)
    file["lmk_embeddings_mediapipe"]["landmark_indices"] = torch.arange(105)
    torch.save(file, tmp_path / "FLAME_with_eye.pt")
    model = flame.read(tmp_path / "FLAME_with_eye.pt")
    found = posed(model, inputs, np.asarray)
    np.testing.assert_allclose(found.vertices, outputs["verts_s1"], atol=1e-6, rtol=0)
    np.testing.assert_allclose(posed(model, inputs, np.asarray, eyes=True).vertices, outputs["verts_eye"], atol=1e-6)
    for kind, scale, name in (("full", 1, "lmks70_s1"), ("mediapipe", 5, "dense105_s5")):
        np.testing.assert_allclose(scale * model.marks(found.vertices, kind), outputs[name], atol=1e-6, rtol=0)


def slow_pose(arrays: dict[str, Any], shape: Any, expression: Any, rotvecs: Any) -> np.ndarray:
    """One frame by the paper's formulas, with 4 x 4 matrices and loops."""
    betas = np.concatenate([shape, expression])
    shaped = arrays["v_template"] + arrays["shapedirs"] @ betas
    joints = arrays["J_regressor"] @ shaped
    turns = rotation.rotvec_to_matrix(rotvecs)
    corrected = shaped + arrays["posedirs"] @ (turns[1:] - np.eye(3)).reshape(-1)
    world: list[np.ndarray] = []
    for joint, parent in enumerate([-1, 0, 1, 1, 1]):
        local = np.eye(4)
        local[:3, :3] = turns[joint]
        local[:3, 3] = joints[joint] - (joints[parent] if parent >= 0 else 0)
        world.append(world[parent] @ local if parent >= 0 else local)
    out = np.zeros_like(corrected)
    for joint in range(5):
        back = np.eye(4)
        back[:3, 3] = -joints[joint]
        moved = np.c_[corrected, np.ones(len(corrected))] @ (world[joint] @ back).T
        out += arrays["weights"][:, joint : joint + 1] * moved[:, :3]
    return out


@given(st.integers(0, 99), st.integers(3, 40), st.integers(1, 9), st.sampled_from([0.0, 1e-9, 1e-4, 1.0, 3.0]))
def test_it_is_the_papers_formula_at_any_size(seed: int, vertices: int, expressions: int, strength: float) -> None:
    arrays = tiny(seed, vertices, expressions)
    model = flame.build(arrays, "tiny", 4)
    rng = np.random.default_rng(seed)
    shape, expression = rng.normal(size=4), rng.normal(size=expressions)
    turns = strength * rng.normal(size=(5, 3))
    one = {"head": turns[0], "neck": turns[1], "jaw": turns[2], "eyes": turns[3:].reshape(-1)}
    given_ = {name: part[None].astype(np.float32) for name, part in one.items()}
    found = model.pose(expression[None].astype(np.float32), identity=shape[None].astype(np.float32), **given_)
    np.testing.assert_allclose(found.vertices[0], slow_pose(arrays, shape, expression, turns), atol=2e-6)
    folded = model.with_identity(shape.astype(np.float32)).pose(expression[None].astype(np.float32), **given_)
    np.testing.assert_allclose(folded.vertices, found.vertices, atol=2e-6)


def test_torch_can_differentiate_it_also_at_rest() -> None:
    torch = pytest.importorskip("torch")
    model = flame.build(tiny(), "tiny", 4).torch().converted(lambda p: p.double() if p.is_floating_point() else p)
    for at in (0.0, 1e-5, 0.4):
        inputs = [torch.full((2, size), at, dtype=torch.float64, requires_grad=True) for size in (6, 4, 3, 3, 6, 3)]

        def run(expression: Any, identity: Any, *turns: Any) -> Any:
            names = dict(zip(("head", "jaw", "eyes", "neck"), turns, strict=True))
            made = model.pose(expression, identity=identity, **names)
            return made.vertices, made.joints, model.marks(made.vertices, "static")

        assert torch.autograd.gradcheck(run, inputs, atol=1e-6, fast_mode=True)


def test_coefficients_may_be_fewer_but_not_more() -> None:
    model = flame.build(tiny(), "tiny", 4)
    values = np.ones((2, 3), np.float32)
    full = np.zeros((2, 6), np.float32)
    full[:, :3] = 1
    np.testing.assert_allclose(model.pose(values).vertices, model.pose(full).vertices, atol=1e-7)
    with pytest.raises(BadInput, match=r"expression is \(N, up to 6\), got \(2, 7\)"):
        model.pose(np.zeros((2, 7), np.float32))
    with pytest.raises(BadInput, match=r"jaw is \(2, 3\) radians, got \(1, 3\)"):
        model.pose(values, jaw=np.zeros((1, 3), np.float32))
    with pytest.raises(BadInput, match=r"identity is \(2, up to 4\)"):
        model.pose(values, identity=np.zeros((1, 4), np.float32))
    with pytest.raises(BadInput, match="landmarks static, not 'full'"):
        model.marks(model.pose(values).vertices, "full")


def same(one: Flame, other: Flame) -> None:
    for name in ("template", "identities", "expressions", "correctives", "regressor", "weights", "faces"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)
    assert one.parents == other.parents
    assert set(one.landmarks) == set(other.landmarks)


def test_packing_keeps_the_model(tmp_path: Path) -> None:
    model = flame.build(tiny(), "tiny", 4)
    flame.pack(model, tmp_path / "flame.npz")
    same(flame.read(tmp_path / "flame.npz"), model)


def stand_in(module: str, name: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A class of that name in that module, which does not exist, with whatever attributes it is given."""
    made = type(name, (), {"__init__": lambda self, **parts: self.__dict__.update(parts), "__module__": module})
    path = module.split(".")
    for depth in range(1, len(path) + 1):
        monkeypatch.setitem(sys.modules, ".".join(path[:depth]), types.ModuleType(".".join(path[:depth])))
    monkeypatch.setattr(sys.modules[module], name, made, raising=False)
    return made


@pytest.mark.parametrize("protocol", range(6))
def test_a_pickle_of_the_official_kind_is_read(tmp_path: Path, protocol: int, monkeypatch: pytest.MonkeyPatch) -> None:
    arrays = tiny()
    # Stand-ins with the attributes that chumpy's and scipy's own pickle: neither need be there to read them.
    chumpy = stand_in("chumpy.ch", "Ch", monkeypatch)
    sparse = stand_in("scipy.sparse._csc" if protocol % 2 else "scipy.sparse.csc", "csc_matrix", monkeypatch)
    rows, columns = np.nonzero(arrays["J_regressor"].T)[::-1]
    starts = np.searchsorted(columns, np.arange(31)).astype(np.int32)
    data = arrays["J_regressor"][rows, columns]
    regressor = sparse(_shape=(5, 30), maxprint=50, indices=rows.astype(np.int32), indptr=starts, data=data)
    content = {
        **arrays,
        "v_template": chumpy(x=arrays["v_template"], _dirty_vars={"x"}, _itr=None),
        "shapedirs": chumpy(x=np.asfortranarray(arrays["shapedirs"]), _dirty_vars=set()),
        "J_regressor": regressor,
        "kintree_table": arrays["kintree_table"].astype(np.uint32),
        "f": arrays["f"].astype(np.uint32),
        "bs_style": "lbs",
        "bs_type": "lrotmin",
    }
    (tmp_path / "generic_model.pkl").write_bytes(pickle.dumps(content, protocol))
    monkeypatch.undo()
    same(flame.read(tmp_path / "generic_model.pkl", 4), flame.build(arrays, "tiny", 4))


def test_a_torch_file_is_read_without_torch(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    arrays = {name: part.astype(np.float32) if part.dtype == np.float64 else part for name, part in tiny().items()}
    # A view into a larger storage, in another order, as saving part of a tensor gives.
    wide = torch.zeros(3, 40, 12).transpose(0, 1)
    wide[5:35, :, 1:11] = torch.from_numpy(arrays["shapedirs"])
    model = {name: torch.from_numpy(part) for name, part in arrays.items() if "lmk" not in name}
    marks = {name: torch.from_numpy(part) for name, part in arrays.items() if "lmk" in name}
    model["shapedirs"] = wide[5:35, :, 1:11]
    model["weights"] = torch.nn.Parameter(model["weights"])
    torch.save({"flame_model": model, "lmk_embeddings": marks}, tmp_path / "FLAME_with_eye.pt")
    same(flame.read(tmp_path / "FLAME_with_eye.pt", 4), flame.build(arrays, "tiny", 4))


@pytest.mark.parametrize("within", [False, True])
def test_a_modules_state_is_read_with_its_metadata(tmp_path: Path, within: bool) -> None:
    torch = pytest.importorskip("torch")
    arrays = {name: part.astype(np.float32) if part.dtype == np.float64 else part for name, part in tiny().items()}
    module = torch.nn.Module()
    for name, part in arrays.items():
        module.register_buffer(name, torch.from_numpy(part))
    state = module.state_dict()
    assert state._metadata
    torch.save({"flame_model": state} if within else state, tmp_path / "FLAME.pt")
    same(flame.read(tmp_path / "FLAME.pt", 4), flame.build(arrays, "tiny", 4))


BROKEN: dict[str, tuple[Any, str]] = {
    "no template": (lambda a: a.pop("v_template"), "has no 'v_template'"),
    "no weights": (lambda a: a.pop("weights"), "has no 'weights'"),
    "flat template": (lambda a: a.update(v_template=np.zeros(90)), r"'v_template' is \(90, 3\)"),
    "one vertex": (lambda a: a.update(v_template=np.zeros((1, 3))), "3 to 1000000 vertices"),
    "millimetres": (lambda a: a.update(v_template=a["v_template"] * 1000), "FLAME is in metres"),
    "NaN": (lambda a: a["v_template"].__setitem__((3, 1), np.nan), "NaN, infinity or absurdly large"),
    "infinity": (lambda a: a["shapedirs"].__setitem__((3, 1, 2), np.inf), "NaN, infinity or absurdly large"),
    "huge": (lambda a: a["posedirs"].__setitem__((3, 1, 2), 1e300), "NaN, infinity or absurdly large"),
    "text": (lambda a: a.update(weights=np.full((30, 5), "x")), "'weights' holds numbers"),
    "vertices differ": (lambda a: a.update(shapedirs=a["shapedirs"][:-1]), r"'shapedirs' is \(30, 3, K\)"),
    "correctives": (lambda a: a.update(posedirs=a["posedirs"][..., :35]), r"'posedirs' is \(36, 90\)"),
    "no expressions": (lambda a: a.update(shapedirs=a["shapedirs"][..., :4]), "none expressions"),
    "regressor": (lambda a: a.update(J_regressor=a["J_regressor"].T), r"'J_regressor' is \(5, 30\)"),
    "joints": (lambda a: a.update(kintree_table=a["kintree_table"][:, :4]), r"'kintree_table' is \(2, 5\)"),
    "cycle": (lambda a: a["kintree_table"].__setitem__((0, 1), 3), "parent stands before it"),
    "shares": (lambda a: a.update(weights=2 * a["weights"]), "sum to 1"),
    "negative shares": (lambda a: a.update(weights=a["weights"] - [1, -1, 0, 0, 0]), "sum to 1"),
    "faces": (lambda a: a["f"].__setitem__((0, 0), 30), "from 0 to below 30"),
    "negative faces": (lambda a: a["f"].__setitem__((0, 0), -1), "from 0 to below 30"),
    "quads": (lambda a: a.update(f=np.zeros((5, 4), int)), r"'f' is \(5, 3\)"),
    "landmark faces": (lambda a: a["static_lmk_faces_idx"].__setitem__(0, 99), "from 0 to below 60"),
    "landmark shares": (lambda a: a.update(static_lmk_bary_coords=np.zeros((3, 3))), r"is \(51, 3\) here"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_model_is_refused(kind: str) -> None:
    arrays = tiny()
    harm, sentence = BROKEN[kind]
    harm(arrays)
    with pytest.raises(BadFile, match=sentence):
        flame.build(arrays, "broken.npz", 4)


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text.pkl").write_text("hello")
    (tmp_path / "mesh.obj").write_text("v 0 0 0")
    (tmp_path / "list.pkl").write_bytes(pickle.dumps([1, 2]))
    np.savez(tmp_path / "other.npz", x=np.zeros(3))
    np.savez(tmp_path / "objects.npz", x=np.array([{}], object))
    for name, sentence in {
        "text.pkl": "no pickle",
        "mesh.obj": r"called \.pkl",
        "list.pkl": "holds list",
        "other.npz": "has no 'v_template', it holds x; a FLAME file is had from https://flame",
        "objects.npz": "Python objects",
    }.items():
        with pytest.raises(BadFile, match=sentence):
            flame.read(tmp_path / name)
    with pytest.raises(MissingFile):
        flame.read(tmp_path / "nowhere.pkl")


def rig() -> FlameRig:
    return FlameRig(flame.build(tiny(expressions=100), "tiny", 4), FLAME112)


def test_a_rig_poses_motion_in_its_channels() -> None:
    face = rig()
    values = np.random.default_rng(0).normal(0, 0.3, len(FLAME112)).astype(np.float32)
    expected = face.model.pose(
        values[None, :100], head=values[None, 100:103], jaw=values[None, 103:106], eyes=values[None, 106:]
    )
    np.testing.assert_array_equal(face.pose(values), expected.vertices[0])
    plain = FlameRig(face.model, FLAME, scale=5.0)
    still = values.copy()
    still[106:] = 0
    np.testing.assert_allclose(plain.pose(values[:106]), 5 * face.pose(still), rtol=1e-6)
    np.testing.assert_array_equal(face.pose(np.zeros(len(FLAME112), np.float32)), face.mesh.vertices)
    assert [joint.name for joint in face.joints] == ["root", "neck", "jaw", "leftEye", "rightEye"]
    assert face.joints[2].parent == "neck"
    assert face.landmarks is not None


def test_a_rig_says_what_it_cannot_show() -> None:
    few = FlameRig(flame.build(tiny(expressions=50), "tiny", 4))
    values = np.zeros(len(FLAME), np.float32)
    values[49] = 1
    assert few.pose(values).shape == (30, 3)
    values[50] = 1
    with pytest.raises(BadInput, match="has 50 expressions"):
        few.pose(values)
    with pytest.raises(BadInput, match="a scale is positive"):
        FlameRig(few.model, scale=0)
