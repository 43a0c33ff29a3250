"""The same verb over many files: worker processes, finished work skipped, failures kept apart."""

import hashlib
import json
import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from threading import Thread
from typing import Any, Literal

from artalk.errors import ArtalkError, BadInput, needs

LEDGER = ".artalk.jsonl"
"""Beside the outputs: what each was made from, so that a second run skips what is finished and nothing else."""


@dataclass(frozen=True)
class Job:
    """One input and the files that it becomes.

    `settings` are JSON-able and decide, with the input and the files that it `needs` besides (an avatar, a style),
    whether finished work is stale.
    """

    source: Path
    outputs: tuple[Path, ...]
    settings: dict[str, Any]
    needs: tuple[Path, ...] = ()

    def signature(self) -> str:
        """What the outputs depend on."""
        stats = [(str(path.resolve()), path.stat()) for path in (self.source, *self.needs)]
        facts = [[(name, stat.st_size, stat.st_mtime_ns) for name, stat in stats], self.settings]
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class Outcome:
    """How a job ended; `reason` is a sentence for a failed one, `result` what the work returned for a done one."""

    job: Job
    status: Literal["done", "skipped", "failed"]
    reason: str = ""
    result: Any = None


def run(
    jobs: Sequence[Job], work: Callable[[Job], Any], processes: int = 1, again: bool = False, ray: str | None = None
) -> Iterator[Outcome]:
    """Do the jobs, yield their outcomes as they come.

    `ray` is the address of a Ray cluster ("local": one on this machine) to do them instead of `processes` here; its
    machines see inputs and outputs under the same paths.

    A job is skipped when all its outputs exist and the ledger says that they were made from the same input with the
    same settings, unless `again`. An `ArtalkError`, an `OSError` (a full disk) or a crashed worker fails that job
    alone. `work` must be importable from its module when `processes` > 1.
    """
    ledger = Ledger()
    todo: list[Job] = []
    for job in jobs:
        if ledger.has(job) and not again:
            yield Outcome(job, "skipped")
        else:
            todo.append(job)
    for outcome in _done(todo, work, processes, ray):
        if outcome.status == "done":
            ledger.add(outcome.job)
        yield outcome


def _done(jobs: Sequence[Job], work: Callable[[Job], Any], processes: int, ray: str | None) -> Iterator[Outcome]:
    if ray is not None:
        return _on_ray(jobs, work, ray)
    return _in_processes(jobs, work, processes) if processes > 1 else (_try(work, job) for job in jobs)


class Ledger:
    """The signatures of finished outputs: one file a folder, a line of JSON for each, later lines count."""

    def __init__(self) -> None:
        self._folders: dict[Path, dict[str, str]] = {}
        self._signatures: dict[tuple[Path, ...], str] = {}

    def has(self, job: Job) -> bool:
        """Whether all outputs of `job` exist and are up to date."""
        try:
            signature = self._signatures[job.outputs] = job.signature()
        except OSError:
            return False
        return all(path.exists() and self._read(path.parent).get(path.name) == signature for path in job.outputs)

    def add(self, job: Job) -> None:
        """Note that `job` is finished, as its input was when `has` was asked."""
        signature = self._signatures.get(job.outputs)
        if signature is None:
            return
        for path in job.outputs:
            # A line at the end, not the whole file anew: the work for n files stays n.
            with open(path.parent / LEDGER, "a", encoding="utf-8") as file:
                file.write(json.dumps({"output": path.name, "signature": signature}) + "\n")

    def _read(self, folder: Path) -> dict[str, str]:
        if folder not in self._folders:
            self._folders[folder] = dict(_entries(folder / LEDGER))
        return self._folders[folder]


def _entries(path: Path) -> Iterator[tuple[str, str]]:
    """What a ledger says; without one, or where it is damaged, the work is done again, which is always right."""
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, ValueError):
        return
    for line in lines:
        try:
            entry = json.loads(line)
            yield str(entry["output"]), str(entry["signature"])
        except (ValueError, TypeError, KeyError):
            continue


def _try(work: Callable[[Job], Any], job: Job) -> Outcome:
    try:
        return Outcome(job, "done", result=work(job))
    except ArtalkError as error:
        return Outcome(job, "failed", str(error))
    except OSError as error:
        return Outcome(job, "failed", f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}")


def _in_processes(jobs: Sequence[Job], work: Callable[[Job], Any], processes: int) -> Iterator[Outcome]:
    # Spawned, not forked: GL contexts and codec threads do not survive a fork.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(processes, len(jobs) or 1), mp_context=context, initializer=_end_with_parent) as pool:
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


def _end_with_parent() -> None:
    """Workers of a run that is killed outright end too, instead of writing on into what the next run works on."""

    def watch() -> None:
        if (parent := multiprocessing.parent_process()) is not None:
            parent.join()
            os._exit(1)

    Thread(target=watch, daemon=True).start()


WAITING = 4
"""Jobs on their way for each core of a Ray cluster: enough that none waits, few enough that a queue stays short."""


def _on_ray(jobs: Sequence[Job], work: Callable[[Job], Any], address: str) -> Iterator[Outcome]:
    """As `_in_processes`, on the machines of a cluster; a job whose machine dies is tried again elsewhere."""
    ray: Any = needs("ray", "batch", "work on a Ray cluster")
    try:
        ray.init(address=address, log_to_driver=False, logging_level="ERROR")
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise BadInput(f"no Ray cluster answers at {address!r}: {str(error).splitlines()[0][:200]}") from error
    try:
        attempt = ray.remote(max_retries=2)(_try)
        waiting: dict[Any, Job] = {}
        left = iter(jobs)
        room = max(1, int(ray.cluster_resources().get("CPU", 1))) * WAITING
        while True:
            for job in islice(left, room - len(waiting)):
                waiting[attempt.remote(work, job)] = job
            if not waiting:
                return
            ready, _ = ray.wait(list(waiting))
            for done in ready:
                job = waiting.pop(done)
                try:
                    yield ray.get(done)
                except ray.exceptions.RayError as error:
                    yield Outcome(job, "failed", f"its worker died: {str(error).splitlines()[0][:200]}")
    finally:
        ray.shutdown()
