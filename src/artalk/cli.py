"""The command line: one function a verb. Results go to stdout, talk and progress to stderr."""

import io
import json
import logging
import os
import re
import shutil
import signal
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Table

from artalk import __version__, api, batch, edit
from artalk.audio import Audio
from artalk.channels import ARKIT, FLAME, FLAME112
from artalk.errors import ArtalkError, BadAudio, BadFile, BadInput, MissingFile
from artalk.formats import files, npz
from artalk.motion import Motion, exact_fps
from artalk.resampler import HIGHEST_RATE, LOWEST_RATE

app = typer.Typer(
    name="artalk",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
assets_app = typer.Typer(help="Heads and weights that you add yourself.", no_args_is_help=False)
app.add_typer(assets_app, name="assets")
style_app = typer.Typer(help="Ways of moving, to follow with --style.", no_args_is_help=True)
app.add_typer(style_app, name="style")

talk = Console(stderr=True, highlight=False, soft_wrap=True)

# typer brings a click of its own in some versions and uses the installed one in others: take the class from typer.
_ClickException: Any = typer.BadParameter.__mro__[2]

Outputs = Annotated[
    list[str] | None,
    typer.Option("-o", "--output", help="A file (its suffix says what), a folder for several inputs, or - for stdout."),
]
To = Annotated[str | None, typer.Option("--to", help="Formats, when -o is a folder or -: csv,mp4,glb …")]
Rig = Annotated[str, typer.Option("--rig", help="head, ict, flame, or the path of your avatar (.glb, .gltf, .vrm).")]
Size = Annotated[str, typer.Option("--size", help="Of pictures: 512, or 1920x1080.")]
Channel = Annotated[
    int | None, typer.Option("--channel", help="Of several channels hear this one, from 0 (default: their mean).")
]
FpsOption = Annotated[str | None, typer.Option("--fps", help="Frame rate: 24, 29.97, 60 … (default: as it is made).")]
SourceFps = Annotated[
    str | None, typer.Option("--source-fps", help="Read the file at this rate, where it does not say its own.")
]
CaptureFps = Annotated[
    str | None, typer.Option("--source-fps", help="Read captures at this rate, where they do not say their own.")
]
Options = Annotated[
    list[str] | None,
    typer.Option("--option", help="NAME=VALUE for a format: degrees=true, first=01:00:00:00, expressions=camelCase."),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress, no summary.")]
Json = Annotated[bool, typer.Option("--json", help="A report for programs, on stdout.")]
Backend = Annotated[str, typer.Option("--backend", help="Renderer: auto, gl or raster.")]


def _version(asked: bool) -> None:
    if asked:
        print(f"artalk {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say which version this is, and end.")
    ] = False,
) -> None:
    """Turn speech into a 3D head's performance."""


@app.command()
def animate(
    sounds: Annotated[list[str], typer.Argument(help="Sound files of any kind, or - for standard input.")],
    output: Outputs = None,
    to: To = None,
    model: Annotated[
        str,
        typer.Option("--model", help=f"The generator: {', '.join(api.MODELS)}, a .pt of the release or an .onnx file."),
    ] = api.MODELS[0],
    style: Annotated[
        str | None,
        typer.Option("--style", help="A way of moving: a video, a capture, a name or a mix (smiling:0.3,broad:0.5)."),
    ] = None,
    style_strength: Annotated[
        float,
        typer.Option("--style-strength", help="0 is no style, 0.5 half of it, 1 all of it, above 1 more than it."),
    ] = 1.0,
    source_fps: Annotated[
        str | None, typer.Option("--source-fps", help="Read a capture given as --style at this rate.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Another seed: other blinks, gaze and head; the same lips.")] = 0,
    raw: Annotated[bool, typer.Option("--raw", help="Without the released model's smoothing.")] = False,
    fast: Annotated[
        bool, typer.Option("--fast", help="The released model faster, less exactly: docs/released.md.")
    ] = False,
    device: Annotated[str | None, typer.Option("--device", help="Of the released model: cpu, cuda, cuda:1.")] = None,
    run: Annotated[
        list[str] | None,
        typer.Option(
            "--run", help="NAME=VALUE: temperature, top_p, sound_guidance; of the released model encoder=bfloat16."
        ),
    ] = None,
    channel: Channel = None,
    fps: FpsOption = None,
    rig: Rig = "head",
    size: Size = "512",
    gain: Annotated[
        list[str] | None, typer.Option("--gain", help="PART=FACTOR: lips, cheeks, brows, blinks, lids, gaze, head.")
    ] = None,
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, help="Files worked on at once.")] = 1,
    force: Annotated[bool, typer.Option("--force", help="Do finished files again.")] = False,
    backend: Backend = "auto",
    option: Options = None,
    json_report: Json = False,
    quiet: Quiet = False,
) -> None:
    """Speech in, performance out: video, Live Link, GLB, mouth cues and more.

    artalk animate hello.wav -o hello.mp4 -o hello.csv

    artalk animate takes/*.wav -o out/ --to csv,mp4 --jobs 2
    """
    settings = {
        "version": __version__,
        "model": model,
        "style": style,
        "style_strength": style_strength,
        "source_fps": source_fps,
        "seed": seed,
        "raw": raw,
        "run": _running(fast, device, run or []),
        "channel": channel,
        "fps": fps,
        "rig": rig,
        "size": _size(size),
        "gains": _gains(gain or []),
        "backend": _backend(backend),
        "options": _options(option or []),
    }
    if output == ["-"]:
        _check(settings, quiet=True)
        _animate_to_stdout(sounds, to, settings)
        return
    work = _plan(sounds, output, to, settings)
    _check(settings, quiet, tuple(path for job in work for path in job.outputs))
    outcomes = [_do(work[0], quiet)] if _is_single(output) else _run(work, jobs, force, quiet)
    _report(outcomes, json_report, quiet)


@app.command()
def render(
    motion: Annotated[str, typer.Argument(help="A motion file: .npz, .csv, .json, .glb …")],
    output: Annotated[str, typer.Option("-o", "--output", help=".mp4, .webm, .gif, .png or a folder of PNG frames.")],
    audio: Annotated[str | None, typer.Option("--audio", help="The sound that goes with it.")] = None,
    rig: Rig = "head",
    size: Size = "512",
    fps: FpsOption = None,
    source_fps: SourceFps = None,
    backend: Backend = "auto",
    quiet: Quiet = False,
) -> None:
    """Show motion on a rig, as video or pictures."""
    moving = _read(motion, source_fps)
    if fps is not None:
        moving = moving.resample(fps)
    target = Path(output)
    if output in ("", "-") or target.suffix.lower() not in (*api.PICTURES, ""):
        raise BadInput(f"render writes {', '.join(api.PICTURES)} or a folder, got {output!r}; see artalk retarget")
    with _bar(f"drawing {target.name}", quiet) as progress:
        clip = api.render(moving, _face(rig, quiet), audio, size=_size(size), backend=_backend(backend))
        clip.save(target, progress)
    _say(f"wrote {target}", quiet)


@app.command()
def retarget(
    motion: Annotated[str, typer.Argument(help="A motion file.")],
    output: Annotated[str, typer.Option("-o", "--output", help="Where to, in any motion format, or - for stdout.")],
    to: Annotated[str | None, typer.Option("--to", help="arkit, flame, oculus, vrm … (default: as it is).")] = None,
    file_format: Annotated[str | None, typer.Option("--format", help="The format, when -o is -: csv, json …")] = None,
    fps: FpsOption = None,
    source_fps: SourceFps = None,
    audio: Annotated[
        str | None, typer.Option("--audio", help="The sound that goes with it, or that cues name.")
    ] = None,
    rig: Rig = "head",
    per_frame: Annotated[
        bool, typer.Option("--per-frame", help="To or from FLAME: fit the face of every frame, not by the map.")
    ] = False,
    option: Options = None,
    quiet: Quiet = False,
) -> None:
    """Motion into other channels, another frame rate or another file format."""
    moving = _read(motion, source_fps)
    if to is not None:
        moving = api.retarget(moving, to, per_frame=per_frame)
    if fps is not None:
        moving = moving.resample(fps)

    def write(path: Path) -> None:
        face = _face(rig, quiet) if _shows(path) else rig
        api.save(moving, path, rig=face, audio=audio, **_options(option or []))

    if output == "-":
        _to_stdout(file_format, "--format", write)
        return
    if file_format is not None:
        raise BadInput(f"--format is for -o -, the suffix of {output!r} says the format")
    write(Path(output))
    _say(f"wrote {output}", quiet)


@app.command()
def convert(
    source: Annotated[str, typer.Argument(help="The official release's checkpoint or style clip, a .pt.")],
    output: Annotated[
        str, typer.Option("-o", "--output", help="A checkpoint: .safetensors or .released.onnx; a clip: .npz.")
    ],
    weights: Annotated[str, typer.Option("--weights", help="In ONNX: float32, float16 or int8.")] = "float32",
    quiet: Quiet = False,
) -> None:
    """Turn files of the official release into ours; nothing in them is executed.

    artalk convert ARTalk_wav2vec.pt -o artalk.safetensors
    """
    api.convert(source, output, weights)
    _say(f"wrote {output}", quiet)


@app.command()
def show(
    file: Annotated[str, typer.Argument(help="Motion, a capture, a sound, an avatar, a corpus, or a model.")],
    plot: Annotated[str | None, typer.Option("--plot", help="Draw the curves into this picture.")] = None,
    source_fps: SourceFps = None,
    json_report: Json = False,
) -> None:
    """Say what is in a file."""
    facts, words = _facts(Path(file), plot, source_fps)
    print(json.dumps(facts, indent=1) if json_report else words)


@app.command()
def prepare(
    videos: Annotated[list[str], typer.Argument(help="Videos of a face, captures, or a folder of them.")],
    output: Outputs = None,
    to: To = None,
    which: Annotated[str, typer.Option("--face", help="Of several faces: largest, left or right.")] = "largest",
    offset: Annotated[
        str | None, typer.Option("--offset", help="Seconds by which the picture comes after the sound, or auto.")
    ] = None,
    fps: FpsOption = None,
    source_fps: CaptureFps = None,
    solve_on: Annotated[str, typer.Option("--solve-on", help="The face model: head or ict.")] = "head",
    raw: Annotated[bool, typer.Option("--raw", help="Without smoothing.")] = False,
    model: Annotated[
        str | None, typer.Option("--model", help="MediaPipe's face landmarker (default: the asset).")
    ] = None,
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, help="Videos worked on at once.")] = 1,
    recipe: Annotated[
        str | None, typer.Option("--recipe", help="Of a folder: what it is, a .toml file or a name such as grid.")
    ] = None,
    ray: Annotated[str | None, typer.Option("--ray", help="Of a folder: a Ray cluster's address, or local.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Do finished videos again.")] = False,
    json_report: Json = False,
    quiet: Quiet = False,
) -> None:
    """Videos of a face or captures in, motion out, with a report of what it is worth; a folder becomes a corpus.

    artalk prepare me.mp4 -o me.npz -o look.mp4

    artalk prepare take.csv -o take.npz -o look.mp4

    artalk prepare takes/*.mp4 -o out/ --to npz,mp4,png

    artalk prepare takes/ -o corpus/ --jobs 2

    A .mp4 or .webm shows video and rig side by side (of a capture the rig alone), a .png the curves; all others are
    formats of motion. A folder that was begun goes on where it was.
    """
    if recipe is not None or ray is not None or any(_is_collection(Path(video)) for video in videos):
        face = None if which == "largest" else which
        _refuse_for_folders(to=to, offset=offset, fps=fps, source_fps=source_fps, raw=raw, face=face)
        _collect(videos, output, (recipe, ray, jobs, force, solve_on, model), json_report, quiet)
        return
    settings = {
        "version": __version__,
        "style": None,
        "rig": "head",
        "which": which,
        "offset": _offset(offset),
        "fps": fps,
        "source_fps": source_fps,
        "face": solve_on,
        "smooth": not raw,
        "model": model,
    }
    _expect_formats(videos, output, to)
    _check_prepare(videos, settings)
    work = [_beside(job) for job in _plan(videos, output, to, settings)]
    _no_two_alike(work)
    if _is_single(output):
        with _bar(f"preparing {work[0].source.name}", quiet) as progress:
            outcomes = [batch.Outcome(work[0], "done", result=_prepare_with(work[0], progress))]
    else:
        outcomes = _run(work, jobs, force, quiet, _prepare)
    _report(outcomes, json_report, quiet)


@app.command()
def shards(
    corpus: Annotated[str, typer.Argument(help="The folder of a corpus.")],
    output: Annotated[str, typer.Option("-o", "--output", help="The folder for the shards.")],
    name: Annotated[str, typer.Option("--name", help="What the archives are called.")] = "corpus",
    megabytes: Annotated[int, typer.Option("--megabytes", min=1, help="About how large each is.")] = 256,
    least: Annotated[int, typer.Option("--least", min=1, help="At least so many.")] = 1,
    private: Annotated[bool, typer.Option("--private", help="For your own machines: terms may be missing.")] = False,
    quiet: Quiet = False,
) -> None:
    """Pack a corpus into a few large tar archives, to train from on many machines or to share."""
    from artalk.data.shards import open_corpus, write

    made = write(open_corpus(corpus), Path(output), name, megabytes << 20, private, least)
    count = len(list(made.folder.glob(f"{name}-*.tar")))
    _say(f"wrote {count} shard{'s' * (count > 1)} with {len(made)} clips into {output}", quiet)


@style_app.command("from")
def style_from(
    sources: Annotated[
        list[str], typer.Argument(help="A video of a person who talks, a capture, or motion; several of one person.")
    ],
    output: Annotated[str, typer.Option("-o", "--output", help="Where the style goes: me.style.npz.")],
    plot: Annotated[str | None, typer.Option("--plot", help="Draw what it shows into this picture.")] = None,
    which: Annotated[str, typer.Option("--face", help="Of several faces: largest, left or right.")] = "largest",
    model: Annotated[
        str | None, typer.Option("--model", help="MediaPipe's face landmarker (default: the asset).")
    ] = None,
    source_fps: CaptureFps = None,
    json_report: Json = False,
    quiet: Quiet = False,
) -> None:
    """A person's way of moving out of a video or a capture, to follow with --style.

    artalk style from me.mp4 -o me.style.npz

    artalk style from monday.mp4 friday.mp4 -o me.style.npz
    """
    from artalk.prepare import style

    target = _writable(Path(output))
    fps = None if source_fps is None else exact_fps(source_fps)
    with _bar(f"reading {', '.join(Path(source).name for source in sources)}", quiet) as progress:
        found = api.style_from(sources, which=_which(which), model=model, fps=fps, progress=progress)
    style.save(found, target)
    if plot:
        style.draw(found, Path(plot))
    if json_report:
        print(json.dumps(found.as_dict(), indent=1))
    _say(f"wrote {output}\n{found.words()}", quiet)


@app.command()
def train(
    recipe: Annotated[str, typer.Argument(help="A recipe: a .toml file, or a name such as default.")],
    corpus: Annotated[str | None, typer.Argument(help="The folder of a corpus.")] = None,
    output: Annotated[
        str | None, typer.Option("-o", "--output", help="The run's folder; a run goes on where it ended.")
    ] = None,
    data: Annotated[
        str | None, typer.Option("--data", help="Instead of a corpus: a folder of videos or captures of a person.")
    ] = None,
    rehearse: Annotated[
        str | None, typer.Option("--rehearse", help="A second corpus, so that what it shows is not forgotten.")
    ] = None,
    threads: Annotated[int | None, typer.Option("--threads", min=1, help="CPU threads (default: all).")] = None,
    workers: Annotated[int, typer.Option("--workers", min=1, help="Processes that read the corpus ahead.")] = 1,
    quiet: Quiet = False,
) -> None:
    """Train a model by a recipe; the same command goes on with a run that was stopped.

    artalk train default corpus/ -o run/

    artalk train personalise --data me/

    torchrun --nproc-per-node 4 -m artalk.cli train default corpus/ -o run/
    """
    from artalk import config, cookbook
    from artalk.data.shards import open_corpus
    from artalk.errors import needs

    if (corpus is None) == (data is None):
        raise BadInput("train on a corpus or, with --data, on a folder of recordings: one of the two")
    if output is None and data is None:
        raise BadInput("say where the run goes: -o RUN")
    torch = needs("torch", "train", "training")
    from artalk.train import adapt
    from artalk.train.loop import train as learn
    from artalk.train.recipe import Recipe

    if threads is not None:
        torch.set_num_threads(threads)
    asked = config.load(Recipe, cookbook.find(recipe, cookbook.TRAININGS))
    run = Path(output or f"{Path(data or '').resolve().name}-run")
    adapt.base(asked)  # what is missed is missed before recordings are prepared
    others = None if rehearse is None else open_corpus(rehearse)
    learnt = open_corpus(corpus) if corpus else adapt.person(_recordings(str(data), run, quiet))
    if data is not None and (short := adapt.shortage(learnt)):
        _say(short, quiet)
    kept = learn(asked, learnt, run, _training(quiet), others, workers)
    for stage, path in kept.items():
        _say(f"{stage}: {path}", quiet)
    if asked.init:
        _adapted(next(iter(kept.values())), run / "model.onnx", quiet)


@app.command()
def evaluate(
    corpus: Annotated[str, typer.Argument(help="The folder of a corpus; its validation split is judged on.")],
    models: Annotated[
        list[str],
        typer.Argument(help="artalk, artalk-live, rest, mean, rules, nearest, or files: .onnx, .safetensors."),
    ],
    clips: Annotated[int, typer.Option("--clips", min=1, help="How many clips at most.")] = 80,
    source: Annotated[str | None, typer.Option("--source", help="Only clips of this source.")] = None,
    rig: Rig = "head",
    free: Annotated[bool, typer.Option("--free", help="Without a sample of the speaker's style.")] = False,
    silent: Annotated[bool, typer.Option("--any", help="Also speech without measured motion.")] = False,
    plot: Annotated[str | None, typer.Option("--plot", help="Draw the figures into this picture.")] = None,
    json_report: Json = False,
    quiet: Quiet = False,
) -> None:
    """Judge models and baselines on held-out clips: lips, closures, blinks, head, seeds, style.

    artalk evaluate corpus/ rules nearest run/generator/best.safetensors
    """
    from artalk.data.shards import open_corpus
    from artalk.evaluate import face, judge, performers, report

    held = open_corpus(corpus)
    measured = face.of_rig(_blendshapes(rig))
    entries = judge.chosen(held, clips, source, with_motion=not silent)
    if not entries:
        raise BadInput(f"{corpus!r} has no held-out clips of that kind")
    judged = [] if silent else [judge.truth(held, entries, measured)]
    for name in models:
        with _bar(f"judging {name}", quiet) as progress:
            performer = performers.performer(name, held)
            judged.append(judge.judge(performer, held, entries, measured, not free, progress))
    if plot:
        report.plot(judged, Path(plot))
    print(report.as_json(judged) if json_report else report.words(judged, corpus))


@app.command()
def export(
    model: Annotated[str, typer.Argument(help="A trained .safetensors.")],
    output: Annotated[str, typer.Option("-o", "--output", help="The .onnx to write.")],
    weights: Annotated[str, typer.Option("--weights", help="Stored as float32, float16 or int8.")] = "float16",
    quiet: Quiet = False,
) -> None:
    """Turn a trained model into the one file that animate runs, and say what it deviates by."""
    _export(model, Path(output), weights, quiet)


@app.command()
def live(
    to: Annotated[list[str], typer.Option("--to", help="livelink://HOST:PORT, vmc://HOST, ifacialmocap://HOST; more.")],
    file: Annotated[str | None, typer.Option("--file", help="A sound file, at the pace at which it is heard.")] = None,
    mic: Annotated[bool, typer.Option("--mic", help="The microphone (extra live).")] = False,
    pcm: Annotated[
        int | None, typer.Option("--pcm", help="Raw sound on standard input, of so many samples a second.")
    ] = None,
    burst: Annotated[
        bool, typer.Option("--burst", help="The sound of --pcm comes faster than it is spoken, and waits for its time.")
    ] = False,
    test: Annotated[
        bool, typer.Option("--test", help="No sound: jaw, blink, smile and head in turn, to see whether all works.")
    ] = False,
    device: Annotated[str | None, typer.Option("--device", help="Name or number of the microphone.")] = None,
    loop: Annotated[bool, typer.Option("--loop", help="The file again and again.")] = False,
    channel: Channel = None,
    model: Annotated[str, typer.Option("--model", help="The generator.")] = api.LIVE,
    style: Annotated[str | None, typer.Option("--style", help="A way of moving, as for animate.")] = None,
    seed: Annotated[int, typer.Option("--seed", help="Another seed: other blinks, gaze and head; the same lips.")] = 0,
    fps: Annotated[str, typer.Option("--fps", help="Frames a second that go out.")] = "60",
    gain: Annotated[list[str] | None, typer.Option("--gain", help="PART=FACTOR, as for animate.")] = None,
    quiet: Quiet = False,
) -> None:
    """Drive other tools while somebody speaks: Live Link Face, VMC, iFacialMocap.

    artalk live --mic --to livelink://192.168.1.20 --to vmc://localhost:39539

    piper --model VOICE --output-raw | artalk live --pcm 22050 --burst --to vmc://localhost

    artalk live --test --to vmc://localhost
    """
    from artalk.live import trial
    from artalk.live.output import open_output
    from artalk.live.performance import Performance
    from artalk.live.source import File, Microphone, Pipe

    if test:
        _refuse_for_test(
            mic=mic, file=file, pcm=pcm, burst=burst, device=device, loop=loop, channel=channel, style=style, gain=gain
        )
        _perform(trial.Trial([open_output(url) for url in to], exact_fps(fps)), lambda: trial.SAYS, quiet)
        return
    if [mic, file is not None, pcm is not None].count(True) != 1:
        raise BadInput("say what to hear: --mic, --file SOUND or --pcm RATE, one of them (--test needs none)")
    if file is None and (channel is not None or loop):
        raise BadInput("--channel and --loop are for --file: other sound has one channel, and comes as it comes")
    if device is not None and not mic:
        raise BadInput(f"--device is for --mic: leave out --device {device}")
    if burst and pcm is None:
        raise BadInput("--burst is for --pcm: leave it out")
    if pcm is not None:
        _check_pcm(pcm)
    outputs = [open_output(url) for url in to]
    rate, gains, generator = exact_fps(fps), _gains(gain or []), api.generator(model)
    wish = api.condition(generator, style).style
    if pcm is not None:
        source = Pipe(io.BufferedReader(io.FileIO(sys.stdin.fileno(), closefd=False)), pcm, burst)
    else:
        source = Microphone(device) if file is None else File(api.listen(file, channel=channel), loop)
    performance = Performance(generator, source, outputs, rate, seed, wish, gains)
    ended = _perform(performance, lambda: f"the face is {performance.delay:.2f} s behind the sound", quiet)
    if source.lost:
        _say(f"sound of the microphone was lost {source.lost} times: this machine was too busy", quiet)
    if isinstance(source, Pipe):
        _check_heard(source, quiet)
    if mic and ended:  # a microphone that is there has no end
        raise BadInput("the microphone is gone: plug it in and begin again")


@app.command()
def serve(
    host: Annotated[str | None, typer.Option("--host", help="Where to listen (default: this machine only).")] = None,
    port: Annotated[
        int | None, typer.Option("--port", help="Where it answers (default: 8765); 0 takes any that is free.")
    ] = None,
    model: Annotated[str | None, typer.Option("--model", help=f"Who performs (default: {api.LIVE}).")] = None,
    token: Annotated[
        str | None, typer.Option("--token", envvar="ARTALK_TOKEN", help="What clients have to know.")
    ] = None,
    origin: Annotated[list[str] | None, typer.Option("--origin", help="A page of yours that may use this.")] = None,
    config: Annotated[str | None, typer.Option("--config", help="A .toml with all settings and limits.")] = None,
    log_json: Annotated[bool, typer.Option("--log-json", help="Log one JSON object a line.")] = False,
) -> None:
    """The studio page, live sessions over a WebSocket, and whole files over HTTP.

    artalk serve --port 8765
    """
    from artalk.config import from_dict
    from artalk.serve import app as server
    from artalk.serve.settings import Settings
    from artalk.serve.settings import load as load_settings

    wishes = {"host": host, "port": port, "model": model, "token": token, "origins": origin or None}
    said = {name: value for name, value in wishes.items() if value is not None}
    # Together, as an open host in a file may have its token from the environment.
    server.run(load_settings(config, **said) if config else from_dict(Settings, said), log_json)


@assets_app.callback(invoke_without_command=True)
def assets_list(context: typer.Context) -> None:
    """Heads and weights that artalk does not bring: without a command, list what is there and what can be added."""
    if context.invoked_subcommand is None:
        _print_assets()


@assets_app.command("add")
def assets_add(
    kind: Annotated[str, typer.Argument(help="What it is; artalk assets lists the kinds.")],
    path: Annotated[str, typer.Argument(help="The file or folder that you have.")],
) -> None:
    """Add a head or weights from your disk, checked and remembered by SHA-256."""
    from artalk import assets

    asset = assets.add(kind, path)
    print(f"added {asset.kind}: {assets.home() / asset.file}, {asset.size / 1e6:.1f} MB, SHA-256 {asset.sha256}")


@assets_app.command("get")
def assets_get(
    kind: Annotated[str, typer.Argument(help="What to fetch: artalk-released, face-landmarker.")],
    mirror: Annotated[str | None, typer.Option("--from", help="A mirror's https:// address, checked the same.")] = None,
    quiet: Quiet = False,
) -> None:
    """Fetch weights from their public place, checked by size and SHA-256; a fetch that was stopped goes on."""
    from artalk import assets

    place, known = assets.origin(kind), assets.KINDS[kind]
    lines = [f"{kind}: {place.size:,} bytes from {mirror or place.address}", f"checked by SHA-256: {place.sha256}"]
    lines += [f"licence: {known.licence}"] + [f"note: {known.note}"] * bool(known.note)
    talk.print(escape("\n".join(lines)))
    with _download(kind, quiet) as progress:
        asset = assets.fetch(kind, mirror, progress)
    print(f"added {asset.kind}: {assets.home() / asset.file}, {asset.size / 1e6:.1f} MB, SHA-256 {asset.sha256}")


@assets_app.command("fit")
def assets_fit(
    rig: Annotated[str, typer.Option("--rig", help="The head whose shapes are ARKit's: head or ict.")] = "head",
    json_report: Json = False,
) -> None:
    """Solve the map between your FLAME head and ARKit's shapes, keep it, and say its errors."""
    from artalk import assets, mapping
    from artalk.channels import ARKIT_SHAPES

    made = mapping.solve(rig)
    shapes = {
        name: {"moves": moves, "error": error}
        for name, (moves, error) in zip(ARKIT_SHAPES, made.shape_mm.tolist(), strict=True)
    }
    if json_report:
        print(json.dumps({"source": made.source, "errors": made.errors, "shapes_mm": shapes}, indent=1))
        return
    rows = [f"{name:<22}{row['moves']:8.2f}{row['error']:8.2f}" for name, row in shapes.items()]
    print(f"{made.words()}\nkept as {assets.get('flame-map')}\n\n{'shape':<22}{'moves':>8}{'error':>8}  mm")
    print(*rows, sep="\n")


@assets_app.command("remove")
def assets_remove(
    kind: Annotated[str, typer.Argument(help="What to forget; artalk assets lists what is there.")],
) -> None:
    """Delete artalk's copy of an asset; your own files stay."""
    from artalk import assets

    there = any(asset.kind == kind for asset in assets.added())
    assets.remove(kind)
    print(f"removed {kind}" if there else f"{kind} was not here")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; a user's mistake is one sentence and exit code 2."""
    warnings.showwarning = _warn
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal that cannot show a letter gets its number
            stream.reconfigure(errors="backslashreplace")
    logging.basicConfig(level=logging.WARNING, format="artalk: %(message)s", stream=sys.stderr)
    try:
        code = app(list(arguments) if arguments is not None else None, standalone_mode=False)
    except ArtalkError as error:
        _fail(str(error), 2)
    except _ClickException as error:
        if not sys.argv[1:] and arguments is None:
            error.show()  # the help: nothing was asked for
            raise SystemExit(2) from None
        _fail(error.format_message(), 2)
    except (typer.Abort, KeyboardInterrupt):
        _fail("stopped", 130)
    except BrokenPipeError:
        sys.stderr.close()
        raise SystemExit(0) from None
    except OSError as error:
        _fail(f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}", 2)
    raise SystemExit(code if isinstance(code, int) else 0)


# ── what the verbs share ──


def _recordings(folder: str, run: Path, quiet: bool) -> Path:
    """The folder itself where it is a corpus, else the corpus that it becomes beside the run."""
    if any((Path(folder) / index).is_file() for index in ("index.json", "shards.json")):
        return Path(folder)
    from artalk import assets

    # The model that ships has learnt faces that were solved on ICT's; it is the user's to add (docs/personalise.md).
    face = "ict" if any(asset.kind == "ict" for asset in assets.added()) else "head"
    _collect([folder], [str(run / "corpus")], (None, None, 1, False, face, None), False, quiet)
    return run / "corpus"


def _adapted(model: Path, target: Path, quiet: bool) -> None:
    """What a model gained on a person, and the model to animate with."""
    from artalk import checkpoint
    from artalk.train import adapt

    _say(adapt.gained(checkpoint.load(model).card) or "no clip was held out to judge on", quiet)
    if not target.is_file() or target.stat().st_mtime < model.stat().st_mtime:
        _export(str(model), target, "float16", quiet)


def _export(model: str, target: Path, weights: str, quiet: bool) -> None:
    """Write a trained model as .onnx and say what it deviates by."""
    from artalk.errors import needs

    torch = needs("torch", "train", "exporting a model")
    from artalk import checkpoint

    loaded = checkpoint.load(model)
    if target.suffix != ".onnx":
        raise BadInput(f"a model is exported to .onnx, got {str(target)!r}")
    checkpoint.export(loaded, target, weights)  # pyright: ignore[reportArgumentType]  # checked inside
    noise = torch.randn(10 * 16000, generator=torch.Generator().manual_seed(0)) * 0.1
    deviation = checkpoint.deviation(loaded, target, noise)
    size = target.stat().st_size / 1e6
    _say(f"wrote {target}: {size:.1f} MB, {weights}, at most {deviation.largest:.2g} from torch", quiet)


def _training(quiet: bool) -> Callable[[Any], None]:
    """A line that lives on a terminal; elsewhere a line at every check."""

    def report(progress: Any) -> None:
        left = (progress.steps - progress.step) * progress.pace / 60
        line = (
            f"{progress.stage} {progress.step}/{progress.steps}  loss {progress.loss:.4f}  {progress.pace:.2f} s a step"
        )
        line = f"{line}  {left:.0f} min left" if progress.step else f"{progress.stage} before"
        figures = "  ".join(f"{name} {value:.3f}" for name, value in progress.figures.items())
        if quiet or not (figures or talk.is_terminal):
            return
        talk.print(f"{line}  {figures}" if figures else line, end="\n" if figures else "\r")

    return report


def _refuse_for_test(**options: Any) -> None:
    for name, value in options.items():
        if value is not None and value is not False:
            raise BadInput(f"--test moves the face by itself, without sound: leave out --{name}")


def _check_pcm(rate: int) -> None:
    if not LOWEST_RATE <= rate <= HIGHEST_RATE:
        raise BadInput(f"--pcm is samples a second, {LOWEST_RATE} to {HIGHEST_RATE}, got {rate}")
    if sys.stdin is None or sys.stdin.isatty():
        raise BadInput(f"--pcm hears what another program writes: PROGRAM | artalk live --pcm {rate} …")
    os.set_blocking(sys.stdin.fileno(), True)  # else nothing yet would look like the end


def _check_heard(source: Any, quiet: bool) -> None:
    """Say what became of a pipe's sound that was not performed."""
    if not source.came:
        raise BadInput("no sound came on standard input: see what the program before the | says")
    if not source.heard:
        raise BadInput("the sound was over before the face was ready: with --burst it waits for its time")
    if source.ahead > 1:
        _say(f"sound came {source.ahead:.1f} s faster than time goes by: --burst lets it wait for its time", quiet)


def _perform(show: Any, says: Callable[[], str], quiet: bool) -> bool:
    """Run a live show and say how it goes; whether it came to an end by itself."""
    from artalk.live.news import verdict

    try:
        with _sigterm_as_ctrl_c():
            show.run(_watch(show.outputs, quiet), lambda: _say(says(), quiet))
        ended = True
    except KeyboardInterrupt:
        _say("stopped", quiet)
        ended = False
    for output in show.outputs:
        _say(verdict(output), quiet)
    return ended


@contextmanager
def _sigterm_as_ctrl_c() -> Generator[None]:
    """A service that is stopped, or a plain `kill`, ends what runs as Ctrl-C does: the face comes to rest."""
    if threading.current_thread() is not threading.main_thread():  # no other may say what a signal does
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL if before is None else before)


WIDTH = 60
"""Columns of a line that lives on a terminal: a shorter one would leave its end standing."""


def _watch(outputs: Sequence[Any], quiet: bool) -> Callable[[Any], None] | None:
    """Says what changes at the outputs, beside the mouth."""
    from artalk.live.news import News

    news, level = News(outputs), _level(quiet)

    def look(tick: Any) -> None:
        for line in news.lines():
            _say(line.ljust(WIDTH) if level else line, quiet)
        if level:
            level(tick)

    return None if quiet else look


def _level(quiet: bool) -> Callable[[Any], None] | None:
    """A line that shows the mouth, where there is a terminal to look at."""
    if quiet or not talk.is_terminal:
        return None

    def show(tick: Any) -> None:
        if tick.frame % 6 == 0:
            talk.print(f"{tick.seconds:7.1f} s  {'#' * round(40 * tick.jaw):<40}", end="\r")

    return show


def _blendshapes(name: str) -> Any:
    from artalk.rigs.blendshape import BlendshapeRig

    face = api.rig(name)
    if not isinstance(face, BlendshapeRig):
        raise BadInput(f"figures are measured on a rig of blendshapes, {name!r} is none")
    return face


def _animate_to_stdout(sounds: Sequence[str], to: str | None, settings: dict[str, Any]) -> None:
    if len(sounds) != 1:
        raise BadInput(f"-o - writes one motion to stdout, got {len(sounds)} inputs")

    def write(path: Path) -> None:
        audio = api.listen(sounds[0], channel=settings["channel"])
        _save(_make(audio, settings), path, sounds[0], audio, settings)

    _to_stdout(to, "--to", write)


def _check(settings: dict[str, Any], quiet: bool, outputs: tuple[Path, ...] = ()) -> None:
    """Refuse what no input could be worked on with, before any is."""
    for rate in ("fps", "source_fps"):
        if settings[rate] is not None:
            exact_fps(settings[rate])
    stream = api.stream(
        model=settings["model"],
        style=settings["style"],
        style_strength=settings["style_strength"],
        seed=settings["seed"],
        raw=settings["raw"],
        run=settings["run"],
        style_fps=settings["source_fps"],
    )
    if settings["gains"]:
        edit.scaled(stream.nothing, settings["gains"])
    for path in outputs:
        _holdable(stream.nothing, path)
    known = {name for path in outputs for name in _known_options(path)}
    for name in settings["options"]:
        if outputs and name not in known:
            raise BadInput(f"no output has an option {name!r}; there are {', '.join(sorted(known)) or 'none'}")
    if settings["rig"] != "head" and any(_shows(path) for path in outputs):
        _face(settings["rig"], quiet)


@cache
def _rig(name: str) -> Any:
    """A rig, made once in a process."""
    return api.rig(name)


def _face(name: str, quiet: bool) -> Any:
    """A rig; what the user's own avatar lacks is said."""
    face = _rig(name)
    report = getattr(face, "report", None)
    if report is not None and (report.missing or report.approximated):
        _say(f"{name}: {report}", quiet)
    return face


def _make(sound: Any, settings: dict[str, Any]) -> Motion:
    return api.animate(
        sound,
        model=settings["model"],
        style=settings["style"],
        style_strength=settings["style_strength"],
        seed=settings["seed"],
        raw=settings["raw"],
        run=settings["run"],
        fps=settings["fps"],
        gains=settings["gains"],
        style_fps=settings["source_fps"],
    )


def _work(job: batch.Job) -> dict[str, Any]:
    """One input into all its outputs, in this or in a worker process."""
    return _work_with(job, None)


def _work_with(job: batch.Job, bar: Progress | None) -> dict[str, Any]:
    started = time.perf_counter()
    audio = api.listen(str(job.source), channel=job.settings["channel"])
    motion = _make(audio, job.settings)
    for path in job.outputs:
        task = bar.add_task(path.name, total=len(motion)) if bar else None

        def progress(done: int, total: int, task: Any = task) -> None:
            if bar is not None:
                bar.update(task, completed=done, total=total)

        _save(motion, path, str(job.source), audio, job.settings, progress)
        progress(len(motion), len(motion))
    return {
        "frames": len(motion),
        "fps": str(motion.fps),
        "seconds": float(audio.duration),
        "took": time.perf_counter() - started,
    }


def _refuse_for_folders(**options: Any) -> None:
    for option, value in options.items():
        if value:
            name = option.replace("_", "-")
            raise BadInput(f"--{name} is for videos into motion; a folder of recordings becomes a corpus at 25 fps")


def _is_collection(path: Path) -> bool:
    """Whether it is a folder of recordings, and not one capture with a file a frame."""
    from artalk import captures

    return path.is_dir() and not captures.is_capture(path)


def _expect_formats(videos: Sequence[str], output: list[str] | None, to: str | None) -> None:
    """Files into a folder become a motion file each; who wanted a corpus of them is told how it is made."""
    if not output or output[0] in ("", "-") or _is_single(output):
        return
    is_corpus = any((Path(output[0]) / name).is_file() for name in ("index.json", "shards.json"))
    if to is None or is_corpus:
        raise BadInput(
            f"{'files' if len(videos) > 1 else 'a file'} into {'a corpus' if is_corpus else 'a folder'}: a corpus is "
            f"made of a folder of recordings, artalk prepare RECORDINGS/ -o {output[0]}; a motion file of each needs "
            f"formats and a folder of its own, -o FOLDER --to npz,mp4"
        )


def _collect(videos: list[str], output: list[str] | None, how: tuple[Any, ...], json_report: bool, quiet: bool) -> None:
    """Prepare a folder of recordings into a corpus."""
    from artalk.collect import collect

    if len(videos) != 1:
        raise BadInput("a corpus is made of one folder at a time; the next goes into the same corpus")
    if output is None or len(output) != 1 or output[0] in ("", "-") or Path(output[0]).is_file():
        raise BadInput(f"say where the corpus goes, one folder: -o CORPUS, got {' '.join(output or []) or 'nothing'}")
    recipe, ray, jobs, force, face, model = how
    with _bar(f"preparing {Path(videos[0]).name}", quiet) as progress:
        done = collect(
            videos[0],
            output[0],
            recipe,
            processes=jobs,
            ray=ray,
            again=force,
            face=face,
            model=model,
            progress=progress,
        )
    if json_report:
        print(json.dumps({**asdict(done.report), "failed": done.failed}, indent=1))
    _say(done.report.words(), quiet)
    for name, reason in done.failed.items():
        talk.print(escape(f"failed {name}: {reason}"))
    if done.failed:
        raise typer.Exit(1)


_OF_VIDEOS = (
    ("--face", "which", "largest"),
    ("--offset", "offset", None),
    ("--solve-on", "face", "head"),
    ("--raw", "smooth", True),
    ("--model", "model", None),
)
"""What can be said of videos alone, by its name among the settings, and what it is where nothing is said."""


def _check_prepare(videos: Sequence[str], settings: dict[str, Any]) -> None:
    """Refuse what no video or capture could be worked on with, before any is."""
    from artalk.prepare import captured

    if missing := [video for video in videos if not Path(video).exists()]:
        what = "capture" if captured.is_meant(Path(missing[0])) else "video"
        raise MissingFile(f"there is no {what} {missing[0]!r}")
    for rate in ("fps", "source_fps"):
        if settings[rate] is not None:
            exact_fps(settings[rate])
    _which(settings["which"])
    taken = [video for video in videos if captured.is_meant(Path(video))]
    if len(taken) < len(videos):
        api.prepare_check(settings["face"], settings["model"])
    elif idle := [option for option, name, usual in _OF_VIDEOS if settings[name] != usual]:
        raise BadInput(f"{', '.join(idle)}: for videos, which are tracked; {taken[0]} is a capture, which was tracked")
    if not taken:
        captured.expect_no_rate(settings["source_fps"], Path(videos[0]), "a video")


def _prepare(job: batch.Job) -> dict[str, Any]:
    """One video or capture into all its outputs, in this or in a worker process."""
    return _prepare_with(job, None)


def _prepare_with(job: batch.Job, progress: Callable[[int, int], None] | None) -> dict[str, Any]:
    from artalk.prepare import captured, output

    started, settings = time.perf_counter(), job.settings
    if captured.is_meant(job.source):
        return _take(job, progress)
    wishes = {name: settings[name] for name in ("face", "offset", "smooth", "model")}
    done = api.prepare(job.source, which=_which(settings["which"]), progress=progress, **wishes)
    fps = None if settings["fps"] is None else exact_fps(settings["fps"])
    for path in job.outputs:
        output.save(done, path, fps)
    return {
        "frames": len(done.motion),
        "fps": str(done.motion.fps),
        "seconds": done.quality.seconds,
        "took": time.perf_counter() - started,
        "quality": done.quality.as_dict(),
        "words": done.quality.words(),
    }


def _take(job: batch.Job, progress: Callable[[int, int], None] | None) -> dict[str, Any]:
    """One capture into all its outputs: motion as it was measured, the built-in head that performs it, or curves."""
    from artalk.plot import SUFFIXES, plot
    from artalk.prepare import captured

    started, fps = time.perf_counter(), job.settings["fps"]
    taken = captured.take(job.source, job.settings["source_fps"])
    if any(taken.sound and path.exists() and path.samefile(taken.sound) for path in job.outputs):
        raise BadInput(f"{taken.sound} is the sound of {job.source} and would be written over: give another name")
    motion = taken.motion if fps is None else taken.motion.resample(fps)
    for path in job.outputs:
        if path.suffix.lower() in SUFFIXES:
            plot(motion, path)
        else:
            sound = _audible(taken.sound) if path.suffix.lower() in api.PICTURES else taken.sound
            api.save(motion, path, audio=sound, progress=progress)
    return {
        "frames": len(motion),
        "fps": str(motion.fps),
        "seconds": float(motion.duration),
        "took": time.perf_counter() - started,
        "capture": taken.as_dict(),
        "words": taken.words(),
    }


def _audible(sound: Path | None) -> Audio | None:
    """What is to be heard in a file; None in a film without sound."""
    try:
        return None if sound is None else api.listen(sound)
    except BadAudio:
        return None


def _beside(job: batch.Job) -> batch.Job:
    """A job whose pictures are named apart from the recording that they are made of, which is never written over."""
    outputs: list[Path] = []
    for path in job.outputs:
        # In a folder, pictures are one file and not a folder of frames; previews are not called like the video.
        path = path.with_name(f"{path.name}.png") if not path.suffix else path
        same = path.suffix.lower() in (".mp4", ".webm", ".gif") and path.stem == job.source.stem
        outputs.append(path.with_name(f"{path.stem}.preview{path.suffix}") if same else path)
    if any(path.exists() and job.source.exists() and path.samefile(job.source) for path in outputs):
        raise BadInput(f"{job.source} would be written over: give another name")
    return batch.Job(job.source, tuple(outputs), job.settings, job.needs)


def _save(
    motion: Motion,
    path: Path,
    source: str,
    audio: Audio,
    settings: dict[str, Any],
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Write one output: pictures carry the sound itself, other formats can only name it."""
    motion = _holdable(motion, path)
    face = _rig(settings["rig"]) if _shows(path) else settings["rig"]
    if path.suffix.lower() in (*api.PICTURES, ""):
        clip = api.render(motion, face, audio, size=settings["size"], backend=settings["backend"])
        clip.save(path, progress)
        return
    known = _known_options(path)
    options = {name: value for name, value in settings["options"].items() if name in known}
    api.save(motion, path, rig=face, audio=source, **options)


def _holdable(motion: Motion, path: Path) -> Motion:
    """FLAME motion as a file of this name holds it: by the user's map in ARKit's channels, but in .npz and pictures."""
    if motion.channels not in (FLAME, FLAME112) or path.suffix.lower() in (".npz", "", *api.PICTURES):
        return motion
    return api.retarget(motion, ARKIT)


def _shows(path: Path) -> bool:
    return path.suffix.lower() in (*api.PICTURES, "") or files.is_rigged(path)


def _known_options(path: Path) -> tuple[str, ...]:
    """What `--option` can say to the writer of a file."""
    if path.suffix.lower() in (*api.PICTURES, ""):
        return ()
    return tuple(name for name in files.options(path) if name not in ("rig", "sound"))


def _plan(sounds: Sequence[str], output: list[str] | None, to: str | None, settings: dict[str, Any]) -> list[batch.Job]:
    """Which input becomes which files; what cannot be written is refused before any work is done."""
    targets = [target for target in output or [] if target]
    needs = _needs(settings)
    if not targets:
        raise BadInput("say where to: -o FILE, or -o FOLDER --to FORMATS")
    if _is_single(targets):
        if len(sounds) > 1:
            raise BadInput(f"several inputs go into a folder, {targets[0]!r} names a file: -o FOLDER --to FORMATS")
        if to is not None:
            raise BadInput(f"--to is for a folder or -, the suffix of {targets[0]!r} says the format")
        paths = tuple(dict.fromkeys(_writable(Path(target)) for target in targets))
        return [batch.Job(Path(sounds[0]), paths, settings, needs)]
    if len(targets) > 1:
        raise BadInput("several inputs go into one folder: -o FOLDER --to FORMATS")
    if "-" in sounds:
        raise BadInput("what comes from standard input has no name to go into a folder under: give -o FILE")
    suffixes = list(dict.fromkeys(_suffix(name) for name in (to or "").split(",") if name.strip()))
    if not suffixes:
        raise BadInput("a folder needs formats: --to mp4,csv")
    for suffix in suffixes:
        _writable(Path(f"x{suffix}"))
    folder = Path(targets[0])
    if folder.exists() and not folder.is_dir():
        raise BadInput(f"several inputs go into a folder, {str(folder)!r} is a file")
    jobs = [batch.Job(Path(s), tuple(_output(folder, Path(s), x) for x in suffixes), settings, needs) for s in sounds]
    _no_two_alike(jobs)
    return jobs


def _needs(settings: dict[str, Any]) -> tuple[Path, ...]:
    """The files, besides the sound, that outputs depend on."""
    named = [Path(name) for name in (settings["style"], settings["rig"], settings["model"]) if name is not None]
    return tuple(path for path in named if path.is_file())


def _output(folder: Path, source: Path, suffix: str) -> Path:
    """Where an input goes in a folder; the frames of one go into a folder of their own."""
    if suffix == ".png":
        return folder / source.stem.replace(".", "_")
    return folder / f"{source.stem}{suffix}"


def _writable(path: Path) -> Path:
    known = (*files.writable(), *api.PICTURES)
    if not path.name.lower().endswith(known):
        raise BadInput(f"artalk writes {', '.join(known)}, got {path.name!r}")
    if not path.parent.is_dir():
        raise MissingFile(f"no folder {str(path.parent)!r} to write {path.name} into; make it first")
    return path


def _no_two_alike(jobs: Sequence[batch.Job]) -> None:
    taken: dict[Path, Path] = {}
    for job in jobs:
        for path in job.outputs:
            if path in taken:
                raise BadInput(f"{taken[path]} and {job.source} would both become {path}; give them different names")
            taken[path] = job.source


def _do(job: batch.Job, quiet: bool) -> batch.Outcome:
    with _bars(quiet) as bar:
        return batch.Outcome(job, "done", result=_work_with(job, bar))


def _run(
    jobs: Sequence[batch.Job],
    processes: int,
    again: bool,
    quiet: bool,
    work: Callable[[batch.Job], dict[str, Any]] = _work,
) -> list[batch.Outcome]:
    jobs[0].outputs[0].parent.mkdir(parents=True, exist_ok=True)  # all go into one folder
    with _bars(quiet) as bar:
        task = bar.add_task("files", total=len(jobs)) if bar else None
        outcomes: list[batch.Outcome] = []
        for outcome in batch.run(jobs, work, processes, again):
            outcomes.append(outcome)
            if bar is not None and task is not None:
                bar.advance(task)
    return outcomes


def _said(result: dict[str, Any] | None) -> dict[str, Any]:
    """A result for programs: without the words for people."""
    return {name: fact for name, fact in (result or {}).items() if name != "words"}


def _report(outcomes: Sequence[batch.Outcome], json_report: bool, quiet: bool) -> None:
    if json_report:
        rows: list[dict[str, Any]] = [
            {
                "source": str(o.job.source),
                "outputs": [str(path) for path in o.job.outputs],
                "status": o.status,
                "reason": o.reason,
                **_said(o.result),
            }
            for o in outcomes
        ]
        print(json.dumps(rows, indent=1))
    failed = [outcome for outcome in outcomes if outcome.status == "failed"]
    if not quiet:
        _table(outcomes, failed)
    if failed:
        raise typer.Exit(1)


def _table(outcomes: Sequence[batch.Outcome], failed: Sequence[batch.Outcome]) -> None:
    if [outcome.status for outcome in outcomes] == ["done"]:
        outcome = outcomes[0]
        result = outcome.result
        names = ", ".join(str(path) for path in outcome.job.outputs)
        talk.print(
            f"wrote {escape(names)}: {result['frames']} frames at {result['fps']} fps "
            f"for {result['seconds']:.2f} s of {_made_of(result)}, "
            f"in {result['took']:.1f} s"
        )
        if words := result.get("words"):
            talk.print(escape(words))
        return
    counts = {status: sum(o.status == status for o in outcomes) for status in ("done", "skipped", "failed")}
    talk.print(", ".join(f"{count} {status}" for status, count in counts.items()))
    if failed and not talk.is_terminal:
        for outcome in failed:
            talk.print(f"failed {escape(str(outcome.job.source))}: {escape(outcome.reason)}")
    elif failed:
        table = Table("failed", "why", box=None)
        for outcome in failed:
            table.add_row(escape(str(outcome.job.source)), escape(outcome.reason))
        talk.print(table)


def _made_of(result: dict[str, Any]) -> str:
    return "video" if "quality" in result else "capture" if "capture" in result else "sound"


def _to_stdout(name: str | None, option: str, write: Callable[[Path], None]) -> None:
    """What `write` puts into a file of the format called `name`, to stdout."""
    if not name or "," in name or _suffix(name) == ".png":
        raise BadInput(f"-o - needs one format: {option} csv, json, npz, tsv …")
    with tempfile.TemporaryDirectory() as folder:
        path = _writable(Path(folder) / f"motion{_suffix(name)}")
        write(path)
        with path.open("rb") as file:
            shutil.copyfileobj(file, sys.stdout.buffer)
    sys.stdout.buffer.flush()


def _facts(path: Path, plot: str | None, fps: str | None) -> tuple[dict[str, Any], str]:
    if str(path) in api.MODELS or path.suffix.lower() in (".onnx", ".safetensors"):
        return _model_facts(path, plot, fps)
    if str(path) != "-" and not path.exists():
        raise MissingFile(f"nothing is at {str(path)!r}")
    if any((path / name).is_file() for name in ("index.json", "shards.json")):
        return _corpus_facts(path, plot)
    if path.suffix.lower() in (".glb", ".gltf", ".vrm"):
        try:
            return _motion_facts(path, plot, fps)
        except BadFile:
            if plot or fps:
                raise
            return _avatar_facts(path)
    if _is_taken(path):
        return _capture_facts(path, plot, fps)
    if path.name.lower().endswith(files.readable()):
        return _motion_facts(path, plot, fps)
    if plot or fps:
        raise BadInput(f"--plot and --source-fps are for motion, {path.name!r} is none")
    return _sound_facts(path)


def _read(path: str | Path, fps: str | None) -> Motion:
    return api.load(path) if fps is None else api.load(path, fps=exact_fps(fps))


def _motion_facts(path: Path, plot: str | None, fps: str | None) -> tuple[dict[str, Any], str]:
    from artalk.summary import summarise

    motion, report = _read(path, fps), _noted(path)
    _drawn(motion, plot, () if report is None else report.gaps)
    summary = summarise(motion)
    facts, words = summary.as_dict(), summary.words()
    if report is None:
        return facts, words
    return facts | {"quality": report.as_dict()}, f"{words}\n{report.words()}"


def _noted(path: Path) -> Any:
    """The report that `artalk prepare` left in a motion file, None where there is none."""
    if path.suffix.lower() != ".npz" or not (noted := npz.notes(path).get("quality")):
        return None
    from artalk.prepare import quality

    return quality.from_json(noted)


def _is_taken(path: Path) -> bool:
    """Whether it is a capture of another tool: what artalk itself writes is motion."""
    from artalk import captures
    from artalk.captures import beat
    from artalk.formats import table
    from artalk.rigs.glb import parse_json

    if path.suffix.lower() == ".json":
        try:
            return beat.is_beat(parse_json(table.text(path).encode(), path.name))
        except BadFile:
            return False
    if path.suffix.lower() == ".npz" and _is_ours(path):
        return False
    arrays = path.is_dir() or path.suffix.lower() in (".csv", ".npz", ".npy", ".pt", ".pth")
    return arrays and captures.is_capture(path)


def _is_ours(path: Path) -> bool:
    try:
        npz.read(path)
    except BadFile:
        return False
    return True


def _capture_facts(path: Path, plot: str | None, fps: str | None) -> tuple[dict[str, Any], str]:
    """FLAME's coefficients as they are, vertices by their number: nothing is solved for a look."""
    from artalk import captures
    from artalk.prepare import captured
    from artalk.summary import summarise

    found = captures.read(path, fps)
    if isinstance(found, captures.Surface):
        if plot:
            raise BadInput(f"{path.name} holds vertices, which have no curves: artalk prepare makes motion of them")
        return captured.surface_facts(found), captured.surface_words(found)
    _drawn(found.motion, plot)
    summary = summarise(found.motion)
    return summary.as_dict() | {"capture": captured.facts(found)}, f"{summary.words()}\n{captured.words(found)}"


def _drawn(motion: Motion, plot: str | None, gaps: Sequence[tuple[float, float, str]] = ()) -> None:
    if plot:
        from artalk.plot import plot as draw

        draw(motion, Path(plot), gaps)
        talk.print(f"drew {escape(plot)}")


def _corpus_facts(path: Path, plot: str | None) -> tuple[dict[str, Any], str]:
    from artalk.data import folder
    from artalk.data.shards import open_corpus
    from artalk.prepare import corpora

    corpus, tallies = open_corpus(path), folder.tallies(path)
    if plot:
        corpora.draw(corpus, Path(plot))
        talk.print(f"drew {escape(plot)}")
    checked = corpora.check(corpus)
    facts = {
        "clips": [asdict(entry) for entry in corpus.entries],
        "statistics": corpus.statistics,
        "prepared": [asdict(tally) for tally in tallies],
        "quality": [source.as_dict() for source in checked],
    }
    return facts, "\n".join([corpus.words(), *(part.words() for part in (*tallies, *checked))])


def _sound_facts(path: Path) -> tuple[dict[str, Any], str]:
    audio = api.listen(str(path))
    seconds, level = float(audio.duration), _decibels(audio.samples)
    facts = {"seconds": seconds, "sample_rate": audio.sample_rate, "peak_db": level}
    return facts, f"sound: {seconds:.2f} s, {audio.sample_rate} Hz, peak {level:.1f} dB"


def _model_facts(path: Path, plot: str | None, fps: str | None) -> tuple[dict[str, Any], str]:
    from artalk.generators import card, living

    if plot or fps:
        raise BadInput(f"--plot and --source-fps are for motion, {path.name!r} is a model")
    if path.suffix:
        found = card.read(path)
    else:
        model = api.generator(str(path))
        trained = living.trained(model)
        late = float(model.latency)
        found = (
            card.of(trained)
            if trained
            else card.Card(model.name, f"{model.channels.name}, {late:.2f} s late, by rules")
        )
    return found.as_dict(), found.words()


def _avatar_facts(path: Path) -> tuple[dict[str, Any], str]:
    from artalk.rigs import gltf

    report = gltf.load(path).report
    rows = [f"{channel:<22}{how:<14}{name}" for channel, how, name in report.rows()]
    return asdict(report), "\n".join([str(report), "", *rows])


def _print_assets() -> None:
    from artalk import assets

    have = {asset.kind: asset for asset in assets.added()}
    for name, kind in assets.KINDS.items():
        if name in have:
            print(f"{name}: {kind.what}, added, SHA-256 {have[name].sha256}")
            continue
        fetched = f", or artalk assets get {name} ({kind.source.size:,} bytes)" if kind.source else ""
        print(f"{name}: {kind.what}, not added; it is had from {kind.where}: artalk assets add {name} PATH{fetched}")
        if kind.licence:
            print(f"    licence: {kind.licence}")


def _decibels(samples: Any) -> float:
    import numpy as np

    peak = float(np.abs(samples).max()) if len(samples) else 0.0
    return 20 * float(np.log10(max(peak, 1e-6)))


def _is_single(output: Sequence[str] | None) -> bool:
    """Whether `-o` names files rather than a folder."""
    return bool(output) and not _is_folder((output or [""])[0])


def _is_folder(target: str) -> bool:
    return target.endswith("/") or Path(target).is_dir() or not Path(target).suffix


def _suffix(name: str) -> str:
    return f".{name.strip().lstrip('.').lower()}"


def _size(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d{1,6})(?:x(\d{1,6}))?", text.lower(), re.ASCII)
    if found is None:
        raise BadInput(f"a size is 512 or 1920x1080, got {text!r}")
    width, height = found.groups()
    return api.picture_size(int(width), int(height or width))


def _running(fast: bool, device: str | None, texts: Sequence[str]) -> dict[str, Any]:
    """How a model is to be run: what was said, and nothing else."""
    said = {"fast": fast or None, "device": device}
    return {name: value for name, value in said.items() if value is not None} | _options(texts)


def _options(texts: Sequence[str]) -> dict[str, Any]:
    """Options of formats or models: names and texts, but that true and false are truth values."""
    options: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not name or not equals:
            raise BadInput(f"an option is NAME=VALUE such as degrees=true, got {text!r}")
        options[name] = {"true": True, "false": False}.get(value.lower(), value)
    return options


def _gains(texts: Sequence[str]) -> dict[str, float]:
    gains: dict[str, float] = {}
    for text in texts:
        part, _, factor = text.partition("=")
        try:
            gains[part] = float(factor)
        except ValueError:
            raise BadInput(f"a gain is PART=FACTOR such as head=0.5, got {text!r}") from None
    edit.check(gains)
    return gains


def _which(name: str) -> api.Which:
    if name == "largest" or name == "left" or name == "right":
        return name
    raise BadInput(f"of several faces one takes the largest, left or right one, got {name!r}")


def _offset(text: str | None) -> Any:
    """Seconds, "auto" or None."""
    if text is None or text == "auto":
        return text
    try:
        return float(text)
    except ValueError:
        raise BadInput(f"an offset is auto or a number of seconds such as 0.08, got {text!r}") from None


def _backend(name: str) -> api.Backend:
    if name == "auto" or name == "gl" or name == "raster":
        return name
    raise BadInput(f"a backend is auto, gl or raster, got {name!r}")


@contextmanager
def _bars(quiet: bool) -> Generator[Progress | None]:
    if quiet or not talk.is_terminal:
        yield None
        return
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=talk, transient=True) as bar:
        yield bar


@contextmanager
def _bar(title: str, quiet: bool) -> Generator[Callable[[int, int], None] | None]:
    with _bars(quiet) as bar:
        if bar is None:
            yield None
            return
        task = bar.add_task(title, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


@contextmanager
def _download(title: str, quiet: bool) -> Generator[Callable[[int, int], None] | None]:
    """A bar with bytes and pace on a terminal; elsewhere a line at every tenth."""
    if quiet or not talk.is_terminal:
        yield None if quiet else _tenths(title)
        return
    columns = TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn()
    with Progress(*columns, TimeRemainingColumn(), console=talk, transient=True) as bar:
        task = bar.add_task(title, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _tenths(title: str) -> Callable[[int, int], None]:
    said = -1

    def progress(done: int, total: int) -> None:
        nonlocal said
        tenth = 10 * done // total
        if tenth > said:
            said = tenth
            talk.print(escape(f"{title}: {done:,} of {total:,} bytes, {10 * tenth} %"))

    return progress


def _say(text: str, quiet: bool) -> None:
    if not quiet:
        talk.print(escape(text))


def _warn(message: Warning | str, *_: Any) -> None:
    print(f"artalk: warning: {message}", file=sys.stderr)


def _fail(message: str, code: int) -> NoReturn:
    print(f"artalk: {' '.join(message.split())}", file=sys.stderr)
    raise SystemExit(code)


if __name__ == "__main__":
    main()
