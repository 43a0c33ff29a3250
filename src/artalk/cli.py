"""The command line: one function a verb. Results go to stdout, talk and progress to stderr."""

import io
import json
import logging
import re
import shutil
import sys
import tempfile
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
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from artalk import __version__, api, batch, edit
from artalk.audio import Audio
from artalk.errors import ArtalkError, BadFile, BadInput, MissingFile
from artalk.formats import files
from artalk.motion import Motion, exact_fps

app = typer.Typer(
    name="artalk",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
assets_app = typer.Typer(help="Heads and weights that you add yourself.", no_args_is_help=False)
app.add_typer(assets_app, name="assets")

talk = Console(stderr=True, highlight=False, soft_wrap=True)

# typer brings a click of its own in some versions and uses the installed one in others: take the class from typer.
_ClickException: Any = typer.BadParameter.__mro__[2]

Outputs = Annotated[
    list[str] | None,
    typer.Option("-o", "--output", help="A file (its suffix says what), a folder for several inputs, or - for stdout."),
]
To = Annotated[str | None, typer.Option("--to", help="Formats, when -o is a folder or -: csv,mp4,glb …")]
Rig = Annotated[str, typer.Option("--rig", help="head, ict, or the path of your avatar (.glb, .gltf, .vrm).")]
Size = Annotated[str, typer.Option("--size", help="Of pictures: 512, or 1920x1080.")]
FpsOption = Annotated[str | None, typer.Option("--fps", help="Frame rate: 24, 29.97, 60 … (default: as it is made).")]
SourceFps = Annotated[
    str | None, typer.Option("--source-fps", help="Read the file at this rate, where it does not say its own.")
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
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Say which.")] = False,
) -> None:
    """Turn speech into a 3D head's performance."""


@app.command()
def animate(
    sounds: Annotated[list[str], typer.Argument(help="Sound files of any kind, or - for standard input.")],
    output: Outputs = None,
    to: To = None,
    model: Annotated[str, typer.Option("--model", help="The generator.")] = api.MODELS[0],
    style: Annotated[str | None, typer.Option("--style", help="A motion file whose way of moving to follow.")] = None,
    seed: Annotated[int, typer.Option("--seed", help="Another seed: other blinks, gaze and head; the same lips.")] = 0,
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
        "seed": seed,
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
    to: Annotated[str | None, typer.Option("--to", help="arkit, oculus, vrm … (default: as it is).")] = None,
    file_format: Annotated[str | None, typer.Option("--format", help="The format, when -o is -: csv, json …")] = None,
    fps: FpsOption = None,
    source_fps: SourceFps = None,
    audio: Annotated[
        str | None, typer.Option("--audio", help="The sound that goes with it, or that cues name.")
    ] = None,
    rig: Rig = "head",
    option: Options = None,
    quiet: Quiet = False,
) -> None:
    """Motion into other channels, another frame rate or another file format."""
    moving = _read(motion, source_fps)
    if to is not None:
        moving = api.retarget(moving, to)
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
def show(
    file: Annotated[str, typer.Argument(help="A motion file, a sound, an avatar, or a corpus.")],
    plot: Annotated[str | None, typer.Option("--plot", help="Draw the curves into this picture.")] = None,
    source_fps: SourceFps = None,
    json_report: Json = False,
) -> None:
    """Say what is in a file."""
    facts, words = _facts(Path(file), plot, source_fps)
    print(json.dumps(facts, indent=1) if json_report else words)


@app.command()
def train(
    recipe: Annotated[str, typer.Argument(help="A recipe: a .toml file such as recipes/default.toml.")],
    corpus: Annotated[str, typer.Argument(help="The folder of a corpus.")],
    output: Annotated[str, typer.Option("-o", "--output", help="The run's folder; a run goes on where it ended.")],
    threads: Annotated[int | None, typer.Option("--threads", min=1, help="CPU threads (default: all).")] = None,
    quiet: Quiet = False,
) -> None:
    """Train a model by a recipe; the same command goes on with a run that was stopped.

    artalk train recipes/default.toml corpus/ -o run/

    torchrun --nproc-per-node 4 -m artalk.cli train recipes/default.toml corpus/ -o run/
    """
    from artalk import config
    from artalk.data.clips import Corpus
    from artalk.errors import needs

    torch = needs("torch", "train", "training")
    from artalk.train.loop import train as learn
    from artalk.train.recipe import Recipe

    if threads is not None:
        torch.set_num_threads(threads)
    kept = learn(config.load(Recipe, recipe), Corpus(corpus), Path(output), _training(quiet))
    for stage, path in kept.items():
        _say(f"{stage}: {path}", quiet)


@app.command()
def evaluate(
    corpus: Annotated[str, typer.Argument(help="The folder of a corpus; its validation split is judged on.")],
    models: Annotated[list[str], typer.Argument(help="rest, mean, rules, nearest, or files: .onnx, .safetensors.")],
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
    from artalk.data.clips import Corpus
    from artalk.evaluate import face, judge, performers, report

    held = Corpus(corpus)
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
    from artalk.errors import needs

    torch = needs("torch", "train", "exporting a model")
    from artalk import checkpoint

    loaded, target = checkpoint.load(model), Path(output)
    if target.suffix != ".onnx":
        raise BadInput(f"a model is exported to .onnx, got {output!r}")
    checkpoint.export(loaded, target, weights)  # pyright: ignore[reportArgumentType]  # checked inside
    noise = torch.randn(10 * 16000, generator=torch.Generator().manual_seed(0)) * 0.1
    deviation = checkpoint.deviation(loaded, target, noise)
    size = target.stat().st_size / 1e6
    _say(f"wrote {output}: {size:.1f} MB, {weights}, at most {deviation.largest:.2g} from torch", quiet)


@assets_app.callback(invoke_without_command=True)
def assets_list(context: typer.Context) -> None:
    """List what is there and what can be added."""
    if context.invoked_subcommand is None:
        _print_assets()


@assets_app.command("add")
def assets_add(
    kind: Annotated[str, typer.Argument(help="What it is: ict.")],
    path: Annotated[str, typer.Argument(help="The file or folder that you have.")],
) -> None:
    """Add a head or weights from your disk, checked and remembered by SHA-256."""
    from artalk import assets

    asset = assets.add(kind, path)
    print(f"added {asset.kind}: {assets.home() / asset.file}, {asset.size / 1e6:.1f} MB, SHA-256 {asset.sha256}")


@assets_app.command("remove")
def assets_remove(kind: Annotated[str, typer.Argument(help="What to forget: ict.")]) -> None:
    """Delete artalk's copy of an asset; your own files stay."""
    from artalk import assets

    assets.remove(kind)
    print(f"removed {kind}")


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


def _training(quiet: bool) -> Callable[[Any], None]:
    """A line that lives on a terminal; elsewhere a line at every check."""

    def report(progress: Any) -> None:
        left = (progress.steps - progress.step) * progress.pace / 60
        line = (
            f"{progress.stage} {progress.step}/{progress.steps}  loss {progress.loss:.4f}  {progress.pace:.2f} s a step"
        )
        line += f"  {left:.0f} min left"
        figures = "  ".join(f"{name} {value:.3f}" for name, value in progress.figures.items())
        if quiet or not (figures or talk.is_terminal):
            return
        talk.print(f"{line}  {figures}" if figures else line, end="\n" if figures else "\r")

    return report


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
        audio = api.listen(sounds[0])
        _save(_make(audio, settings), path, sounds[0], audio, settings)

    _to_stdout(to, "--to", write)


def _check(settings: dict[str, Any], quiet: bool, outputs: tuple[Path, ...] = ()) -> None:
    """Refuse what no input could be worked on with, before any is."""
    if settings["fps"] is not None:
        exact_fps(settings["fps"])
    api.stream(model=settings["model"], style=settings["style"], seed=settings["seed"])
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
        seed=settings["seed"],
        fps=settings["fps"],
        gains=settings["gains"],
    )


def _work(job: batch.Job) -> dict[str, Any]:
    """One input into all its outputs, in this or in a worker process."""
    return _work_with(job, None)


def _work_with(job: batch.Job, bar: Progress | None) -> dict[str, Any]:
    started = time.perf_counter()
    audio = api.listen(str(job.source))
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


def _save(
    motion: Motion,
    path: Path,
    source: str,
    audio: Audio,
    settings: dict[str, Any],
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Write one output: pictures carry the sound itself, other formats can only name it."""
    face = _rig(settings["rig"]) if _shows(path) else settings["rig"]
    if path.suffix.lower() in (*api.PICTURES, ""):
        clip = api.render(motion, face, audio, size=settings["size"], backend=settings["backend"])
        clip.save(path, progress)
        return
    known = _known_options(path)
    options = {name: value for name, value in settings["options"].items() if name in known}
    api.save(motion, path, rig=face, audio=source, **options)


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
    named = [Path(name) for name in (settings["style"], settings["rig"]) if name is not None]
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


def _run(jobs: Sequence[batch.Job], processes: int, again: bool, quiet: bool) -> list[batch.Outcome]:
    jobs[0].outputs[0].parent.mkdir(parents=True, exist_ok=True)  # all go into one folder
    with _bars(quiet) as bar:
        task = bar.add_task("files", total=len(jobs)) if bar else None
        outcomes: list[batch.Outcome] = []
        for outcome in batch.run(jobs, _work, processes, again):
            outcomes.append(outcome)
            if bar is not None and task is not None:
                bar.advance(task)
    return outcomes


def _report(outcomes: Sequence[batch.Outcome], json_report: bool, quiet: bool) -> None:
    if json_report:
        rows: list[dict[str, Any]] = [
            {
                "source": str(o.job.source),
                "outputs": [str(path) for path in o.job.outputs],
                "status": o.status,
                "reason": o.reason,
                **(o.result or {}),
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
            f"for {result['seconds']:.2f} s of sound, in {result['took']:.1f} s"
        )
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
    if str(path) != "-" and not path.exists():
        raise MissingFile(f"nothing is at {str(path)!r}")
    if (path / "index.json").is_file():
        return _corpus_facts(path)
    if path.suffix.lower() in (".glb", ".gltf", ".vrm"):
        try:
            return _motion_facts(path, plot, fps)
        except BadFile:
            if plot or fps:
                raise
            return _avatar_facts(path)
    if path.name.lower().endswith(files.readable()):
        return _motion_facts(path, plot, fps)
    if plot or fps:
        raise BadInput(f"--plot and --source-fps are for motion, {path.name!r} is none")
    return _sound_facts(path)


def _read(path: str | Path, fps: str | None) -> Motion:
    return api.load(path) if fps is None else api.load(path, fps=exact_fps(fps))


def _motion_facts(path: Path, plot: str | None, fps: str | None) -> tuple[dict[str, Any], str]:
    from artalk.summary import summarise

    motion = _read(path, fps)
    if plot:
        from artalk.plot import plot as draw

        draw(motion, Path(plot))
        talk.print(f"drew {escape(plot)}")
    summary = summarise(motion)
    return summary.as_dict(), summary.words()


def _corpus_facts(path: Path) -> tuple[dict[str, Any], str]:
    from artalk.data.clips import Corpus

    corpus = Corpus(path)
    return {"clips": [asdict(entry) for entry in corpus.entries], "statistics": corpus.statistics}, corpus.words()


def _sound_facts(path: Path) -> tuple[dict[str, Any], str]:
    audio = api.listen(str(path))
    seconds, level = float(audio.duration), _decibels(audio.samples)
    facts = {"seconds": seconds, "sample_rate": audio.sample_rate, "peak_db": level}
    return facts, f"sound: {seconds:.2f} s, {audio.sample_rate} Hz, peak {level:.1f} dB"


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
        else:
            print(f"{name}: {kind.what}, not added; it is had from {kind.where}: artalk assets add {name} PATH")


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


def _options(texts: Sequence[str]) -> dict[str, Any]:
    """Options of formats: names and texts, but that true and false are truth values."""
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
