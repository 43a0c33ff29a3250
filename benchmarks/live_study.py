"""What buys a live model the most: look-ahead, window, history, or lessons from the offline model?

    python benchmarks/live_study.py --corpus CORPUS --runs FOLDER --regression R.safetensors --style S.safetensors
        --codec C.safetensors [--distilled CORPUS] [--steps 240] [--tuning 120] [--only "look-ahead 3,window 8"]

All models are of recipes/live.toml but for one thing each. R, S and C are what its stages made (RUN/regression, style,
codec). How far sound is heard ahead, and what is taught by the offline model, is judged on the regression, which goes
on from R for --tuning steps: whether a frame can be told is a matter of its sound, not of codes. Windows and histories
are those of the codes: a codec (where the window is another) and a generator of --steps each, which begins with R's
speech encoder and S. Prints a Markdown table of held-out sentences with measured lips, with 95 % intervals. What lies
in FOLDER is not trained again. --distilled is a folder for a copy of CORPUS in which taught motion is what the offline
model does; it is made where it is missing. With torchrun, processes share the rows of a step.
"""

import argparse
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import accelerate
import torch

from artalk import config
from artalk.data.clips import Clip, Corpus, Writer
from artalk.evaluate import judge
from artalk.evaluate.face import of_rig
from artalk.evaluate.performers import performer
from artalk.generators.generator import FREE
from artalk.generators.shipped import shipped
from artalk.models.regression import Regression
from artalk.models.speech.mel import SpeechConfig
from artalk.motion import Motion
from artalk.rigs.head import head
from artalk.train.learners import RegressionLearner, begin
from artalk.train.loop import Run
from artalk.train.recipe import Recipe, Stage, Task

ROOT = Path(__file__).parents[1]

FIGURES = ("aperture", "width", "lve", "closures")

SECONDS = 4.0
"""What trunks of any window remember, unless it is the history that changes."""

Change = Callable[[Recipe], Recipe]
Made = dict[Task, Path]


@dataclass(frozen=True)
class Study:
    """What all variants share: a corpus, a folder of runs, what they begin with, and how long they learn."""

    corpus: Corpus
    runs: Path
    made: Made
    steps: int
    tuning: int
    machine: accelerate.Accelerator

    def regression(self, name: str, recipe: Recipe, corpus: Corpus) -> Path:
        """The regression, gone on with from the one that is given."""
        recipe = _briefly(recipe, "regression", self.tuning)
        learner = begin(recipe.stages["regression"], recipe, corpus, {})
        assert isinstance(learner, RegressionLearner)
        learner.model.load_state_dict(Regression.load(self.made["regression"]).state_dict())
        return self._run(name, "regression", recipe, corpus, learner)

    def generator(self, name: str, recipe: Recipe, new_codec: bool) -> Path:
        """A generator from its first step, on a codec of its own where windows differ."""
        made = dict(self.made)
        if new_codec:
            brief = _briefly(recipe, "codec", self.steps)
            learner = begin(brief.stages["codec"], brief, self.corpus, {})
            made["codec"] = self._run(name, "codec", brief, self.corpus, learner)
        recipe = _briefly(recipe, "codes", self.steps)
        learner = begin(recipe.stages["codes"], recipe, self.corpus, made)
        return self._run(name, "codes", recipe, self.corpus, learner)

    def _run(self, name: str, stage: str, recipe: Recipe, corpus: Corpus, learner: torch.nn.Module) -> Path:
        folder = self.runs / re.sub(r"\W+", "-", name)
        folder.mkdir(parents=True, exist_ok=True)
        number = list(recipe.stages).index(stage)
        return Run(self.machine, recipe, corpus, folder, stage, number, learner).finish(lambda _: None)  # pyright: ignore[reportArgumentType]


def hearing(ahead: int) -> Change:
    """Sound heard `ahead` features (20 ms) further by each of the layers of attention: 0 is what ships."""

    def change(recipe: Recipe) -> Recipe:
        speech = recipe.model.speech
        assert isinstance(speech, SpeechConfig)
        return replace(recipe, model=replace(recipe.model, speech=replace(speech, ahead=ahead)))

    return change


def remembering(window: int, seconds: float = SECONDS) -> Change:
    """Windows of so many frames, coded at every power of two below, with `seconds` of history in the trunks."""

    def change(recipe: Recipe) -> Recipe:
        model, data = recipe.model, recipe.data
        past = max(round(seconds * 25 / window), 1)
        scales = tuple(2**k for k in range(window.bit_length()))
        codec = replace(model.codec, window=window, scales=scales, past=model.codec.past * model.codec.window // window)
        trunks = {
            name: replace(trunk, past=past, expected=len(scales) if trunk.expected else 0)
            for name, trunk in model.trunks.items()
        }
        windows = data.windows * model.codec.window // window
        return replace(recipe, model=replace(model, codec=codec, trunks=trunks), data=replace(data, windows=windows))

    return change


HEARING = {f"look-ahead {ahead}": hearing(ahead) for ahead in (0, 1, 3, 6)}
REMEMBERING = {
    "window 4": remembering(4),
    "window 4 and 1 s of history": remembering(4, 1.0),
    "window 4 and 0.16 s of history": remembering(4, 0.16),
    "window 2": remembering(2),
    "window 8": remembering(8),
}
DISTILLED = "taught by the offline model"


def distilled(corpus: Corpus, folder: Path) -> Corpus:
    """A copy in which the offline model performs the training clips whose motion was taught by rules."""
    writer, teacher = Writer(folder), shipped("artalk")
    for entry in corpus.entries:
        if entry.id in writer:
            continue
        clip = corpus.read(entry)
        if entry.kind == "taught" and entry.split == "train":
            values = teacher.generate(clip.audio, FREE, 0).values[: len(clip.motion)]
            clip = Clip(entry, clip.audio, Motion(values, clip.motion.channels, clip.motion.fps), clip.observed)
        writer.add(clip)
    return writer.finish()


def _briefly(recipe: Recipe, name: str, steps: int) -> Recipe:
    stage: Stage = recipe.stages[name]
    brief = replace(stage, steps=steps, check=steps, save=max(steps // 3, 1), warmup=min(stage.warmup, steps // 6))
    return replace(recipe, stages=recipe.stages | {name: brief})


def latency(recipe: Recipe) -> float:
    """Milliseconds from a frame to the newest sound that it needs, at the most."""
    speech = recipe.model.speech
    return 40.0 * (recipe.model.codec.window + speech.lookahead)


def main() -> None:
    """Train, judge, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("corpus", "runs", "regression", "style", "codec"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--distilled", type=Path)
    parser.add_argument("--recipe", type=Path, default=ROOT / "recipes" / "live.toml")
    parser.add_argument("--steps", type=int, default=240)
    parser.add_argument("--tuning", type=int, default=120)
    parser.add_argument("--only", default="")
    parser.add_argument("--clips", type=int, default=400)
    wishes = parser.parse_args()
    torch.set_num_threads(1)
    machine = accelerate.Accelerator(
        cpu=True, kwargs_handlers=[accelerate.DistributedDataParallelKwargs(find_unused_parameters=True)]
    )
    torch.set_flush_denormal(True)
    corpus, live = Corpus(wishes.corpus), config.load(Recipe, wishes.recipe)
    made: Made = {"regression": wishes.regression, "style": wishes.style, "codec": wishes.codec}
    study = Study(corpus, wishes.runs, made, wishes.steps, wishes.tuning, machine)
    entries, face = judge.chosen(corpus, wishes.clips, "grid_s1"), of_rig(head(), 400)

    def say(name: str, recipe: Recipe, best: Path) -> None:
        machine.wait_for_everyone()
        if not machine.is_main_process:
            return
        judged = judge.measure(performer(str(best), corpus), corpus, entries, face)
        cells = ["{:.3f} ({:.3f} to {:.3f})".format(*judged.interval(figure)) for figure in FIGURES]
        print(f"| {name} | {latency(recipe):.0f} | " + " | ".join(cells) + " |", flush=True)

    names = wishes.only.split(",") if wishes.only else [*HEARING, DISTILLED, *REMEMBERING]
    if machine.is_main_process:
        print(
            "| | latency, ms | lip gap, r | mouth width, r | lip-vertex error, mm | bilabials closed |\n"
            + "|---" * 6
            + "|"
        )
    for name in names:
        if name == DISTILLED:
            if wishes.distilled is None:
                continue
            with machine.main_process_first():
                lessons = distilled(corpus, wishes.distilled)
            say(name, live, study.regression(name, live, lessons))
        elif name in HEARING:
            recipe = HEARING[name](live)
            say(name, recipe, study.regression(name, recipe, corpus))
        else:
            recipe = REMEMBERING[name](live)
            say(name, recipe, study.generator(name, recipe, recipe.model.codec.window != live.model.codec.window))


if __name__ == "__main__":
    main()
