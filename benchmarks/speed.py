"""What drawing, live blocks and resampling cost, in CPU time of one process.

    python benchmarks/speed.py [SOUND]

Prints a Markdown table; the picture difference is between the two renderers on the built-in head.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import artalk
from artalk.errors import Unsupported
from artalk.render import open_renderer
from artalk.resampler import Resampler

FRAMES = 20


def cost(work: Callable[[], Any]) -> float:
    """CPU seconds of `work`, after one run to warm up."""
    work()
    started = time.process_time()
    work()
    return time.process_time() - started


def drawing(motion: artalk.Motion) -> None:
    rig = artalk.rig()
    poses = [rig.pose(values) for values in motion.values[10 : 10 + FRAMES]]
    for size in (256, 512):
        pictures: dict[str, np.ndarray] = {}
        for backend in ("gl", "raster"):
            try:
                with open_renderer(rig.mesh, size, size, backend, focus=rig.focus) as renderer:
                    spent = cost(lambda draw=renderer.frame: [draw(pose) for pose in poses]) / FRAMES
                    pictures[backend] = np.stack([renderer.frame(pose) for pose in poses[::5]]).astype(float)
            except Unsupported as error:
                print(f"| {backend}, {size} x {size} | not here: {error} |")
            else:
                print(f"| {backend}, {size} x {size}, a frame | {spent * 1e3:.0f} ms |")
        if len(pictures) == 2:
            difference = np.abs(pictures["gl"] - pictures["raster"]).mean()
            print(f"| gl against raster, {size} x {size}, mean difference | {difference:.2f} of 255 |")


def streaming(sound: artalk.Audio, model: str) -> None:
    voice = sound.resampled(16000).samples
    long = artalk.Audio(np.resize(voice, 60 * 16000), 16000)
    generator = artalk.generator(model)

    def live() -> None:
        stream = generator.stream()
        for start in range(0, len(voice), 320):
            stream.feed(voice[start : start + 320])
        stream.finish()

    print(f"| {model} live, a frame of 40 ms fed in blocks of 20 ms | {cost(live) / len(voice) * 640 * 1e3:.2f} ms |")
    print(f"| {model} offline, 60 s | {60 / cost(lambda: generator.generate(long)):.0f} times real time |")


def resampling(sound: artalk.Audio) -> None:
    wide = np.resize(sound.resampled(16000).samples, 60 * 48000)
    print(f"| 48 to 16 kHz, 60 s | {60 / cost(lambda: Resampler(48000, 16000).feed(wide)):.0f} times real time |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sound", nargs="?", default=str(Path(__file__).parents[1] / "examples" / "hello.flac"))
    sound = artalk.listen(parser.parse_args().sound)
    print("| what | CPU time |\n|---|---|")
    drawing(artalk.animate(sound))
    for model in ("visemes", "artalk", "artalk-live"):
        streaming(sound, model)
    resampling(sound)


if __name__ == "__main__":
    main()
