"""FACEGOOD-Audio2Face's recordings: 116 named weights at 30 fps, of which the mouth moves."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from artalk.channels import ARKIT
from artalk.errors import BadFile, MissingFile
from artalk.motion import Motion

FPS = Fraction(30)

NAMES: dict[str, tuple[str, ...]] = {
    "jawForward": ("jaw_thrust_c",),
    "jawLeft": ("jaw_sideways_l",),
    "jawRight": ("jaw_sideways_r",),
    "jawOpen": ("mouth_stretch_c",),
    "mouthClose": ("mouth_chew_c",),
    "mouthFunnel": ("mouth_funnel_dl", "mouth_funnel_dr", "mouth_funnel_ul", "mouth_funnel_ur"),
    "mouthPucker": ("mouth_pucker_l", "mouth_pucker_r"),
    "mouthLeft": ("mouth_sideways_l",),
    "mouthRight": ("mouth_sideways_r",),
    "mouthRollLower": ("mouth_suck_dl", "mouth_suck_dr"),
    "mouthRollUpper": ("mouth_suck_ul", "mouth_suck_ur"),
    "mouthShrugLower": ("mouth_chinRaise_d",),
    "mouthShrugUpper": ("mouth_chinRaise_u",),
    **{
        f"{ours}{side}": tuple(f"{theirs}_{side[0].lower()}" for theirs in names)
        for ours, names in {
            "mouthSmile": ("mouth_lipCornerPull",),
            "mouthFrown": ("mouth_lipCornerDepress", "mouth_lipCornerDepressFix"),
            "mouthDimple": ("mouth_dimple",),
            "mouthStretch": ("mouth_lipStretch",),
            "mouthPress": ("mouth_press",),
            "mouthLowerDown": ("mouth_lowerLipDepress",),
            "mouthUpperUp": ("mouth_upperLipRaise",),
        }.items()
        for side in ("Left", "Right")
    },
}
"""ARKit's channel as the largest of FACEGOOD's columns. What is not named here was not observed."""

OBSERVED: NDArray[np.bool_] = np.array([name in NAMES for name in ARKIT.names])


def read_names(path: Path) -> tuple[str, ...]:
    """The column names of a file with one on each line."""
    if not path.is_file():
        raise MissingFile(f"FACEGOOD's weights need the names of their columns, {str(path)!r} is not there")
    return tuple(path.read_text(encoding="utf-8").split())


def read(path: Path, names: Sequence[str]) -> Motion:
    """A file of (frames, columns) weights at 30 fps as ARKit motion at 30 fps."""
    try:
        weights = np.load(path, allow_pickle=False)
    except (ValueError, OSError) as error:
        raise BadFile(f"{str(path)!r} holds no weights: {error}") from error
    missing = sorted({column for columns in NAMES.values() for column in columns} - set(names))
    if missing or weights.ndim != 2 or weights.shape[1] != len(names):
        raise BadFile(
            f"{str(path)!r}: weights are (frames, {len(names)}), got {weights.shape}; columns missing: {missing}"
        )
    column = {name: k for k, name in enumerate(names)}
    values = np.zeros((len(weights), len(ARKIT)), np.float32)
    for ours, theirs in NAMES.items():
        values[:, ARKIT.index(ours)] = weights[:, [column[name] for name in theirs]].max(axis=1).clip(0.0, 1.0)
    return Motion(values, ARKIT, FPS)
