"""FLAME coefficients as trackers leave them: `.npz`, `.npy`, `.pt`, `.frame`, or a folder with one of them a frame.

| written by | keys |
|---|---|
| SPECTRE, DECA, DiffPoseTalk (TFHP) | `exp` (50 or 100), `pose` (6: global, jaw), `shape` |
| DECA and EMOCA codes | `expcode`, `posecode` (6), `shapecode`; or a folder a frame with `exp.npy`, `pose.npy` |
| EMICA (inferno) | `exp` or `expcode`, `jawpose` (3), `globalpose` (3); or a folder a frame of such `.npy` |
| VHAP, GaussianAvatars, smplx | `expr` or `expression`, `jaw_pose`, `rotation` or `global_orient`, `neck_pose` |
| BEAT2 (SMPL-X) | `expressions` (100), `poses` (165), `mocap_frame_rate` |
| MICA's metrical tracker | a folder of `00000.frame` with `flame.exp`, `flame.jaw` (6: two rows of a matrix) |
| ARTalk | `.pt` or `.npy` (frames, 106) |

A plain array is known by its width: 106 (100, global, jaw), 103 (100, jaw), 56 (50, global, jaw), 53 (50, jaw), and 51
and 101 with the jaw's opening angle alone. Nothing is ever unpickled: `.npz` and `.npy` are read without pickle, `.pt`
and `.frame` with torch's `weights_only`.
"""

import importlib
import math
import pickle
import warnings
import zipfile
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from artalk import rotation
from artalk.captures.capture import Capture, moving
from artalk.channels import ARKIT, FLAME
from artalk.errors import BadFile, MissingFile, needs
from artalk.motion import Fps, Motion, exact_fps

Float = NDArray[np.float64]

TOOL = "FLAME coefficients"

FPS = Fraction(25)
"""The rate of files that do not say theirs: what these trackers are fed with."""

MAX_BYTES = 1 << 30

EXPRESSION = ("exp", "expcode", "expr", "expression", "expressions")
JAW = ("jaw", "jaw_pose", "jawpose")
HEAD = ("globalpose", "global_pose", "global_orient", "rotation", "head_pose")
NECK = ("neck_pose", "neckpose", "neck")
POSE = ("pose", "posecode")
SHAPE = ("shape", "shapecode", "betas")
RATE = ("mocap_frame_rate", "fps", "frame_rate")

WIDTHS: dict[int, tuple[int, int, int]] = {
    106: (100, 3, 3), 103: (100, 0, 3), 101: (100, 0, 1), 56: (50, 3, 3), 53: (50, 0, 3), 51: (50, 0, 1),
}  # fmt: skip
"""Columns of expression, head and jaw of arrays without names."""

SMPLX_JOINTS = {"neck": 12, "head": 15, "jaw": 22}
"""The places of these joints among SMPL-X's 55."""

_UNSEEN = ("eyeLook", "tongueOut")

OBSERVED: NDArray[np.bool_] = np.array([not name.startswith(_UNSEEN) for name in ARKIT.names])
"""What FLAME's expressions and jaw can show: all but the gaze and the tongue."""

SUFFIXES = (".npz", ".npy", ".pt", ".pth", ".frame")


def read(path: str | Path, fps: Fps | None = None) -> Capture:
    """The capture in a file or a folder of frames, in FLAME's channels, at the file's rate or 25.

    The head's rotation is the global one, with the neck's after it where there is one, as the tracker has it: relative
    to its camera. Raises `BadFile` where no layout fits.
    """
    path = Path(path)
    arrays = frames_of(path) if path.is_dir() else arrays_of(path)
    values = _named(arrays, path.name) if len(arrays) > 1 or "" not in arrays else _plain(arrays[""], path.name)
    if not len(values):
        raise BadFile(f"{path.name} holds no frames")
    if not (np.abs(values) < 1e6).all():
        raise BadFile(f"{path.name}: a coefficient is NaN, infinite or absurd")
    motion = Motion(values.astype(np.float32), FLAME, exact_fps(_rate(arrays, path.name) if fps is None else fps))
    return capture_of(motion, _identity(arrays))


def capture_of(motion: Motion, identity: NDArray[np.float32] | None = None) -> Capture:
    """FLAME motion as a capture; a head that never moves was not measured."""
    head = np.zeros((len(motion), len(ARKIT)), np.float32)
    head[:, ARKIT.slice("head")] = motion.group("head")
    observed = OBSERVED.copy()
    observed[ARKIT.slice("head")] = moving(head)[ARKIT.slice("head")]
    return Capture(motion, observed, TOOL, np.ones(len(motion), bool), identity)


def is_flame(path: Path) -> bool:
    """Whether a file or folder holds FLAME's coefficients, by its names alone where it has names."""
    try:
        if path.is_dir():
            return bool(_frame_places(path))
        if path.suffix.lower() not in SUFFIXES:
            return False
        if path.suffix.lower() in (".pt", ".pth", ".frame"):
            return True
        if path.suffix.lower() == ".npy":
            shape = np.load(path, mmap_mode="r", allow_pickle=False).shape
            return len(shape) == 2 and shape[1] in WIDTHS
        with zipfile.ZipFile(path) as archive:
            names = {name.removesuffix(".npy").lower() for name in archive.namelist()}
        return bool(names & set(EXPRESSION))
    except (OSError, ValueError, zipfile.BadZipFile):
        return False


def arrays_of(path: Path) -> dict[str, NDArray[Any]]:
    """The arrays of a file by the last part of their names in lower case; "" is the one array of an array file."""
    if not path.is_file():
        raise MissingFile(f"no capture at {str(path)!r}")
    suffix = path.suffix.lower()
    try:
        if suffix in (".pt", ".pth", ".frame"):
            return _flat(_torch(path))
        if suffix == ".npy":
            return {"": np.array(np.load(path, mmap_mode="r", allow_pickle=False))}
        with zipfile.ZipFile(path) as archive:
            claimed = sum(item.file_size for item in archive.infolist())
        if claimed > MAX_BYTES:
            raise BadFile(f"{path.name} claims {claimed} bytes, more than the {MAX_BYTES} that are read")
        with np.load(path, allow_pickle=False) as arrays:
            return {name.lower(): arrays[name] for name in arrays.files if not _is_object(arrays, name)}
    except BadFile:
        raise
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, MemoryError) as error:
        raise BadFile(f"{path.name} holds no arrays that can be read: {error}") from error


def frames_of(folder: Path) -> dict[str, NDArray[Any]]:
    """The arrays of a folder with a file or a folder a frame, stacked in the order of their names."""
    places = _frame_places(folder)
    if not places:
        raise BadFile(f"{str(folder)!r} holds neither `.frame` files nor folders with exp.npy")
    rows = [_frame(place) for place in places]
    shared = set(rows[0]).intersection(*rows[1:])
    try:
        return {name: np.stack([np.asarray(row[name], np.float64).reshape(-1) for row in rows]) for name in shared}
    except (ValueError, TypeError) as error:
        raise BadFile(f"{folder.name}: its frames differ in size: {error}") from error


def _frame(place: Path) -> dict[str, NDArray[Any]]:
    if place.is_file():
        return arrays_of(place)
    return {path.stem.lower(): arrays_of(path)[""] for path in sorted(place.glob("*.npy"))}


def _frame_places(folder: Path) -> list[Path]:
    files = sorted(folder.glob("*.frame"))
    return files or sorted(path.parent for name in ("exp", "expcode") for path in folder.glob(f"*/{name}.npy"))


def _is_object(arrays: Any, name: str) -> bool:
    """Whether an array of a file is a pickle, such as BEAT2's texts: left alone."""
    try:
        return arrays[name].dtype.hasobject
    except ValueError:
        return True


def _torch(path: Path) -> Any:
    torch = needs("torch", "train", f"reading {path.suffix} files")
    # What numpy's arrays and numbers are rebuilt with, and nothing else: no code of the file's own is run.
    rebuilt: list[Any] = [np.ndarray, np.dtype, type(np.dtype(np.float32)), type(np.dtype(np.float64))]
    rebuilt += [type(np.dtype(np.int64)), type(np.dtype(np.int32))]
    core = importlib.import_module("numpy._core.multiarray")
    for name in ("numpy.core.multiarray", "numpy._core.multiarray"):
        rebuilt += [(core._reconstruct, f"{name}._reconstruct"), (core.scalar, f"{name}.scalar")]
    try:
        with torch.serialization.safe_globals(rebuilt), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of pickles that torch did not write: they are refused anyway
            return torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, pickle.UnpicklingError, EOFError, KeyError, AttributeError, TypeError, IndexError) as error:
        said = str(error).splitlines()[0][:200]
        raise BadFile(f"{path.name} is no file of plain tensors: {said}") from error


def _flat(tree: Any, name: str = "") -> dict[str, NDArray[Any]]:
    if isinstance(tree, Mapping):
        flat: dict[str, NDArray[Any]] = {}
        for key, value in cast("Mapping[Any, Any]", tree).items():
            flat |= _flat(value, str(key).lower())
        return flat
    if hasattr(tree, "detach"):
        tree = tree.detach().numpy()
    if isinstance(tree, np.ndarray | int | float):
        return {name: np.asarray(tree)}
    return {}


def _plain(array: NDArray[Any], name: str) -> Float:
    rows = _rows(array, name, "the array")
    if rows.shape[1] not in WIDTHS:
        raise BadFile(f"{name}: an array without names is (frames, {' | '.join(map(str, WIDTHS))}), got {array.shape}")
    expression, head, _ = WIDTHS[rows.shape[1]]
    return _joined(rows[:, :expression], rows[:, expression : expression + head], rows[:, expression + head :])


def _named(arrays: Mapping[str, NDArray[Any]], name: str) -> Float:
    expression = _part(arrays, EXPRESSION, name)
    if expression is None:
        raise BadFile(f"{name}: none of its arrays is one of {', '.join(EXPRESSION)}; it has {', '.join(arrays)[:200]}")
    head, neck, jaw = (_part(arrays, names, name) for names in (HEAD, NECK, JAW))
    body, pose = _part(arrays, ("poses",), name), _part(arrays, POSE, name)
    if body is not None and body.shape[1] == 165:
        neck, head, jaw = (body[:, 3 * joint : 3 * joint + 3] for joint in SMPLX_JOINTS.values())
    elif pose is not None and pose.shape[1] == 15:  # FLAME's five joints: global, neck, jaw, eyes
        head, neck, jaw = pose[:, :3], pose[:, 3:6], pose[:, 6:9]
    elif pose is not None and pose.shape[1] == 6:
        head, jaw = pose[:, :3], pose[:, 3:]
    elif pose is not None and jaw is None:
        raise BadFile(f"{name}: a pose has 6 columns (global, jaw) or 15, got {pose.shape[1]}")
    if jaw is None:
        raise BadFile(f"{name}: no jaw among {', '.join(arrays)[:200]}: wanted one of {', '.join((*JAW, *POSE))}")
    lengths = {len(part) for part in (expression, head, neck, jaw) if part is not None}
    if len(lengths) > 1:
        raise BadFile(f"{name}: its parts differ in length: {', '.join(map(str, sorted(lengths)))} frames")
    turn = np.zeros((len(jaw), 3)) if head is None else _rotvec(head, name)
    if neck is not None:
        turn = rotation.quat_to_rotvec(
            rotation.quat_multiply(*(rotation.rotvec_to_quat(part) for part in _order(body, turn, _rotvec(neck, name))))
        )
    return _joined(expression, turn, _rotvec(jaw, name))


def _order(body: Float | None, head: Float, neck: Float) -> tuple[Float, Float]:
    """The outer rotation first: FLAME's global one before its neck, but a body's neck before its head."""
    return (head, neck) if body is None else (neck, head)


def _joined(expression: Float, head: Float, jaw: Float) -> Float:
    values = np.zeros((len(expression), len(FLAME)))
    kept = min(expression.shape[1], 100)
    values[:, :kept] = expression[:, :kept]
    values[:, FLAME.slice("head")][:, : head.shape[1]] = head
    values[:, FLAME.slice("jaw")][:, : jaw.shape[1]] = jaw
    return values


def _rotvec(turn: Float, name: str) -> Float:
    """Rotation vectors of an opening angle (1), of themselves (3), of a matrix' two rows (6) or of a matrix (9)."""
    width = turn.shape[1]
    if width == 1:
        return np.pad(turn, ((0, 0), (0, 2)))
    if width == 3:
        return turn
    if width == 6:
        first = turn[:, :3] / np.maximum(np.linalg.norm(turn[:, :3], axis=1, keepdims=True), 1e-9)
        second = turn[:, 3:] - (first * turn[:, 3:]).sum(axis=1, keepdims=True) * first
        second /= np.maximum(np.linalg.norm(second, axis=1, keepdims=True), 1e-9)
        return rotation.matrix_to_rotvec(np.stack([first, second, np.cross(first, second)], axis=1))
    if width == 9:
        return rotation.matrix_to_rotvec(turn.reshape(-1, 3, 3))
    raise BadFile(f"{name}: a rotation has 1, 3, 6 or 9 columns, got {width}")


def _part(arrays: Mapping[str, NDArray[Any]], names: tuple[str, ...], where: str) -> Float | None:
    found = next((arrays[name] for name in names if name in arrays), None)
    return None if found is None else _rows(found, where, " or ".join(names))


def _rows(array: NDArray[Any], where: str, what: str) -> Float:
    """An array as (frames, columns): axes of one are dropped, a single row is one frame."""
    if array.dtype.kind not in "fiu" or not array.ndim:
        raise BadFile(f"{where}: {what} is a table of numbers, got {array.dtype} of shape {array.shape}")
    rows = array.astype(np.float64)
    return rows[None] if rows.ndim == 1 else rows.reshape(len(rows), math.prod(rows.shape[1:]))


def _identity(arrays: Mapping[str, NDArray[Any]]) -> NDArray[np.float32] | None:
    """A person's shape: the mean of the frames'."""
    found = next((arrays[name] for name in SHAPE if name in arrays), None)
    if found is None or found.dtype.kind != "f" or not found.size:
        return None
    return found.reshape(-1, found.shape[-1]).mean(axis=0).astype(np.float32)


def _rate(arrays: Mapping[str, NDArray[Any]], name: str) -> Fraction:
    for key in RATE:
        if key in arrays and arrays[key].size == 1 and arrays[key].dtype.kind in "fiu":
            rate = float(arrays[key].reshape(-1)[0])
            if not 1 <= rate <= 1000:
                raise BadFile(f"{name}: {key} is a frame rate between 1 and 1000, got {rate}")
            return exact_fps(rate)
    return FPS
