"""Speech to motion, and motion to every format.

A performance is `Motion`: named channels over time, here ARKit's 52 weights and the head's rotation at 25 fps. It is
written by the suffix of the file: a Live Link Face take for Unreal, mouth cues for 2D, a clip for VTubers, glTF, video.
"""

from pathlib import Path

import artalk

here = Path(__file__).parent
out = here.parent / "out"
out.mkdir(exist_ok=True)

motion = artalk.animate(here / "hello.flac", seed=7)
print(f"{len(motion)} frames at {motion.fps} fps, jaw opens up to {motion.channel('jawOpen').max():.2f}")

for name in ("hello.csv", "hello.vrma", "hello.glb", "hello.tsv", "hello.npz"):
    artalk.save(motion, out / name)

calm = artalk.animate(here / "hello.flac", seed=7, fps=60, gains={"head": 0.3, "brows": 0.5})
artalk.save(calm, out / "hello_calm_60fps.csv")
