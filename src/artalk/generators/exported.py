"""A trained model as one `.onnx` file, run by onnxruntime: no torch, one step a window, all state in plain arrays."""

import base64
import hashlib
import importlib
import json
import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, ClassVar, Self, cast, final

import numpy as np
from numpy.typing import NDArray

from artalk.channels import ARKIT, FLAME
from artalk.errors import BadFile, BadInput, MissingFile
from artalk.generators.generator import STRONGEST, Condition, Generator, Named
from artalk.motion import Motion

FloatArray = NDArray[np.float32]

SPACES = {space.name: space for space in (ARKIT, FLAME)}

FORMAT = 1
"""The version of the file's metadata that this module reads and `checkpoint.export` writes."""

LONGEST_CLIP = 500
"""Frames of a style clip looked at at once; a longer one is cut evenly and its parts' styles are averaged."""


DONE = ("known", "decoder.", "memory.")
"""How the names of those parts of a state begin that are the motion made so far; the others are what was heard."""

CROWD = 16
"""Streams in one run of the model at most: more bring no more, and what they take of memory grows."""


@dataclass(frozen=True)
class Settings:
    """What an animator may turn; None is what the model's makers chose.

    `temperature` and `top_p` for all streams that the makers left to chance, or by stream name: 0 always takes the
    likeliest motion, 1 draws as the model has learned; bits whose likelier side reaches `top_p` are not left to chance.
    `sound_guidance` above 1 exaggerates what the sound asks for, and costs a branch more in each step, as a style does
    whose guidance is not 1.
    """

    temperature: float | Mapping[str, float] | None = None
    top_p: float | Mapping[str, float] | None = None
    sound_guidance: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.sound_guidance <= STRONGEST:
            raise BadInput(f"sound_guidance lies within 0 and {STRONGEST:g}, got {self.sound_guidance}")

    @classmethod
    def wished(cls, wishes: Mapping[str, Any]) -> Self:
        """Settings by name, as numbers or their texts; a stream's own: `{"temperature": 0.5, "top_p.brows": "0.9"}`."""
        found: dict[str, Any] = {}
        for name, wish in wishes.items():
            setting, _, stream = name.partition(".")
            if setting not in SETTINGS or (stream and setting == "sound_guidance"):
                raise BadInput(
                    f"a trained model is run with {', '.join(SETTINGS)}, of one stream temperature.brows; got {name!r} "
                    "(fast, device and precisions are for the released model)"
                )
            if setting in found and (not stream or not isinstance(found[setting], dict)):
                raise BadInput(f"{setting} is said of all streams or of some by name, got both")
            value = _number(name, wish)
            found[setting] = found.get(setting, {}) | {stream: value} if stream else value
        return cls(**found)


SETTINGS = tuple(field.name for field in fields(Settings))
"""Their names."""


def _number(name: str, wish: Any) -> float:
    try:
        if not isinstance(wish, bool):
            return float(wish)
    except (TypeError, ValueError):
        pass
    raise BadInput(f"{name} is a number such as 0.5, got {wish!r}")


def branches(style_guidance: float, sound_guidance: float) -> list[tuple[bool, bool, float]]:
    """(follows the style, hears the sound, share in the logits) of each branch of classifier-free guidance.

    logits = ∅∅ + a·(sound∅ - ∅∅) + s·(sound,style - sound∅), guidance a for sound and s for style, as DiffPoseTalk
    nests them. At 1 and 1 one branch is enough; branches without a share are left out.
    """
    table = [
        (True, True, style_guidance),
        (False, True, sound_guidance - style_guidance),
        (False, False, 1 - sound_guidance),
    ]
    return [row for row in table if row[2]]


@dataclass(frozen=True, eq=False)
class Progress:
    """Where a stream stands: the `window` to come, the `seed`, the steering's branches, the model's own `arrays`."""

    window: int
    seed: int
    style: FloatArray
    hears: FloatArray
    mix: FloatArray
    arrays: dict[str, FloatArray]


@final
class Exported(Generator):
    """The generator in an `.onnx` file made by `artalk export`.

    Chance enters as numbers drawn from (seed, stream, window) by a counter-based generator (Philox): a window's
    motion depends on nothing but the sound, the seed and what came before.
    """

    accepts: ClassVar[frozenset[str]] = frozenset({"style"})

    def __init__(self, model: bytes, settings: Settings = Settings(), name: str = "model", threads: int = 1) -> None:
        self.name = name
        self.version = hashlib.sha256(model).hexdigest()[:12]
        self.settings = settings
        self.threads = threads
        self._session = open_session(model, name, threads)
        metadata: dict[str, str] = self._session.get_modelmeta().custom_metadata_map
        self.facts = read_facts(metadata, "artalk.step", FORMAT, name)
        """What the file says about its step: streams, state, noise, styles."""
        self.styles = tuple(self.facts["styles"])
        self.card: dict[str, Any] = json.loads(metadata.get("artalk.card", "{}"))
        """The model's card: sources, licences, figures, limits."""
        self.style_guidance = float(self.facts.get("style_guidance", 1.0))
        """The guidance that a style strength of 1 stands for."""
        self._style_model = base64.b64decode(metadata.get("artalk.style_encoder", ""))
        (sound,) = [given for given in self._session.get_inputs() if given.name == "sound"]
        self._takes_many = not isinstance(sound.shape[0], int)
        self._hears = "spoken" in [made.name for made in self._session.get_outputs()]
        facts = self.facts
        self.channels = SPACES[facts["channels"]]
        self.fps = Fraction(facts["fps"])
        self.sample_rate, self.window, self.lookahead = facts["sample_rate"], facts["window"], facts["lookahead"]
        self._temperature = self._by_stream("temperature", settings.temperature, 10.0)
        self._top_p = self._by_stream("top_p", settings.top_p, 1.0)

    @classmethod
    def load(cls, path: str | os.PathLike[str], settings: Settings = Settings(), threads: int = 1) -> Self:
        """Read a model from a file."""
        file = Path(path)
        if not file.is_file():
            raise MissingFile(f"a model is an .onnx file, none is at {str(path)!r}")
        return cls(file.read_bytes(), settings, file.stem, threads)

    def with_settings(self, settings: Settings) -> "Exported":
        """The same model, turned otherwise; nothing is loaded again."""
        twin = object.__new__(Exported)
        vars(twin).update(vars(self))
        twin.settings = settings
        twin._temperature = twin._by_stream("temperature", settings.temperature, 10.0)
        twin._top_p = twin._by_stream("top_p", settings.top_p, 1.0)
        return twin

    def begin(self, condition: Condition, seed: int) -> Progress:
        """The state before the first window."""
        style = self.style(condition.style)
        null = np.asarray(self.facts["null_style"], np.float32)
        guidance = 1.0 if style is None else self.style_guidance * condition.style_strength
        table = branches(guidance, self.settings.sound_guidance)
        rows = [null if style is None or not follows else style for follows, _, _ in table]
        count = len(table)
        return Progress(
            window=0,
            seed=int(seed) % 2**64,
            style=np.stack(rows)[None],
            hears=np.array([[hears for _, hears, _ in table]], np.float32),
            mix=np.array([[share for _, _, share in table]], np.float32),
            arrays={name: _initial(spec, count) for name, spec in self.facts["state"].items()},
        )

    def step(self, state: Progress, samples: FloatArray) -> tuple[FloatArray, Progress]:
        """One run of the model for each window."""
        return self.step_many([(state, samples)])[0]

    def step_many(self, jobs: Sequence[tuple[Progress, FloatArray]]) -> list[tuple[FloatArray, Progress]]:
        """One run of the model for each window, for all streams together that mix equally many branches."""
        return [(frames, state) for frames, _, state in self.heard_many(jobs)]

    def heard_many(
        self, jobs: Sequence[tuple[Progress, FloatArray]]
    ) -> list[tuple[FloatArray, FloatArray | None, Progress]]:
        """`step_many`; what is spoken is None of files from before `artalk export` wrote it."""
        window, need = self.window * self.hop, (self.window + self.lookahead) * self.hop
        states = [state for state, _ in jobs]
        counts = [(len(samples) - self.lookahead * self.hop) // window for _, samples in jobs]
        made: list[list[FloatArray]] = [[] for _ in jobs]
        spoken: list[list[FloatArray]] = [[] for _ in jobs]
        for k in range(max(counts, default=0)):
            for crowd in self._crowds([job for job, count in enumerate(counts) if k < count], states):
                sounds = [jobs[job][1][k * window : k * window + need] for job in crowd]
                for job, (frames, heard, state) in zip(
                    crowd, self._run([states[j] for j in crowd], sounds), strict=True
                ):
                    made[job].append(frames)
                    spoken[job].append(heard)
                    states[job] = state
        return [
            (np.concatenate(frames), np.concatenate(heard) if self._hears else None, state)
            for frames, heard, state in zip(made, spoken, states, strict=True)
        ]

    def change(self, state: Progress, condition: Condition, seed: int) -> Progress:
        """What was heard so far stays; style, steering and chance are new.

        What was done stays where the style does. A past in another style would hold on to it: of a smile that was over
        nothing had gone after six seconds.
        """
        fresh = self.begin(condition, seed)
        stays = np.array_equal(fresh.style, state.style)
        kept = {name: array for name, array in state.arrays.items() if stays or not name.startswith(DONE)}
        return replace(fresh, window=state.window, arrays=fresh.arrays | kept)

    def style(self, wish: Motion | Named | None) -> FloatArray | None:
        """The style vector (size,) of a clip of at least a second, of a named style or of a mix of them."""
        if wish is None:
            return None
        if isinstance(wish, Motion):
            return self._style_of(wish)
        shares = {wish: 1.0} if isinstance(wish, str) else dict(wish)
        known: Mapping[str, list[float]] = self.facts["styles"]
        for name in shares:
            if name not in known:
                raise BadInput(f"model {self.name!r} has no style {name!r}; it has {', '.join(known) or 'none'}")
        total = sum(shares.values())
        if not shares or total <= 0 or min(shares.values()) < 0:
            raise BadInput(f"a mix of styles has shares of at least 0 and some above, got {shares}")
        vectors = [np.asarray(known[name], np.float32) * np.float32(share / total) for name, share in shares.items()]
        return np.asarray(np.sum(vectors, axis=0), np.float32)

    def _crowds(self, jobs: Sequence[int], states: Sequence[Progress]) -> list[list[int]]:
        """Those of `jobs` that one run of the model can work on together."""
        crowds: defaultdict[int, list[int]] = defaultdict(list)
        for job in jobs:
            crowds[states[job].style.shape[1] if self._takes_many else job].append(job)
        return [crowd[at : at + CROWD] for crowd in crowds.values() for at in range(0, len(crowd), CROWD)]

    def _run(
        self, states: Sequence[Progress], sounds: Sequence[FloatArray]
    ) -> list[tuple[FloatArray, FloatArray, Progress]]:
        """The next window of streams that mix equally many branches, with what is spoken in it (or nothing)."""
        count, kept = len(states), list(states[0].arrays)
        feed = {
            "sound": np.stack(sounds).astype(np.float32, copy=False),
            "style": _joined([state.style for state in states]),
            "hears": _joined([state.hears for state in states]),
            "mix": _joined([state.mix for state in states]),
            "temperature": np.repeat(self._temperature, count, axis=0),
            "top_p": np.repeat(self._top_p, count, axis=0),
        }
        feed |= {f"state.{name}": _joined([state.arrays[name] for state in states]) for name in kept}
        for index, (name, shape) in enumerate(self.facts["noise"].items()):
            chance = self._temperature[0, index] > 0
            drawn = [_noise(state.seed, index, state.window, shape) for state in states] if chance else None
            feed[f"noise.{name}"] = np.zeros((count, *shape), np.float32) if drawn is None else np.stack(drawn)
        names = ["motion", *(f"next.{name}" for name in kept), *(["spoken"] if self._hears else [])]
        motion, *after = cast("list[FloatArray]", self._session.run(names, feed))
        spoken = after.pop() if self._hears else np.empty((count, 0), np.float32)
        made: list[tuple[FloatArray, FloatArray, Progress]] = []
        for row, state in enumerate(states):
            arrays = {name: _next(state.arrays[name], array, row) for name, array in zip(kept, after, strict=True)}
            made.append((motion[row], spoken[row], replace(state, window=state.window + 1, arrays=arrays)))
        return made

    def _style_of(self, clip: Motion) -> FloatArray:
        if clip.channels != self.channels:
            raise BadInput(
                f"a style clip for {self.name!r} is {self.channels.name} motion, got {clip.channels.name}: "
                "retarget it first"
            )
        frames = clip.resample(self.fps).values if clip.fps != self.fps else clip.values
        least = self.facts["least_clip"]
        if len(frames) < least:
            raise BadInput(f"a style clip has at least {least} frames at {self.fps} fps, got {len(frames)}")
        session = open_session(self._style_model, self.name, self.threads)
        parts = np.array_split(frames, -(-len(frames) // LONGEST_CLIP))
        vectors = [cast(FloatArray, session.run(["style"], {"clip": part[None]})[0])[0] for part in parts]
        mean = np.mean(vectors, axis=0)
        return np.asarray(mean / max(float(np.linalg.norm(mean)), 1e-6), np.float32)

    def _by_stream(self, what: str, wish: float | Mapping[str, float] | None, most: float) -> FloatArray:
        streams: dict[str, dict[str, float]] = self.facts["streams"]
        if isinstance(wish, Mapping):
            for name in wish:
                if name not in streams:
                    raise BadInput(f"model {self.name!r} has no stream {name!r}; it has {', '.join(streams)}")
            values = [wish.get(name, own[what]) for name, own in streams.items()]
        else:
            values = [wish if wish is not None and own["temperature"] else own[what] for own in streams.values()]
        if not all(0 <= value <= most for value in values):
            raise BadInput(f"{what} lies within 0 and {most:g}, got {wish}")
        return np.array([values], np.float32)


def open_session(model: bytes | str, name: str, threads: int) -> Any:
    """onnxruntime's session for a model, given as bytes or as a path."""
    onnxruntime: Any = importlib.import_module("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # Spinning threads eat the cores that a renderer or a game needs beside us.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's own errors share no base but this
        raise BadFile(f"model {name!r} is no .onnx file that onnxruntime can run: {str(error)[:200]}") from error


def read_facts(metadata: Mapping[str, str], key: str, version: int, name: str) -> dict[str, Any]:
    """What an `.onnx` file says of itself under `key` of its metadata; raises `BadFile` where it is another's file."""
    text = metadata.get(key)
    if text is None:
        raise BadFile(f"model {name!r} is an .onnx file, but has no {key}: it is not one that artalk wrote for this")
    facts: dict[str, Any] = json.loads(text)
    if facts.get("format") != version:
        raise BadFile(
            f"model {name!r} is of format {facts.get('format')}, this artalk reads {version}: export it again"
        )
    return facts


def _initial(spec: Mapping[str, Any], count: int) -> FloatArray:
    shape = [count if size == "branches" else size for size in spec["shape"]]
    if "values" in spec:
        return np.asarray(spec["values"], np.float32).reshape(shape)
    return np.zeros(shape, np.float32)


def _joined(rows: Sequence[FloatArray]) -> FloatArray:
    """Several streams' arrays as one."""
    return rows[0] if len(rows) == 1 else np.concatenate(rows)


def _next(before: FloatArray, made: FloatArray, row: int) -> FloatArray:
    """What one stream's array is after the run that `made` (streams, …) the rows of several: of a memory (…, tokens,
    width) the newest tokens, the oldest of which go. A copy, so that no stream keeps the others' in memory."""
    if made.shape[1:] == before.shape[1:]:
        return made if len(made) == 1 else made[row : row + 1].copy()
    after, new = np.empty_like(before), made.shape[-2]
    after[..., :-new, :], after[..., -new:, :] = before[..., new:, :], made[row]
    return after


def _noise(seed: int, stream: int, window: int, shape: Sequence[int]) -> FloatArray:
    """Uniform numbers in [0, 1) of one stream of one window, the same wherever and whenever they are drawn."""
    key = np.array([seed, stream], np.uint64)
    bits = np.random.Philox(key=key, counter=np.array([0, 0, 0, window], np.uint64))
    return np.random.Generator(bits).random(shape, np.float32)
