"""What a prepared video is written as, by the suffix."""

from fractions import Fraction
from pathlib import Path

from artalk.formats import files, npz
from artalk.prepare import preview, quality
from artalk.prepare.video import Prepared

MOVING = (".mp4", ".webm", ".gif")


def save(done: Prepared, path: Path, fps: Fraction | None = None) -> None:
    """Write motion, at another rate if one is given, a preview (.mp4, .webm, .gif) or the curves (.png, .svg, .pdf).

    An .npz carries the report, which `artalk show` prints, and the face model that was solved on.
    """
    suffix = path.suffix.lower()
    if suffix in MOVING:
        preview.save(done, path)
        return
    if suffix in (".png", ".svg", ".pdf"):
        quality.draw(done.performance, done.quality, path)
        return
    motion = done.motion if fps is None or fps == done.motion.fps else done.motion.resample(fps)
    if suffix == ".npz":
        npz.write_noted(motion, path, {"quality": done.quality.as_json(), "face": done.face})
    else:
        files.save(motion, path)
