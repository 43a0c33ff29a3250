"""Speech to a 512 x 512 mp4 without a GPU: what each stage costs in time and memory.

    python benchmarks/pipeline.py [SOUND] [--seconds 60] [--size 512] [--backend auto]

Prints a Markdown table. CPU seconds are the process's own, all threads together; wall seconds depend on what else the
machine does. Every stage is run alone, in order, in one process; peak memory is the process's after the stage.
"""

import argparse
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[1]


def stage(rows: list[tuple[str, float, float, float]], name: str, work: Callable[[], Any]) -> Any:
    wall, cpu = time.perf_counter(), time.process_time()
    result = work()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)
    rows.append((name, time.process_time() - cpu, time.perf_counter() - wall, peak))
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sound", nargs="?", default=str(ROOT / "examples" / "hello.flac"))
    parser.add_argument("--seconds", type=float, default=60.0, help="the sound is repeated or cut to this length")
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--backend", default="auto", choices=["auto", "gl", "raster"])
    options = parser.parse_args()

    rows: list[tuple[str, float, float, float]] = []
    artalk = stage(rows, "import artalk", lambda: __import__("artalk"))
    heard = stage(rows, "decode the sound", lambda: artalk.listen(options.sound))
    samples = np.resize(heard.samples, round(options.seconds * heard.sample_rate))
    audio = artalk.Audio(samples, heard.sample_rate)
    generator = stage(rows, "make the generator", artalk.generator)
    motion = stage(rows, "generate the motion", lambda: generator.generate(audio))
    rig = stage(rows, "build the head", artalk.rig)
    stage(rows, "pose every frame", lambda: [rig.pose(values) is None for values in motion.values])
    clip = artalk.render(motion, rig, audio, size=(options.size, options.size), backend=options.backend)
    stage(rows, "pose and draw every frame", lambda: sum(1 for _ in clip.frames()))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.mp4"
        stage(rows, "pose, draw and encode to mp4", lambda: clip.save(path))
        size = path.stat().st_size / 1e6
    seconds = float(audio.duration)
    print(f"{seconds:.1f} s of speech, {len(motion)} frames, {options.size} x {options.size}, mp4 of {size:.1f} MB\n")
    print("| stage | CPU s | wall s | CPU s per s of speech | peak MB so far |")
    print("|---|---|---|---|---|")
    for name, cpu, wall, peak in rows:
        print(f"| {name} | {cpu:.2f} | {wall:.2f} | {cpu / seconds:.4f} | {peak:.0f} |")


if __name__ == "__main__":
    main()
