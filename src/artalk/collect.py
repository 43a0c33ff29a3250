"""A folder of captures or videos becomes a corpus: here, on several processes or on a Ray cluster.

A run that is killed goes on where it was; recordings whose files and settings are unchanged are left as they are.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from artalk import api, assets, audio, batch, captures, mapping
from artalk.audio import Audio
from artalk.channels import ARKIT
from artalk.data import folder
from artalk.data.clips import FPS, Corpus
from artalk.data.collection import of_folder, slug
from artalk.data.folder import Record, Report, Task, Tools
from artalk.data.recording import Fit, Recording
from artalk.data.tracks import OBSERVED, Person
from artalk.errors import BadInput, needs
from artalk.motion import Motion
from artalk.prepare import people, sync
from artalk.prepare.captured import solve
from artalk.prepare.film import Sound

FACES = ("head", "ict")

VERSION = 3
"""Counts up when clips of the same recording come out otherwise: what was prepared before is prepared again."""


@dataclass(frozen=True)
class Collected:
    """A finished corpus, what became of the folder, and the recordings on which the work itself failed, with why."""

    corpus: Corpus
    report: Report
    failed: dict[str, str]


def collect(
    recordings: str | Path,
    out: str | Path,
    recipe: str | Path | None = None,
    *,
    processes: int = 1,
    ray: str | None = None,
    again: bool = False,
    face: str = "head",
    model: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Collected:
    """Prepare the recordings in a folder into the corpus at `out`, beside what is there of other sources.

    `recipe` is a collection's file or the name of a public corpus such as grid (default: collection.toml in the folder,
    if it is there). Videos are tracked with MediaPipe's face landmarker `model` (default: the asset) and solved on
    `face`; the videos of a speaker share a rest pose (`prepare.people`), found before the first of them is solved and
    kept: recordings that come later move nobody. One run at a time works on a corpus.
    """
    source, place = Path(recordings), Path(out)
    if face not in FACES:
        raise BadInput(f"videos are solved on {' or '.join(FACES)}, got {face!r}")
    collection = of_folder(source, None if recipe is None else Path(recipe))
    tasks = folder.plan(source, place, collection)
    pending = [each for each in tasks if again or not folder.is_done(each)]
    _expect_tools(pending, model)
    failed: dict[str, str] = {}
    meetings = _meetings(tasks, {"face": face, "model": model}, again)
    work = partial(_work, recordings=str(source.resolve()), out=str(place.resolve()), model=model)
    steps = len(meetings) + len(tasks)
    for each in pending:
        each.record.unlink(missing_ok=True)

    def did(outcomes: Iterable[batch.Outcome], before: int) -> None:
        for done, outcome in enumerate(outcomes, before + 1):
            if outcome.status == "failed":
                failed[outcome.job.source.name] = outcome.reason
            if progress:
                progress(done, steps)

    did(batch.run(meetings, _meet, processes, True, ray), 0)
    jobs = [batch.Job(each.motion, (each.record,), _settings(each, face), each.needs) for each in tasks]
    did(batch.run(jobs, work, processes, again, ray), len(meetings))
    corpus = folder.gather(place, collection)
    return Collected(corpus, folder.report(corpus, collection), failed)


def _expect_tools(tasks: Sequence[Task], model: str | None) -> None:
    """What tracking videos and solving FLAME need is missed before any work, not recording by recording."""
    if any(each.item.is_video for each in tasks):
        needs("mediapipe", "track", "tracking the faces of videos")
        if model is None:
            assets.get("face-landmarker")
    for kind in {captures.kind(each.motion) for each in tasks if not each.item.is_video}:
        mapping.expect(kind)


def _meetings(tasks: Sequence[Task], how: dict[str, Any], again: bool) -> list[batch.Job]:
    """A job for every speaker of several videos whom no run has met."""
    videos: defaultdict[Path, list[Path]] = defaultdict(list)
    for each in tasks:
        if each.item.is_video:
            videos[_person(each, how["face"])].append(each.motion)
    return [
        batch.Job(own[0], (place,), {**how, "videos": [str(video) for video in own]})
        for place, own in videos.items()
        if len(own) > 1 and (again or not place.is_file())
    ]


def _person(task: Task, face: str) -> Path:
    """Where it is kept who the speaker of a video is, on a face model."""
    return folder.records(Path(task.out), task.source) / "people" / f"{slug(task.item.speaker)}.{face}.npz"


def _meet(job: batch.Job) -> None:
    """Meet a speaker, in this or in a worker process."""
    place, how = job.outputs[0], job.settings
    place.parent.mkdir(exist_ok=True)
    people.save(api.meet(how["videos"], face=how["face"], model=how["model"]), place)


def _settings(task: Task, face: str) -> dict[str, Any]:
    """Everything but the files on which a recording's clips depend; `person` is the checksum of who the speaker is."""
    place = _person(task, face)
    person = sha256(place.read_bytes()).hexdigest() if task.item.is_video and place.is_file() else ""
    return {**task.settings(), "version": VERSION, "face": face, "person": person}


def _work(job: batch.Job, recordings: str, out: str, model: str | None) -> Record:
    """One recording, in this or in a worker process."""
    settings = dict(job.settings)
    _, face, person = (settings.pop(name) for name in ("version", "face", "person"))
    task = folder.task(settings, recordings, out)
    met = people.load(_person(task, face)) if person else None
    return folder.do(task, Tools(partial(_watch, face=face, model=model, met=met), solve, _align))


def _watch(video: Path, sound: Path | None, face: str, model: str | None, met: Person | None) -> Recording:
    """A video's recording: with its own sound, moved to it where that is sure, or with another's."""
    try:
        done = api.prepare(video, face=face, offset="auto" if sound is None else None, model=model, met=met)
    except BadInput:  # no face in it
        return _faceless(audio.load(sound or video))
    if sound is not None:
        heard = audio.load(sound)
    elif done.sound is not None:
        heard = done.sound.cut(0.0, float(done.motion.duration))
    else:
        heard = Audio(np.zeros(0, np.float32), 16000)
    seen, residual = done.performance.ok, done.quality.residual[0]
    return Recording(done.motion, heard, OBSERVED, seen, residual=residual, face=done.face)


def _faceless(sound: Audio) -> Recording:
    """A recording in which nothing is seen: its seconds are to be counted as such."""
    frames = sound.frames_at(FPS)
    rest = Motion(np.zeros((frames, len(ARKIT)), np.float32), ARKIT, FPS)
    return Recording(rest, sound, OBSERVED, np.zeros(frames, bool))


def _align(sound: Audio, motion: Motion, seen: NDArray[np.bool_]) -> Fit | None:
    heard = Sound(np.round(np.clip(sound.samples, -1, 1) * 32767).astype(np.int16))
    found = sync.offset(motion, seen, heard)
    return None if found is None else Fit(found.seconds if found.sure else 0.0, found.agreement, found.heard)
