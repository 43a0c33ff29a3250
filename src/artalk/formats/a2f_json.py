"""Audio2Face `.json`: the weights that Omniverse Audio2Face exports and Faceit and others import.

`exportFps`, `numPoses`, `numFrames`, `facsNames` (PascalCase, order U) and `weightMat` (frames × poses) are its keys.
`joints: ["head"]` and `rotations` (frames × joints × [x, y, z, w]) are ours, for the head; importers ignore keys that
they do not know.
"""

import json
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from artalk import rotation
from artalk.channels import ARKIT
from artalk.errors import ArtalkError, BadFile, Unsupported
from artalk.formats import table
from artalk.formats.atomic import atomic
from artalk.motion import Fps, Motion, exact_fps
from artalk.retarget.maps import A2F, retarget
from artalk.retarget.names import match
from artalk.rigs.glb import parse_json

HEAD_JOINT = "head"


def write(motion: Motion, path: str | Path, sound: str = "") -> None:
    """Write ARKit motion; `sound` is the path of the sound, which goes into `trackPath`. Weights have nine digits."""
    if motion.channels not in (ARKIT, A2F):
        raise Unsupported(f"Audio2Face's .json holds ARKit motion, got {motion.channels.name!r}: retarget it first")
    document: dict[str, Any] = {
        "exportFps": int(motion.fps) if motion.fps.denominator == 1 else float(motion.fps),
        "trackPath": sound,
        "numPoses": len(A2F),
        "numFrames": len(motion),
        "facsNames": list(A2F.names),
        "weightMat": _digits(retarget(motion, A2F).values),
    }
    if motion.channels == ARKIT:
        document["joints"] = [HEAD_JOINT]
        document["rotations"] = _digits(rotation.rotvec_to_quat(motion.group("head"))[:, None, :])
    with atomic(path) as temporary:
        temporary.write_text(json.dumps(document), encoding="utf-8")


def read(path: str | Path, fps: Fps | None = None) -> Motion:
    """ARKit motion from an export, by names; Audio2Face's former 46 poses (`jawDrop`, `lipCornerPullerL`) as well.

    Raises `BadFile` when counts, names and numbers do not agree; missing shapes are 0.
    """
    name = Path(path).name
    document = parse_json(table.text(path).encode(), name)
    names = _names(document, name)
    weights = _numbers(document.get("weightMat"), "weightMat", name)
    if weights.size == 0:
        weights = weights.reshape(0, len(names))
    if weights.ndim != 2 or weights.shape[1] != len(names):
        raise BadFile(f"{name}: weightMat is (frames, {len(names)}) as facsNames are, got {weights.shape}")
    for key, count in (("numFrames", len(weights)), ("numPoses", len(names))):
        if document.get(key, count) != count:
            raise BadFile(f"{name}: {key} says {str(document[key])[:20]}, there are {count}: the file is cut or mended")
    found = match(names)
    if not found:
        raise BadFile(f"{name}: none of facsNames is an ARKit shape, got {', '.join(names)[:200]}")
    values = np.zeros((len(weights), len(ARKIT)), np.float32)
    for shape, spellings in found.items():
        values[:, ARKIT.index(shape)] = weights[:, [names.index(spelling) for spelling in spellings]].mean(axis=1)
    values[:, ARKIT.slice("head")] = _head(document, len(weights), name)
    return Motion(values, ARKIT, _rate(document, name) if fps is None else exact_fps(fps))


def _digits(values: NDArray[np.floating]) -> Any:
    return np.round(values.astype(np.float64), 9).tolist()


def _names(document: dict[str, Any], name: str) -> list[str]:
    names: Any = document.get("facsNames")
    if not isinstance(names, list) or not names:
        raise BadFile(f"{name}: wanted Audio2Face's facsNames and weightMat, got {', '.join(document)[:200]}")
    return [str(item) for item in cast(list[Any], names)]


def _numbers(value: Any, key: str, name: str) -> NDArray[np.float64]:
    try:
        numbers = np.array(value, np.float64)
    except (ValueError, TypeError, OverflowError) as error:
        raise BadFile(f"{name}: {key} is a table of numbers with rows of one length, which this is not") from error
    if not (np.abs(numbers) < 1e30).all():
        raise BadFile(f"{name}: {key} holds numbers that are no weights (NaN, infinite or huge)")
    return numbers


def _rate(document: dict[str, Any], name: str) -> Fraction:
    value: Any = document.get("exportFps", 30)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadFile(f"{name}: exportFps is a number, got {str(value)[:20]!r}")
    try:
        near = Fraction(value).limit_denominator(1001)
        # Floats of fractions such as 100/3 come back exactly.
        return exact_fps(near if abs(near - Fraction(value)) < Fraction(1, 10**9) else float(value))
    except (ArtalkError, OverflowError, ValueError) as error:
        raise BadFile(f"{name}: exportFps: {error}") from error


def _head(document: dict[str, Any], frames: int, name: str) -> NDArray[np.float64]:
    """The (frames, 3) rotation vectors of joint "head", zero where the file has no such joint as quaternions."""
    listed: Any = document.get("joints")
    joints = cast(list[Any], listed) if isinstance(listed, list) else []
    if HEAD_JOINT not in joints or "rotations" not in document:
        return np.zeros((frames, 3))
    rotations = _numbers(document["rotations"], "rotations", name)
    if rotations.shape != (frames, len(joints), 4):
        return np.zeros((frames, 3))
    quats = rotations[:, joints.index(HEAD_JOINT)]
    lengths = np.linalg.norm(quats, axis=-1, keepdims=True)
    if (lengths < 1e-6).any():
        raise BadFile(f"{name}: rotations are quaternions (x, y, z, w), one has no length")
    return rotation.quat_to_rotvec(quats / lengths)
