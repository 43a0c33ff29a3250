"""The verbs: names and paths become objects here, and only here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from importlib import import_module
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from artalk.channels import ARKIT, Channels
from artalk.errors import BadInput, MissingFile, needs
from artalk.formats import files
from artalk.motion import Fps, Motion, exact_fps

if TYPE_CHECKING:
    from artalk.audio import Audio
    from artalk.data.landmarks import Face as Landmarks
    from artalk.data.tracks import Person
    from artalk.generators.generator import Condition, Generator, Stream
    from artalk.prepare.style import Style as PersonStyle
    from artalk.prepare.video import Prepared
    from artalk.rigs.rig import Rig

Location: TypeAlias = "str | PathLike[str]"
Sound: TypeAlias = "Location | Audio | NDArray[Any]"
Face: TypeAlias = "Location | Rig"
Style: TypeAlias = "Location | Motion | PersonStyle | Mapping[str, float]"
Backend = Literal["auto", "gl", "raster"]
Which = Literal["largest", "left", "right"]
Progress = Callable[[int, int], None]

MODELS = ("artalk", "artalk-live", "visemes")
"""Names of the generators that come with the package; the first is the default, where nobody waits for the answer."""

LIVE = "artalk-live"
"""The model that answers a microphone unless another is asked for."""

RELEASED = (".pt", ".safetensors", ".released.onnx")
"""How the names of the official release's models end."""

WEIGHTS = ("float32", "float16", "int8")
"""How the weights of a `.released.onnx` can be stored."""

RELEASED_ASSET = "artalk-released"
"""The official release's weights, where `artalk assets get` put them."""

PICTURES = files.PICTURES
"""Suffixes that show a rig in motion; no suffix means a folder of PNG frames."""

SIDES = (16, 4096)
"""Pixels of the shortest and the longest side of a picture."""


def generator(model: Location = MODELS[0], raw: bool = False, run: Mapping[str, Any] | None = None) -> Generator:
    """The generator of a name, or the one in an `.onnx` file that `artalk export` wrote.

    The official release's model is at a path too: its `.pt`, the `.safetensors` that `convert` made of it, or a
    `.released.onnx`; the one that `artalk assets get` fetched is called "artalk-released". `raw` leaves out the
    post-processing that comes with it; the others have none. `run` is how a model is run. Of a trained one, how chance
    is drawn: `{"temperature": 0.5, "top_p.brows": 0.9}` (`generators.exported.Settings`). Of a
    `.pt` or `.safetensors`: `{"fast": True, "device": "cuda"}`, or one by one what docs/released.md lists.
    """
    name = fspath(model)
    if name == RELEASED_ASSET:
        from artalk import assets

        name = _fetched(assets.home())
    if name.lower().endswith(RELEASED):
        return _official(name, raw, run or {})
    if raw:
        raise BadInput(f"raw leaves out the post-processing of the released model, {name!r} has none")
    if name == "visemes":
        from artalk.generators.visemes import Visemes

        if run:
            raise BadInput(f"{', '.join(run)} is for the released model or a trained one; 'visemes' runs in one way")
        return Visemes()
    if name in MODELS or Path(name).suffix.lower() == ".onnx":
        return _trained(name, run or {})
    raise BadInput(
        f"a model is one of {', '.join(MODELS)}, an .onnx file of `artalk export`, or of the official release: a "
        f"{', a '.join(RELEASED)} or {RELEASED_ASSET}; got {name!r}"
    )


def _trained(name: str, run: Mapping[str, Any]) -> Generator:
    """A model of ours that comes with the package, or is in a file."""
    from artalk.generators.exported import Exported, Settings
    from artalk.generators.living import alive, trained
    from artalk.generators.shipped import shipped

    settings = Settings.wished(run)
    if name not in MODELS:
        return alive(Exported.load(name, settings))
    model = trained(shipped(name)) if run else None
    return shipped(name) if model is None else alive(model.with_settings(settings))


@cache
def _fetched(home: Path) -> str:
    """The path of the released weights: 2 GB, whose sum is made once in a process."""
    from artalk import assets

    return str(assets.get(RELEASED_ASSET))


def _official(name: str, raw: bool, run: Mapping[str, Any]) -> Generator:
    if name.lower().endswith(".onnx"):
        from artalk.generators.released import ReleasedOnnx

        if run:
            raise BadInput(
                f"{', '.join(run)} is for a .pt or .safetensors; how {name!r} runs was said when it was made: "
                "artalk convert --weights"
            )
        return ReleasedOnnx.load(name, raw)
    released = _released("generator", "the released model")
    made: Generator = released.opened(name, released.Options.wished(run, raw))
    return made


def _released(part: str, what: str) -> Any:
    """A module of the model's half, which is imported when it is asked for and not before."""
    needs("torch", "train", what)
    return import_module(f"artalk.models.released.{part}")


def convert(source: Location, target: Location, weights: str = "float32") -> None:
    """Files of the official release as ours: nothing in them is executed.

    A checkpoint (.pt) becomes one `.safetensors` with config and card, or a `.released.onnx` that runs without torch
    (`weights` stored as float32, float16 or int8); a style clip (.pt) becomes motion, by the suffix.
    """
    whence, whither = fspath(source).lower(), fspath(target).lower()
    if not whence.endswith((".pt", ".safetensors")):
        raise BadInput(
            f"convert reads a .pt of the official release, got {fspath(source)!r}; see artalk.save for motion"
        )
    if not whither.endswith((".released.onnx", ".safetensors", *files.writable())):
        raise BadInput(
            f"convert writes a checkpoint as .safetensors or .released.onnx and a style clip as motion, such as .npz; "
            f"got {fspath(target)!r}"
        )
    if weights not in WEIGHTS:
        raise BadInput(f"weights are {', '.join(WEIGHTS)}, got {weights!r}")
    if weights != WEIGHTS[0] and not whither.endswith(".onnx"):
        raise BadInput(f"weights are stored in {weights} in a .released.onnx alone, got {fspath(target)!r}")
    file = _released("file", "reading a .pt")
    if whither.endswith(".released.onnx"):
        _released("export", "exporting a model").export(file.read(source), target, weights)
    elif whither.endswith(".safetensors"):
        file.convert(source, target)
    else:
        files.save(file.read_style(source), Path(target))


def rig(face: Face = "head") -> Rig:
    """A face to pose: "head" (built in), "ict" or "flame" (see `artalk assets`), or the path of an avatar.

    Avatars are .glb, .gltf or .vrm; "flame:FILE" is a FLAME file that was not added.
    """
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
    if name == "flame" or name.startswith("flame:"):
        from artalk import assets
        from artalk.channels import FLAME112
        from artalk.rigs import flame

        return flame.FlameRig(flame.read(name[6:] or assets.get("flame")), FLAME112)
    if Path(name).suffix.lower() in (".glb", ".gltf", ".vrm"):
        from artalk.rigs.gltf import load as load_avatar

        return load_avatar(Path(name))
    raise BadInput(f"a rig is head, ict, flame, or the path of an avatar (.glb, .gltf, .vrm), got {name!r}")


def listen(sound: Sound, sample_rate: int | None = None, channel: int | None = None) -> Audio:
    """Sound from a path, "-" for standard input, `Audio`, or an array with its `sample_rate`.

    The channels of a file are averaged; `channel` takes one of them, counted from 0.
    """
    from artalk.audio import Audio
    from artalk.audio import load as load_audio

    if channel is not None and isinstance(sound, Audio | np.ndarray):
        raise BadInput("channel is for files: of an array give the one that is to be heard")
    if isinstance(sound, Audio):
        return sound
    if isinstance(sound, np.ndarray):
        if sample_rate is None:
            raise BadInput("sound given as an array needs its sample_rate")
        return Audio.from_array(sound, sample_rate)
    return load_audio(sound, channel=channel)


def animate(
    sound: Sound,
    *,
    model: Location = MODELS[0],
    style: Style | None = None,
    style_strength: float = 1.0,
    seed: int = 0,
    fps: Fps | None = None,
    gains: Mapping[str, float] | None = None,
    sample_rate: int | None = None,
    raw: bool = False,
    run: Mapping[str, Any] | None = None,
    style_fps: Fps | None = None,
) -> Motion:
    """The performance of a face that says `sound`: ceil(duration · fps) frames.

    `fps` defaults to the model's own rate; another is resampled exactly. `gains` strengthen or calm parts of the face
    (see `artalk.edit.PARTS`). `sample_rate` is for sound given as an array. The same seed gives the same motion.
    `style`, `style_strength` and `style_fps` are those of `condition`, `raw` and `run` those of `generator`.
    """
    audio = listen(sound, sample_rate)
    made = generator(model, raw, run)
    motion = made.generate(audio, condition(made, style, style_strength, style_fps), seed)
    if fps is not None:
        motion = motion.resample(fps, frames=audio.frames_at(exact_fps(fps)))
    if gains:
        from artalk.edit import scaled

        motion = scaled(motion, gains)
    return motion


def stream(
    *,
    model: Location = LIVE,
    style: Style | None = None,
    style_strength: float = 1.0,
    seed: int = 0,
    sample_rate: int | None = None,
    raw: bool = False,
    run: Mapping[str, Any] | None = None,
    style_fps: Fps | None = None,
) -> Stream:
    """A live session: `feed` it blocks of sound, get pieces of motion; see `artalk.generators.generator.Stream`."""
    made = generator(model, raw, run)
    return made.stream(condition(made, style, style_strength, style_fps), seed, sample_rate)


def condition(made: Generator, style: Style | None, strength: float = 1.0, fps: Fps | None = None) -> Condition:
    """What a generator is asked for by `style`: the path of a video, a capture or motion, what `style_from` found,
    motion, a name or a mix of names.

    A mix is a table of shares, or "smiling:0.7,lively:0.3". `strength` 0 ignores the style, above 1 exaggerates it.
    Paths and styles are put into the model's `terms` (see `artalk.prepare.terms`); motion is followed as it is. `fps`
    is the rate of a capture that does not say its own, and refused for all else.
    """
    from artalk.generators.generator import Condition

    if style is not None:
        made.check(Condition(""))  # before any file is read: who follows no style needs none
    if not isinstance(style, str | PathLike):
        _expect_no_rate(fps, "none")
        return Condition(_given(style, made), strength)
    name = fspath(style)
    from artalk.generators.mixing import mix

    named = [part.partition(":")[0].strip() for part in name.split(",")]
    if set(named) <= set(made.styles):
        _expect_no_rate(fps, name)
        return Condition(mix(name), strength)
    path = Path(name)
    if not path.exists():
        known = f"one of {', '.join(made.styles)}, a mix such as {made.styles[0]}:0.7, " if made.styles else ""
        unknown = [part for part in named if part not in made.styles]
        if made.styles and len(unknown) < len(named):
            raise BadInput(
                f"a mix is of styles that {made.name!r} knows ({', '.join(made.styles)}), got {unknown[0]!r}"
            )
        near = get_close_matches(unknown[0], made.styles, 1)
        meant = f"; did you mean {near[0]}?" if near else ""
        raise MissingFile(
            f"a style is {known}a video, a capture or motion, got {name!r}, and there is no such file{meant}"
        )
    return Condition(_followed(path, made, fps), strength)


def _given(
    style: Motion | PersonStyle | Mapping[str, float] | None, made: Generator
) -> Motion | Mapping[str, float] | None:
    """A style that is no file: none, shares of names, motion, or what was found of a person."""
    if isinstance(style, Motion):
        return retarget(style, made.channels)
    if style is None or isinstance(style, Mapping):
        return style
    return _in_terms(style.motion, style.face, made)


def _expect_no_rate(fps: Fps | None, name: str) -> None:
    if fps is not None:
        raise BadInput(f"--source-fps is the rate of a capture that --style names, it names {name}")


def _followed(path: Path, made: Generator, fps: Fps | None) -> Motion:
    """A video, a capture or motion as a style clip for a generator: FLAME's stays FLAME's for one that is FLAME's."""
    from artalk import captures
    from artalk.prepare import captured
    from artalk.prepare import style as styles

    if is_video(path):
        captured.expect_no_rate(fps, path, "a video")
        facts = path.stat()
        seen = _video_style(path.resolve(), facts.st_size, facts.st_mtime_ns)
        return _in_terms(seen.motion, seen.face, made)
    if not captured.is_meant(path):
        return _in_terms(_loaded(path, fps), "", made)
    found = captured.read(path, fps)
    if not isinstance(found, captures.Capture) or found.motion.channels != made.channels:
        found = captured.solve(found)
    clip = found.motion if found.seen.all() else styles.sample(found.motion, found.seen)
    return _in_terms(clip, styles.face_of(path), made)


def _in_terms(style: Motion, face: str, made: Generator) -> Motion:
    """A person's motion, solved on `face`, as what the generator learnt from would show that person."""
    from artalk.generators.living import trained
    from artalk.prepare import terms

    clip, model = retarget(style, made.channels), trained(made)
    if clip.channels != ARKIT or model is None:
        return clip
    return terms.fitting(clip, face, terms.of(model.card, model.facts.get("rules", ())))


def prepare(
    video: Location,
    *,
    face: str = "head",
    which: Which = "largest",
    offset: float | Literal["auto"] | None = None,
    smooth: bool = True,
    model: Location | None = None,
    progress: Progress | None = None,
    met: Person | None = None,
) -> Prepared:
    """Motion from a video of a face: `prepare("me.mp4").motion`, with what it is worth in `.quality`.

    `face` is the model that is solved on, "head" (built in) or "ict" (see `artalk assets`); `which` of several faces;
    `offset` in seconds by which the picture comes after the sound, "auto" for what is found; `met` is who it is by
    several videos (`meet`). `model` is MediaPipe's face landmarker (default: the asset `face-landmarker`). Needs the
    extra `track`.
    """
    from artalk.prepare.video import Wishes
    from artalk.prepare.video import prepare as prepare_video
    from artalk.rigs.head import head

    wishes = Wishes(which, offset, smooth)
    task = prepare_check(face, model)
    others = () if face == "head" else (head(),)
    return prepare_video(Path(video), task, wishes, face_model(face), others, progress, met)


def meet(
    videos: Sequence[Location], *, face: str = "head", which: Which = "largest", model: Location | None = None
) -> Person | None:
    """Who it is in short videos of one person, whose `prepare` is better for knowing it: see `prepare.people`.

    None where no two of them show the same person. Needs the extra `track`.
    """
    from artalk.prepare.video import meet as meet_in_videos

    task = prepare_check(face, model)
    return meet_in_videos([Path(video) for video in videos], task, which, face_model(face))


def face_model(name: str) -> Landmarks:
    """The face model, "head" or "ict", on which `prepare` solves."""
    from artalk import assets
    from artalk.data.landmarks import head_face, ict_face
    from artalk.rigs import ict

    return head_face() if name == "head" else ict_face(ict.load(assets.get("ict")))


def prepare_check(face: str = "head", model: Location | None = None) -> Path:
    """The landmarker's file, or what `prepare` lacks, as the error that it would raise."""
    from artalk import assets

    if face not in ("head", "ict"):
        raise BadInput(f"a video is solved on head or ict, got {face!r}")
    if face == "ict":
        assets.get("ict")
    if model is not None and not Path(model).is_file():
        raise MissingFile(f"the face landmarker's model is a .task file, none is at {str(model)!r}")
    task = Path(model) if model is not None else assets.get("face-landmarker")
    needs("mediapipe", "track", "tracking faces")
    return task


def style_from(
    source: Location | Sequence[Location],
    *,
    which: Which = "largest",
    model: Location | None = None,
    fps: Fps | None = None,
    progress: Progress | None = None,
) -> PersonStyle:
    """A person's way of moving: of a video as `prepare` tracks it, of a capture or of a motion file, or of several.

    Several videos of a person know them better together (`meet`). `fps` is the rate of a capture that does not say its
    own. See `artalk.prepare.style`. Raises `BadInput` where a face is seen for less than 2 seconds, or a rate is said
    of what has one.
    """
    from artalk.prepare import style as styles

    if isinstance(source, str | PathLike):
        return _style_of(Path(source), which, model, fps, progress)
    paths = [Path(each) for each in source]
    if not paths:
        raise BadInput("a style is of one recording at least, got none")
    videos = [path for path in paths if is_video(path)]
    met = meet(videos, which=which, model=model) if len(videos) > 1 else None
    parts = [_style_of(path, which, model, fps, progress, met) for path in paths]
    return parts[0] if len(parts) == 1 else styles.joined(parts)


def _style_of(
    path: Path,
    which: Which,
    model: Location | None,
    fps: Fps | None,
    progress: Progress | None,
    met: Person | None = None,
) -> PersonStyle:
    """The style of one recording."""
    from artalk.prepare import captured
    from artalk.prepare import style as styles

    if captured.is_meant(path):
        return styles.style_of_capture(captured.take(path, fps).capture, styles.face_of(path))
    if is_video(path):
        captured.expect_no_rate(fps, path, "a video")
        return styles.style_of(prepare(path, which=which, model=model, progress=progress, met=met))
    motion = _loaded(path, fps)
    return styles.style(motion, np.ones(len(motion), np.bool_))


def is_video(path: Location) -> bool:
    """Whether a file's name is that of a video."""
    from artalk.prepare.film import SUFFIXES

    return Path(path).suffix.lower() in SUFFIXES


def load(path: Location, **options: Any) -> Motion:
    """Motion from a file, by its suffix, with the options of its format: `load("take.csv", fps=30)`."""
    return files.load(Path(path), **options)


def _loaded(path: Path, fps: Fps | None) -> Motion:
    """Motion from a file, read at a rate where one is said."""
    return load(path) if fps is None else load(path, fps=fps)


def retarget(motion: Motion, to: Channels | str, *, per_frame: bool = False) -> Motion:
    """Motion in other channels, mapped by name: `retarget(motion, "oculus")`.

    To and from FLAME goes by the user's map (docs/flame.md), or with `per_frame` by fitting every frame to the face.
    """
    from artalk import mapping

    return mapping.retarget(motion, to, per_frame)


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


@cache
def _video_style(path: Path, size: int, changed: int) -> PersonStyle:
    """The style of a video: tracked once in a process, as long as the file does not change."""
    return style_from(path)
