"""Recipes: everything that a training depends on but the corpus, in one TOML file."""

import re
from dataclasses import dataclass, field, fields, replace
from typing import Literal

from artalk.channels import ARKIT
from artalk.data.clips import FPS, SAMPLE_RATE
from artalk.errors import BadInput
from artalk.models.artalk import ArtalkConfig, ArtalkWeights, Spoiling
from artalk.models.speech.mel import SpeechConfig
from artalk.models.speech.pretrained import PretrainedConfig

Task = Literal["codec", "style", "regression", "generator"]

NAME = re.compile(r"[A-Za-z0-9][\w-]{0,63}", re.ASCII)
"""How a stage may be called: its folder is."""

KEPT = ("replay", "corpus")
"""Names of a run's folder that are no stage's."""

COUNTED: dict[str, tuple[str, ...]] = {
    "regression": ("velocity", "lips", "gap", "phones", "huber"),
    "generator": tuple(each.name for each in fields(ArtalkWeights)),
}
"""The losses that a task may weigh."""

SPOILED = tuple(each.name for each in fields(Spoiling))
"""The chances that a generator's stage may have of its own."""

TASKS: tuple[Task, ...] = ("codec", "style", "regression", "generator")
"""What a stage may train: the codec, the style encoder alone, the baseline without codes, or the model on its codec.

A generator begins with the style encoder and the speech encoder of the style and regression stages before it; one that
follows a generator goes on with all of that.
"""


@dataclass(frozen=True)
class Stage:
    """One training: `steps` of `rows` takes each, AdamW with a linear warm-up and a cosine down to `last` of `rate`.

    `ema` is the decay of the averaged weights that are judged and kept; gradients are cut at the norm `clip`. Every
    `check` steps the averaged weights are judged on the validation split, and every `save` steps the run can go on
    from there. `precision` is that of the forward pass; weights stay in float32. A pretrained speech encoder that is
    tuned learns at the share `tuning` of the rate. Parameters whose names begin with one of `frozen` (whole words:
    "speech.blocks.0") stay as they are.
    """

    task: Task
    steps: int
    rows: int = 10
    rate: float = 6e-4
    last: float = 0.05
    warmup: int = 50
    decay: float = 0.01
    clip: float = 1.0
    ema: float = 0.995
    check: int = 100
    save: int = 100
    precision: Literal["float32", "bfloat16"] = "float32"
    tuning: float = 0.05
    frozen: tuple[str, ...] = ()
    weights: dict[str, float] = field(default_factory=dict[str, float])
    spoiling: dict[str, float] = field(default_factory=dict[str, float])

    def __post_init__(self) -> None:
        if min(self.steps, self.rows, self.check, self.save) < 1:
            raise BadInput("steps, rows, check and save of a stage are at least 1")
        if self.weights and self.task not in COUNTED:
            raise BadInput(f"a regression or a generator may weigh its losses, a {self.task} got weights")
        known = COUNTED.get(self.task, ())
        if unknown := [name for name in self.weights if name not in known]:
            raise BadInput(f"weights of a {self.task} are {', '.join(known)}, got {', '.join(unknown)}")
        if min(self.weights.values(), default=0.0) < 0:
            raise BadInput(f"a loss counts at least 0, got {self.weights}")
        if self.spoiling and self.task != "generator":
            raise BadInput(f"what a generator is given may be spoiled, a {self.task} got spoiling")
        if unknown := [name for name in self.spoiling if name not in SPOILED]:
            raise BadInput(f"spoiling has {', '.join(SPOILED)}, got {', '.join(unknown)}")
        if not all(0 <= chance <= 1 for chance in self.spoiling.values()):
            raise BadInput(f"spoiling has chances from 0 to 1, got {self.spoiling}")

    def weigh(self, model: ArtalkConfig) -> ArtalkConfig:
        """The model's config with the losses as they count and the chances as they are in this stage."""
        return replace(
            model,
            weights=replace(model.weights, **self.weights),
            spoiling=replace(model.spoiling, **self.spoiling),
        )


@dataclass(frozen=True)
class Sound:
    """How often and how far sound is changed (chances 0..1; ranges are the largest change).

    `voice` re-speaks a piece in another voice: pitch by up to ± `pitch` and formants by ± `formants` (natural logs).
    `tempo` plays sound and motion faster or slower by up to ± this (log). `noise` adds a hiss, hum or other talkers at
    `quietest` to `loudest` decibels below the speech; `room` is reverberation; `band` a telephone, a dull or a bright
    microphone; `codec` the traces of a telephone's or a music codec; `gain` the range of loudness in decibels. `levels`
    is the share of takes in which the voice is from some moment on softer or louder, by up to `drop` decibels: a model
    that knows how loud somebody was takes a voice that is suddenly soft for none.
    """

    voice: float = 0.6
    pitch: float = 0.35
    formants: float = 0.18
    tempo: float = 0.12
    noise: float = 0.5
    loudest: float = 5.0
    quietest: float = 40.0
    room: float = 0.3
    band: float = 0.4
    codec: float = 0.0
    gain: tuple[float, float] = (-24.0, 6.0)
    levels: float = 0.0
    drop: float = 20.0


@dataclass(frozen=True)
class Data:
    """What a step sees. `windows` that follow one another in a take; clips are joined with a cross-fade of `fade`
    seconds, and with a pause of up to `pause` seconds at a chance of `pauses`.

    `sources` says how often pieces of a source are drawn for each minute that it has (1 where it is not named; 0 leaves
    it out); `kinds` the same for real, styled and taught motion and for sound without motion, `silent`.
    `style_seconds` is the range of lengths of style clips. `cached` takes the features of a frozen pretrained speech
    encoder from the disk: each clip is heard once, as it is, so that no change of sound may be asked for. Where a
    second corpus is rehearsed, `rehearsal` is the share of a step's rows that it has. `habits` is the share of rows
    that get a way of moving drawn by lot, in motion and style clip alike (`data.habits`): for models that are to
    follow people whom they have not seen.
    """

    windows: int = 2
    fade: float = 0.06
    pause: float = 1.2
    pauses: float = 0.35
    sources: dict[str, float] = field(default_factory=dict[str, float])
    kinds: dict[str, float] = field(default_factory=dict[str, float])
    style_seconds: tuple[float, float] = (1.0, 5.0)
    sound: Sound = Sound()
    validation_clips: int = 48
    cached: bool = False
    rehearsal: float = 0.5
    habits: float = 0.0

    def __post_init__(self) -> None:
        if not 0 < self.rehearsal < 1:
            raise BadInput(f"the share of rows to rehearse lies between 0 and 1, got {self.rehearsal}")
        if not 0 <= self.habits <= 1:
            raise BadInput(f"habits is a share of rows, from 0 to 1, got {self.habits}")
        if not 0 < self.style_seconds[0] <= self.style_seconds[1]:
            raise BadInput(f"style_seconds go from a length up to a longer one, got {list(self.style_seconds)}")
        if min(self.pause, self.fade) < 0 or not 0 <= self.pauses <= 1:
            got = f"{self.pauses:g}, {self.pause:g} and {self.fade:g}"
            raise BadInput(f"pauses are a share of the joins, pause and fade are seconds, got {got}")
        if self.windows < 1 or self.validation_clips < 1:
            raise BadInput("a take has at least one window, and at least one clip is judged")


@dataclass(frozen=True)
class Recipe:
    """`stages` are trained one after the other, each with what the ones before it have made.

    `encoder` is the local folder with the weights of the pretrained speech encoder, where `model.speech` names one.
    With `init`, the name of a model that comes with the package or the path of a `.safetensors`, the one stage goes on
    training that model, whose config is then `model`.
    """

    model: ArtalkConfig = ArtalkConfig()
    stages: dict[str, Stage] = field(default_factory=dict[str, Stage])
    data: Data = Data()
    seed: int = 0
    encoder: str = ""
    init: str = ""

    def __post_init__(self) -> None:
        if not self.stages:
            raise BadInput("a recipe has at least one stage: [stages.codec] task = 'codec', steps = …")
        if self.seed < 0:
            raise BadInput(f"a seed is a whole number from 0 on, got {self.seed}")
        self._check_names()
        self._check_rates()
        tasks = [stage.task for stage in self.stages.values()]
        if self.init:
            if tasks != ["generator"] or self.encoder or self.data.cached:
                raise BadInput("a recipe with init has one stage, a generator, and neither encoder nor data.cached")
            return
        self._check_encoder()
        first = min((tasks.index(task) for task in ("style", "generator") if task in tasks), default=len(tasks))
        if first < len(tasks) and "codec" not in tasks[:first]:
            raise BadInput(f"a {tasks[first]} is trained on a codec: a stage with task 'codec' comes before it")
        if "generator" in tasks and {*tasks[tasks.index("generator") :]} != {"generator"}:
            raise BadInput("a generator goes on with the one before it: after a generator come generators alone")

    def _check_names(self) -> None:
        for name in self.stages:
            if not NAME.fullmatch(name) or name in KEPT:
                taken = " or ".join(KEPT)
                raise BadInput(f"a stage is called by letters, digits, - and _, not {taken}; got {name!r}")

    def _check_rates(self) -> None:
        """What a corpus has is said in `data.clips`: a model of anything else would fail in the midst of a run."""
        codec, speech, least = self.model.codec, self.model.speech, self.model.style.least
        if codec.channels != ARKIT.name or codec.rate != FPS:
            raise BadInput(
                f"a corpus has {ARKIT.name} at {FPS} fps, [model.codec] asks for {codec.channels} at {codec.fps}"
            )
        if isinstance(speech, SpeechConfig) and speech.sample_rate != SAMPLE_RATE:
            raise BadInput(f"a corpus has sound at {SAMPLE_RATE} Hz, [model.speech] asks for {speech.sample_rate}")
        if self.data.style_seconds[0] * FPS < least:
            raise BadInput(
                f"a style clip has {least} frames at least ({float(least / FPS):g} s), "
                f"style_seconds begin with {self.data.style_seconds[0]:g}"
            )

    def _check_encoder(self) -> None:
        speech, sound = self.model.speech, self.data.sound
        pretrained = isinstance(speech, PretrainedConfig)
        if pretrained != bool(self.encoder):
            raise BadInput("a pretrained speech encoder has its name in model.speech.encoder and its folder in encoder")
        if not self.data.cached:
            return
        if not pretrained or speech.tune != "frozen":
            raise BadInput("data.cached is for a pretrained speech encoder that stays frozen")
        if any((sound.voice, sound.tempo, sound.noise, sound.room, sound.band)):
            raise BadInput("features on the disk are of sound as it is: set voice, tempo, noise, room, band to 0")
