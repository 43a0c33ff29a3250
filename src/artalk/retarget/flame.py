"""FLAME ⇄ ARKit by a stored map: no mesh is needed to use one.

A `FlameMap` is solved from a user's FLAME file and a head with ARKit's shapes (`artalk.fitting.flame`), or made from a
table that a user has: each ARKit shape as FLAME coefficients. From ARKit the table is multiplied; from FLAME each frame
is a bounded least-squares problem, so that weights stay in 0..1 and opposite shapes do not fight.
"""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from artalk import archive
from artalk.channels import ARKIT, ARKIT_SHAPES, FLAME, FLAME112, Channels
from artalk.errors import BadFile, BadInput, MissingFile
from artalk.motion import Motion
from artalk.retarget.joints import GAZE, joint_rotations
from artalk.retarget.names import match
from artalk.retarget.solve import minimise, pairs_of

Float = NDArray[np.float64]

FORMAT, VERSION = "artalk-flame-map", 1

COEFFICIENTS = (*FLAME.names[FLAME.slice("expression")], *FLAME.names[FLAME.slice("jaw")])
"""The 103 numbers that move a FLAME face: 100 expressions, then the jaw's rotation vector."""

UNSEEN = (*(name for name in ARKIT_SHAPES if name.startswith("eyeLook")), "tongueOut")
"""Shapes that FLAME's skin does not tell: eyes turn by their joints, and it has no tongue."""

JAW_UNITS = 20.0
"""Where only a table is known: radians of the jaw times this weigh as much as an expression coefficient."""

RIDGE = 1e-2
"""Where only a table is known: strength of the pull of weights to 0, of the mean energy of a shape."""

MAX_TABLE = 1 << 24
"""Bytes of the largest table of text."""


@dataclass(frozen=True, eq=False)
class FlameMap:
    """How FLAME's 103 `COEFFICIENTS` and ARKit's 52 weights belong together.

    `table` (52, 103) holds what each shape at 1 is in FLAME. From FLAME, weights w in 0..1 minimise
    ½ w·H·w - (C f)·w for coefficients f, with `hessian` H (52, 52) and `cross` C (52, 103). `errors` are figures of the
    map in mm or weights, `shape_mm` (52, 2) how far each shape at 1 moves the face on average (root mean square) and
    how far the table's FLAME stays from it; both are empty where nothing was measured. `source` says what it was made
    from, `model` the SHA-256 of the FLAME file and `head` the rig ("head" or "ict"), "" for a table.
    """

    table: Float
    hessian: Float
    cross: Float
    errors: Mapping[str, float] = field(default_factory=dict[str, float])
    shape_mm: Float = field(default_factory=lambda: np.zeros((0, 2)))
    source: str = ""
    model: str = ""
    head: str = ""

    def __post_init__(self) -> None:
        shapes, numbers = len(ARKIT_SHAPES), len(COEFFICIENTS)
        wanted = {"table": (shapes, numbers), "hessian": (shapes, shapes), "cross": (shapes, numbers)}
        for name, shape in wanted.items():
            part: Float = getattr(self, name)
            if part.shape != shape or not np.isfinite(part).all():
                raise BadInput(f"a FLAME map's {name} is {shape} finite numbers, got {part.shape}")

    def words(self) -> str:
        """A sentence for a person."""
        if not self.errors:
            return f"a FLAME map from {self.source or 'a table'}, its error not measured"
        figures = ", ".join(f"{name} {value:.3g}" for name, value in self.errors.items())
        return f"a FLAME map from {self.source}: {figures}"


def from_table(
    table: NDArray[np.floating], names: Sequence[str], source: str = "a table", metric: NDArray[Any] | None = None
) -> FlameMap:
    """The map of a table (S, K) that gives each named shape as FLAME coefficients.

    K is 103 (100 expressions and the jaw), or fewer expressions and the jaw. `names` may be in any spelling of ARKit's;
    shapes without a row are not carried. `metric` (103, 103) says how much coefficients matter together; without it
    every expression coefficient counts the same, and the jaw by `JAW_UNITS`.
    """
    rows = np.asarray(table, np.float64)
    if rows.ndim != 2 or len(rows) != len(names) or not 3 < rows.shape[1] <= len(COEFFICIENTS):
        raise BadInput(f"a table is ({len(names)} shapes, up to {len(COEFFICIENTS)} coefficients), got {rows.shape}")
    found = match(names)
    if not found:
        raise BadInput(f"a table's rows are named after ARKit's shapes, got {', '.join(names)[:200]}")
    full = np.zeros((len(ARKIT_SHAPES), len(COEFFICIENTS)))
    for shape, spellings in found.items():
        row = rows[[list(names).index(name) for name in spellings]].sum(axis=0)
        full[ARKIT_SHAPES.index(shape), : len(row) - 3] = row[:-3]
        full[ARKIT_SHAPES.index(shape), -3:] = row[-3:]
    weigh = np.diag([1.0] * (len(COEFFICIENTS) - 3) + [JAW_UNITS**2] * 3) if metric is None else np.asarray(metric)
    if weigh.shape != (len(COEFFICIENTS), len(COEFFICIENTS)):
        raise BadInput(f"a metric is ({len(COEFFICIENTS)}, {len(COEFFICIENTS)}), got {weigh.shape}")
    return from_metric(full, weigh, RIDGE, source)


def from_metric(table: Float, metric: Float, ridge: float, source: str) -> FlameMap:
    """A map of a whole `table` (52, 103) whose fit from FLAME measures differences of coefficients by `metric`.

    Shapes are taken as FLAME shows them, so that what FLAME does for a shape is that shape again, in full. Weights are
    pulled to 0, and sides to each other, by `ridge` times the mean energy of a shape. `UNSEEN` shapes, and shapes that
    move nothing, stay 0.
    """
    cross = table @ metric
    hessian = cross @ table.T
    energy = np.diag(hessian)
    moves = energy > 1e-9 * energy.max(initial=0.0)
    strength = ridge * float(energy[moves].mean()) if moves.any() else 1.0
    kept = np.array([shape not in UNSEEN for shape in ARKIT_SHAPES]) & moves
    regular = hessian + strength * np.eye(len(hessian))
    for left, right in pairs_of(ARKIT_SHAPES):
        regular[[left, right], [left, right]] += strength
        regular[[left, right], [right, left]] -= strength
    regular = np.where(np.outer(kept, kept), regular, 0) + np.diag(np.where(kept, 0.0, strength))
    return FlameMap(table, regular, np.where(kept[:, None], cross, 0.0), source=source)


def from_arkit(motion: Motion, flame_map: FlameMap, to: Channels = FLAME) -> Motion:
    """ARKit motion in FLAME's channels (`FLAME` or `FLAME112`); the head's rotation is the same in both."""
    _expect(motion, ARKIT)
    coefficients = motion.values[:, : len(ARKIT_SHAPES)].astype(np.float64) @ flame_map.table
    return assembled(coefficients, motion, to)


def assembled(coefficients: NDArray[np.floating], motion: Motion, to: Channels) -> Motion:
    """FLAME motion of `coefficients` (N, 103) with the head, and the gaze, of ARKit `motion`."""
    if to not in (FLAME, FLAME112):
        raise BadInput(f"FLAME's channels are flame and flame112, got {to.name!r}")
    values = np.zeros((len(motion), len(to)), np.float32)
    values[:, to.indices(COEFFICIENTS)] = coefficients
    values[:, to.slice("head")] = motion.group("head")
    if to == FLAME112:
        turns = joint_rotations(motion.values)
        values[:, to.slice("leftEye")] = turns["leftEye"]
        values[:, to.slice("rightEye")] = turns["rightEye"]
    return Motion(values, to, motion.fps, motion.start)


def to_arkit(motion: Motion, flame_map: FlameMap) -> Motion:
    """FLAME motion (`FLAME` or `FLAME112`) as ARKit weights, each frame the nearest face within 0..1."""
    coefficients = coefficients_of(motion)
    values = gaze(motion)
    # What lids do for the gaze is known, and must not be taken for a blink.
    coefficients = coefficients - values[:, : len(ARKIT_SHAPES)] @ flame_map.table
    found = minimise(flame_map.hessian, coefficients @ flame_map.cross.T)
    values[:, : len(ARKIT_SHAPES)] += found
    return Motion(values, ARKIT, motion.fps, motion.start)


def coefficients_of(motion: Motion) -> Float:
    """The 103 coefficients (N, 103) of FLAME motion."""
    _expect(motion, FLAME, FLAME112)
    return motion.values[:, motion.channels.indices(COEFFICIENTS)].astype(np.float64)


def gaze(motion: Motion) -> NDArray[np.float32]:
    """ARKit values (N, 55) with the head of FLAME motion and, where it has eyes, their gaze; the rest is 0."""
    values = np.zeros((len(motion), len(ARKIT)), np.float32)
    values[:, ARKIT.slice("head")] = motion.group("head")
    if motion.channels == FLAME112:
        for side, outwards in (("Left", 1.0), ("Right", -1.0)):
            turn = motion.group(f"{side.lower()}Eye") / GAZE
            directions = {
                "Down": turn[:, 0],
                "Up": -turn[:, 0],
                "Out": outwards * turn[:, 1],
                "In": -outwards * turn[:, 1],
            }
            for direction, weight in directions.items():
                values[:, ARKIT.index(f"eyeLook{direction}{side}")] = np.clip(weight, 0, 1)
    return values


def _expect(motion: Motion, *known: Channels) -> None:
    if motion.channels not in known:
        wanted = " or ".join(channels.name for channels in known)
        raise BadInput(f"{wanted} motion is wanted, got {motion.channels.name!r}")


def save(flame_map: FlameMap, path: str | Path) -> None:
    """Write a map as one `.npz`, which `load` reads."""
    with Path(path).open("wb") as file:
        np.savez_compressed(
            file,
            format=np.array(FORMAT),
            version=np.array(VERSION),
            names=np.array(ARKIT_SHAPES),
            coefficients=np.array(COEFFICIENTS),
            table=flame_map.table,
            hessian=flame_map.hessian,
            cross=flame_map.cross,
            error_names=np.array(list(flame_map.errors), np.str_),
            error_values=np.array(list(flame_map.errors.values()), np.float64),
            shape_mm=flame_map.shape_mm,
            source=np.array(flame_map.source),
            model=np.array(flame_map.model),
            head=np.array(flame_map.head),
        )


def load(path: str | Path) -> FlameMap:
    """A map that `save` wrote, or a user's table: `.npz` with `table` (S, K) and `names` (S), or `.csv`.

    The `.csv` has a row a shape: its name, then its coefficients, in columns called `expression0` … `jawX jawY jawZ`.
    A matrix without names is refused: orders differ from tool to tool. Raises `MissingFile` and `BadFile`.
    """
    path = Path(path)
    if path.suffix.lower() == ".csv":
        return _checked(_read_csv, path)
    if path.suffix.lower() != ".npz":
        raise BadFile(
            f"a FLAME map is a .csv or an .npz with the arrays table and names, got {path.name!r}; of a bare matrix: "
            f"numpy.savez('table.npz', table=matrix, names=[its shapes in order])"
        )
    return _checked(_read_npz, path)


def _checked(read: Any, path: Path) -> FlameMap:
    try:
        made: FlameMap = read(path)
        return made
    except BadInput as error:
        raise BadFile(f"{path.name}: {error}") from error


def _read_npz(path: Path) -> FlameMap:
    found = archive.read(path)
    numbers = [part for key, part in found.items() if key in ("table", "hessian", "cross", "metric", "shape_mm")]
    if any(part.dtype.kind not in "fiu" or not np.isfinite(part).all() for part in numbers):
        raise BadFile(f"{path.name}: a FLAME map holds finite numbers")
    if missing := {"table", "names"} - set(found):
        raise BadFile(f"{path.name} is no FLAME map: it lacks {', '.join(sorted(missing))}")
    names = [str(name) for name in found["names"].reshape(-1)]
    if "format" not in found:
        table = found["table"]
        turned = table.ndim == 2 and table.shape[0] != len(names) and table.shape[1] == len(names)
        return from_table(table.T if turned else table, names, path.name, found.get("metric"))
    if str(found["format"]) != FORMAT or str(found.get("version")) != str(VERSION) or names != list(ARKIT_SHAPES):
        raise BadFile(f"{path.name} is no FLAME map of this artalk")
    found = {"head": np.array("")} | found  # maps before it was noted
    try:
        errors = dict(zip(found["error_names"].tolist(), found["error_values"].tolist(), strict=True))
        parts = {name: found[name].astype(np.float64) for name in ("table", "hessian", "cross", "shape_mm")}
        source, model, face = (str(found[name]) for name in ("source", "model", "head"))
        return FlameMap(**parts, errors=errors, source=source, model=model, head=face)
    except (KeyError, ValueError) as error:
        raise BadFile(f"{path.name} is no whole FLAME map: {error}") from error


def _read_csv(path: Path) -> FlameMap:
    try:
        if path.stat().st_size > MAX_TABLE:
            raise BadFile(f"{path.name} is larger than any table of 52 shapes")
        rows = [row for row in csv.reader(path.read_text("utf-8-sig").splitlines()) if row]
    except FileNotFoundError:
        raise MissingFile(f"no file at {str(path)!r}") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BadFile(f"{path.name} is no comma-separated table: {error}") from error
    header = [cell.strip() for cell in rows[0]] if rows else []
    known = {name: column for column, name in enumerate(header) if name in COEFFICIENTS}
    if not known or any(len(row) != len(header) for row in rows):
        raise BadFile(f"{path.name}: columns are called {COEFFICIENTS[0]} … {COEFFICIENTS[-1]}, and rows are as long")
    table = np.zeros((len(rows) - 1, len(COEFFICIENTS)))
    for row, cells in zip(table, rows[1:], strict=True):
        try:
            row[[COEFFICIENTS.index(name) for name in known]] = [float(cells[column]) for column in known.values()]
        except ValueError as error:
            raise BadFile(f"{path.name}, {cells[0][:40]!r}: wanted numbers, {error}") from error
    if not (np.abs(table) < 1e6).all():
        raise BadFile(f"{path.name}: coefficients are finite numbers")
    return from_table(table, [row[0].strip() for row in rows[1:]], path.name)
