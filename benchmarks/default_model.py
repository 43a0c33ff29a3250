"""What the default model must show, figure by figure: value, 95 % interval, goal, met or not.

    python benchmarks/default_model.py --corpus CORPUS [--model M.onnx] [--regression R.safetensors]
        [--codec C.safetensors] [--recordings FOLDER] [--unseen U.onnx] [--clips 400] [--only lips,style] [--json F]
    python benchmarks/default_model.py --corpus CORPUS [--regression R.safetensors] --only baselines

Held-out clips of CORPUS. C is the codec, or the whole model. RECORDINGS may hold emodb/ (audio/, phones/*.lablaut) and
speech_clips/ (any sounds). U is a model of the same recipe, trained on a corpus without facegood_zh
(docs/evaluation.md): all of that speaker is new to it. Intervals are bootstrap over clips (takes, references); those of
speed are the least and largest of several runs. `baselines` has to be asked for: it measures again what `lips` does.
"""

import argparse
import io
import json
import math
import os
import subprocess
import sys
import tempfile
import time
import wave
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
from data_quality import labels
from numpy.typing import NDArray

import artalk
from artalk.audio import Audio
from artalk.channels import ARKIT
from artalk.data.build import with_quiet
from artalk.data.clips import FPS, SAMPLE_RATE, Corpus, Entry, Phone
from artalk.errors import BadInput
from artalk.evaluate import judge, metrics, style
from artalk.evaluate.face import Face, of_rig
from artalk.evaluate.judge import Judged
from artalk.evaluate.metrics import Spread
from artalk.evaluate.performers import Performer, performer
from artalk.generators.generator import FREE, Condition
from artalk.motion import Motion
from artalk.rigs.head import head
from artalk.train.recipe import Sound
from artalk.train.sound import changed

Samples = NDArray[np.float32]

ROOT = Path(__file__).parents[1]
HELLO = ROOT / "examples" / "hello.flac"

READ, LENT_VOICE = "grid_s1", "facegood_zh"
"""The sources whose lips were measured."""

EMODB_CLIPS = 60

AJAR = 0.05
"""Of `jawOpen` less `mouthClose`, above which lips are seen to be apart."""

UNKNOWN: Spread = (math.nan, math.nan, math.nan)

LAUNCH = """
import os, sys, time
started = time.perf_counter()
child = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, 2, 1)])
_, status, used = os.wait4(child, 0)
print(time.perf_counter() - started, used.ru_utime + used.ru_stime, used.ru_maxrss)
sys.exit(os.waitstatus_to_exitcode(status))
"""
"""Runs a command and prints its wall seconds, its CPU seconds and its peak memory."""


@dataclass(frozen=True)
class Goal:
    """What is asked of a figure's value."""

    words: str
    met: Callable[[float], bool]


def least(value: float) -> Goal:
    return Goal(f"at least {value:g}", lambda found: found >= value)


def most(value: float) -> Goal:
    return Goal(f"at most {value:g}", lambda found: found <= value)


def within(low: float, high: float) -> Goal:
    return Goal(f"{low:g} to {high:g}", lambda found: low <= found <= high)


@dataclass(frozen=True)
class Figure:
    """A line of the table; without a goal it stands there to compare with."""

    what: str
    spread: Spread
    goal: Goal | None = None

    @property
    def met(self) -> bool | None:
        """Whether the goal is met; None where there is none, or nothing to measure."""
        return None if self.goal is None or math.isnan(self.spread[0]) else bool(self.goal.met(self.spread[0]))

    def row(self) -> str:
        """The line in Markdown."""
        mean, low, high = self.spread
        value = "-" if math.isnan(mean) else f"{mean:.3f}"
        ends = "" if math.isnan(low) else f"{low:.3f} to {high:.3f}"
        met = {None: "", True: "yes", False: "**no**"}[self.met]
        return f"| {self.what} | {value} | {ends} | {self.goal.words if self.goal else ''} | {met} |"


Figures = Iterator[Figure]


@dataclass(frozen=True, eq=False)
class Bench:
    """What everything is measured with."""

    corpus: Corpus
    face: Face
    name: str
    model: Performer
    regression: Performer | None
    unseen: Performer | None
    recordings: Path | None
    clips: int
    codec: Path | None = None

    def held(self, source: str) -> list[Entry]:
        """The held-out clips of a source with measured lips."""
        return judge.chosen(self.corpus, self.clips, source)

    def measure(self, who: Performer, source: str) -> Judged:
        """A performer on the held-out clips of a source, in the speaker's own style."""
        return judge.measure(who, self.corpus, self.held(source), self.face)


def lips(bench: Bench) -> Figures:
    """GRID sentences not trained on, beside rules and regression."""
    ours = bench.measure(bench.model, READ)
    rules = bench.measure(performer("rules", bench.corpus), READ)
    truth = judge.truth(bench.corpus, bench.held(READ), bench.face)
    yield Figure("lip gap, r", ours.interval("aperture"), least(0.92))
    yield Figure("mouth width, r", ours.interval("width"), least(0.85))
    yield Figure("bilabial closures recalled", ours.interval("closures"), least(0.85))
    yield Figure("the same of measured lips", truth.interval("closures"))
    yield Figure("the same of the rules", rules.interval("closures"))
    yield Figure("lip-vertex error, mm", ours.interval("lve"))
    yield Figure("lip-vertex error ÷ the rules'", metrics.ratio(ours.each("lve"), rules.each("lve")), most(0.6))
    yield Figure("rules: lip gap, r", rules.interval("aperture"))
    yield Figure("rules: mouth width, r", rules.interval("width"))
    if bench.regression:
        plain = bench.measure(bench.regression, READ)
        yield Figure("regression: lip gap, r", plain.interval("aperture"))
        yield Figure("regression: mouth width, r", plain.interval("width"))
        yield Figure("regression: bilabial closures", plain.interval("closures"))
        ratio = metrics.ratio(ours.each("lve"), plain.each("lve"))
        yield Figure("lip-vertex error ÷ the regression's", ratio, most(1.05))
        yield Figure("FDD, brows, takes of 20 s, mm: regression", plain.overall["fdd_takes"])
        yield from _livelier(ours, plain, "FDD, brows, takes of 20 s")
        ratio = metrics.ratio(ours.each("fdd"), plain.each("fdd"))
        yield Figure("FDD, brows, single sentences ÷ the regression's", ratio)
    yield Figure("FDD, brows, takes of 20 s, mm: ours", ours.overall["fdd_takes"])
    yield Figure("the same of other sentences of the same face", truth.overall["fdd_takes"])
    if bench.codec:
        alone = _through_codes(bench, bench.codec)
        yield Figure("codec alone: lip-vertex error, mm", metrics.interval(alone))
        yield Figure("codec alone: lip-vertex error ÷ ours", metrics.ratio(alone, ours.each("lve")), most(0.25))


def _through_codes(bench: Bench, path: Path) -> list[float]:
    """Lip-vertex error of measured motion that has gone through its codes and back."""
    import torch

    from artalk import checkpoint

    model = checkpoint.load(path).model
    codec = getattr(model, "codec", model).eval()
    window, errors = codec.config.window, list[float]()
    for entry in bench.held(READ):
        clip = bench.corpus.read(entry)
        values = np.pad(clip.motion.values, ((0, -len(clip.motion) % window), (0, 0)), mode="edge")
        observed = torch.tensor(clip.observed.astype(np.float32))[None]
        with torch.no_grad():
            made = codec(torch.tensor(values)[None], observed)[0, : len(clip.motion)].numpy()
        errors.append(metrics.lve(bench.face, np.where(clip.observed, made, clip.motion.values), clip.motion.values))
    return errors


def elsewhere(bench: Bench) -> Figures:
    """GRID's sentences as they sound through a telephone, in noise and in a room (as in training, by other chance)."""
    for words, hear in HEARD.items():
        rng, scores = np.random.default_rng(7), list[float]()
        for entry in bench.held(READ):
            clip = bench.corpus.read(entry)
            sound = Audio(hear(clip.audio.samples, rng), SAMPLE_RATE)
            made = bench.model.perform(sound)[: len(clip.motion)]
            scores.append(metrics.lips(bench.face, made, clip.motion.values)["aperture"])
        yield Figure(f"lip gap, r: {words}", metrics.interval(scores))


def _telephone(sound: Samples, rng: np.random.Generator) -> Samples:
    return Audio(sound, SAMPLE_RATE).resampled(8000).resampled(SAMPLE_RATE).samples


def _changed(**chances: float) -> Callable[[Samples, np.random.Generator], Samples]:
    nothing = dict.fromkeys(("voice", "noise", "room", "band"), 0.0)
    settings = Sound(**(nothing | chances), gain=(0.0, 0.0))
    return lambda sound, rng: changed(sound, settings, rng)


def _coded(format: str, codec: str, kilobits: int, rate: int) -> Callable[[Samples, np.random.Generator], Samples]:
    """Sound through a real codec and back, its delay taken out by the file's own account of it."""

    def hear(sound: Samples, _: np.random.Generator) -> Samples:
        file = io.BytesIO()
        with av.open(file, "w", format=format) as out:
            stream = out.add_stream(codec, rate=rate, layout="mono", bit_rate=1000 * kilobits)
            given = Audio(sound, SAMPLE_RATE).resampled(rate).samples
            frame = av.AudioFrame.from_ndarray((given.clip(-1, 1) * 32767).astype(np.int16)[None], "s16", "mono")
            frame.sample_rate = rate
            for packet in (*stream.encode(frame), *stream.encode(None)):
                out.mux(packet)
        back = artalk.listen(io.BytesIO(file.getvalue())).resampled(SAMPLE_RATE).samples
        return np.pad(back, (0, max(len(sound) - len(back), 0)))[: len(sound)]

    return hear


HEARD: dict[str, Callable[[Samples, np.random.Generator], Samples]] = {
    "as recorded, in no style": lambda sound, _: sound,
    "8 kHz": _telephone,
    "noise 20 dB below": _changed(noise=1.0, loudest=20.0, quietest=20.0),
    "noise 10 dB below": _changed(noise=1.0, loudest=10.0, quietest=10.0),
    "a room": _changed(room=1.0),
    "another voice": _changed(voice=1.0),
    "Opus at 12 kbit/s": _coded("ogg", "libopus", 12, 48000),
    "MP3 at 32 kbit/s": _coded("mp3", "libmp3lame", 32, 16000),
    "G.711, a telephone's": _coded("wav", "pcm_mulaw", 64, 8000),
}


BASELINES = ("rest", "mean", "nearest", "rules")
"""Who needs no training of ours: a dead face, a fixed one, a look-up, rules."""

COMPARED = {
    "lip gap, r": "aperture",
    "mouth width, r": "width",
    "lip-vertex error, mm": "lve",
    "bilabials closed": "closures",
    "open in silence": "leakage",
}


def baselines(bench: Bench) -> Figures:
    """GRID sentences not trained on: what any model has to beat."""
    simple = [performer(name, bench.corpus) for name in BASELINES]
    for who in (*simple, bench.regression, bench.model):
        if who is not None:
            judged = bench.measure(who, READ)
            for words, name in COMPARED.items():
                yield Figure(f"{who.name}: {words}", judged.interval(name))
            yield Figure(f"{who.name}: brows, FDD, mm", judged.overall.get("fdd_takes", UNKNOWN))


def _side_by_side(figures: Sequence[Figure]) -> Iterator[str]:
    """Figures called "WHO: WHAT" as a table with a line for each who, in Markdown."""
    rows: dict[str, dict[str, str]] = {}
    for figure in figures:
        who, _, what = figure.what.partition(": ")
        mean, low, high = figure.spread
        ends = "" if math.isnan(low) else f" ({low:.3f} to {high:.3f})"
        rows.setdefault(who, {})[what] = "-" if math.isnan(mean) else f"{mean:.3f}{ends}"
    columns = list(next(iter(rows.values())))
    yield f"| | {' | '.join(columns)} |"
    yield f"|---|{'---|' * len(columns)}"
    for who, row in rows.items():
        yield f"| {who} | {' | '.join(row[column] for column in columns)} |"


def _livelier(ours: Judged, plain: Judged, what: str) -> Figures:
    yield Figure(f"{what} ÷ the regression's", metrics.ratio(ours.takes, plain.takes), most(0.7))


def taught(bench: Bench) -> Figures:
    """Lids, brows and head of taught clips, whose upper face is all known: made by rules, not measured."""
    entries = [entry for entry in bench.corpus.select("validation", kind="taught")][: bench.clips]
    ours = judge.measure(bench.model, bench.corpus, entries, bench.face)
    if "fdd_takes" not in ours.overall:
        return
    yield Figure("FDD, lids and brows, takes of 20 s, mm: ours", ours.overall["fdd_takes"])
    truth = judge.truth(bench.corpus, entries, bench.face)
    yield Figure("the same of other clips taught in the same way", truth.overall["fdd_takes"])
    if bench.regression:
        plain = judge.measure(bench.regression, bench.corpus, entries, bench.face)
        yield Figure("the same of the regression", plain.overall["fdd_takes"])
        yield from _livelier(ours, plain, "FDD, lids and brows, takes of 20 s")


def jaw(bench: Bench) -> Figures:
    """FACEGOOD's held-out pieces, and all of it where it was left out of training."""
    held = bench.held(LENT_VOICE)
    yield Figure("jaw, r", metrics.interval(_jaws(bench, bench.model, held)), least(0.75))
    ours = bench.measure(bench.model, LENT_VOICE)
    yield Figure("lip gap, r", ours.interval("aperture"))
    rules = performer("rules", bench.corpus)
    yield Figure("rules: jaw, r", metrics.interval(_jaws(bench, rules, held)))
    if bench.regression:
        yield Figure("regression: jaw, r", metrics.interval(_jaws(bench, bench.regression, held)))
    if bench.unseen:
        every = list(bench.corpus.select(source=LENT_VOICE))
        yield Figure("left out of training: jaw, r, all pieces", metrics.interval(_jaws(bench, bench.unseen, every)))
        yield Figure("rules: jaw, r, all pieces", metrics.interval(_jaws(bench, rules, every)))
        yield from _stranger(bench, bench.unseen)


STRANGER_CLIPS = 3
"""Training pieces of FACEGOOD's speaker that are his style, some 17 s."""


def _stranger(bench: Bench, who: Performer) -> Figures:
    """What a few seconds of a stranger's motion do for his held-out pieces."""
    shown = list(bench.corpus.select("train", source=LENT_VOICE))[:STRANGER_CLIPS]
    clips = [bench.corpus.read(entry) for entry in shown]
    seconds = sum(entry.seconds for entry in shown)
    take = style.sample(bench.corpus, clips)
    for what, wish in (("in no style", None), (f"in his style, of {seconds:.0f} s", take)):
        rows: list[dict[str, float]] = []
        for entry in bench.held(LENT_VOICE):
            clip = bench.corpus.read(entry)
            made = who.perform(clip.audio, wish)[: len(clip.motion)]
            jaw = metrics.correlation(*(m[:, ARKIT.index("jawOpen")] for m in (made, clip.motion.values)))
            rows.append(metrics.lips(bench.face, made, clip.motion.values) | {"jaw": jaw})
        for name, words in (("jaw", "jaw, r"), ("aperture", "lip gap, r"), ("lve", "lip-vertex error, mm")):
            yield Figure(f"left out, held-out pieces, {what}: {words}", metrics.interval([row[name] for row in rows]))


def _jaws(bench: Bench, who: Performer, entries: Sequence[Entry]) -> list[float]:
    column = ARKIT.index("jawOpen")
    scores: list[float] = []
    for entry in entries:
        clip = bench.corpus.read(entry)
        made = who.perform(clip.audio)[: len(clip.motion)]
        scores.append(metrics.correlation(made[:, column], clip.motion.values[:, column]))
    return scores


@dataclass(frozen=True, eq=False)
class Voice:
    """A sound whose face nobody knows; `phones` may be its pauses alone."""

    sound: Audio
    phones: Sequence[Phone]


def voices(bench: Bench) -> Figures:
    """Other voices and languages: pauses shut the mouth, bilabials close it, nothing jitters."""
    held = [entry for source in (READ, LENT_VOICE) for entry in bench.held(source)]
    real = [metrics.bends(bench.face, bench.corpus.read(entry).motion.values) for entry in held]
    yield Figure("measured lips: acceleration, 99th percentile, mm/frame²", _pooled(real, 1.0))
    for name, heard in _heard(bench):
        motions = [bench.model.perform(voice.sound) for voice in heard]
        rows = [metrics.alone(bench.face, made, v.phones) for made, v in zip(motions, heard, strict=True)]
        shut, closed = (metrics.interval([row[figure] for row in rows]) for figure in ("settled", "closures"))
        yield Figure(f"{name}: shut within 0.2 s of a pause", shut, least(0.95))
        if not math.isnan(closed[0]):
            yield Figure(f"{name}: bilabials close", closed, least(0.85))
        bends = [metrics.bends(bench.face, made) for made in motions]
        ratio = _pooled(bends, metrics.sharpest(real))
        yield Figure(f"{name}: lip acceleration ÷ measured", ratio, most(1.3))


def _pooled(clips: Sequence[NDArray[np.float64]], unit: float) -> Spread:
    rng = np.random.default_rng(0)
    found = [metrics.sharpest([clips[k] for k in rng.integers(len(clips), size=len(clips))]) for _ in range(200)]
    low, high = np.quantile(found, [0.025, 0.975]) / unit
    return metrics.sharpest(clips) / unit, float(low), float(high)


def _heard(bench: Bench) -> Iterator[tuple[str, list[Voice]]]:
    for source in ("kerstin_de", "nathalie_nl"):
        clips = [bench.corpus.read(entry) for entry in bench.corpus.select("validation", source=source)]
        if clips:
            yield f"{source} (held-out sentences)", [Voice(clip.audio, clip.phones) for clip in clips]
    if bench.recordings is None:
        return
    sounds = sorted((bench.recordings / "emodb" / "audio").glob("*.*"))
    if sounds:
        spread = sounds[:: max(1, len(sounds) // EMODB_CLIPS)]
        yield f"emodb ({len(spread)} of {len(sounds)}, quiet added)", [_emotional(path) for path in spread]
    sounds = sorted((bench.recordings / "speech_clips").glob("*.*"))
    if sounds:
        yield f"speech_clips ({len(sounds)}, pauses by loudness)", [_unlabelled(path) for path in sounds]


def _emotional(path: Path) -> Voice:
    """A recording of EmoDB, which is cut where speech ends: with half a second of its own quiet after it."""
    sound = artalk.listen(path).resampled(SAMPLE_RATE)
    marks = next(path.parents[1].glob(f"phones/{path.stem}*.lablaut"))
    return Voice(*with_quiet(sound, labels(marks, float(sound.duration)), seed=0))


def _unlabelled(path: Path) -> Voice:
    sound = artalk.listen(path).resampled(SAMPLE_RATE)
    return Voice(sound, metrics.pauses(sound.samples))


def styles(bench: Bench) -> Figures:
    """Made in the style of unseen clips: nearer to that style than to any other of the source?"""
    ceiling = style.ceiling(bench.corpus, bench.face)
    if not bench.model.styled or not ceiling:
        return
    made = style.trials(bench.model, bench.corpus, bench.face)
    yield Figure("style recognised, five sentences after twelve seconds", made["style_right"], least(0.9))
    yield Figure("the same of measured and taught motion itself", ceiling["style_right"])
    one = style.trials(bench.model, bench.corpus, bench.face, reference=1, rounds=1)
    yield Figure("style recognised, five sentences after one sentence", one["style_right"])
    alone = style.ceiling(bench.corpus, bench.face, 1)
    yield Figure("how often one sentence of motion itself is recognised", alone["style_right"])
    yield Figure("by chance", (style.chance(bench.corpus), math.nan, math.nan))
    yield Figure("distance to the style, deviations", made["style_distance"])
    yield Figure("the same of measured and taught motion itself", ceiling["style_distance"])
    new = style.followed(bench.model, bench.corpus, READ, bench.face)
    yield Figure("ways that nobody has met (drawn by lot): followed", new)
    loss = style.cost(
        bench.model, bench.corpus, bench.held(READ), bench.face, lambda entry: judge.example(bench.corpus, entry)
    )
    if loss:
        yield Figure("lip gap r lost in a foreign style", loss["style_cost"], most(0.05))


def life(bench: Bench) -> Figures:
    """Blinks, head and seeds, in no style, over minutes of every voice of the corpus."""
    sources = dict.fromkeys(entry.source for entry in bench.corpus.entries)
    rows: list[dict[str, float]] = []
    for source in sources:
        entries = [e for e in bench.corpus.select("validation", source=source) if e.kind != "styled"]
        for sound in judge.minutes(bench.corpus, entries):
            rows.append(metrics.life(bench.model.perform(Audio(sound, SAMPLE_RATE)), sound))
    spread = {name: metrics.interval([row[name] for row in rows]) for name in rows[0]}
    yield Figure("blinks a minute", spread["blink_rate"], within(8, 30))
    yield Figure("seconds that lids stay more than half closed", spread["blink_seconds"], within(0.08, 0.3))
    yield Figure("head, deviation, degrees", spread["head_degrees"], least(0.5))
    yield Figure("head, farthest in a minute, degrees", spread["head_most"], most(25))
    yield Figure("head on the beat of the voice", spread["beats"])
    on_beat = Goal("its interval above 0", lambda _: spread["beats_lead"][1] > 0)
    yield Figure("head on the beat, more than with the sound turned round", spread["beats_lead"], on_beat)
    between = judge.diversity(bench.model, bench.corpus, bench.held(READ), bench.face)
    yield Figure("lips between seeds, least r of three", between["lips_between"], least(0.9))
    yield Figure("heads between seeds, degrees", between["head_between"], least(0.5))
    yield Figure("upper faces between seeds, mm", between["upper_between"], Goal("above 0", lambda found: found > 0))


def quiet(bench: Bench) -> Figures:
    """Nobody speaks: ten seconds before and ten after a sentence, in no style and in each that the model knows."""
    speech = artalk.listen(HELLO).resampled(SAMPLE_RATE).samples
    rng, pause = np.random.default_rng(0), np.zeros(10 * SAMPLE_RATE, np.float32)
    sound = np.concatenate([pause, speech, pause])
    loud = float(np.sqrt(np.mean(speech**2)))
    white = rng.standard_normal(len(sound))
    fan = np.fft.irfft(np.fft.rfft(white) / np.maximum(np.arange(len(white) // 2 + 1), 20), len(white))
    breath = white * np.sin(0.25 * np.pi * np.arange(len(white)) / SAMPLE_RATE) ** 4
    clicks = np.zeros(len(white))
    for start in rng.integers(0, len(white) - 300, 120):
        clicks[start : start + 300] = white[start : start + 300] * np.exp(-np.arange(300) / 60)
    noises = {
        "digital silence": 0 * white,
        "noise, 50 dB below the voice": _at(white, -50),
        "30 dB below": _at(white, -30),
        "a fan, 30 dB below": _at(fan, -30),
        "breath that comes and goes, 30 dB below": _at(breath, -30),
        "clicks of keys, 30 dB below": _at(clicks, -30),
    }
    for what, noise in noises.items():
        heard = Audio(np.asarray(sound + loud * noise, np.float32), SAMPLE_RATE)
        styles = [None, *artalk.generator(bench.name).styles]
        shares = [_open(artalk.animate(heard, model=bench.name, style=style)) for style in styles]
        yield Figure(f"{what}: share of frames with open lips, all styles", metrics.interval(shares), most(0.05))
        yield Figure(f"{what}: the same in the worst style", (max(shares), math.nan, math.nan), most(0.1))


def _at(noise: NDArray[np.float64], decibels: float) -> NDArray[np.float64]:
    """`noise` at this level, of one whose mean square is 1."""
    return noise * 10 ** (decibels / 20) / np.sqrt(np.mean(noise**2))


def _open(motion: Motion) -> float:
    """The share of frames with open lips, from a second after the beginning and after speech on."""
    gap = motion.channel("jawOpen") - motion.channel("mouthClose")
    second, quiet = int(FPS), int(10 * FPS)
    return float(np.mean(np.concatenate([gap[second : quiet - 5], gap[second - quiet :]]) > AJAR))


def speed(bench: Bench) -> Figures:
    """CPU time on one thread, and a fresh process from sound to .csv."""
    samples = np.resize(artalk.listen(HELLO).resampled(SAMPLE_RATE).samples, 60 * SAMPLE_RATE)
    if bench.name.endswith(".safetensors"):
        return
    generator = artalk.api.generator(bench.name)
    generator.generate(Audio(samples[: 10 * SAMPLE_RATE], SAMPLE_RATE))
    mix = Condition({generator.styles[0]: 0.3, generator.styles[1]: 0.4})
    ways = (("in no style", FREE), ("in a style", Condition(generator.styles[0])), ("in a mix of two", mix))
    for words, condition in ways:
        paces: list[float] = []
        for _ in range(3):
            started = time.process_time()
            generator.generate(Audio(samples, SAMPLE_RATE), condition)
            paces.append(60 / (time.process_time() - started))
        goal = least(30) if condition is not mix else None  # three performances
        yield Figure(f"times real time, CPU time of 60 s, one thread, {words}", _ends(paces), goal)
    command = str(Path(sys.executable).with_name("artalk"))
    with tempfile.TemporaryDirectory() as folder:
        sound, target = Path(folder) / "sound.wav", Path(folder) / "motion.csv"
        _write(sound, samples[: 5 * SAMPLE_RATE])
        what = ["animate", str(sound), "-o", str(target), "--model", bench.name, "--force", "--quiet"]
        runs = [_fresh([command, *what]) for _ in range(5)]
    wall, cpu, peak = zip(*runs, strict=True)
    yield Figure("artalk animate, 5 s to .csv, seconds from start to end", _ends(wall), most(3))
    yield Figure("the same, CPU seconds", _ends(cpu))
    yield Figure("processes that wanted a core meanwhile (load)", (os.getloadavg()[0], math.nan, math.nan))
    yield Figure("the same, peak memory, MB", _ends(peak), most(600))


def _ends(values: Sequence[float]) -> Spread:
    return float(np.median(values)), min(values), max(values)


def _fresh(command: Sequence[str]) -> tuple[float, float, float]:
    """Wall seconds, CPU seconds and peak MB of a process of its own, started from a small one: the memory of whoever
    starts a process counts as its peak."""
    told = subprocess.run([sys.executable, "-S", "-c", LAUNCH, *command], capture_output=True, text=True, check=False)
    if told.returncode:
        raise BadInput(f"{' '.join(command)} failed: {told.stderr.strip()[-300:]}")
    wall, cpu, peak = (float(number) for number in told.stdout.split())
    return wall, cpu, peak / (1e6 if sys.platform == "darwin" else 1e3)


def _write(path: Path, samples: NDArray[np.float32]) -> None:
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, SAMPLE_RATE, 0, "NONE", ""))
        file.writeframes((samples * 32767).astype("<i2").tobytes())


SECTIONS: dict[str, Callable[[Bench], Figures]] = {
    "lips": lips,
    "elsewhere": elsewhere,
    "taught": taught,
    "jaw": jaw,
    "voices": voices,
    "style": styles,
    "life": life,
    "quiet": quiet,
    "speed": speed,
    "baselines": baselines,
}


def main() -> None:
    """Print the table, section by section, and say how many goals are met."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--model", default="artalk", help="artalk, an .onnx, or a .safetensors (then without speed)")
    parser.add_argument("--regression", type=Path)
    parser.add_argument("--codec", type=Path)
    parser.add_argument("--unseen", type=Path)
    parser.add_argument("--recordings", type=Path)
    parser.add_argument("--clips", type=int, default=400, help="held-out clips of a source at most")
    usual = ",".join(name for name in SECTIONS if name != "baselines")
    parser.add_argument("--only", default=usual, help="sections, or baselines: %(default)s")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    corpus = Corpus(options.corpus)

    def who(path: Path | None) -> Performer | None:
        return None if path is None else performer(str(path), corpus)

    model = performer(options.model, corpus)
    others = who(options.regression), who(options.unseen)
    files = options.recordings, options.clips, options.codec
    bench = Bench(corpus, of_rig(head()), options.model, model, *others, *files)
    found = {name: _told(name, bench) for name in options.only.split(",")}
    every = [figure for figures in found.values() for figure in figures if figure.goal]
    if every:
        print(f"\n{sum(bool(figure.met) for figure in every)} of {len(every)} goals met")
    if options.json:
        options.json.write_text(json.dumps({name: [_plain(f) for f in rows] for name, rows in found.items()}, indent=1))


def _told(name: str, bench: Bench) -> list[Figure]:
    """A section's figures, printed as they come; those of baselines side by side."""
    section = SECTIONS[name]
    print(f"\n{section.__doc__}\n", flush=True)
    if section is baselines:
        found = list(baselines(bench))
        print("\n".join(_side_by_side(found)), flush=True)
        return found
    print(f"| {name} | value | 95 % | goal | met |\n|---|---|---|---|---|", flush=True)
    found = []
    for figure in section(bench):
        found.append(figure)
        print(figure.row(), flush=True)
    return found


def _plain(figure: Figure) -> dict[str, Any]:
    mean, low, high = (None if math.isnan(value) else value for value in figure.spread)
    goal = figure.goal.words if figure.goal else None
    return {"what": figure.what, "mean": mean, "low": low, "high": high, "goal": goal, "met": figure.met}


if __name__ == "__main__":
    main()
