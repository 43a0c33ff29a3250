"""What a stage trains: a model with its losses as one module, where it begins, and how it is judged."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, Generic, TypeVar, cast, final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from artalk import checkpoint
from artalk.channels import ARKIT
from artalk.checkpoint import Checkpoint
from artalk.data.clips import Clip, Corpus, Entry
from artalk.data.phones import PHONES
from artalk.errors import BadInput
from artalk.evaluate import face as faces
from artalk.evaluate.face import Face
from artalk.models.artalk import Artalk, ArtalkConfig
from artalk.models.batch import Batch
from artalk.models.codec import Codec
from artalk.models.losses import LinearRig, huber, masked_mean
from artalk.models.regression import Regression
from artalk.models.speech.cache import Features
from artalk.models.speech.pretrained import Pretrained
from artalk.rigs.head import head
from artalk.train import held
from artalk.train.recipe import COUNTED, Recipe, Stage, Task
from artalk.train.windows import Hear, Shape, Takes

Figures = dict[str, float]
Card = dict[str, Any]

Spoken = TypeVar("Spoken", Artalk, Regression)

CLIPS_A_STYLE = 12
"""Clips from which a named style is taken."""

TRAITS = 2.0
"""How much a style's traits count beside the contrast."""

LEAST_MOVED = 0.1
"""Added to deviations before the logarithm: a channel at rest is as good as one that hardly moves."""

LOOKED_AT = 64
"""Clips at least that are asked for phones before a model is made without a phone head."""

CHECKED = 4
"""Batches of validation takes on which a codec is judged."""


class Learner(nn.Module, ABC):
    """A model and how it learns; the best model is the one with the lowest `score` among its figures."""

    wants = True, True
    """Whether takes have sound, and whether they have style clips."""

    @property
    @abstractmethod
    def shape(self) -> Shape:
        """What takes have to be like."""

    def hearing(self, corpus: Corpus, recipe: Recipe) -> Hear | None:
        """What hears the sound of clips before training does; None where nothing is kept on disk."""

    def slow(self) -> list[nn.Parameter]:
        """Parameters that only a share of the rate moves."""
        return []

    def freeze(self, names: Sequence[str]) -> None:
        """Keep the parameters whose names begin with one of `names`; raises `BadInput` where none does."""
        parameters = {name.removeprefix("model."): each for name, each in self.named_parameters()}
        for start in names:
            chosen = [each for name, each in parameters.items() if f"{name}.".startswith(f"{start}.")]
            if not chosen:
                parts = dict.fromkeys(name.rpartition(".")[0] for name in parameters)
                raise BadInput(f"frozen names parts of the model ({', '.join(list(parts)[:8])} …), got {start!r}")
            for each in chosen:
                each.requires_grad_(False)

    @abstractmethod
    def forward(self, batch: Batch, rng: torch.Generator | None) -> dict[str, Tensor]:
        """The losses of a batch; `total` is trained on."""

    @abstractmethod
    def judge(self, corpus: Corpus, recipe: Recipe, stage: Stage) -> Figures:
        """Figures on the validation split, `score` among them; none where there is nothing to judge on."""

    @abstractmethod
    def keep(self, path: Path, card: Card, corpus: Corpus) -> None:
        """Write the model."""


@final
class CodecLearner(Learner):
    """Stage 1 of ARTalk: motion through codes and back."""

    wants = False, False

    def __init__(self, codec: Codec) -> None:
        super().__init__()
        self.model = codec
        self.rig = _rig()

    @property
    def shape(self) -> Shape:
        """Motion alone."""
        return Shape(self.model.config.window, 0, 0)

    def forward(self, batch: Batch, rng: torch.Generator | None) -> dict[str, Tensor]:
        """The model's own losses."""
        return self.model.losses(batch, self.rig, rng)

    @torch.no_grad()
    def judge(self, corpus: Corpus, recipe: Recipe, stage: Stage) -> Figures:
        """Mean losses on fixed takes; the score is the lips' root mean square error in mm."""
        if not corpus.select("validation"):
            return {}
        takes = Takes(corpus, "validation", recipe.data, self.shape, recipe.seed, *self.wants)
        sums: Figures = {}
        for step in range(CHECKED):
            losses = self(takes.batch(step, stage.rows).to(self.model.mean.device), None)
            for name, value in losses.items():
                sums[name] = sums.get(name, 0.0) + float(value) / CHECKED
        return sums | {"score": sums["lips"] ** 0.5}

    def keep(self, path: Path, card: Card, corpus: Corpus) -> None:
        """Write a checkpoint."""
        checkpoint.save(Checkpoint(self.model, card), path)


@final
class StyleLearner(Learner):
    """The style encoder alone: cheap, and the generator then has a style to follow from its first step.

    It learns by contrast, and to tell of one clip the traits of another in the same way: where each channel rests and
    how far it moves. By contrast alone a vector says no more than what tells a few ways apart. What tells the traits is
    a linear map that only training has.
    """

    wants = False, True

    def __init__(self, model: Artalk) -> None:
        super().__init__()
        self.model = model.requires_grad_(False)
        self.model.style.requires_grad_(True)
        self.traits = nn.Linear(model.config.style.size, 2 * len(model.codec.mean))

    @property
    def shape(self) -> Shape:
        """Motion alone."""
        return Shape(self.model.config.codec.window, 0, 0)

    def forward(self, batch: Batch, rng: torch.Generator | None) -> dict[str, Tensor]:
        """The contrast of two clips of each row's way of moving, and how far the one's traits are from the other's."""
        style, contrast = self.model.styles(batch, rng)
        if contrast is None:
            least, got = self.model.config.style.least, batch.motion.shape[1]
            raise BadInput(f"takes of {got} frames are shorter than a style clip ({least}): let data.windows be more")
        traits = masked_mean(huber(self.traits(style) - self._traits(batch), 1.0), batch.observed.repeat(1, 2))
        return {"contrast": contrast, "traits": traits, "total": contrast + TRAITS * traits}

    def _traits(self, batch: Batch) -> Tensor:
        """(batch, 2 · channels) the mean of each channel and the logarithm of its deviation, in the corpus' own."""
        motion = self.model.codec.normalise(batch.motion)
        return torch.cat([motion.mean(dim=1), torch.log(motion.std(dim=1) + LEAST_MOVED)], dim=1)

    @torch.no_grad()
    def judge(self, corpus: Corpus, recipe: Recipe, stage: Stage) -> Figures:
        """The mean loss on fixed takes of the validation split."""
        if not corpus.select("validation"):
            return {}
        takes = Takes(corpus, "validation", recipe.data, self.shape, recipe.seed, *self.wants)
        batches = [takes.batch(step, stage.rows).to(self.model.codec.mean.device) for step in range(CHECKED)]
        return {"score": float(np.mean([float(self(batch, None)["total"]) for batch in batches]))}

    def keep(self, path: Path, card: Card, corpus: Corpus) -> None:
        """Write a checkpoint of a model that knows nothing but style."""
        checkpoint.save(Checkpoint(self.model, card), path)


class Speaker(Learner, ABC, Generic[Spoken]):
    """What learns from speech."""

    def __init__(self, model: Spoken) -> None:
        super().__init__()
        self.model = model
        self.rig = _rig()

    @property
    def shape(self) -> Shape:
        """Motion, and the sound that the speech encoder hears."""
        speech = self.model.config.speech
        return Shape(self.model.config.codec.window, speech.past, speech.lookahead)

    def hearing(self, corpus: Corpus, recipe: Recipe) -> Hear | None:
        """A frozen pretrained encoder with its memory beside the corpus, if the recipe wants that."""
        speech = self.model.speech
        if not recipe.data.cached or not isinstance(speech, Pretrained):
            return None
        return Features(corpus.folder / "features", speech).of

    def slow(self) -> list[nn.Parameter]:
        """What is tuned of a pretrained encoder."""
        speech = self.model.speech
        return list(speech.tuned()) if isinstance(speech, Pretrained) else []

    def forward(self, batch: Batch, rng: torch.Generator | None) -> dict[str, Tensor]:
        """The model's own losses."""
        return self.model.losses(batch, rng, self.rig)


@final
class GeneratorLearner(Speaker[Artalk]):
    """Stage 2: speech, style and past to codes. What goes on from a `base` keeps its named styles and its card."""

    def __init__(self, model: Artalk, base: Checkpoint | None = None) -> None:
        super().__init__(model)
        self.known = {} if base is None else base.styles
        self.origin: Card = {} if base is None else {"base": base.card}

    @torch.no_grad()
    def judge(self, corpus: Corpus, recipe: Recipe, stage: Stage) -> Figures:
        """Lips of whole held-out clips at temperature 0, in the style of another clip of the speaker, and with none."""
        judged = held.held(corpus, recipe.data.validation_clips, _face(400))
        if not judged.clips:
            return {}
        rng = torch.Generator(self.model.codec.mean.device).manual_seed(recipe.seed)

        def perform(sound: Tensor, style: Tensor | None) -> Tensor:
            return self.model.generate(sound.to(rng.device), self._cold(style, len(sound)), rng)

        free = judged.judge(lambda sound, _: perform(sound, None))
        styled = judged.judge(lambda sound, clips: perform(sound, self._styles(corpus, clips)))
        return styled | {f"free.{name}": value for name, value in free.items()}

    def _cold(self, style: Tensor | None, count: int) -> Any:
        # Without guidance: what has been learnt is to be judged, in half the time.
        return self.model.steer(count, style, 1.0, temperature=dict.fromkeys(self.model.trunks, 0.0))

    def _styles(self, corpus: Corpus, clips: Sequence[Clip]) -> Tensor:
        return torch.cat([self._style(corpus, clip) for clip in clips])

    def _style(self, corpus: Corpus, clip: Clip) -> Tensor:
        example = held.example(corpus, clip.entry)
        if example is None or len(example.motion) < self.model.config.style.least:
            return self.model.style.null[None]
        return self._vector(example)

    def _vector(self, clip: Clip) -> Tensor:
        """The style of a clip as a user's would be taken: nothing said of what was observed."""
        device = self.model.codec.mean.device
        motion = torch.tensor(clip.motion.values)[None].to(device)
        observed = torch.tensor(clip.observed.astype(np.float32)).to(device)
        return self.model.style(self.model.codec.normalise(motion) * observed)

    def keep(self, path: Path, card: Card, corpus: Corpus) -> None:
        """Write a checkpoint with the corpus' ways of moving as named styles; its card names the corpus' sources."""
        card = card | {"sources": _sources(corpus)} | self.origin
        checkpoint.save(Checkpoint(self.model, card, self.known | self._named(corpus)), path)

    @torch.no_grad()
    def _named(self, corpus: Corpus) -> dict[str, list[float]]:
        """The mean style of a few training clips of each planted style, and of each speaker's own way."""
        ways: dict[str, list[Entry]] = {}
        for entry in corpus.select("train"):
            if entry.observed and entry.frames >= self.model.config.style.least:
                ways.setdefault(entry.style or entry.speaker, []).append(entry)
        named: dict[str, list[float]] = {}
        for name, entries in sorted(ways.items()):
            few = entries[:: max(1, len(entries) // CLIPS_A_STYLE)][:CLIPS_A_STYLE]
            mean = torch.cat([self._vector(corpus.read(entry)) for entry in few]).mean(dim=0, keepdim=True)
            values = F.normalize(mean)[0].numpy(force=True).astype(np.float64)
            named[name] = [round(float(value), 5) for value in values]
        return named


@final
class RegressionLearner(Speaker[Regression]):
    """The baseline without codes, whose speech encoder a generator may begin with. It knows nothing of styles."""

    wants = True, False

    @torch.no_grad()
    def judge(self, corpus: Corpus, recipe: Recipe, stage: Stage) -> Figures:
        """Lips of whole held-out clips."""
        judged = held.held(corpus, recipe.data.validation_clips, _face(400))
        return (
            judged.judge(lambda sound, _: self.model.generate(sound.to(self.model.codec.mean.device)))
            if judged.clips
            else {}
        )

    def keep(self, path: Path, card: Card, corpus: Corpus) -> None:
        """Write the baseline's own file."""
        self.model.save(path, card)


def _sources(corpus: Corpus) -> list[dict[str, str]]:
    """The source and kind of what is trained on, with the face that its motion was solved on where that is known."""
    rows = sorted({(entry.source, entry.kind, entry.face) for entry in corpus.select("train")})
    return [{"source": source, "kind": kind} | ({"face": face} if face else {}) for source, kind, face in rows]


def _rig() -> LinearRig:
    """What a learner sees a motion on."""
    face = _face(120)
    upper, lower = face.gap
    apart = torch.tensor(face.neutral[lower] - face.neutral[upper])
    return LinearRig(torch.tensor(face.deltas / 1000), torch.tensor(face.lips), face.gap, apart / 1000)


@cache
def _face(most: int) -> Face:
    return faces.of_rig(head(), most)


def begin(
    stage: Stage, recipe: Recipe, corpus: Corpus, made: Mapping[Task, Path], base: Checkpoint | None = None
) -> Learner:
    """The learner of a stage before its first step.

    `made` are the files that the stages before it kept; `base` is a model to go on with.
    """
    seeded(recipe.seed)
    if base is None:
        learner = _new(stage, recipe, corpus, made)
    else:
        learner = GeneratorLearner(_further(cast(Artalk, base.model), stage, recipe), base)
    learner.freeze(stage.frozen)
    return learner


def _further(model: Artalk, stage: Stage, recipe: Recipe) -> Artalk:
    """A trained model with the losses and chances of this stage instead of those that it was trained with."""
    wished = stage.weigh(recipe.model)
    model.config = replace(model.config, weights=wished.weights, spoiling=wished.spoiling)
    return model


def _new(stage: Stage, recipe: Recipe, corpus: Corpus, made: Mapping[Task, Path]) -> Learner:
    if stage.task == "generator" and "generator" in made:
        return GeneratorLearner(_further(cast(Artalk, checkpoint.load(made["generator"]).model), stage, recipe))
    config = stage.weigh(with_phones(recipe, corpus))
    if stage.task == "codec":
        return CodecLearner(_measured(Codec(config.codec), corpus))
    if stage.task == "regression":
        regression = Regression(config)
        _taught(regression.speech, recipe)
        _measured(regression.codec, corpus)
        return RegressionLearner(regression)
    model = checkpoint.adopt(Artalk(config), cast(Codec, checkpoint.load(made["codec"]).model))
    if stage.task == "style":
        return StyleLearner(model)
    _taught(model.speech, recipe)
    if "style" in made:
        model.style.load_state_dict(cast(Artalk, checkpoint.load(made["style"]).model).style.state_dict())
    if "regression" in made:
        model.speech.load_state_dict(Regression.load(made["regression"]).speech.state_dict())
    for name in model.trunks:
        _still(cast(nn.Linear, model.trunk(name).regress[1]), _unseen(corpus)[model.codec.stream(name).columns])
    return GeneratorLearner(model)


def _taught(speech: nn.Module, recipe: Recipe) -> None:
    """Give a pretrained speech encoder its weights."""
    if isinstance(speech, Pretrained):
        speech.read(recipe.encoder)


def seeded(seed: int) -> None:
    """Seed torch's own generator, which only initial weights and dropout draw from."""
    torch.manual_seed(seed)  # pyright: ignore[reportUnknownMemberType]


def with_phones(recipe: Recipe, corpus: Corpus) -> ArtalkConfig:
    """The model's config with the project's phones, where it names none, some stage learns them and clips have them."""
    model = recipe.model
    taught = any(stage.weigh(model).weights.phones for stage in recipe.stages.values() if stage.task in COUNTED)
    if model.speech.phones or not taught or not _says_phones(corpus):
        return model
    return replace(model, speech=replace(model.speech, phones=PHONES))


def _says_phones(corpus: Corpus) -> bool:
    """Whether some of the training clips, looked at here and there, have phones."""
    entries = corpus.select("train")
    return any(corpus.read(entry).phones for entry in entries[:: max(1, len(entries) // LOOKED_AT)])


def _measured(codec: Codec, corpus: Corpus) -> Codec:
    """The codec with the corpus' means and deviations; channels that nobody has seen stay at rest for ever."""
    names = codec.config.space.names
    mean, deviation = torch.zeros(len(names)), torch.zeros(len(names))
    for column, name in enumerate(names):
        rows = np.array([kind[name] for kind in corpus.statistics.values() if name in kind], np.float64).reshape(-1, 5)
        if len(rows):
            share = rows[:, 4] / rows[:, 4].sum()
            mean[column] = middle = float(share @ rows[:, 0])
            deviation[column] = float(np.sqrt(share @ (rows[:, 1] ** 2 + (rows[:, 0] - middle) ** 2)))
    codec.measure(mean, deviation)
    unseen = _unseen(corpus)
    for name in codec.streams:
        stream = codec.stream(name)
        _still(cast(nn.Linear, stream.lower[1]), unseen[stream.columns])
    return codec


def _unseen(corpus: Corpus) -> Tensor:
    """(channels,) true where no clip of the corpus has measured anything."""
    seen = {name for kind in corpus.statistics.values() for name in kind}
    return torch.tensor([name not in seen for name in ARKIT.names])


@torch.no_grad()
def _still(layer: nn.Linear, rows: Tensor) -> None:
    """Outputs that get no gradient, and so stay 0."""
    layer.weight[rows] = 0
    layer.bias[rows] = 0
