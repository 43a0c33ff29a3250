"""A table of figures in words, in JSON and as a picture."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np

from artalk.errors import BadInput, needs
from artalk.evaluate.judge import Judged
from artalk.evaluate.metrics import Spread
from artalk.formats.atomic import atomic


@dataclass(frozen=True)
class Column:
    """A figure of the table: its name in words, its unit and what is good."""

    words: str
    unit: str
    good: str


COLUMNS: dict[str, Column] = {
    "aperture": Column("lip gap", "r", "high"),
    "width": Column("mouth width", "r", "high"),
    "lve": Column("LVE", "mm", "low"),
    "mod": Column("MOD", "mm", "low"),
    "fdd": Column("FDD", "mm", "low"),
    "fdd_takes": Column("FDD of joined clips", "mm", "low"),
    "vertex_error": Column("all vertices", "mm", "low"),
    "closures": Column("closures", "share", "high"),
    "leakage": Column("open in silence", "share", "low"),
    "settled": Column("shut in pauses", "share", "high"),
    "jitter_ratio": Column("jitter", "x real", "near 1"),
    "jitter": Column("jitter", "mm/frame²", ""),
    "blink_rate": Column("blinks", "a minute", "8 to 30"),
    "blink_seconds": Column("a blink", "s", "0.08 to 0.3"),
    "beats": Column("head on beat", "0..1", "high"),
    "beats_lead": Column("head on beat, more than by chance", "0..1", "above 0"),
    "head_degrees": Column("head moves", "degrees", ""),
    "head_most": Column("head, farthest", "degrees", ""),
    "lips_between": Column("lips between seeds", "least r", "high"),
    "head_between": Column("heads between seeds", "degrees", "not 0"),
    "upper_between": Column("upper faces between seeds", "mm", "not 0"),
    "style_right": Column("style recognised", "share", "high"),
    "style_distance": Column("style distance", "deviations", "low"),
}
"""The figures in the order of the table; `metrics` says how each is measured."""


def words(judged: Sequence[Judged], where: str) -> str:
    """The table for a person: a row a performer, each figure with its 95 % interval over clips."""
    if not judged:
        raise BadInput("there is nobody to report on")
    clips = len(judged[0].clips)
    lines = [f"{clips} held-out clips of {where}; mean and 95 % bootstrap interval over clips"]
    per_clip = [name for name in COLUMNS if any(name in row.names() for row in judged)]
    overall = [name for name in COLUMNS if any(name in row.overall for row in judged)]
    widest = max(len(row.name) for row in judged)
    for name in per_clip:
        lines.append("")
        lines.append(_title(name))
        lines += [f"  {row.name:<{widest}}  {_spread(*row.interval(name))}" for row in judged]
    for name in overall:
        lines.append("")
        lines.append(_title(name))
        lines += [f"  {row.name:<{widest}}  {_spread(*row.overall[name])}" for row in judged if name in row.overall]
    return "\n".join(lines)


def as_json(judged: Sequence[Judged]) -> str:
    """Everything, clip by clip; NaN is null."""
    rows: list[dict[str, Any]] = [
        {
            "name": row.name,
            "overall": {name: _ends(spread) for name, spread in row.overall.items()},
            "means": {name: _ends(row.interval(name)) for name in row.names()},
            "clips": {clip: _plain(figures) for clip, figures in zip(row.clips, row.figures, strict=True)},
        }
        for row in judged
    ]
    return json.dumps({"units": {name: column.unit for name, column in COLUMNS.items()}, "performers": rows}, indent=1)


def plot(judged: Sequence[Judged], path: Path) -> None:
    """A bar a performer for each figure, with intervals. Needs the extra `plot`."""
    needs("matplotlib", "plot", "drawing figures")
    from matplotlib.figure import Figure

    names = [name for name in COLUMNS if any(name in row.names() for row in judged)]
    rows = -(-len(names) // 4)
    figure = Figure(figsize=(15, (0.9 + 0.32 * len(judged)) * rows), layout="constrained")
    axes = np.atleast_2d(cast(Any, figure.subplots(rows, 4, squeeze=False))).ravel()
    for axis, name in zip(axes, names, strict=False):
        means = np.array([row.interval(name) for row in judged])
        sides = np.abs(means[:, 1:] - means[:, :1]).T
        axis.barh([row.name for row in judged], means[:, 0], xerr=np.nan_to_num(sides), color="#7aa6c2")
        axis.invert_yaxis()
        axis.set_title(f"{COLUMNS[name].words} ({COLUMNS[name].unit})", fontsize="small")
        axis.tick_params(labelsize="x-small")
    for axis in axes[len(names) :]:
        axis.axis("off")
    with atomic(path) as temporary:
        figure.savefig(temporary, dpi=100)  # pyright: ignore[reportUnknownMemberType]


def _title(name: str) -> str:
    column = COLUMNS[name]
    good = f", {column.good} is good" if column.good else ""
    return f"{column.words} ({name}), {column.unit}{good}"


def _spread(mean: float, low: float, high: float) -> str:
    if math.isnan(mean):
        return f"{'-':>8}"
    return f"{mean:8.3f}" if math.isnan(low) else f"{mean:8.3f}  ({low:.3f} to {high:.3f})"


def _ends(spread: Spread) -> dict[str, float | None]:
    return dict(zip(("mean", "low", "high"), map(_number, spread), strict=True))


def _number(value: float) -> float | None:
    return None if math.isnan(value) else float(f"{value:.6g}")


def _plain(figures: dict[str, float]) -> dict[str, float | None]:
    return {name: _number(value) for name, value in figures.items()}
