"""The server under load: latency over a real socket, how many sessions it carries, and a soak.

    python benchmarks/live.py steps    [--crowds 1,4,16]
    python benchmarks/live.py latency  [--turns 10]
    python benchmarks/live.py sessions [--counts 1,10,20,35,50] [--seconds 20] [--styled]
    python benchmarks/live.py soak     [--minutes 30] [--healthy 6]

Each takes `--model` (default: what `artalk serve` runs). The server is a process of its own (`artalk serve`) on this
machine; so is each command's load, which feeds sound in blocks of 20 ms at the pace at which it is spoken. Times are
wall-clock but for `steps`: they mean something on an idle machine only.

- steps: processor time of the model alone, without a server, for so many sessions in one call of it, and what of that
  goes into putting their states together and apart.
- latency: from the moment of a frame in the sound to the frame's arrival at the client; and from a turn's first block
  after silence to the first frame of that turn.
- lateness: the same, less the algorithmic latency that the server states. A block is sent when its last sample has been
  spoken; `answered` is from the moment at which the sound that a window needs was sent to its frames.
- soak: healthy sessions, some in a style or a mix and some saved and gone on with over another socket, are compared
  with their offline runs, bit by bit, while others crash, stall, interrupt, wish for all there is and send garbage;
  memory and descriptors of the server are sampled.
"""

import argparse
import asyncio
import contextlib
import itertools
import math
import os
import random
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np
import psutil
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

import artalk
from artalk.api import LIVE
from artalk.audio import Audio
from artalk.generators.generator import FREE, Condition, Generator
from artalk.generators.living import trained
from artalk.stream.protocol import (
    Change,
    Finish,
    Finished,
    Flush,
    Frames,
    Hello,
    Interrupt,
    Message,
    Pace,
    Ping,
    Placed,
    Save,
    Saved,
    Sound,
    Welcome,
    decode,
    encode,
)

Shares = Mapping[str, float]

RATE = 16000
BLOCK = RATE // 50
FPS = 25


@contextlib.contextmanager
def server(*options: str) -> Iterator[tuple[str, psutil.Process]]:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    command = [sys.executable, "-m", "artalk.cli", "serve", "--port", str(port), "--log-json", *options]
    with open("out/live-server.log", "w") as log:
        process = subprocess.Popen(command, stderr=log, env={**os.environ, "OMP_NUM_THREADS": "1"})
    try:
        for _ in range(600):
            with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/ready"):
                break
            time.sleep(0.1)
        yield f"ws://127.0.0.1:{port}/v1/live", psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(20)


def voice() -> np.ndarray:
    path = Path(__file__).parents[1] / "examples" / "hello.flac"
    return artalk.listen(path).resampled(RATE).samples


@contextlib.asynccontextmanager
async def session(
    url: str, pace: Pace = "live", seed: int = 0, style: Shares | None = None, resume: bytes = b""
) -> AsyncIterator[tuple[ClientConnection, Welcome]]:
    async with connect(url, max_size=None, compression=None) as live:
        await live.send(encode(Hello(sample_rate=RATE, pace=pace, seed=seed, style=style or {}, resume=resume)))
        welcome = await _next(live)
        assert isinstance(welcome, Welcome), welcome
        yield live, welcome


Last = TypeVar("Last", bound=Message)


@dataclass
class Heard:
    """What one client saw: seconds from a frame's moment to its arrival, and to the first frame of each turn."""

    latency: list[float] = field(default_factory=list)
    answered: list[float] = field(default_factory=list)
    first: list[float] = field(default_factory=list)
    algorithmic: float = 0.0


async def speaker(
    url: str, samples: np.ndarray, turns: int, offset: float, style: Shares | None = None, pause: float = 1.0
) -> Heard:
    """A microphone that is on for the sound and off for the pause, again and again."""
    heard = Heard()
    await asyncio.sleep(offset)
    async with session(url, style=style) as (live, welcome):
        heard.algorithmic = welcome.latency
        clock = Clock()
        reading = asyncio.create_task(_listen(live, clock, heard))
        for turn in range(turns):
            await asyncio.sleep(pause)
            cut = np.roll(samples, -turn * RATE)[: 4 * RATE]
            await _speak(live, cut, clock)
            await live.send(encode(Flush()))
        await asyncio.sleep(0.5)
        reading.cancel()
    return heard


@dataclass
class Clock:
    """When the sound of the running turn began, by our own clock, and where the server placed it."""

    began: float = 0.0
    sent: int = 0
    turn_sample: int = 0
    placed: Placed | None = None
    waiting: bool = False


async def _speak(live: ClientConnection, samples: np.ndarray, clock: Clock) -> None:
    clock.began, clock.turn_sample, clock.placed, clock.waiting = time.perf_counter(), clock.sent, None, True
    for start in range(0, len(samples) - BLOCK + 1, BLOCK):
        # A block is there when its last sample has been spoken.
        due = clock.began + (start + BLOCK) / RATE
        await asyncio.sleep(max(due - time.perf_counter(), 0))
        await live.send(encode(Sound(samples[start : start + BLOCK].tobytes())))
        clock.sent += BLOCK


async def _listen(live: ClientConnection, clock: Clock, heard: Heard) -> None:
    async for data in live:
        now, message = time.perf_counter(), decode(data if isinstance(data, bytes) else b"")
        if isinstance(message, Placed):
            clock.placed = message
        elif isinstance(message, Frames) and clock.placed is not None:
            placed = clock.placed
            start = placed.time - (placed.sample - clock.turn_sample) / RATE
            count = len(message.values) // 55
            # The window's sound ends in a block that is sent when all of it has been spoken.
            needs = math.ceil((message.first / FPS - start + heard.algorithmic) * RATE / BLOCK - 1e-6) * BLOCK
            if needs <= clock.sent - clock.turn_sample:
                heard.answered.append(now - clock.began - needs / RATE)
            for frame in range(message.first, message.first + count):
                moment = frame / FPS - start  # seconds into the turn's sound
                if 0 <= moment < (clock.sent - clock.turn_sample) / RATE:
                    heard.latency.append(now - clock.began - moment)
                    if clock.waiting:
                        heard.first.append(now - clock.began)
                        clock.waiting = False


def row(name: str, seconds: list[float]) -> str:
    if not seconds:
        return f"| {name} | no frames |"
    figures = [1000 * float(np.percentile(seconds, p)) for p in (50, 95, 99, 100)]
    return f"| {name} | " + " | ".join(f"{figure:.0f}" for figure in figures) + f" | {len(seconds)} |"


def steps(options: argparse.Namespace) -> None:
    generator = artalk.generator(options.model)
    window = float(generator.window / generator.fps)
    samples = (generator.window + generator.lookahead) * generator.hop
    sound = np.resize(voice(), samples)
    print(f"{options.model}: windows of {1000 * window:.0f} ms, latency {1000 * float(generator.latency):.0f} ms\n")
    print("| sessions in a call | CPU ms a session and window | of it states | CPU s a session and second |")
    print("|---|---|---|---|")
    for count in map(int, options.crowds.split(",")):
        states = [generator.begin(FREE, seed) for seed in range(count)]
        inside = Inside(generator)
        rounds, began = 0, time.process_time()
        while rounds < 3 or time.process_time() - began < options.seconds:
            if rounds == 1:  # the first call lays out the memory
                inside.seconds, began = 0.0, time.process_time()
            states = [state for _, state in generator.step_many([(state, sound) for state in states])]
            rounds += 1
        spent = (time.process_time() - began) / (rounds - 1) / count
        around = f"{1000 * (spent - inside.seconds / (rounds - 1) / count):.2f}" if inside.seconds else "–"
        print(f"| {count} | {1000 * spent:.2f} | {around} | {spent / window:.4f} |", flush=True)


class Inside:
    """Counts the processor time that a trained model spends in onnxruntime; a generator of rules has none."""

    def __init__(self, generator: Generator) -> None:
        self.seconds = 0.0
        model = trained(generator)
        if model is not None:
            self._session = getattr(model._session, "_session", model._session)
            model._session = self

    def run(self, names: list[str], feed: dict[str, np.ndarray]) -> list[np.ndarray]:
        began = time.process_time()
        made = self._session.run(names, feed)
        self.seconds += time.process_time() - began
        return made


def latency(options: argparse.Namespace) -> None:
    with server("--model", options.model) as (url, _):
        heard = asyncio.run(speaker(url, voice(), options.turns, 0.0))
    print(f"algorithmic latency {1000 * heard.algorithmic:.0f} ms\n")
    print("| ms | median | p95 | p99 | worst | frames |\n|---|---|---|---|---|---|")
    print(row("sound to frame", heard.latency))
    print(row("first frame of a turn", heard.first))


def sessions(options: argparse.Namespace) -> None:
    print(
        "| sessions | late ms, median | p95 | p99 | worst | frames | answered within ms, median | p99 | "
        "server's CPU, ms a session and second |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    turns = max(round(options.seconds / 5), 1)
    for count in map(int, options.counts.split(",")):
        with server("--model", options.model) as (url, process):

            async def all_of_them(url: str = url, count: int = count) -> list[Heard]:
                styles = [STYLES[k % len(STYLES)] if options.styled else None for k in range(count)]
                speakers = (speaker(url, voice(), turns, k / count, style) for k, style in enumerate(styles))
                return list(await asyncio.gather(*speakers))

            before, began = sum(process.cpu_times()[:2]), time.monotonic()
            heard = asyncio.run(all_of_them())
            spent = (sum(process.cpu_times()[:2]) - before) / (time.monotonic() - began) / count
            late = [value - one.algorithmic for one in heard for value in one.latency]
            answered = [1000 * value for one in heard for value in one.answered]
            half, most = np.percentile(answered, [50, 99]) if answered else (math.nan, math.nan)
            print(f"{row(str(count), late)} {half:.0f} | {most:.0f} | {1000 * spent:.1f} |", flush=True)


# ── soak ──

STYLES: tuple[Shares, ...] = ({}, {}, {"smiling": 1.0}, {"broad": 0.4, "lively": 0.3})
"""What healthy sessions are in."""

MOVED = 0.3
"""The share of them that is saved in the middle, and gone on with over another socket."""

REST = 75
"""Seconds without anybody, in which the server gives free memory back (`serve.heap`, once a minute)."""


class Soak:
    """Sessions of all kinds until the time is up."""

    def __init__(self, url: str, model: str) -> None:
        self.url, self.model, self.until = url, model, 0.0
        self.sound = voice()
        self.equal = self.wrong = self.lost = self.moved = 0
        self.others: dict[str, int] = {}

    @property
    def going(self) -> bool:
        return time.monotonic() < self.until

    async def healthy(self, number: int) -> None:
        """A random stretch of speech in a random style, each time compared with its offline run."""
        rng, generator = random.Random(number), artalk.generator(self.model)
        for turn in itertools.count():
            if not self.going:
                return
            first = rng.randrange(len(self.sound) // 2)
            cut = self.sound[first : first + rng.randrange(RATE, 4 * RATE)]
            style = rng.choice(STYLES)
            rows = await self._free(cut, turn, style, rng.random() < MOVED)
            condition = Condition(style or None)
            whole = await asyncio.to_thread(generator.generate, Audio(cut, RATE), condition, turn)
            good = rows is not None and np.array_equal(rows, whole.values)
            self.equal, self.wrong = self.equal + good, self.wrong + (rows is not None and not good)
            self.lost += rows is None

    async def _free(self, cut: np.ndarray, seed: int, style: Shares, moves: bool) -> np.ndarray | None:
        rows: list[np.ndarray] = []
        half = len(cut) // 2 if moves else 0
        with contextlib.suppress(ConnectionClosed, OSError, TimeoutError):
            state = b""
            if moves:
                async with session(self.url, "free", seed, style) as (live, _):
                    await self._say(live, cut[:half])
                    await live.send(encode(Save()))
                    state = (await self._until(live, Saved, rows)).state
                self.moved += 1
            async with session(self.url, "free", seed, style, state) as (live, _):
                await self._say(live, cut[half:])
                await live.send(encode(Finish()))
                await self._until(live, Finished, rows)
                return np.concatenate(rows)
        return None

    async def _say(self, live: ClientConnection, sound: np.ndarray) -> None:
        for start in range(0, len(sound), BLOCK):
            await live.send(encode(Sound(sound[start : start + BLOCK].tobytes())))
            await asyncio.sleep(0.4 * BLOCK / RATE)

    async def _until(self, live: ClientConnection, kind: type[Last], rows: list[np.ndarray]) -> Last:
        """The first message of this kind; frames before it go to `rows`."""
        while not isinstance(message := await _next(live), kind):
            if isinstance(message, Frames):
                rows.append(message.values.reshape(-1, 55))
        return message

    async def rude(self, kind: str, number: int) -> None:
        """A client that crashes, stalls, interrupts, wishes for all there is or sends garbage."""
        rng = random.Random(f"{kind}{number}")
        while self.going:
            with contextlib.suppress(ConnectionClosed, OSError, TimeoutError, AssertionError):
                async with session(self.url, "burst" if kind == "interrupts" else "live") as (live, _):
                    self.others[kind] = self.others.get(kind, 0) + 1
                    await getattr(self, f"_{kind}")(live, rng)
            await asyncio.sleep(0.2)

    async def _crashes(self, live: ClientConnection, rng: random.Random) -> None:
        for _ in range(rng.randrange(50)):
            await live.send(encode(Sound(self.sound[:BLOCK].tobytes())))
            await asyncio.sleep(0.02)
        live.transport.abort()

    async def _stalls(self, live: ClientConnection, rng: random.Random) -> None:
        live.transport.pause_reading()
        for _ in range(rng.randrange(100, 400)):
            await live.send(encode(Sound(self.sound[:BLOCK].tobytes())))
            await asyncio.sleep(0.02)

    async def _interrupts(self, live: ClientConnection, rng: random.Random) -> None:
        for _ in range(5):
            await live.send(encode(Sound(self.sound[: 4 * RATE].tobytes())))
            await asyncio.sleep(rng.random())
            await live.send(encode(Interrupt()))

    async def _wishes(self, live: ClientConnection, rng: random.Random) -> None:
        for _ in range(40):
            named = {rng.choice(["smiling", "broad", "left", "nobody"]): rng.choice([0.0, 0.5, 3.0]) for _ in range(6)}
            wishes = [
                Change(rng.randrange(3), None, None),
                Change(None, named, {"head": rng.random()}),
                Change(None, {}, {"nose": 1.0}),
                Sound(self.sound[: 10 * BLOCK].tobytes()),
                Interrupt(rng.randrange(1000)),
                Flush(),
                Ping(1.0),
                Save(),
            ]
            await live.send(encode(rng.choice(wishes)))
            await asyncio.sleep(0.02)

    async def _garbage(self, live: ClientConnection, rng: random.Random) -> None:
        for _ in range(20):
            good = encode(Sound(self.sound[:BLOCK].tobytes()))
            bad = bytes(rng.randrange(256) for _ in range(rng.randrange(40)))
            await live.send(rng.choice([good, good, bad, encode(Flush())]))
            await asyncio.sleep(0.02)


async def _next(live: ClientConnection) -> Message:
    data = await asyncio.wait_for(live.recv(), 60)
    return decode(data if isinstance(data, bytes) else b"")


@dataclass
class Sample:
    minutes: float
    megabytes: float
    descriptors: int
    threads: int


async def watch(process: psutil.Process, soak: Soak, samples: list[Sample], every: float, began: float) -> None:
    while soak.going:
        facts = process.memory_info().rss / 1e6, process.num_fds(), process.num_threads()
        samples.append(Sample((time.monotonic() - began) / 60, *facts))
        await asyncio.sleep(every)


def soak(options: argparse.Namespace) -> None:
    samples: list[Sample] = []
    resting: list[float] = []
    began = time.monotonic()
    with server("--model", options.model) as (url, process):
        work = Soak(url, options.model)

        async def everything() -> None:
            kinds = itertools.product(("crashes", "stalls", "interrupts", "wishes", "garbage"), range(2))
            await asyncio.gather(
                *(work.healthy(number) for number in range(options.healthy)),
                *(work.rude(kind, number) for kind, number in kinds),
                watch(process, work, samples, max(options.minutes * 60 / 40, 1), began),
            )

        # A fifth of the time to warm up in; then and at the end everybody leaves, and what stays is looked at.
        for share in (0.2, 0.8):
            work.until = time.monotonic() + 60 * share * options.minutes
            asyncio.run(everything())
            time.sleep(REST)
            resting.append(process.memory_info().rss / 1e6)
        left = process.num_fds()
    print("| minutes | MB | descriptors | threads |\n|---|---|---|---|")
    for sample in samples[:: max(len(samples) // 10, 1)]:
        print(f"| {sample.minutes:.1f} | {sample.megabytes:.1f} | {sample.descriptors} | {sample.threads} |")
    # What a rush leaves is given back once a minute: memory goes up and down, so that means are compared.
    settled = [sample.megabytes for sample in samples[len(samples) // 5 :]]
    middle = len(settled) // 2
    first, last = float(np.mean(settled[:middle])), float(np.mean(settled[middle:]))
    growth = last / first - 1
    stays = 100 * (resting[1] / resting[0] - 1)
    errors = Path("out/live-server.log").read_text().count('"level": "error"')
    print(f"\nmemory after warm-up: {first:.1f} MB, in the second half {last:.1f}: {100 * growth:+.1f} %")
    print(f"with nobody there: {resting[0]:.1f} MB after the warm-up, {resting[1]:.1f} at the end: {stays:+.1f} %")
    print(f"descriptors at the end, sessions gone: {left}")
    print(f"healthy runs equal to offline: {work.equal}, wrong: {work.wrong}, broken off: {work.lost}")
    print(f"of these gone on with over another socket: {work.moved}")
    print(f"others: {work.others}; errors in the server's log: {errors}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    kinds = parser.add_subparsers(required=True)
    each = argparse.ArgumentParser(add_help=False)
    each.add_argument("--model", default=LIVE)
    alone = kinds.add_parser("steps", parents=[each])
    alone.add_argument("--crowds", default="1,4,16")
    alone.add_argument("--seconds", type=float, default=3)
    alone.set_defaults(work=steps)
    one = kinds.add_parser("latency", parents=[each])
    one.add_argument("--turns", type=int, default=10)
    one.set_defaults(work=latency)
    many = kinds.add_parser("sessions", parents=[each])
    many.add_argument("--counts", default="1,10,20,35,50")
    many.add_argument("--seconds", type=float, default=20)
    many.add_argument("--styled", action="store_true", help="half of the sessions are in a style or a mix of two")
    many.set_defaults(work=sessions)
    long = kinds.add_parser("soak", parents=[each])
    long.add_argument("--minutes", type=float, default=30)
    long.add_argument("--healthy", type=int, default=6)
    long.set_defaults(work=soak)
    options = parser.parse_args()
    Path("out").mkdir(exist_ok=True)
    options.work(options)


if __name__ == "__main__":
    main()
