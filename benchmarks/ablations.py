"""What each part of the model buys: the same recipe, trained whole and without one part after the other.

    python benchmarks/ablations.py --corpus CORPUS --runs FOLDER [--recipe recipes/tiny.toml] [--steps 600]
        [--only whole,"one scale"] [--clips 60] [--threads 1]

Trains what is not yet in FOLDER (it goes on where it was stopped), judges all on held-out sentences with measured lips
and prints a Markdown table with 95 % intervals. `--steps` is that of each stage. With torchrun, processes share the
rows of a step.
"""

import argparse
import os
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from rich.progress import Progress as Bar

from artalk import config
from artalk.data.clips import Corpus
from artalk.evaluate import judge
from artalk.evaluate.face import of_rig
from artalk.evaluate.performers import performer
from artalk.evaluate.report import COLUMNS
from artalk.models.artalk import ArtalkConfig
from artalk.rigs.head import head
from artalk.train.loop import Progress, train
from artalk.train.recipe import Recipe

ROOT = Path(__file__).parents[1]

FIGURES = ("aperture", "width", "lve", "closures", "jitter_ratio")


def one_scale(recipe: Recipe) -> Recipe:
    """All tokens of a window at once, at the finest scale."""
    return replace(recipe, model=replace(recipe.model, codec=replace(recipe.model.codec, scales=(_window(recipe),))))


def no_past(recipe: Recipe) -> Recipe:
    """Each window by itself, in the codec as in the generator."""
    model = recipe.model
    trunks = {name: replace(trunk, past=0) for name, trunk in model.trunks.items()}
    return replace(recipe, model=replace(model, codec=replace(model.codec, past=0), trunks=trunks))


def no_style(recipe: Recipe) -> Recipe:
    """Style is always withheld."""
    model: ArtalkConfig = recipe.model
    return replace(recipe, model=replace(model, spoiling=replace(model.spoiling, style=1.0)))


def without(*kinds: str) -> Callable[[Recipe], Recipe]:
    """Motion of these kinds is never drawn."""

    def less(recipe: Recipe) -> Recipe:
        chosen = recipe.data.kinds | dict.fromkeys(kinds, 0.0)
        return replace(recipe, data=replace(recipe.data, kinds=chosen))

    return less


CHANGES: dict[str, Callable[[Recipe], Recipe]] = {
    "whole": lambda recipe: recipe,
    "one scale": one_scale,
    "no window before": no_past,
    "no style": no_style,
    "no taught motion": without("taught"),
    "no real motion": without("real", "styled"),
}


def _window(recipe: Recipe) -> int:
    return recipe.model.codec.window


def _briefly(recipe: Recipe, steps: int | None) -> Recipe:
    if steps is None:
        return recipe
    stages = {
        name: replace(stage, steps=steps, check=max(steps // 3, 1), save=max(steps // 3, 1))
        for name, stage in recipe.stages.items()
    }
    return replace(recipe, stages=stages)


def _trained(name: str, recipe: Recipe, corpus: Corpus, runs: Path) -> Path:
    with Bar() as bar:
        task = bar.add_task(name)

        def report(at: Progress) -> None:
            bar.update(task, total=at.steps, completed=at.step, description=f"{name}: {at.stage}")

        kept = train(recipe, corpus, runs / re.sub(r"\W+", "-", name), report)
    *_, last = (kept[stage] for stage, what in recipe.stages.items() if what.task == "generator")
    return last


def main() -> None:
    """Train, judge, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", required=True)
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--recipe", type=Path, default=ROOT / "recipes" / "tiny.toml")
    parser.add_argument("--steps", type=int)
    parser.add_argument("--only", default=",".join(CHANGES))
    parser.add_argument("--clips", type=int, default=60)
    parser.add_argument("--threads", type=int, default=1)
    wishes = parser.parse_args()
    torch.set_num_threads(wishes.threads)
    corpus, face = Corpus(Path(wishes.corpus)), of_rig(head(), 400)
    whole = _briefly(config.load(Recipe, wishes.recipe), wishes.steps)
    entries = judge.chosen(corpus, wishes.clips)
    first = os.environ.get("RANK", "0") == "0"
    if first:
        titles = [f"{COLUMNS[name].words} ({COLUMNS[name].unit})" for name in FIGURES]
        print("| | " + " | ".join([*titles, "brows, 20 s (mm)"]) + " |")
        print("|---" * (len(FIGURES) + 2) + "|")
    for name in wishes.only.split(","):
        best = _trained(name, CHANGES[name](whole), corpus, wishes.runs)
        if not first:
            continue
        judged = judge.measure(performer(str(best), corpus), corpus, entries, face, styled=name != "no style")
        spreads = [judged.interval(figure) for figure in FIGURES]
        if "fdd_takes" in judged.overall:
            spreads.append(judged.overall["fdd_takes"])
        cells = [f"{mean:.3f} ({low:.3f} to {high:.3f})" for mean, low, high in spreads]
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
