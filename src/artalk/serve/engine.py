"""All live sessions of a server, stepped together: whatever is due goes into one call of the model."""

import asyncio
import gc
import logging
import time
from collections import defaultdict
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from artalk.generators.exported import CROWD
from artalk.generators.generator import FREE, Generator
from artalk.motion import Motion
from artalk.serve.metrics import Metrics
from artalk.stream.session import Event, Session

Step: TypeAlias = tuple[Any, NDArray[np.float32]]
Made: TypeAlias = tuple[NDArray[np.float32], Any]

log = logging.getLogger(__name__)

TICK = 0.02
"""Seconds between looks at the clock while no sound comes."""

WORTH_A_WORKER = 3
"""Sessions that have to wait before a further worker begins: a run for one costs half of what a run for three does."""

FRAMES_A_STEP = 8
"""Frames of one session in one call, about: others wait for it."""


@dataclass(eq=False)
class Seat:
    """One session at the engine.

    `deliver` is called with the events in order, `fail` with an error of the model; `full` says that the client does
    not read fast enough.
    """

    session: Session
    deliver: Callable[[list[Event]], None]
    fail: Callable[[Exception], None]
    full: Callable[[], bool] = lambda: False
    began: float = field(default_factory=time.monotonic)
    late: float = 0.0
    """The worst lateness, in seconds, since it was last asked for."""
    busy: bool = False
    """Whether the model works on a step of it."""
    held: bool = False
    """Whether no further step is to begin."""
    newest: int = 0
    """The number of the frame after all that were made."""
    stepped: float = 0.0
    """When its last step began, by the monotonic clock."""

    @property
    def clock(self) -> float:
        """Seconds since the session began."""
        return time.monotonic() - self.began

    @asynccontextmanager
    async def still(self) -> AsyncGenerator[None]:
        """No step of the session is on its way meanwhile: what that heard is heard, and the state is whole."""
        self.held = True
        try:
            while self.busy:
                await asyncio.sleep(0.001)
            yield
        finally:
            self.held = False

    def take_late(self) -> float:
        """The worst lateness since the last call."""
        late, self.late = self.late, 0.0
        return late


class Engine:
    """Runs sessions by the clock; the model works in `workers` threads of its own.

    Where one is at work, another takes what falls due meanwhile: its share of Python, too, goes on beside the model's
    arithmetic, which lets go of the interpreter.
    """

    def __init__(self, metrics: Metrics, workers: int = 1) -> None:
        self.metrics = metrics
        self.seats: set[Seat] = set()
        self.workers = workers
        self._wake = asyncio.Event()
        self._pool = ThreadPoolExecutor(workers, "artalk-model")
        self._tasks: list[asyncio.Task[None]] = []
        self._working: set[asyncio.Task[None]] = set()
        self._changed: set[Seat] = set()

    def start(self) -> None:
        """Begin to work, in the running event loop."""
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(work, name="artalk-engine") for work in (self._run(), self._tick())]

    async def stop(self) -> None:
        """Leave off."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, *self._working, return_exceptions=True)
        self._pool.shutdown(wait=True)

    @property
    def running(self) -> bool:
        """Whether the engine does its work."""
        return bool(self._tasks) and not any(task.done() for task in self._tasks)

    async def warm_up(self, generator: Generator) -> None:
        """Have a model make its first frames before anybody waits for them, for one session and for a crowd.

        The runtime keeps the memory of the largest crowd it has met: it is taken now, and not in the midst of a frame.
        """

        def work() -> None:
            sound = np.zeros((generator.window + generator.lookahead) * generator.hop, np.float32)
            state = generator.begin(FREE, 0)
            for count in (1, CROWD, CROWD // 2, CROWD // 4, 1):
                state = generator.step_many([(state, sound)] * count)[0][1]
            # What lives for ever need not be looked through again: a collection in the midst of a frame is a pause.
            gc.collect()
            gc.freeze()

        loop = asyncio.get_running_loop()
        await asyncio.gather(*(loop.run_in_executor(self._pool, work) for _ in range(self.workers)))

    def add(self, seat: Seat) -> None:
        """Take a session in."""
        self.seats.add(seat)
        self.metrics.sessions.set(len(self.seats))
        self.wake(seat)

    def remove(self, seat: Seat) -> None:
        """Let a session go."""
        self.seats.discard(seat)
        self._changed.discard(seat)
        self.metrics.sessions.set(len(self.seats))

    def wake(self, *seats: Seat) -> None:
        """Sound has come for these, or there is room again."""
        self._changed |= self.seats.intersection(seats)
        self._wake.set()

    async def _tick(self) -> None:
        """Time alone makes work, too: silence, and frames that were held back until they are wanted."""
        while True:
            await asyncio.sleep(TICK)
            self.wake(*self.seats)

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while len(self._working) < self.workers and (jobs := self._due()):
                if self._working and len(jobs) < WORTH_A_WORKER:
                    break
                for seat, _ in jobs:
                    seat.busy, seat.stepped = True, time.monotonic()
                task = asyncio.get_running_loop().create_task(self._work(jobs))
                self._working.add(task)
                task.add_done_callback(self._working.discard)

    async def _work(self, jobs: list[tuple[Seat, Step]]) -> None:
        try:
            results = await asyncio.get_running_loop().run_in_executor(self._pool, self._step, jobs)
        except Exception as error:
            results = [error] * len(jobs)
        for (seat, _), result in zip(jobs, results, strict=True):
            seat.busy = False
            self._finish(seat, result)
        # Before the others are woken: who still counts as at work would keep them from being worked on.
        self._working.discard(cast("asyncio.Task[None]", asyncio.current_task()))
        self.wake(*(seat for seat, _ in jobs))

    def _due(self) -> list[tuple[Seat, Step]]:
        """What can be worked on now, of as many sessions as a run of the model takes; who waits longest comes first."""
        jobs: list[tuple[Seat, Step]] = []
        for seat in sorted(self._changed, key=lambda seat: seat.stepped):
            if len(jobs) == CROWD:
                break
            if seat.busy:
                continue
            session = seat.session
            try:
                session.advance(seat.clock)
                waits = seat.held or seat.full()
                step = None if waits else session.due(max(FRAMES_A_STEP // session.generator.window, 1))
            except Exception as error:
                self._fail(seat, error)
                continue
            if step is not None:
                jobs.append((seat, step))
                continue
            self._changed.discard(seat)
            if events := session.events():
                seat.deliver(events)
        return jobs

    def _step(self, jobs: list[tuple[Seat, Step]]) -> list[Made | Exception]:
        """One call a model; in the worker's thread."""
        groups: defaultdict[Generator, list[int]] = defaultdict(list)
        for k, (seat, _) in enumerate(jobs):
            groups[seat.session.generator].append(k)
        results: dict[int, Made | Exception] = {}
        for generator, members in groups.items():
            started = time.perf_counter()
            made = _step_group(generator, [jobs[k][1] for k in members])
            results |= dict(zip(members, made, strict=True))
            self.metrics.steps.observe(time.perf_counter() - started)
            self.metrics.batch.observe(len(members))
        return [results[k] for k in range(len(jobs))]

    def _finish(self, seat: Seat, result: Made | Exception) -> None:
        if seat not in self.seats:
            return
        if isinstance(result, Exception):
            return self._fail(seat, result)
        try:
            seat.session.done(*result)
            events = seat.session.events()
        except Exception as error:
            return self._fail(seat, error)
        self._note(seat, events)
        seat.deliver(events)

    def _note(self, seat: Seat, events: list[Event]) -> None:
        session = seat.session
        for event in events:
            if isinstance(event, Motion):
                self.metrics.frames.inc(len(event))
                again = event.start < seat.newest  # after an interruption: long due, and nobody was late
                seat.newest = max(seat.newest, event.start + len(event))
                if session.pace != "free" and not again:
                    due = event.start / float(event.fps) + session.latency - session.skew
                    late = seat.clock - due
                    seat.late = max(seat.late, late)
                    self.metrics.late.observe(max(late, 0.0))

    def _fail(self, seat: Seat, error: Exception) -> None:
        log.error("session failed", exc_info=error)
        self.remove(seat)
        seat.fail(error)


def _step_group(generator: Generator, steps: list[Step]) -> list[Made | Exception]:
    """What the model makes of each step; where one is bad, the others do not suffer."""
    try:
        return list(generator.step_many(steps))
    except Exception:
        results: list[Made | Exception] = []
        for step in steps:
            try:
                results.append(generator.step(*step))
            except Exception as error:
                results.append(error)
        return results
