"""A folder of captures or videos becomes a corpus: here, on several processes or on a Ray cluster.

A run that is killed goes on where it was; recordings whose files and settings are unchanged are left as they are.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
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
from artalk.prepare import people, sync, video
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
    strangers = _strangers(tasks, face, again)
    glances = [_glance_job(each, model) for own in strangers.values() for each in own]
    failed: dict[str, str] = {}
    for done, _ in enumerate(batch.run(glances, _glance, processes, ray=ray), 1):
        if progress:
            progress(done, len(glances) + len(tasks))
    for person, own in strangers.items():
        _meet([_glance_of(each) for each in own], person, face)
    for each in pending:
        each.record.unlink(missing_ok=True)
    jobs = [batch.Job(each.motion, (each.record,), _settings(each, face), each.needs) for each in tasks]
    work = partial(_work, recordings=str(source.resolve()), out=str(place.resolve()), model=model)
    for done, outcome in enumerate(batch.run(jobs, work, processes, again, ray), len(glances) + 1):
        if outcome.status == "failed":
            failed[outcome.job.source.name] = outcome.reason
        if progress:
            progress(done, len(glances) + len(tasks))
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


def _strangers(tasks: Sequence[Task], face: str, again: bool) -> dict[Path, list[Task]]:
    """Speakers of several videos whom no run has met, by where they will be kept: the videos to meet them by."""
    videos: defaultdict[Path, list[Task]] = defaultdict(list)
    for each in tasks:
        if each.item.is_video:
            videos[_person(each, face)].append(each)
    return {
        place: people.sampled(own) for place, own in videos.items() if len(own) > 1 and (again or not place.is_file())
    }


def _person(task: Task, face: str) -> Path:
    """Where it is kept who the speaker of a video is, on a face model."""
    return folder.records(Path(task.out), task.source) / "people" / f"{slug(task.item.speaker)}.{face}.npz"


def _glance_of(task: Task) -> Path:
    """Where it lies what a video shows of its speaker, until they are met: a killed run need not look again."""
    return folder.records(Path(task.out), task.source) / "people" / "glances" / f"{task.item.name}.npz"


def _glance_job(task: Task, model: str | None) -> batch.Job:
    return batch.Job(task.motion, (_glance_of(task),), {"model": model})


def _glance(job: batch.Job) -> None:
    """Look at one video, in this or in a worker process."""
    place = job.outputs[0]
    place.parent.mkdir(parents=True, exist_ok=True)
    people.save_glance(video.glance(job.source, api.prepare_check(model=job.settings["model"])), place)


def _meet(glances: Sequence[Path], place: Path, face: str) -> None:
    """Decide who a speaker is, for good."""
    seen = [each for each in map(people.load_glance, glances) if each is not None]
    place.parent.mkdir(parents=True, exist_ok=True)
    people.save(people.meet(seen, api.face_model(face)), place)
    for path in glances:
        path.unlink(missing_ok=True)


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


def _watch(film: Path, sound: Path | None, face: str, model: str | None, met: Person | None) -> Recording:
    """A video's recording: with its own sound, moved to it where that is sure, or with another's."""
    try:
        done = api.prepare(film, face=face, offset="auto" if sound is None else None, model=model, met=met)
    except BadInput:  # no face in it
        return _faceless(audio.load(sound or film))
    if sound is not None:
        heard = audio.load(sound)
    elif done.sound is not None:
        heard = done.sound.cut(0.0, float(done.motion.duration))
    else:
        heard = Audio(np.zeros(0, np.float32), 16000)
    seen, residual = done.performance.ok, done.quality.residual[0]
    whole = Recording(done.motion, heard, OBSERVED, seen, residual=residual, face=done.face)
    return _both(whole, done.shift)


def _both(whole: Recording, shift: float) -> Recording:
    """What there is both picture and sound of: pictures that were moved by `shift` seconds leave one end without."""
    motion, fps = whole.motion, float(whole.motion.fps)
    lost = math.ceil(abs(shift) * fps - 1e-6)
    if not lost or lost >= len(motion):
        return whole
    kept = slice(lost, None) if shift < 0 else slice(None, -lost)
    first, last = (lost / fps, float(whole.sound.duration)) if shift < 0 else (0.0, (len(motion) - lost) / fps)
    sound = whole.sound.cut(first, max(last, first))
    return replace(whole, motion=replace(motion, values=motion.values[kept]), sound=sound, seen=whole.seen[kept])


def _faceless(sound: Audio) -> Recording:
    """A recording in which nothing is seen: its seconds are to be counted as such."""
    frames = sound.frames_at(FPS)
    rest = Motion(np.zeros((frames, len(ARKIT)), np.float32), ARKIT, FPS)
    return Recording(rest, sound, OBSERVED, np.zeros(frames, bool))


def _align(sound: Audio, motion: Motion, seen: NDArray[np.bool_]) -> Fit | None:
    heard = Sound(np.round(np.clip(sound.samples, -1, 1) * 32767).astype(np.int16))
    found = sync.offset(motion, seen, heard)
    return None if found is None else Fit(found.seconds if found.sure else 0.0, found.agreement, found.heard)
