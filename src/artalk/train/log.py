"""What a run wrote down: one line of JSON a step, and curves to look at."""

import json
import time
from pathlib import Path
from typing import Any

import numpy as np

from artalk.formats.atomic import atomic

DRAWN_EVERY = 30.0
"""Seconds between two pictures: drawing takes one."""


class Log:
    """The log of one stage from the step at which the run goes on: later lines of a run cut off are dropped."""

    def __init__(self, folder: Path, stage: str, step: int) -> None:
        self._path, self._folder, self._stage = folder / "log.jsonl", folder, stage
        self._drawn = time.monotonic()
        kept = [row for row in read(folder) if row["stage"] != stage or (step and row["step"] <= step)]
        with atomic(self._path) as temporary:
            temporary.write_text("".join(json.dumps(row) + "\n" for row in kept), encoding="utf-8")

    def add(self, step: int, losses: dict[str, float], figures: dict[str, float]) -> None:
        """Append a step; from time to time draw the curves."""
        row: dict[str, Any] = {"stage": self._stage, "step": step, "losses": _rounded(losses)}
        if figures:
            row["figures"] = _rounded(figures)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        if time.monotonic() - self._drawn > DRAWN_EVERY:
            self.draw()

    def draw(self) -> None:
        """Draw the curves now."""
        draw(self._folder)
        self._drawn = time.monotonic()


def read(folder: Path) -> list[dict[str, Any]]:
    """The lines of a run's log; a last line that a kill cut short is left out."""
    path = folder / "log.jsonl"
    rows: list[dict[str, Any]] = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else []:
        try:
            rows.append(json.loads(line))
        except ValueError:
            continue
    return rows


def draw(folder: Path) -> None:
    """Draw losses and figures of all stages into curves.png; without matplotlib there is no picture."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return
    rows = read(folder)
    stages = list(dict.fromkeys(row["stage"] for row in rows))
    figure = Figure(figsize=(13, 3.6 * len(stages)), layout="constrained")
    axes: Any = np.atleast_2d(figure.subplots(len(stages), 2))
    for (left, right), stage in zip(axes, stages, strict=True):
        mine = [row for row in rows if row["stage"] == stage]
        _curves(left, f"{stage}: losses", {r["step"]: r["losses"] for r in mine}, smooth=True)
        _curves(right, f"{stage}: validation", {r["step"]: r["figures"] for r in mine if "figures" in r}, smooth=False)
        left.set_yscale("log")
    with atomic(folder / "curves.png") as temporary:
        figure.savefig(temporary, dpi=80)  # pyright: ignore[reportUnknownMemberType]


def _curves(axis: Any, title: str, points: dict[int, dict[str, float]], smooth: bool) -> None:
    names = dict.fromkeys(name for values in points.values() for name in values)
    for name in names:
        steps = np.array([step for step, values in points.items() if name in values])
        values = np.array([values[name] for values in points.values() if name in values])
        if smooth and len(values) > 20:
            width = max(1, len(values) // 40)
            values = np.convolve(values, np.ones(width) / width, mode="valid")
            steps = steps[len(steps) - len(values) :]
        axis.plot(steps, values, label=name, linewidth=1.2, marker=None if smooth else ".")
    axis.set_title(title)
    axis.grid(alpha=0.25)
    if names:
        axis.legend(fontsize="x-small", ncols=2, frameon=False)


def _rounded(values: dict[str, float]) -> dict[str, float]:
    return {name: float(f"{value:.5g}") for name, value in values.items()}
