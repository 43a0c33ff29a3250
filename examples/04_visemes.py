"""Other faces: the same speech as Oculus visemes, VRM presets and Rhubarb's mouth letters."""

from pathlib import Path

import artalk

motion = artalk.animate(Path(__file__).parent / "hello.flac")
for target in ("oculus", "vrm", "rhubarb"):
    other = artalk.retarget(motion, target)
    busiest = max(other.channels.names, key=lambda name: float(other.channel(name).mean()))
    print(f"{target}: {len(other.channels)} channels, mostly {busiest}")
