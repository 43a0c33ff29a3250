"""How good and how fast `artalk prepare` is: residual, agreement with the corpus' tracks, pictures a second.

    python benchmarks/prepare.py --videos FOLDER --model face_landmarker.task [--tracks FOLDER] [--ict ict.npz]

FOLDER of videos holds GRID's (grid_NAME.mpg), that of tracks NAME.npz of the same sentences. Seconds are CPU time.
"""

import argparse
import resource
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from artalk.data import tracks
from artalk.data.landmarks import Face, head_face, ict_face
from artalk.prepare import film, sync
from artalk.prepare.quality import Quality, Source, lip_gap, measure
from artalk.prepare.solve import perform
from artalk.prepare.video import Prepared, prepare, watch
from artalk.rigs import ict
from artalk.rigs.head import head


@dataclass(frozen=True)
class Row:
    """The figures of one video."""

    quality: Quality
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
    return Row(quality, aperture, gap, len(clock) / (tracked - started), len(clock) / (solved - tracked))


def memory(path: Path, model: Path, times: int) -> tuple[float, float]:
    """Megabytes at their most after one pass over a video, and after so many more."""
    made: list[Prepared] = [prepare(path, model)]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    for _ in range(times):
        made[0] = prepare(path, model)
    return before, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--videos", type=Path, required=True)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--tracks", type=Path)
    parser.add_argument("--ict", type=Path)
    options = parser.parse_args()
    print("| video | face | residual px (90 %) | lips px | eyes px | r aperture | r solved gap | r jawOpen, blinks |")
    print("|---|---|---|---|---|---|---|---|")
    speeds: list[tuple[float, float]] = []
    videos = sorted(path for path in options.videos.iterdir() if path.suffix in film.SUFFIXES)
    for name, face in faces(options.ict):
        for path in videos:
            row = measured(path, options.model, face, options.tracks)
            q, r = row.quality, row.quality.agreement
            blinks = np.mean([r.get("eyeBlinkLeft", np.nan), r.get("eyeBlinkRight", np.nan)])
            print(
                f"| {path.stem} | {name} | {q.residual[0]:.2f} ({q.residual[1]:.2f}) | {q.lips[0]:.2f} | {q.eyes:.0f} "
                f"| {row.aperture:.4f} | {row.solved:.4f} | {r.get('jawOpen', float('nan')):.2f}, {blinks:.2f} |"
            )
            speeds.append((row.tracking, row.solving))
    tracking, solving = np.median(speeds, axis=0)
    print(f"\ntracking {tracking:.0f} pictures a CPU second, solving {solving:.0f} frames a CPU second")
    first, last = memory(videos[0], options.model, 5)
    print(f"memory {first:.0f} MB after one video, {last:.0f} MB after six")


if __name__ == "__main__":
    main()
