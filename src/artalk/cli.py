"""The command line: one function a verb. Results go to stdout, talk and progress to stderr."""

import json
import logging
import shutil
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from artalk import __version__, api, batch
from artalk.errors import ArtalkError, BadFile, BadInput, MissingFile
from artalk.formats import files
from artalk.motion import Motion

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
FpsOption = Annotated[str | None, typer.Option("--fps", help="Frame rate: 24, 29.97, 60 … (default: the model's).")]
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
    }
    if output == ["-"]:
        _to_stdout(_animate_one(sounds, settings), to, settings)
        return
    work = _plan(sounds, output, to, settings)
    outcomes = _run(work, jobs, force or _is_single(output), quiet)
    _report(outcomes, json_report, quiet)


@app.command()
def render(
    motion: Annotated[str, typer.Argument(help="A motion file: .npz, .csv, .json, .glb …")],
    output: Annotated[str, typer.Option("-o", "--output", help=".mp4, .webm, .gif, .png or a folder of PNG frames.")],
    audio: Annotated[str | None, typer.Option("--audio", help="The sound that goes with it.")] = None,
    rig: Rig = "head",
    size: Size = "512",
    fps: FpsOption = None,
    backend: Backend = "auto",
    quiet: Quiet = False,
) -> None:
    """Show motion on a rig, as video or pictures."""
    moving = api.load(motion)
    if fps is not None:
        moving = moving.resample(fps)
    target = Path(output)
    if target.suffix.lower() not in (*api.PICTURES, ""):
        raise BadInput(f"render writes {', '.join(api.PICTURES)} or a folder, got {output!r}; see artalk retarget")
    with _bar(f"drawing {target.name}", quiet) as progress:
        clip = api.render(moving, rig, audio, size=_size(size), backend=_backend(backend))
        clip.save(target, progress)
    _say(f"wrote {target}", quiet)


@app.command()
def retarget(
    motion: Annotated[str, typer.Argument(help="A motion file.")],
    output: Annotated[str, typer.Option("-o", "--output", help="Where to, in any motion format, or - for stdout.")],
    to: Annotated[str | None, typer.Option("--to", help="arkit, oculus, vrm … (default: as it is).")] = None,
    fps: FpsOption = None,
    rig: Rig = "head",
    quiet: Quiet = False,
) -> None:
    """Motion into other channels, another frame rate or another file format."""
    moving = api.load(motion)
    if to is not None:
        moving = api.retarget(moving, to)
    if fps is not None:
        moving = moving.resample(fps)
    api.save(moving, output, rig=rig)
    _say(f"wrote {output}", quiet)


@app.command()
def show(
    file: Annotated[str, typer.Argument(help="A motion file, a sound, or an avatar.")],
    plot: Annotated[str | None, typer.Option("--plot", help="Draw the curves into this picture.")] = None,
    json_report: Json = False,
) -> None:
    """Say what is in a file."""
    facts, words = _facts(Path(file), plot)
    print(json.dumps(facts, indent=1) if json_report else words)


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


def _animate_one(sounds: Sequence[str], settings: dict[str, Any]) -> Motion:
    if len(sounds) != 1:
        raise BadInput(f"-o - writes one motion to stdout, got {len(sounds)} inputs")
    return _make(api.listen(sounds[0]), settings)


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
    face = api.rig(job.settings["rig"]) if any(_shows(path) for path in job.outputs) else job.settings["rig"]
    for path in job.outputs:
        task = bar.add_task(path.name, total=len(motion)) if bar else None

        def progress(done: int, total: int, task: Any = task) -> None:
            if bar is not None:
                bar.update(task, completed=done, total=total)

        api.save(
            motion,
            path,
            rig=face,
            audio=audio,
            size=job.settings["size"],
            backend=job.settings["backend"],
            progress=progress,
        )
        progress(len(motion), len(motion))
    return {
        "frames": len(motion),
        "fps": str(motion.fps),
        "seconds": float(audio.duration),
        "took": time.perf_counter() - started,
    }


def _shows(path: Path) -> bool:
    return path.suffix.lower() in (*api.PICTURES, *api.RIGGED, "")


def _plan(sounds: Sequence[str], output: list[str] | None, to: str | None, settings: dict[str, Any]) -> list[batch.Job]:
    """Which input becomes which files; what cannot be written is refused before any work is done."""
    targets = output or []
    if len(sounds) == 1 and targets and not _is_folder(targets[0]) and to is None:
        return [batch.Job(Path(sounds[0]), tuple(_writable(Path(target)) for target in targets), settings)]
    if len(targets) > 1:
        raise BadInput("several inputs go into one folder: -o FOLDER --to FORMATS")
    if not targets:
        raise BadInput("say where to: -o FILE, or -o FOLDER --to FORMATS")
    if to is None:
        raise BadInput("a folder needs formats: --to mp4,csv")
    suffixes = [_suffix(name) for name in to.split(",") if name.strip()]
    for suffix in suffixes:
        _writable(Path(f"x{suffix}"))
    folder = Path(targets[0])
    if folder.exists() and not folder.is_dir():
        raise BadInput(f"several inputs go into a folder, {str(folder)!r} is a file")
    folder.mkdir(parents=True, exist_ok=True)
    jobs = [batch.Job(Path(s), tuple(folder / f"{Path(s).stem}{x}" for x in suffixes), settings) for s in sounds]
    _no_two_alike(jobs)
    return jobs


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


def _run(jobs: Sequence[batch.Job], processes: int, again: bool, quiet: bool) -> list[batch.Outcome]:
    if len(jobs) == 1:
        with _bars(quiet) as bar:
            result = _work_with(jobs[0], bar)
        return [batch.Outcome(jobs[0], "done", result=result)]
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
    if len(outcomes) == 1 and not failed:
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


def _to_stdout(motion: Motion, to: str | None, settings: dict[str, Any]) -> None:
    if to is None or "," in to:
        raise BadInput("-o - needs one format: --to csv, json, npz, tsv …")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"motion{_suffix(to)}"
        api.save(motion, path, rig=settings["rig"], size=settings["size"], backend=settings["backend"])
        with path.open("rb") as file:
            shutil.copyfileobj(file, sys.stdout.buffer)
    sys.stdout.buffer.flush()


def _facts(path: Path, plot: str | None) -> tuple[dict[str, Any], str]:
    if not path.exists():
        raise MissingFile(f"nothing is at {str(path)!r}")
    if path.suffix.lower() in (".vrm", ".gltf"):
        return _avatar_facts(path)
    if path.suffix.lower() == ".glb":
        try:
            return _motion_facts(path, plot)
        except BadFile:
            if plot:
                raise
            return _avatar_facts(path)
    if path.name.lower().endswith(files.readable()):
        return _motion_facts(path, plot)
    return _sound_facts(path)


def _motion_facts(path: Path, plot: str | None) -> tuple[dict[str, Any], str]:
    from artalk.summary import summarise

    motion = api.load(path)
    if plot:
        from artalk.plot import plot as draw

        draw(motion, Path(plot))
        talk.print(f"drew {escape(plot)}")
    summary = summarise(motion)
    return summary.as_dict(), summary.words()


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


def _is_single(output: list[str] | None) -> bool:
    return bool(output) and not _is_folder((output or [""])[0])


def _is_folder(target: str) -> bool:
    return target.endswith("/") or Path(target).is_dir() or not Path(target).suffix


def _suffix(name: str) -> str:
    return f".{name.strip().lstrip('.').lower()}"


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.lower().partition("x")
    if not width.isdigit() or (height and not height.isdigit()):
        raise BadInput(f"a size is 512 or 1920x1080, got {text!r}")
    return int(width), int(height or width)


def _gains(texts: Sequence[str]) -> dict[str, float]:
    gains: dict[str, float] = {}
    for text in texts:
        part, _, factor = text.partition("=")
        try:
            gains[part] = float(factor)
        except ValueError:
            raise BadInput(f"a gain is PART=FACTOR such as head=0.5, got {text!r}") from None
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
