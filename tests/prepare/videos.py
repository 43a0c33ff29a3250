"""Videos for tests: written by the tests themselves, of drawn or of given pictures, with every trap that phones set."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from artalk.audio import Audio
from artalk.prepare import film

RATE = 16000


def tone(seconds: float, pitch: float = 220.0) -> Audio:
    """A sound of some seconds."""
    at = np.arange(round(seconds * RATE)) / RATE
    return Audio((0.3 * np.sin(2 * np.pi * pitch * at)).astype(np.float32), RATE)


def drawn(count: int, size: tuple[int, int] = (96, 64), seed: int = 0) -> list[np.ndarray]:
    """Pictures (height, width, 3) of a still scene with a spot that moves."""
    rng = np.random.default_rng(seed)
    width, height = size
    scene = np.kron(rng.integers(0, 256, (height // 16, width // 16, 3)), np.ones((16, 16, 1))).astype(np.uint8)
    pictures = []
    for k in range(count):
        picture = scene.copy()
        x = int((width - 8) * k / max(count - 1, 1))
        picture[height // 2 : height // 2 + 8, x : x + 8] = 255
        pictures.append(picture)
    return pictures


def write(
    path: Path,
    pictures: Sequence[np.ndarray],
    times: Sequence[float] | None = None,
    fps: int = 25,
    turned: int = 0,
    sound: Audio | None = None,
    sound_at: float = 0.0,
) -> Path:
    """A video with pictures at `times` (default: even), turned by a display matrix, and sound from `sound_at` on."""
    clock = Fraction(1, 90000)
    with av.open(str(path), "w") as container:
        picture = container.add_stream("libx264", rate=fps, options={"crf": "12", "preset": "ultrafast"})
        picture.height, picture.width = pictures[0].shape[:2]
        picture.pix_fmt = "yuv420p"
        picture.time_base = picture.codec_context.time_base = clock
        if turned:
            picture.set_display_rotation(turned)
        heard = None
        if sound is not None:
            heard = container.add_stream("aac", rate=RATE, layout="mono")
        for k, pixels in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
            frame.pts, frame.time_base = round((k / fps if times is None else times[k]) * 90000), clock
            container.mux(picture.encode(frame))
        container.mux(picture.encode(None))
        if heard is not None and sound is not None:
            for start in range(0, len(sound), 1024):
                block = av.AudioFrame.from_ndarray(sound.samples[None, start : start + 1024], "fltp", "mono")
                block.sample_rate, block.time_base = RATE, Fraction(1, RATE)
                block.pts = start + round(sound_at * RATE)
                container.mux(heard.encode(block))
            container.mux(heard.encode(None))
    return path


def seen(path: Path) -> list[np.ndarray]:
    """The pictures of a video."""
    return [picture.pixels for picture in film.pictures(path)]
