"""How sessions come to the model's workers."""

import asyncio
import threading
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from artalk.channels import ARKIT
from artalk.generators.generator import Generator
from artalk.motion import Motion
from artalk.serve.engine import WORTH_A_WORKER, Engine, Seat
from artalk.serve.metrics import Metrics
from artalk.stream.session import Session

FRAMES = 4


class Gate(Generator):
    """Every step waits until it is opened; `most` steps were under way at once."""

    name, channels, fps, sample_rate, window, lookahead = "gate", ARKIT, Fraction(25), 16000, 1, 0

    def __init__(self):
        self.opened, self.lock = threading.Event(), threading.Lock()
        self.running = self.most = 0
        self.crowds = []

    def begin(self, condition, seed):
        return 0

    def step(self, state, samples):
        return self.step_many([(state, samples)])[0]

    def step_many(self, jobs):
        with self.lock:
            self.running += 1
            self.most = max(self.most, self.running)
            self.crowds.append(len(jobs))
        assert self.opened.wait(20)
        with self.lock:
            self.running -= 1
        counts = [len(samples) // self.hop for _, samples in jobs]
        rows = [np.arange(state, state + count) for (state, _), count in zip(jobs, counts, strict=True)]
        return [(np.repeat(row[:, None], len(ARKIT), 1).astype(np.float32) / 100, row[-1] + 1) for row in rows]


def seat(model):
    """One session with four frames' sound, and what it was given of them."""
    made = []
    taken = Seat(Session(model, 16000, "free"), made.extend, made.append)
    taken.session.feed(np.zeros(FRAMES * model.hop, np.float32))
    return taken, made


async def until(true):
    for _ in range(2000):
        if true():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("nothing came of it")


def going(work, workers):
    """`work(engine)` with an engine that runs."""

    async def whole():
        engine = Engine(Metrics(), workers)
        engine.start()
        try:
            await work(engine)
            assert engine.running
        finally:
            await engine.stop()

    asyncio.run(whole())


def numbers(made):
    return [round(100 * float(value)) for piece in made if hasattr(piece, "values") for value in piece.values[:, 0]]


def test_where_one_worker_is_busy_another_takes_a_crowd():
    async def work(engine):
        model = Gate()
        first, *others = [seat(model) for _ in range(1 + WORTH_A_WORKER)]
        engine.add(first[0])
        await until(lambda: model.running == 1)
        for other, _ in others:
            engine.add(other)
        await until(lambda: model.running == 2)
        model.opened.set()
        await until(lambda: all(len(numbers(made)) == FRAMES for _, made in [first, *others]))
        assert all(numbers(made) == [0, 1, 2, 3] for _, made in [first, *others])
        assert model.crowds == [1, WORTH_A_WORKER]

    going(work, 2)


@pytest.mark.parametrize(("workers", "sessions"), [(2, WORTH_A_WORKER), (1, 8)])
def test_a_few_wait_for_the_worker_that_is_busy_and_all_where_there_is_but_one(workers, sessions):
    async def work(engine):
        model = Gate()
        pairs = [seat(model) for _ in range(sessions)]
        engine.add(pairs[0][0])
        await until(lambda: model.running == 1)
        for other, _ in pairs[1:]:
            engine.add(other)
        await asyncio.sleep(0.1)  # several looks at the clock
        assert model.running == 1
        model.opened.set()
        await until(lambda: all(numbers(made) == [0, 1, 2, 3] for _, made in pairs))
        assert model.most == 1

    going(work, workers)


@pytest.mark.parametrize("workers", [1, 2])
def test_what_is_due_after_a_run_does_not_wait_for_the_clock(workers, monkeypatch):
    monkeypatch.setattr("artalk.serve.engine.TICK", 60.0)
    seconds = 8

    async def work(engine):
        model = Gate()
        model.opened.set()
        alone, made = seat(model)
        alone.session.feed(np.zeros(seconds * model.sample_rate, np.float32))
        engine.add(alone)
        await until(lambda: len(numbers(made)) == FRAMES + 25 * seconds)
        assert len(model.crowds) > 10

    going(work, workers)


def test_nobody_is_late_for_frames_that_are_made_anew():
    async def work(engine):
        taken = Seat(Session(Gate(), 16000, "live"), lambda events: None, lambda error: None)
        piece = Motion(np.zeros((2, len(ARKIT)), np.float32), ARKIT, Fraction(25), 10)
        taken.began -= 2.0
        engine._note(taken, [piece])
        first = taken.take_late()
        engine._note(taken, [piece, replace(piece, start=11)])
        assert first > 1.0
        assert taken.take_late() == 0.0
        engine._note(taken, [replace(piece, start=13)])
        assert taken.take_late() > 1.0

    going(work, 1)


def test_a_session_that_has_gone_is_not_worked_on():
    async def work(engine):
        model = Gate()
        gone, _ = seat(model)
        engine.add(gone)
        engine.remove(gone)
        engine.wake(gone)
        await asyncio.sleep(0.1)
        assert not model.crowds
        model.opened.set()

    going(work, 2)
