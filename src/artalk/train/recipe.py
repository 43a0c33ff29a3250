"""Recipes: everything that a training depends on but the corpus, in one TOML file."""

from dataclasses import dataclass, field
from typing import Literal

from artalk.errors import BadInput
from artalk.models.artalk import ArtalkConfig

Task = Literal["codec", "generator", "regression"]

TASKS: tuple[Task, ...] = ("codec", "generator", "regression")
"""What a stage may train: the codec, all else of the model on it, or the baseline without codes."""


@dataclass(frozen=True)
class Stage:
    """One training: `steps` of `rows` takes each, AdamW with a linear warm-up and a cosine down to `last` of `rate`.

    `ema` is the decay of the averaged weights that are judged and kept; gradients are cut at the norm `clip`. Every
    `check` steps the averaged weights are judged on the validation split, and every `save` steps the run can go on
    from there.
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

    def __post_init__(self) -> None:
        if min(self.steps, self.rows, self.check, self.save) < 1:
            raise BadInput("steps, rows, check and save of a stage are at least 1")


@dataclass(frozen=True)
class Sound:
    """How often and how far sound is changed (chances 0..1; ranges are the largest change).

    `voice` re-speaks a piece in another voice: pitch by up to ± `pitch` and formants by ± `formants` (natural logs).
    `tempo` plays sound and motion faster or slower by up to ± this (log). `noise` adds a hiss, hum or other talkers at
    `quietest` to `loudest` decibels below the speech; `room` is reverberation; `band` a telephone, a dull or a bright
    microphone; `gain` the range of loudness in decibels.
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
    gain: tuple[float, float] = (-24.0, 6.0)


@dataclass(frozen=True)
class Data:
    """What a step sees. `windows` that follow one another in a take; clips are joined with a cross-fade of `fade`
    seconds, and with a pause of up to `pause` seconds at a chance of `pauses`.

    `sources` says how often pieces of a source are drawn for each minute that it has (1 where it is not named; 0 leaves
    it out); `kinds` the same for real, styled and taught motion and for sound without motion, `silent`.
    `style_seconds` is the range of lengths of style clips.
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

    def __post_init__(self) -> None:
        if self.windows < 1 or self.validation_clips < 1:
            raise BadInput("a take has at least one window, and at least one clip is judged")


@dataclass(frozen=True)
class Recipe:
    """`stages` are trained one after the other, each with what the ones before it have made."""

    model: ArtalkConfig = ArtalkConfig()
    stages: dict[str, Stage] = field(default_factory=dict[str, Stage])
    data: Data = Data()
    seed: int = 0
    precision: Literal["float32", "bfloat16"] = "float32"

    def __post_init__(self) -> None:
        if not self.stages:
            raise BadInput("a recipe has at least one stage: [stages.codec] task = 'codec', steps = …")
        tasks = [stage.task for stage in self.stages.values()]
        if "generator" in tasks and "codec" not in tasks[: tasks.index("generator")]:
            raise BadInput("a generator is trained on a codec: a stage with task 'codec' comes before it")
