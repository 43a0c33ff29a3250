"""Latency and lip-vertex error, drawn from the tables of docs/live.md.

    python benchmarks/latency_curve.py [-o docs/latency.png]

A point is a row, a colour its table; whiskers are 95 % intervals where the table has them.
"""

import argparse
import re
from itertools import takewhile
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

from matplotlib import pyplot

DOCS = Path(__file__).parents[1] / "docs"
HEADER = "| | latency, ms |"
SERIES = ("regression, trained on for 120 steps", "generators after 160 steps", "what ships, and the rules")


def tables(text: str) -> list[list[tuple[str, float, list[float]]]]:
    """Name, latency and error (with its interval, if any) of each row of each table that has latencies."""
    found: list[list[tuple[str, float, list[float]]]] = []
    for part in text.split(HEADER)[1:]:
        rows = takewhile(str.strip, part.splitlines()[2:])
        found.append([_row(line.split("|")[1:-1]) for line in rows])
    return found


def _row(cells: list[str]) -> tuple[str, float, list[float]]:
    error = [float(number) for number in re.findall(r"\d+\.\d+", cells[4])]
    return cells[0].strip().replace("`", ""), float(cells[1]), error


def draw(found: list[list[tuple[str, float, list[float]]]], path: Path) -> None:
    """The picture."""
    figure, axes = pyplot.subplots(figsize=(8, 4.2), dpi=120)
    for label, rows in zip(SERIES, found, strict=True):
        rows = sorted(rows, key=lambda row: row[1])
        middle = [row[2][0] for row in rows]
        below, above = ([abs(row[2][end] - row[2][0]) if len(row[2]) > 1 else 0 for row in rows] for end in (1, -1))
        line = "none" if label == SERIES[-1] else "-"  # what ships differs in more than its latency
        times = [row[1] for row in rows]
        axes.errorbar(times, middle, [below, above], marker="o", capsize=3, linestyle=line, label=label)
    for name, latency, error in found[-1]:
        axes.annotate(name, (latency, error[0]), textcoords="offset points", xytext=(8, -12))
    axes.set_xscale("log")
    ticks = [80, 120, 200, 400, 1000, 4600]
    axes.set_xticks(ticks, [str(tick) for tick in ticks])
    axes.minorticks_off()
    axes.set_xlim(70, 9000)
    axes.set_ylim(0, None)
    axes.set_xlabel("algorithmic latency, ms")
    axes.set_ylabel("lip-vertex error, mm")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.tight_layout()
    figure.savefig(path)


def main() -> None:
    """Draw it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, default=DOCS / "latency.png")
    draw(tables((DOCS / "live.md").read_text(encoding="utf-8")), parser.parse_args().output)


if __name__ == "__main__":
    main()
