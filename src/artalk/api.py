"""The verbs: names and paths become objects here, and only here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from artalk.channels import Channels
from artalk.errors import BadInput, MissingFile
from artalk.formats import files
from artalk.motion import Fps, Motion, exact_fps

if TYPE_CHECKING:
    from artalk.audio import Audio
    from artalk.generators.generator import Condition, Generator, Stream
    from artalk.rigs.rig import Rig

Location: TypeAlias = "str | PathLike[str]"
Sound: TypeAlias = "Location | Audio | NDArray[Any]"
Face: TypeAlias = "Location | Rig"
Backend = Literal["auto", "gl", "raster"]
Progress = Callable[[int, int], None]

MODELS = ("visemes",)
"""Names of the generators that come with the package; the first is the default."""

PICTURES = files.PICTURES
"""Suffixes that show a rig in motion; no suffix means a folder of PNG frames."""

SIDES = (16, 4096)
"""Pixels of the shortest and the longest side of a picture."""


def generator(model: str = MODELS[0]) -> Generator:
    """The generator called `model`."""
    if model == "visemes":
        from artalk.generators.visemes import Visemes

        return Visemes()
    raise BadInput(f"a model is one of {', '.join(MODELS)}, got {model!r}")


def rig(face: Face = "head") -> Rig:
    """A face to pose: "head" (built in), "ict" (see `artalk assets`), or the path of an avatar (.glb, .gltf, .vrm)."""
    from artalk.rigs.rig import Rig

    if isinstance(face, Rig):
        return face
    name = str(face)
    if name == "head":
        from artalk.rigs.head import head

        return head()
    if name == "ict":
        from artalk import assets
        from artalk.rigs import ict

        return ict.load(assets.get("ict"))
    if Path(name).suffix.lower() in (".glb", ".gltf", ".vrm"):
        from artalk.rigs.gltf import load as load_avatar

        return load_avatar(Path(name))
    raise BadInput(f"a rig is head, ict, or the path of an avatar (.glb, .gltf, .vrm), got {name!r}")


def listen(sound: Sound, sample_rate: int | None = None) -> Audio:
    """Sound from a path, "-" for standard input, `Audio`, or an array with its `sample_rate`."""
    from artalk.audio import Audio
    from artalk.audio import load as load_audio

    if isinstance(sound, Audio):
        return sound
    if isinstance(sound, np.ndarray):
        if sample_rate is None:
            raise BadInput("sound given as an array needs its sample_rate")
        return Audio.from_array(sound, sample_rate)
    return load_audio(sound)


def animate(
    sound: Sound,
    *,
    model: str = MODELS[0],
    style: Location | Motion | None = None,
    seed: int = 0,
    fps: Fps | None = None,
    gains: Mapping[str, float] | None = None,
    sample_rate: int | None = None,
) -> Motion:
    """The performance of a face that says `sound`: ceil(duration · fps) frames.

    `fps` defaults to the model's own rate; another is resampled exactly. `gains` strengthen or calm parts of the face
    (see `artalk.edit.PARTS`). `sample_rate` is for sound given as an array. The same seed gives the same motion.
    """
    audio = listen(sound, sample_rate)
    made = generator(model)
    motion = made.generate(audio, _condition(style), seed)
    if fps is not None:
        motion = motion.resample(fps, frames=audio.frames_at(exact_fps(fps)))
    if gains:
        from artalk.edit import scaled

        motion = scaled(motion, gains)
    return motion


def stream(
    *,
    model: str = MODELS[0],
    style: Location | Motion | None = None,
    seed: int = 0,
    sample_rate: int | None = None,
) -> Stream:
    """A live session: `feed` it blocks of sound, get pieces of motion; see `artalk.generators.generator.Stream`."""
    return generator(model).stream(_condition(style), seed, sample_rate)


def load(path: Location, **options: Any) -> Motion:
    """Motion from a file, by its suffix, with the options of its format: `load("take.csv", fps=30)`."""
    return files.load(Path(path), **options)


def retarget(motion: Motion, to: Channels | str) -> Motion:
    """Motion in other channels, mapped by name: `retarget(motion, "oculus")`."""
    from artalk.retarget import maps

    return maps.retarget(motion, to)


@dataclass(frozen=True, eq=False)
class Clip:
    """A rig that performs a motion, to look at: frames are drawn when they are asked for."""

    motion: Motion
    rig: Rig
    audio: Audio | None = None
    width: int = 512
    height: int = 512
    backend: Backend = "auto"

    def __len__(self) -> int:
        return len(self.motion)

    def frames(self, progress: Progress | None = None) -> Iterator[NDArray[np.uint8]]:
        """The (height, width, 3) sRGB pictures, one after the other."""
        from artalk.render import open_renderer

        with open_renderer(self.rig.mesh, self.width, self.height, self.backend, focus=self.rig.focus) as renderer:
            for k, values in enumerate(self.motion.values):
                yield renderer.frame(self.rig.pose(values))
                if progress:
                    progress(k + 1, len(self))

    def save(self, path: Location, progress: Progress | None = None) -> None:
        """Write .mp4 or .webm with the sound, .gif, or PNG frames (a path without suffix is their folder)."""
        from artalk.formats import video

        video.write(Path(path), self.frames(progress), self.motion.fps, self.audio, (self.width, self.height))


def render(
    motion: Motion,
    rig: Face = "head",
    audio: Sound | None = None,
    *,
    size: tuple[int, int] = (512, 512),
    backend: Backend = "auto",
) -> Clip:
    """The pictures of `motion` on a rig, with its sound: `render(motion, audio="hello.wav").save("hello.mp4")`."""
    width, height = picture_size(*size)
    face = _face(rig)
    if motion.channels != face.channels:
        motion = retarget(motion, face.channels)
    return Clip(motion, face, None if audio is None else listen(audio), width, height, backend)


def picture_size(width: int, height: int) -> tuple[int, int]:
    """Width and height, or `BadInput` where they are no size of a picture."""
    low, high = SIDES
    if not (low <= width <= high and low <= height <= high):
        raise BadInput(f"a picture is {low} to {high} pixels wide and high, got {width} x {height}")
    return width, height


def save(
    motion: Motion,
    path: Location,
    *,
    rig: Face = "head",
    audio: Sound | None = None,
    size: tuple[int, int] = (512, 512),
    backend: Backend = "auto",
    progress: Progress | None = None,
    **options: Any,
) -> None:
    """Write motion to a file, by its suffix, with the options of its format: `save(motion, "take.csv", degrees=True)`.

    Pictures (.mp4, .webm, .gif, .png) and scenes (.glb, .vrm, .usda, .usdc) show the `rig`; videos carry the `audio`,
    and formats that name the sound (.json, .cues.json, .xml) get its path. The file is written under a temporary name
    and renamed: a failure leaves what was there. docs/formats.md lists the options.
    """
    target = Path(path)
    if target.suffix.lower() in PICTURES:
        if options:
            raise BadInput(f"{target.suffix} has no option {', '.join(map(repr, options))}; see artalk.render")
        render(motion, rig, audio, size=size, backend=backend).save(target, progress)
        return
    if files.is_rigged(target):
        options["rig"] = _face(rig)
    if isinstance(audio, str | PathLike) and audio != "-" and "sound" in files.options(target):
        options.setdefault("sound", fspath(audio))
    files.save(motion, target, **options)


def _face(face: Face) -> Rig:
    return rig(face)


def _condition(style: Location | Motion | None) -> Condition:
    from artalk.generators.generator import Condition

    if style is None or isinstance(style, Motion):
        return Condition(style=style)
    if not Path(style).exists():
        raise MissingFile(f"a style is a motion file, none is at {str(style)!r}")
    return Condition(style=load(style))
