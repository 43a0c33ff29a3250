"""Going on with a trained model on the recordings of one person: where it begins, what it rehearses, what it gained."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast, final

import numpy as np
import torch
from numpy.typing import NDArray

from artalk import checkpoint
from artalk.channels import ARKIT
from artalk.checkpoint import Checkpoint
from artalk.data.clips import FPS, Clip, Corpus, Writer
from artalk.data.collection import slug
from artalk.data.shards import open_corpus
from artalk.errors import BadInput, MissingFile
from artalk.generators.shipped import SHIPPED, WEIGHTS
from artalk.models.artalk import Artalk, ArtalkConfig
from artalk.models.batch import Batch
from artalk.motion import Motion
from artalk.train.recipe import Recipe
from artalk.train.windows import Takes, collate

STYLES = 3
"""Styles in which each clip is performed for rehearsal."""

ASKED = 60.0
"""Seconds of a person that are asked for."""

HELD = 8
"""Of a corpus that holds nobody out, every eighth clip is kept for judging."""


def base(recipe: Recipe) -> Checkpoint | None:
    """The model that a recipe's `init` names; None where it names none."""
    if not recipe.init:
        return None
    path = Path(recipe.init)
    if recipe.init in SHIPPED:
        path = WEIGHTS / f"{recipe.init}.safetensors"
        if not path.is_file():
            raise MissingFile(f"the weights of {recipe.init!r} are not in this package; let init name a .safetensors")
    found = checkpoint.load(path)
    if not isinstance(found.model, Artalk):
        raise BadInput(f"init is a whole model, {str(path)!r} is a codec")
    if recipe.model not in (ArtalkConfig(), found.model.config):
        raise BadInput(
            "a recipe with init has no [model], which is that of init; how losses count stands in its stage: "
            "weights = { huber = 1.0 }"
        )
    return found


def person(folder: str | Path) -> Corpus:
    """The corpus in a folder, with some clips held out where there is but one side.

    A single recording falls on one side as a whole; here its clips are divided instead, in their order.
    """
    corpus = open_corpus(folder)
    if corpus.select("train") and corpus.select("validation"):
        return corpus
    count = len(corpus)
    held = set(range(min(HELD, count) // 2, count, HELD)) if count > 1 else set[int]()
    corpus.entries = tuple(
        replace(entry, split="validation" if number in held else "train") for number, entry in enumerate(corpus.entries)
    )
    return corpus


def shortage(corpus: Corpus) -> str:
    """A sentence where there is less of a person than is asked for, else ""; `BadInput` where there is nothing."""
    if not len(corpus):
        raise BadInput(
            f"nothing of the recordings could be learnt from; {ASKED:.0f} s of a seen and heard face are asked"
        )
    seconds = sum(entry.seconds for entry in corpus.entries)
    if seconds >= ASKED:
        return ""
    return f"there are {seconds:.0f} s of this person; {ASKED:.0f} s and more are asked, of less little is learnt"


@torch.no_grad()
def replay(base: Checkpoint, corpus: Corpus, folder: Path) -> Corpus:
    """The person's training speech as the model performs it in its other styles, in `folder`; made once.

    It is rehearsed where there is no corpus of others, so that the model goes on doing what it did for them (learning
    without forgetting: Li & Hoiem 2016, arXiv 1606.09282).
    """
    if (folder / "index.json").is_file():
        return Corpus(folder)
    model = cast(Artalk, base.model)
    speakers = {entry.speaker for entry in corpus.entries}
    styles = [(name, torch.tensor(style)) for name, style in base.styles.items() if name not in speakers]
    styles = styles or [("free", model.style.null)]
    rng = torch.Generator().manual_seed(0)
    writer = Writer(folder)
    for number, entry in enumerate(corpus.select("train")):
        clip = corpus.read(entry)
        chosen = [styles[(STYLES * number + k) % len(styles)] for k in range(min(STYLES, len(styles)))]
        sound = torch.tensor(clip.audio.samples).expand(len(chosen), -1)
        # Unguided, for what is learnt from it will be guided again.
        steering = model.steer(len(chosen), torch.stack([style for _, style in chosen]), 1.0)
        for (name, _), made in zip(chosen, model.generate(sound, steering, rng), strict=True):
            writer.add(_performed(clip, name, made[: len(clip.motion)].numpy()))
    return writer.finish()


def _performed(clip: Clip, style: str, values: NDArray[np.float32]) -> Clip:
    entry = replace(clip.entry, id=f"{clip.entry.id}.{slug(style)}", kind="taught", style=style, consent="")
    observed = np.ones(len(ARKIT), np.bool_)
    return replace(clip, entry=entry, motion=Motion(values, ARKIT, FPS).clipped(), observed=observed)


@final
class Rehearsed:
    """The takes of a person, of which the first rows of every step, a `share`, are those of `others`."""

    def __init__(self, takes: Takes, others: Takes, share: float) -> None:
        self._takes, self._others, self._share = takes, others, share

    def batch(self, step: int, rows: int, rank: int = 0, ranks: int = 1) -> Batch:
        """The rows of a step that fall to process `rank` of `ranks`."""
        rehearsed = round(self._share * rows)
        mine = range(rank, rows, ranks)
        return collate([(self._others if row < rehearsed else self._takes).row(step, row) for row in mine])


def ratio(figures: Mapping[str, float], before: Mapping[str, float]) -> float:
    """How the lips' error in mm and their lack of correlation have changed, the mean of both; 1 is as before."""
    return sum(figures[name] / max(before[name], 1e-6) for name in ("lve", "score")) / 2


def gained(card: Mapping[str, Any]) -> str:
    """What a model's card says of the lips before and after it was adapted, for a person; "" where it says nothing."""
    before, after = card.get("before", {}), card.get("figures", {})
    lines: list[str] = []
    for prefix, who in (("", "of this person"), ("others.", "of others")):
        name = f"{prefix}lve"
        if name in before and name in after:
            change = 100 * (after[name] / before[name] - 1)
            pairs = ", ".join(
                f"{words} {before[prefix + key]:.3f} → {after[prefix + key]:.3f}"
                for key, words in (("aperture", "lip gap r"), ("width", "mouth width r"))
            )
            lines.append(
                f"held-out clips {who}: lips {before[name]:.2f} → {after[name]:.2f} mm ({change:+.0f} %), {pairs}"
            )
    return "\n".join(lines)
