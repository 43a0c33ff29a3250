"""Pictures: one frame, a strip of frames, a video with sound."""

from pathlib import Path

import numpy as np
from PIL import Image

import artalk

here = Path(__file__).parent
out = here.parent / "out"
out.mkdir(exist_ok=True)

sound = artalk.listen(here / "hello.flac").cut(0, 1.5)
motion = artalk.animate(sound)
clip = artalk.render(motion, audio=sound, size=(160, 160))

frames = list(clip.frames())
Image.fromarray(np.hstack(frames[::6])).save(out / "strip.png")
clip.save(out / "short.mp4")
print(f"drew {len(frames)} frames")
