"""Videos prepared, against the tracks that MediaPipe made of the same pictures elsewhere, with time and memory.

    python benchmarks/prepare.py --videos FOLDER --model face_landmarker.task [--tracks FOLDER] [--ict ict.npz]
        [--memory 12 120] [--corpus CORPUS]

FOLDER of videos holds GRID's (grid_NAME.mpg), that of tracks NAME.npz of the same sentences. Seconds are CPU time.
--memory says what a process needs at its most for videos of so many seconds, made of the first one forth and back.
--corpus says how the offset of lips and sound scatters on GRID's sentences, which are in time.
"""

import argparse
import multiprocessing
import resource
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path

import av
import numpy as np

from artalk.channels import ARKIT
from artalk.data import tracks
from artalk.data.clips import FPS, Clip, Corpus, as_int16
from artalk.data.landmarks import Face, head_face, ict_face
from artalk.motion import Motion
from artalk.prepare import film, sync
from artalk.prepare.film import SOUND_RATE, Sound
from artalk.prepare.quality import AGREEING, MOVES, Quality, Source, lip_gap, measure
from artalk.prepare.solve import Performance, perform
from artalk.prepare.video import prepare, watch
from artalk.retarget.maps import MEDIAPIPE52
from artalk.rigs import ict
from artalk.rigs.head import head

BESIDE = (
    "mouthSmileRight", "mouthLowerDownLeft", "mouthUpperUpLeft", "mouthStretchLeft", "mouthRollLower",
    "browOuterUpLeft", "browDownLeft", "eyeLookUpLeft", "eyeLookDownLeft", "eyeLookInLeft", "eyeLookOutLeft",
)  # fmt: skip
"""Channels that are held against the tracker's scores here and not in a video's report."""

OPEN = 0.3
"""Weight of a blink below which gaze is compared."""

SENTENCES, TOGETHER = 200, (1, 3, 10)
"""Sentences of a corpus by which offsets are judged, and how many of them, 3 seconds each, are joined."""


@dataclass(frozen=True)
class Row:
    """The figures of one video."""

    quality: Quality
    beside: dict[str, tuple[float, float, float]]
    aperture: float
    solved: float
    tracking: float
    solving: float


def faces(pack: Path | None) -> Iterator[tuple[str, Face]]:
    """The face models that are solved on."""
    yield "head", head_face()
    if pack is not None:
        yield "ict", ict_face(ict.load(pack))


def measured(path: Path, model: Path, face: Face, folder: Path | None) -> Row:
    """One video prepared in its steps, each with its time."""
    facts = film.facts(path)
    started = time.process_time()
    take = watch(path, model, "largest", facts)
    tracked = time.process_time()
    clock = take.clock()
    done = perform(take, clock, face, () if "tongueOut" in face.shapes else (head(),))
    solved = time.process_time()
    sound = film.sound(path, facts.sound_after)
    offset = None if sound is None else sync.offset(done.motion, done.ok, sound)
    quality = measure(Source(path.name, facts.size, facts.turned, clock.steady, 0.0), done, sound, offset)
    count = len(clock)
    aperture = gap = float("nan")
    track = None if folder is None else folder / f"{path.stem.removeprefix('grid_')}.npz"
    if track is not None and track.is_file():
        known = tracks.lip_gap(tracks.read(track))
        count = min(count, len(known))
        aperture = float(np.corrcoef(done.aperture[:count], known[:count])[0, 1])
        gap = float(np.corrcoef(lip_gap(done.motion)[:count], known[:count])[0, 1])
    return Row(quality, beside(done), aperture, gap, len(clock) / (tracked - started), len(clock) / (solved - tracked))


def beside(done: Performance) -> dict[str, tuple[float, float, float]]:
    """The correlation of each channel with the tracker's own score, and the standard deviations of both.

    Gaze counts while eyes are open: the tracker takes every blink for a look down.
    """
    seen = done.ok & np.isfinite(done.residual)
    found: dict[str, tuple[float, float, float]] = {}
    for name in (*AGREEING, *BESIDE):
        chosen = seen & (done.motion.channel("eyeBlinkLeft") < OPEN) if name.startswith("eyeLook") else seen
        ours = done.motion.channel(name)[chosen].astype(np.float64)
        theirs = done.scores[chosen, MEDIAPIPE52.index(name)].astype(np.float64)
        r = np.corrcoef(ours, theirs)[0, 1] if min(ours.std(), theirs.std()) > 0 else 0.0
        found[name] = float(r), float(ours.std()), float(theirs.std())
    return found


def agreements(rows: dict[tuple[str, str], Row]) -> None:
    """A table of these, a row a channel, deviations on average; in brackets where one of the two hardly moves."""
    names = dict.fromkeys(face for face, _ in rows)
    heads = [f"sd on {face}" for face in names] + ["sd of the score"] + [f"r {video}, {face}" for face, video in rows]
    print(f"\n| channel | {' | '.join(heads)} |\n|---|{'---|' * len(heads)}")
    for name in (*AGREEING, *BESIDE):
        ours = [np.mean([row.beside[name][1] for (face, _), row in rows.items() if face == of]) for of in names]
        theirs = np.mean([row.beside[name][2] for row in rows.values()])
        cells = [f"{sd:.3f}" for sd in (*ours, theirs)]
        for r, *sds in (row.beside[name] for row in rows.values()):
            cells.append(f"{r:.2f}" if min(sds) > MOVES else f"({r:.2f})")
        print(f"| {name} | {' | '.join(cells)} |")


def lengthened(path: Path, seconds: float, target: Path) -> Path:
    """A video of so many seconds: the pictures of a short one forth and back, its sound again and again."""
    pictures = [picture.pixels for picture in film.pictures(path)]
    heard = film.sound(path, film.facts(path).sound_after)
    samples = np.resize(np.zeros(1, np.int16) if heard is None else heard.samples, round(seconds * SOUND_RATE))
    with av.open(str(target), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "18", "preset": "ultrafast"})
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        sound = container.add_stream("aac", rate=SOUND_RATE, layout="mono")
        for pixels in islice(cycle((*pictures, *reversed(pictures))), round(25 * seconds)):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode(None))
        for first in range(0, len(samples), 1024):
            block = av.AudioFrame.from_ndarray(samples[None, first : first + 1024], "s16", "mono")
            block.sample_rate, block.pts = SOUND_RATE, first
            container.mux(sound.encode(block))
        container.mux(sound.encode(None))
    return target


def memory(path: Path, model: Path, seconds: Sequence[float]) -> None:
    """Say the megabytes at their most of a process that prepares a video of each length."""
    with tempfile.TemporaryDirectory() as folder:
        for length in seconds:
            longer = lengthened(path, length, Path(folder) / "longer.mp4")
            with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as alone:
                print(f"memory {alone.submit(needed, longer, model).result():.0f} MB for {length:g} s of video")


def needed(path: Path, model: Path) -> float:
    """Megabytes of this process at their most, after a video."""
    prepare(path, model)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def offsets(folder: Path) -> None:
    """Say how far from the truth the offset is found on sentences that are in time, alone and joined."""
    corpus = Corpus(folder)
    entries = corpus.select(source="grid_s1", kind="real")
    chosen = [entries[int(k)] for k in np.linspace(0, len(entries) - 1, min(SENTENCES, len(entries))).round()]
    clips = [corpus.read(entry) for entry in chosen]
    for count in TOGETHER:
        joined = (clips[first : first + count] for first in range(0, len(clips) - count + 1, count))
        found = [offset for part in joined if (offset := of(part)) is not None]
        told = 1000 * np.array([offset.seconds for offset in found if offset.told])
        middle = 1.48 * np.median(np.abs(told - np.median(told)))
        print(
            f"offset over {np.mean([offset.heard for offset in found]):.0f} s: told in {len(told)} of {len(found)}, "
            f"mean {told.mean():+.0f} ms, sd {told.std():.0f} ms ({middle:.0f} by the middle half), "
            f"taken for a shift in {sum(offset.sure for offset in found)}"
        )


def of(clips: Sequence[Clip]) -> sync.Offset | None:
    """The offset of clips one after the other."""
    # A sound ends within its last frame: without what it lacks, one after the other would come ever earlier.
    filled = [np.pad(as_int16(clip.audio.samples), (0, 640))[: 640 * len(clip.motion)] for clip in clips]
    sound = Sound(np.concatenate(filled))
    motion = Motion(np.concatenate([clip.motion.values for clip in clips]), ARKIT, FPS)
    return sync.offset(motion, np.ones(len(motion), np.bool_), sound)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--videos", type=Path, required=True)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--tracks", type=Path)
    parser.add_argument("--ict", type=Path)
    parser.add_argument("--memory", type=float, nargs="+", default=[])
    parser.add_argument("--corpus", type=Path)
    options = parser.parse_args()
    print("| video | face | residual px (90 %) | lips px | eyes px | r aperture | r solved gap |")
    print("|---|---|---|---|---|---|---|")
    videos = sorted(path for path in options.videos.iterdir() if path.suffix in film.SUFFIXES)
    rows: dict[tuple[str, str], Row] = {}
    for name, face in faces(options.ict):
        for path in videos:
            row = rows[name, path.stem.removeprefix("grid_")] = measured(path, options.model, face, options.tracks)
            q = row.quality
            print(
                f"| {path.stem} | {name} | {q.residual[0]:.2f} ({q.residual[1]:.2f}) | {q.lips[0]:.2f} | {q.eyes:.0f} "
                f"| {row.aperture:.4f} | {row.solved:.4f} |"
            )
    agreements(rows)
    tracking, solving = np.median([(row.tracking, row.solving) for row in rows.values()], axis=0)
    print(f"\ntracking {tracking:.0f} pictures a CPU second, solving {solving:.0f} frames a CPU second")
    memory(videos[0], options.model, options.memory)
    if options.corpus is not None:
        offsets(options.corpus)


if __name__ == "__main__":
    main()
