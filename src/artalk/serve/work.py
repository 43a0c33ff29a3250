"""Whole files over HTTP: a sound comes, its performance goes, in any of our formats.

The sound is worked on in memory. Nothing that a client says becomes a path: outputs are written in a temporary folder
under a name of ours.
"""

import asyncio
import logging
import math
import secrets
import tempfile
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from artalk import api, edit
from artalk.audio import Audio
from artalk.audio import load as load_audio
from artalk.errors import ArtalkError, BadAudio, BadInput
from artalk.generators.generator import Condition
from artalk.generators.generator import Generator as Model
from artalk.motion import exact_fps
from artalk.serve.metrics import Metrics
from artalk.serve.settings import Limits

log = logging.getLogger(__name__)

MEDIA_TYPES = {
    ".npz": "application/octet-stream",
    ".csv": "text/csv",
    ".json": "application/json",
    ".cues.json": "application/json",
    ".tsv": "text/tab-separated-values",
    ".xml": "application/xml",
    ".vrma": "model/gltf-binary",
    ".glb": "model/gltf-binary",
    ".usda": "text/plain",
    ".usdc": "application/octet-stream",
    ".mp4": "video/mp4",
    ".webm": "video/webm",
    ".gif": "image/gif",
}
"""What can be asked for: every format but folders of pictures and those that need a file of the user's."""

Progress = Callable[[int, int], None]


class Busy(ArtalkError):
    """All places are taken."""


class OutOfTime(ArtalkError):
    """The work took longer than the server allows, or nobody waits for it any more."""


@dataclass(frozen=True)
class Order:
    """What a client wants made of its sound."""

    format: str = "csv"
    model: str = ""
    seed: int = 0
    fps: str = ""
    style: str = ""
    gains: str = ""
    size: int = 512

    @property
    def suffix(self) -> str:
        """The format as a suffix."""
        return f".{self.format}"

    @property
    def drawn(self) -> bool:
        """Whether pictures are asked for."""
        return self.suffix in api.PICTURES

    def check(self, limits: Limits) -> None:
        """Raise `BadInput` for what cannot be made."""
        if self.suffix not in MEDIA_TYPES:
            raise BadInput(
                f"a format is one of {', '.join(name[1:] for name in MEDIA_TYPES)}, got {self.format[:20]!r}"
            )
        if not 16 <= self.size <= limits.pixels:
            raise BadInput(f"a size is 16 to {limits.pixels} pixels, got {self.size}")
        if not 0 <= self.seed < 2**32:
            raise BadInput(f"a seed is 0 to 2^32 - 1, got {self.seed}")
        if self.fps and not 1 <= exact_fps(self.fps) <= 240:
            raise BadInput(f"a frame rate here is 1 to 240, got {self.fps}")
        edit.check(self.parts)

    @property
    def parts(self) -> dict[str, float]:
        """The gains, from "head:0.5,lips:1.2"."""
        return _numbers(self.gains, "a gain is PART:FACTOR such as head:0.5")

    @property
    def condition(self) -> Condition:
        """The style, from "lively:0.7,smiling:0.3"; a name alone counts whole."""
        shares = _numbers(self.style, "a style is NAME or NAME:SHARE such as lively:0.7", "1")
        return Condition(shares or None)


def _numbers(text: str, wanted: str, usual: str = "") -> dict[str, float]:
    """Names with their numbers, from "head:0.5,lips:1.2"; `usual` is the number of a name without one."""
    numbers: dict[str, float] = {}
    for part in filter(None, text.split(",")):
        name, _, number = part.partition(":")
        if name in numbers:
            raise BadInput(f"{wanted}, each named once, got {name[:40]!r} twice")
        try:
            numbers[name] = float(number or usual)
        except ValueError:
            raise BadInput(f"{wanted}, got {part[:40]!r}") from None
        if not math.isfinite(numbers[name]):
            raise BadInput(f"{wanted}, got {part[:40]!r}")
    return numbers


@dataclass(frozen=True)
class Result:
    """A finished file."""

    data: bytes
    suffix: str
    frames: int
    seconds: float

    @property
    def media_type(self) -> str:
        """For the Content-Type."""
        return MEDIA_TYPES[self.suffix]


class Workshop:
    """Works on few files at a time and keeps few results for a short while."""

    def __init__(self, limits: Limits, models: Mapping[str, Model], metrics: Metrics) -> None:
        self._limits, self._models, self._metrics = limits, models, metrics
        self._workers = ThreadPoolExecutor(limits.jobs, "artalk-file")
        self.taken = 0
        """Places that are taken."""
        self._results: OrderedDict[str, tuple[float, Result]] = OrderedDict()

    def close(self) -> None:
        """Take nothing more on."""
        self._workers.shutdown(wait=False, cancel_futures=True)

    @contextmanager
    def place(self) -> Generator[None]:
        """Room for a file, to be had before its first byte is taken in. Raises `Busy` where there is none."""
        if self.taken >= self._limits.jobs + self._limits.jobs_waiting:
            raise Busy(f"{self.taken} files are being worked on or wait: try again later")
        self.taken += 1
        try:
            yield
        finally:
            self.taken -= 1

    @contextmanager
    def refusals(self, order: Order, *others: type[Exception]) -> Generator[None]:
        """Count and log what is raised inside, be it one of `others` or the library's own: no file comes of it."""
        try:
            yield
        except (ArtalkError, *others) as error:
            self._metrics.files.labels("refused").inc()
            log.info("file refused", extra={"format": order.format, "reason": str(error)})
            raise

    async def make(self, sound: bytes, order: Order, progress: Progress | None = None) -> Result:
        """The file; `progress` is called in this event loop. Raises `OutOfTime` and what is wrong with it."""
        with self.refusals(order):
            try:
                return await self._make(sound, order, progress)
            except ArtalkError:
                raise
            except Exception:
                self._metrics.files.labels("failed").inc()
                raise

    async def _make(self, sound: bytes, order: Order, progress: Progress | None) -> Result:
        order.check(self._limits)
        generator = self._generator(order.model)
        generator.check(order.condition)
        loop, given_up = asyncio.get_running_loop(), threading.Event()
        began = 0.0

        def step(done: int, total: int) -> None:
            nonlocal began
            began = began or time.monotonic()  # what waits for a worker is not worked on
            if given_up.is_set() or time.monotonic() > began + self._limits.job_seconds:
                raise OutOfTime(_out_of_time(order, self._limits))
            if progress is not None and total:  # which is not known before the sound is
                loop.call_soon_threadsafe(progress, done, total)

        box = [sound]
        del sound
        try:
            work = loop.run_in_executor(self._workers, _make, generator, box, order, self._limits, step)
            result = await work
        finally:
            given_up.set()
            box.clear()  # whose turn has not come would be kept until it does
        self._metrics.files.labels("made").inc()
        took = round(time.monotonic() - began, 2)
        facts = {"format": order.format, "model": generator.name, "seconds": round(result.seconds, 2), "took": took}
        log.info("file made", extra=facts)
        return result

    def keep(self, result: Result) -> str:
        """Keep a result to be fetched; its name, which nobody can guess."""
        self.forget_old()
        while len(self._results) >= self._limits.results:
            self._results.popitem(last=False)
        name = secrets.token_urlsafe(16)
        self._results[name] = (time.monotonic(), result)
        return name

    def kept(self, name: str) -> Result | None:
        """The result of that name, if it is still there."""
        self.forget_old()
        found = self._results.get(name)
        return found[1] if found else None

    def forget_old(self) -> None:
        """Let results go that nobody fetched in time."""
        oldest = time.monotonic() - self._limits.results_seconds
        for name in [name for name, (at, _) in self._results.items() if at < oldest]:
            del self._results[name]

    def _generator(self, model: str) -> Model:
        found = self._models.get(model or next(iter(self._models)))
        if found is None:
            raise BadInput(f"models here are {', '.join(self._models)}, got {model[:40]!r}")
        return found


def _out_of_time(order: Order, limits: Limits) -> str:
    """What to do about it, which is another thing for pictures."""
    less = "cut the sound"
    if order.drawn:
        less = "ask for a lower fps, a far smaller size or less sound, or for an npz and draw it by `artalk render`"
    most = f"a file is worked on for {limits.job_seconds:g} s at most"
    return f"{most}: {less}; whoever runs the server may raise job_seconds"


def _heard(sound: bytes, limits: Limits) -> Audio:
    """The sound of a file; one that is too long is told whose limit that is."""
    try:
        return load_audio(sound, max_duration=limits.upload_seconds, max_rate=limits.highest_rate)
    except BadAudio as error:
        said, of_python, _ = str(error).partition(", the limit: ")
        if of_python:
            raise BadInput(f"{said}, the limit of this server (upload_seconds): cut it") from error
        raise


def _make(generator: Model, box: list[bytes], order: Order, limits: Limits, step: Progress) -> Result:
    """The sound in a box into one file; in a worker's thread.

    The progress counts frames: those that the model makes and, where there are any, those that are drawn after them.
    """
    step(0, 0)
    audio = _heard(box.pop(), limits)
    made = max(audio.frames_at(generator.fps), 1)
    total = made + order.drawn * audio.frames_at(exact_fps(order.fps) if order.fps else generator.fps)
    step(0, total)
    motion = generator.generate(audio, order.condition, order.seed, lambda done, _: step(done, total))
    step(made, total)
    if order.fps:
        motion = motion.resample(order.fps, frames=audio.frames_at(exact_fps(order.fps)))
    if order.parts:
        motion = edit.scaled(motion, order.parts)
    with tempfile.TemporaryDirectory(prefix="artalk-") as folder:
        path = Path(folder) / f"performance{order.suffix}"
        if order.drawn:
            side = (order.size, order.size)
            api.save(motion, path, audio=audio, size=side, progress=lambda done, _: step(made + done, total))
        else:
            api.save(motion, path)
        return Result(path.read_bytes(), order.suffix, len(motion), float(audio.duration))
