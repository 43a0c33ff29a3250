"""The same verb over many files: worker processes, finished work skipped, failures kept apart."""

import hashlib
import json
import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from artalk.errors import ArtalkError

LEDGER = ".artalk.json"
"""Beside the outputs: what each was made from, so that a second run skips what is finished and nothing else."""


@dataclass(frozen=True)
class Job:
    """One input and the files that it becomes.

    `settings` are JSON-able and decide, with the input, whether finished work is stale.
    """

    source: Path
    outputs: tuple[Path, ...]
    settings: dict[str, Any]

    def signature(self) -> str:
        """What the outputs depend on."""
        stat = self.source.stat()
        facts = [str(self.source.resolve()), stat.st_size, stat.st_mtime_ns, self.settings]
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class Outcome:
    """How a job ended; `reason` is a sentence for a failed one, `result` what the work returned for a done one."""

    job: Job
    status: Literal["done", "skipped", "failed"]
    reason: str = ""
    result: Any = None


def run(jobs: Sequence[Job], work: Callable[[Job], Any], processes: int = 1, again: bool = False) -> Iterator[Outcome]:
    """Do the jobs, yield their outcomes as they come.

    A job is skipped when all its outputs exist and the ledger says that they were made from the same input with the
    same settings, unless `again`. An `ArtalkError` or a crashed worker fails that job alone. `work` must be importable
    from its module when `processes` > 1.
    """
    ledger = Ledger()
    todo: list[Job] = []
    for job in jobs:
        if not again and ledger.has(job):
            yield Outcome(job, "skipped")
        else:
            todo.append(job)
    for outcome in _in_processes(todo, work, processes) if processes > 1 else map(lambda job: _try(work, job), todo):
        if outcome.status == "done":
            ledger.add(outcome.job)
        yield outcome


class Ledger:
    """The signatures of finished outputs, one small JSON file a folder, written after every job."""

    def __init__(self) -> None:
        self._folders: dict[Path, dict[str, str]] = {}

    def has(self, job: Job) -> bool:
        """Whether all outputs of `job` exist and are up to date."""
        try:
            signature = job.signature()
        except OSError:
            return False
        return all(path.exists() and self._read(path.parent).get(path.name) == signature for path in job.outputs)

    def add(self, job: Job) -> None:
        """Note that `job` is finished."""
        signature = job.signature()
        for folder in {path.parent for path in job.outputs}:
            entries = self._read(folder)
            entries |= {path.name: signature for path in job.outputs if path.parent == folder}
            temporary = folder / f"{LEDGER}.{os.getpid()}"
            temporary.write_text(json.dumps(entries, indent=1, sort_keys=True))
            temporary.replace(folder / LEDGER)

    def _read(self, folder: Path) -> dict[str, str]:
        if folder not in self._folders:
            try:
                self._folders[folder] = dict(json.loads((folder / LEDGER).read_text()))
            except (OSError, ValueError, TypeError):
                # No ledger, or one that was damaged: the work is done again, which is always right.
                self._folders[folder] = {}
        return self._folders[folder]


def _try(work: Callable[[Job], Any], job: Job) -> Outcome:
    try:
        return Outcome(job, "done", result=work(job))
    except ArtalkError as error:
        return Outcome(job, "failed", str(error))


def _in_processes(jobs: Sequence[Job], work: Callable[[Job], Any], processes: int) -> Iterator[Outcome]:
    # Spawned, not forked: GL contexts and codec threads do not survive a fork.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(processes, len(jobs) or 1), mp_context=context) as pool:
        futures = {pool.submit(_try, work, job): job for job in jobs}
        try:
            for future in as_completed(futures):
                try:
                    yield future.result()
                except BrokenExecutor:
                    yield Outcome(futures[future], "failed", "a worker process died (out of memory?); try --jobs 1")
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
