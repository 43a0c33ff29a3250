"""Batches ahead of the steps that want them: made on a thread, or by several processes that read the corpus at once.

A batch is a function of its step alone (`windows`), so it is the same whoever makes it: a run may go on with another
number of workers.
"""

import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, cast, final

import torch
from torch.utils.data import DataLoader, Dataset

from artalk.errors import ArtalkError, BadInput
from artalk.models.batch import Batch

Make = Callable[[int], Batch]
"""The batch of a step."""


def ahead(make: Make, steps: range, workers: int = 1) -> Iterator[Batch]:
    """The batches of some steps, in order.

    One worker is a thread of this process, which makes the next batch while one is worked on; several are processes,
    each with a memory of clips of its own.
    """
    if workers < 1:
        raise BadInput(f"at least one worker makes batches, got {workers}")
    return _by_thread(make, steps) if workers == 1 else _by_processes(make, steps, workers)


def _by_thread(make: Make, steps: range) -> Iterator[Batch]:
    with ThreadPoolExecutor(1) as maker:
        following: Future[Batch] | None = None
        for step in steps:
            current = following or maker.submit(make, step)
            following = maker.submit(make, step + 1) if step + 1 in steps else None
            yield current.result()


def _by_processes(make: Make, steps: range, workers: int) -> Iterator[Batch]:
    # Forked workers share what the corpus' index takes; where forking is not safe, they get it pickled.
    context = "fork" if sys.platform == "linux" else None
    loader = DataLoader(
        cast("Dataset[Any]", _Made(make)),
        batch_size=None,
        sampler=steps,
        num_workers=min(workers, max(len(steps), 1)),
        multiprocessing_context=context,
        generator=torch.Generator(),  # its own, so that no chance of the training is drawn
    )
    made = iter(loader)
    for _ in steps:
        try:
            batch = next(made)
        except RuntimeError as error:
            raise BadInput(f"a worker that makes batches died ({str(error).splitlines()[0]}): try fewer") from error
        if isinstance(batch, ArtalkError):
            raise batch
        yield cast(Batch, batch)


@final
class _Made(Dataset[Any]):
    """Batches by step, as the loader wants them; a user's mistake comes back as it is and not as a traceback."""

    def __init__(self, make: Make) -> None:
        self._make = make

    def __getitem__(self, step: int) -> Batch | ArtalkError:
        try:
            return self._make(step)
        except ArtalkError as error:
            return error
