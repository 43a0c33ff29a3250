"""The one training loop: stages of a recipe one after the other, on one CPU, one GPU or several.

A run is a folder:

    recipe.toml              what was asked for; a run goes on only with the same recipe
    log.jsonl, curves.png    losses of every step and figures of every check
    STAGE/state.pt           weights, averaged weights, optimiser, position: where the run goes on
    STAGE/best.safetensors   the averaged weights that were best on the validation split so far

Chance is a function of seed, step and process (`windows`, `_chance`), so the position is all the random state there is.
"""

import copy
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, cast

import torch
from torch import Tensor, nn

from artalk import config
from artalk.data.clips import Corpus
from artalk.errors import BadFile, BadInput, needs
from artalk.formats.atomic import atomic
from artalk.models.batch import Batch
from artalk.train import adapt
from artalk.train.ahead import ahead
from artalk.train.learners import Figures, Learner, begin, seeded
from artalk.train.log import Log
from artalk.train.recipe import Recipe, Stage, Task
from artalk.train.windows import Takes

Report = Callable[["Progress"], None]


@dataclass(frozen=True)
class Progress:
    """Where a run stands: after `step` of `steps` of a stage, `pace` seconds a step; `figures` right after a check."""

    stage: str
    step: int
    steps: int
    loss: float
    pace: float
    figures: Figures = field(default_factory=dict[str, float])


def train(
    recipe: Recipe,
    corpus: Corpus,
    folder: Path,
    report: Report = lambda _: None,
    rehearsal: Corpus | None = None,
    workers: int = 1,
) -> dict[str, Path]:
    """Train all stages into `folder`, or go on where a run there ended; the best model of each stage.

    A `rehearsal` is a second corpus, which has a share of the rows (`Data.rehearsal`) and on which models are judged
    apart; a recipe with `init` makes one where there is none (`adapt.replay`). Several `workers` read the corpus side
    by side (`ahead`), which changes no number. Started by torchrun, or `accelerate launch`, on several processes, these
    share each step's rows. Raises `BadInput` where the folder holds a run of another recipe.
    """
    accelerate = needs("accelerate", "train", "training")
    gpu = torch.cuda.is_available()
    wrapped = accelerate.DistributedDataParallelKwargs(find_unused_parameters=True)
    machine = accelerate.Accelerator(cpu=not gpu, mixed_precision="no", kwargs_handlers=[wrapped])
    torch.set_flush_denormal(True)
    base = adapt.base(recipe)
    if base is not None:
        recipe = replace(recipe, model=base.model.config)
    if machine.is_main_process:
        _claim(folder, recipe)
    machine.wait_for_everyone()
    if base is not None and rehearsal is None:
        with machine.main_process_first():
            rehearsal = adapt.replay(base, corpus, folder / "replay")
    kept: dict[str, Path] = {}
    made: dict[Task, Path] = {}
    for number, (name, stage) in enumerate(recipe.stages.items()):
        learner = begin(stage, recipe, corpus, made, base)
        run = Run(machine, recipe, corpus, folder, name, number, learner, rehearsal, workers)
        made[stage.task] = kept[name] = run.finish(report)
    return kept


@dataclass
class Run:
    """One stage under way."""

    machine: Any
    recipe: Recipe
    corpus: Corpus
    folder: Path
    name: str
    number: int
    learner: Learner
    rehearsal: Corpus | None = None
    workers: int = 1
    before: Figures = field(default_factory=dict[str, float], init=False)
    step: int = field(default=0, init=False)
    best: float = field(default=math.inf, init=False)

    def __post_init__(self) -> None:
        self.stage: Stage = self.recipe.stages[self.name]
        self.place = self.folder / self.name
        self.averaged = copy.deepcopy(self.learner).to(self.machine.device).eval().requires_grad_(False)
        optimizer = torch.optim.AdamW(_groups(self.learner, self.stage), lr=self.stage.rate, betas=(0.9, 0.98))
        self.module, self.optimizer = self.machine.prepare(self.learner, optimizer)
        self.resume()
        self.log = Log(self.folder, self.name, self.step) if self.machine.is_main_process else None

    def finish(self, report: Report) -> Path:
        """Train to the last step; the file of the best model."""
        best = self.place / "best.safetensors"
        self._start(report)
        started, begun = time.monotonic(), self.step
        for batch in self._batches():
            losses = self._learn(batch)
            if self.log is None:
                continue
            pace = (time.monotonic() - started) / (self.step - begun)
            figures: Figures = {}
            if self._due(self.stage.check):
                figures = self.check()
            self.log.add(self.step, losses, figures)
            report(Progress(self.name, self.step, self.stage.steps, losses["total"], pace, figures))
            if self._due(self.stage.save):
                self.save()
        if self.log is not None and self.step > begun:
            self.log.draw()
        self.machine.wait_for_everyone()
        return best

    def _start(self, report: Report) -> None:
        """A model that goes on from a recipe's `init` is judged before it learns: what comes has to be better.

        A generator that goes on from the stage before need not be: its losses are others, and so is what it is for.
        """
        if self.log is None or self.step or not self.recipe.init:
            return
        figures = self.check()
        self.log.add(0, {}, figures)
        report(Progress(self.name, 0, self.stage.steps, math.nan, 0.0, figures))

    def _due(self, every: int) -> bool:
        return self.step % every == 0 or self.step == self.stage.steps

    def _batches(self) -> Iterator[Batch]:
        """The batches of this process from here on."""
        learner, rank, ranks = self.learner, self.machine.process_index, self.machine.num_processes
        if self.stage.rows % ranks:
            raise BadInput(f"{self.stage.rows} rows a step are not shared out evenly to {ranks} processes")
        seed = self.recipe.seed * 100 + self.number
        hear = learner.hearing(self.corpus, self.recipe)
        common = self.recipe.data, learner.shape, seed, *learner.wants
        takes = Takes(self.corpus, "train", *common, hear)
        if self.rehearsal is not None:
            others = Takes(self.rehearsal, "train", *common, first=takes.ways)
            takes = adapt.Rehearsed(takes, others, self.recipe.data.rehearsal)
        make = partial(takes.batch, rows=self.stage.rows, rank=rank, ranks=ranks)
        for batch in ahead(make, range(self.step, self.stage.steps), self.workers):
            yield batch.to(self.machine.device)

    def _learn(self, batch: Batch) -> dict[str, float]:
        """One step of the optimiser; the losses before it."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate() * group.get("share", 1.0)
        self.module.train()
        half = self.stage.precision == "bfloat16"
        with torch.autocast(self.machine.device.type, torch.bfloat16, enabled=half):
            losses = cast("dict[str, Tensor]", self.module(batch, self._chance()))
        self.optimizer.zero_grad()
        self.machine.backward(losses["total"])
        norm = self.machine.clip_grad_norm_(self.module.parameters(), self.stage.clip)
        if not math.isfinite(float(norm)):
            raise BadInput(
                f"training of {self.name} diverged at step {self.step}: try a lower rate than {self.stage.rate}"
            )
        self.optimizer.step()
        self.step += 1
        self._average()
        return {name: float(value.detach()) for name, value in losses.items()} | {"norm": float(norm)}

    def rate(self) -> float:
        """The learning rate of the next step: up linearly, then down along a cosine."""
        stage = self.stage
        rise = min(1.0, (self.step + 1) / max(stage.warmup, 1))
        done = self.step / stage.steps
        return stage.rate * rise * (stage.last + (1 - stage.last) * (1 + math.cos(math.pi * done)) / 2)

    def _chance(self) -> torch.Generator:
        """What this step draws from; dropout takes torch's own."""
        seed = hash((self.recipe.seed, self.number, self.step, self.machine.process_index)) % 2**63
        seeded(seed)
        return torch.Generator(self.machine.device).manual_seed(seed)

    @torch.no_grad()
    def _average(self) -> None:
        keep = min(self.stage.ema, self.step / (self.step + 9))
        for mean, now in zip(_tensors(self.averaged), _tensors(self.learner), strict=True):
            if mean.is_floating_point():
                mean.lerp_(now.to(mean.dtype), 1 - keep)
            else:
                mean.copy_(now)

    def check(self) -> Figures:
        """Judge the averaged weights and keep them if they are the best so far."""
        figures = self._judged()
        card = {"recipe": config.to_dict(self.recipe), "stage": self.name, "step": self.step, "figures": figures}
        if self.recipe.init:
            self.before = self.before or figures
            card["before"] = self.before
        score = self._score(figures)
        # A score that is no number is no better than any, but a run always leaves a model.
        if score < self.best or not (self.place / "best.safetensors").is_file():
            self.best = min(self.best, score)
            self.averaged.keep(self.place / "best.safetensors", card, self.corpus)
        return figures

    def _judged(self) -> Figures:
        figures = self.averaged.judge(self.corpus, self.recipe, self.stage)
        if self.rehearsal is None:
            return figures
        others = self.averaged.judge(self.rehearsal, self.recipe, self.stage)
        return figures | {f"others.{name}": value for name, value in others.items()}

    def _score(self, figures: Figures) -> float:
        """What has to fall: the model's own score, or how far one that goes on has come; else the newest is best."""
        if "score" not in figures:
            return -float(self.step)
        return adapt.ratio(figures, self.before) if self.recipe.init else figures["score"]

    def save(self) -> None:
        """Write what `resume` needs, whole or not at all."""
        state = {
            "step": self.step,
            "best": self.best,
            "before": self.before,
            "learner": self.learner.state_dict(),
            "averaged": self.averaged.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }
        with atomic(self.place / "state.pt") as temporary:
            torch.save(state, temporary)

    def resume(self) -> None:
        """Go on where `save` was called last, if it was."""
        if self.machine.is_main_process:
            self.place.mkdir(exist_ok=True)
        path = self.place / "state.pt"
        if not path.is_file():
            return
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
            self.learner.load_state_dict(state["learner"])
            self.averaged.load_state_dict(state["averaged"])
            self.optimizer.load_state_dict(state["optimizer"])
        except (RuntimeError, ValueError, KeyError, EOFError, OSError, UnpicklingError) as error:
            raise BadFile(
                f"{str(path)!r} is not the state of this stage; move the folder away to begin anew"
            ) from error
        self.step, self.best, self.before = int(state["step"]), float(state["best"]), state.get("before", {})


def _claim(folder: Path, recipe: Recipe) -> None:
    """Make the folder this recipe's, or see that it is."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "recipe.toml"
    if path.is_file():
        if config.load(Recipe, path) != recipe:
            raise BadInput(f"{str(folder)!r} holds a run of another recipe ({path.name}); choose another folder")
        return
    with atomic(path) as temporary:
        temporary.write_text(config.to_toml(recipe), encoding="utf-8")


def _groups(learner: Learner, stage: Stage) -> list[dict[str, Any]]:
    """Matrices decay, biases and gains do not; what is slow learns at a share of the rate."""
    slow = learner.slow()
    apart = {id(parameter) for parameter in slow}
    learned = [p for p in learner.parameters() if p.requires_grad and id(p) not in apart]
    groups: list[dict[str, Any]] = [
        {"params": [p for p in learned if p.ndim >= 2], "weight_decay": stage.decay},
        {"params": [p for p in learned if p.ndim < 2], "weight_decay": 0.0},
    ]
    return groups + ([{"params": slow, "weight_decay": 0.0, "share": stage.tuning}] if slow else [])


def _tensors(learner: nn.Module) -> list[Tensor]:
    return list(learner.state_dict().values())
