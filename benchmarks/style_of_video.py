"""What the style of a video changes: is what the default model does with it nearer to the speaker's own motion?

    python benchmarks/style_of_video.py --videos FOLDER --corpus CORPUS [--landmarker face_landmarker.task]
        [--sounds FILE ...] [--seconds 8] [--far smiling] [--other SOURCE] [--model M.onnx] [-o side.mp4]
        [--sheet side.png]

FOLDER holds videos of one speaker, whose tracked sentences are the source --speaker (grid_s1) of CORPUS. The model
performs sounds that neither were trained on nor are the speaker's: with no style, with every style that it knows by
name, with each video's, with all videos together, and with the corpus' own motion of the videos' sentences. Distances
are those of `artalk.evaluate.style`: between the distributions of 13 curves of the face and of their speeds, to those
of the speaker's training sentences, in deviations. Intervals are bootstrap over sounds; held-out sentences of the
speaker, as long as a sound, show what is to be reached. A second table says how far the weights of each video are from
those of the corpus, by itself and with the rest pose of all.
With --other, a source of CORPUS with one other speaker (facegood_zh), a second table says how far the same styles, and
one of 12 s of that speaker's held-out motion, are from either of the two, by what both of them show.
The .mp4 shows --far, no style and the videos' style side by side on the first sound.
"""

import argparse
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from side_by_side import close_up, drawn, side_by_side

import artalk
from artalk import api
from artalk.audio import Audio
from artalk.channels import ARKIT
from artalk.data.clips import FPS, Clip, Corpus
from artalk.errors import BadInput
from artalk.evaluate import metrics, style
from artalk.evaluate.face import Face, of_rig
from artalk.formats import video
from artalk.generators.generator import Condition, Generator
from artalk.motion import Motion
from artalk.prepare import film, terms
from artalk.prepare.style import style_of
from artalk.prepare.video import Prepared
from artalk.render.sheet import contact_sheet
from artalk.rigs.head import head

HELLO = Path(__file__).parents[1] / "examples" / "hello.flac"

TAKE = 12
"""Seconds of another speaker that are a style."""

SENTENCES = 3
"""Held-out sentences of the speaker that are together as long as a sound."""

Float = NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class Bench:
    """What everything is measured with: the speaker's `ways`, and `seen` (55,), what his sentences show."""

    generator: Generator
    face: Face
    ways: style.Ways
    seen: NDArray[np.bool_]
    way: style.Way
    sounds: Sequence[Audio]

    def curves(self, values: Float) -> style.Curves:
        """Curves of what the speaker's sentences show."""
        return style.curves(self.face, np.where(self.seen, values, 0))

    def apart(self, curves: style.Curves) -> float:
        """How far motion is from the speaker's own."""
        return style.distance(style.look([curves]), self.ways.looks[self.way], self.ways.scale)

    def perform(self, condition: Condition) -> list[Motion]:
        """Every sound, performed."""
        return [self.generator.generate(sound, condition, 0) for sound in self.sounds]


def joined(clips: Sequence[Motion]) -> Motion:
    """Motion one after the other."""
    return Motion(np.concatenate([clip.values for clip in clips]), ARKIT, FPS)


def between(bench: Bench, corpus: Corpus, other: str, made: dict[str, list[Motion]]) -> None:
    """Print how far what was made is from the speaker and from another one, and what that one's own take does."""
    entries = {who: corpus.select("train", source=who, style="") for who in (bench.way[0], other)}
    seen = np.logical_and(*(corpus.read(own[0]).observed for own in entries.values()))
    both = replace(bench, seen=seen)
    shown = {who: [both.curves(corpus.read(entry).motion.values) for entry in own] for who, own in entries.items()}
    looks = {who: style.look(clips) for who, clips in shown.items()}
    held = [corpus.read(entry) for entry in corpus.select("validation", source=other, style="")]
    take = style.sample(corpus, held)
    take = Motion(take.values[: TAKE * int(FPS)], ARKIT, FPS)
    chosen = {name: made[name] for name in ("none", "all videos, strength 1", "all videos, strength 2")}
    chosen |= {f"12 s of {other}": bench.perform(Condition(take))}
    chosen |= {f"12 s of {other}, strength 2": bench.perform(Condition(take, 2.0))}
    far = {
        (name, who): np.array(
            [style.distance(style.look([both.curves(m.values)]), own, bench.ways.scale) for m in motions]
        )
        for name, motions in chosen.items()
        for who, own in looks.items()
    }
    print("\n| style | " + " | ".join(f"from {who} | less than without a style" for who in looks) + " |")
    print("|---" * 5 + "|")
    for name in chosen:
        cells = [
            said(metrics.interval(values))
            for who in looks
            for values in (far[name, who], far["none", who] - far[name, who])
        ]
        print(f"| {name} | " + " | ".join(cells) + " |")


def conditions(
    generator: Generator, videos: dict[str, Prepared], together: dict[str, Prepared], solved: list[Motion]
) -> Iterator[tuple[str, Condition]]:
    """No style, the model's own, each video's and all videos'; and all without one of the steps of `prepare.terms`.

    Last what the corpus itself, which knows the speaker from all sentences, has `solved` of the same ones.
    """
    yield "none", Condition()
    for name in generator.styles:
        yield name, Condition({name: 1.0})
    for name, done in videos.items():
        yield f"video {name}", api.condition(generator, style_of(done))
    apart = joined([terms.on_ict(style_of(done).motion) for done in videos.values()])
    yield "all videos, each with a rest of its own", Condition(terms.still_eyes(apart))
    whole = terms.still_eyes(joined([terms.on_ict(style_of(done).motion) for done in together.values()]))
    for strength in (1.0, 1.5, 2.0):
        yield f"all videos, strength {strength:g}", Condition(whole, strength)
    seen = joined([done.motion.resample(FPS) for done in together.values()])
    yield "all videos, on the built-in head", Condition(terms.still_eyes(seen))
    yield "all videos, lids and gaze moving", Condition(terms.on_ict(seen))
    yield "all videos, as prepared", Condition(seen)
    if solved:
        yield "the corpus' own motion of these sentences", Condition(joined(solved))


def same_sentences(corpus: Corpus, speaker: str, videos: Iterable[str]) -> list[Clip]:
    """The speaker's clips of the corpus that are called as the videos end, such as grid_bbaf2n."""
    names = {f"{speaker}-{name.rpartition('_')[2]}" for name in videos}
    return [corpus.read(entry) for entry in corpus.select(source=speaker, style="") if entry.id in names]


def solves(bench: Bench, corpus: Corpus, videos: dict[str, Prepared], together: dict[str, Prepared]) -> None:
    """Print how far the solve of each video is from the corpus' own of its sentence, alone and with the others."""
    columns = [column for part in ("jaw", "mouth", "brows") for column in range(len(ARKIT))[ARKIT.slice(part)]]
    columns = [column for column in columns if bench.seen[column]]
    print("\n| video | smile in the corpus | by itself | with the others | weights off by itself | with the others |")
    print("|---" * 6 + "|")
    for name in videos:
        for clip in same_sentences(corpus, bench.way[0], [name]):
            true, smiles, off = clip.motion.values, [smile(clip.motion)], []
            for done in (videos[name], together[name]):
                motion = terms.on_ict(style_of(done).motion)
                count = min(len(true), len(motion))
                apart = motion.values[:count, columns] - true[:count, columns]
                smiles.append(smile(motion))
                off.append(float(np.sqrt(np.mean(apart**2))))
            cells = [f"{value:.2f}" for value in smiles] + [f"{value:.3f}" for value in off]
            print(f"| {name} | " + " | ".join(cells) + " |")


def smile(motion: Motion) -> float:
    """The mean of both corners."""
    return float((motion.channel("mouthSmileLeft") + motion.channel("mouthSmileRight")).mean() / 2)


def sounds(paths: Sequence[Path], seconds: float) -> list[Audio]:
    """The first seconds of each sound, as the model hears it."""
    heard = [artalk.listen(path).resampled(16000) for path in paths]
    return [sound.cut(0.0, min(seconds, float(sound.duration))) for sound in heard]


def reached(bench: Bench, corpus: Corpus) -> metrics.Spread:
    """How far held-out sentences of the speaker are from his own training sentences."""
    clips = [corpus.read(entry) for entry in corpus.select("validation", source=bench.way[0], style="")]
    groups = [clips[k : k + SENTENCES] for k in range(0, len(clips) - SENTENCES + 1, SENTENCES)]
    return metrics.interval(
        [bench.apart(bench.curves(np.concatenate([clip.motion.values for clip in group]))) for group in groups]
    )


def said(spread: metrics.Spread) -> str:
    """A mean with its interval."""
    mean, low, high = spread
    return f"{mean:.3f} ({low:.3f} to {high:.3f})"


def table(
    bench: Bench, corpus: Corpus, videos: dict[str, Prepared], together: dict[str, Prepared], far: str
) -> dict[str, list[Motion]]:
    """Print the table; what was made with each style."""
    solved = [clip.motion for clip in same_sentences(corpus, bench.way[0], videos)]
    wanted = conditions(bench.generator, videos, together, solved)
    made = {name: bench.perform(condition) for name, condition in wanted}
    curves = {name: [bench.curves(motion.values) for motion in motions] for name, motions in made.items()}
    apart = {name: np.array([bench.apart(each) for each in own]) for name, own in curves.items()}
    print(
        "| style | from the speaker's own motion | less than without a style | less than with " + far + " | nearest |"
    )
    print("|---|---|---|---|---|")
    for name, own in curves.items():
        nearest, _ = bench.ways.nearest(own)
        less = " | ".join(said(metrics.interval(apart[other] - apart[name])) for other in ("none", far))
        print(f"| {name} | {said(metrics.interval(apart[name]))} | {less} | {nearest[1] or 'his own'} |")
    print(f"\nheld-out sentences of the speaker: {said(reached(bench, corpus))}")
    return made


def show(
    made: dict[str, list[Motion]], sound: Audio, columns: dict[str, str], output: Path | None, sheet: Path | None
) -> None:
    """Styles side by side on the first sound."""
    rows = [drawn(made[name][0], 384) for name in columns.values()]
    if output:
        video.write(output, side_by_side(rows, list(columns)), Fraction(FPS), sound)
        print(f"wrote {output}")
    if sheet:
        gap = made["none"][0].channel("jawOpen")
        chosen = sorted(int(part[gap[part].argmax()]) for part in np.array_split(np.arange(len(gap)), 6))
        pictures = [close_up(row[frame]) for row in rows for frame in chosen]
        labels = [f"{title}, {frame / float(FPS):.2f} s" for title in columns for frame in chosen]
        Image.fromarray(contact_sheet(pictures, len(chosen), labels)).save(sheet)
        print(f"wrote {sheet}")


def main() -> None:
    """Print the table, write the video."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--videos", type=Path, required=True)
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--speaker", default="grid_s1")
    parser.add_argument("--landmarker", type=Path, help="MediaPipe's model (default: the asset)")
    parser.add_argument("--sounds", type=Path, nargs="+", default=[HELLO])
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--other", help="a source of the corpus with another speaker")
    parser.add_argument("--model", default="artalk")
    parser.add_argument("--far", default="smiling", help="a style of the model to compare with")
    parser.add_argument("-o", "--output", type=Path)
    parser.add_argument("--sheet", type=Path)
    options = parser.parse_args()
    corpus, face, generator = Corpus(options.corpus), of_rig(head()), api.generator(options.model)
    found = style.ways(corpus, options.speaker, face)
    paths = sorted(path for path in options.videos.iterdir() if path.suffix in film.SUFFIXES)
    if found is None or not paths or options.far not in generator.styles:
        raise BadInput(f"wanted videos, a source with several ways, and --far one of {', '.join(generator.styles)}")
    seen = corpus.read(corpus.select("train", source=options.speaker)[0]).observed
    way = (options.speaker, "")
    bench = Bench(generator, face, found, seen, way, sounds(options.sounds, options.seconds))
    videos = {path.stem: api.prepare(path, model=options.landmarker) for path in paths}
    met = api.meet(paths, model=options.landmarker)
    together = {path.stem: api.prepare(path, model=options.landmarker, met=met) for path in paths}
    made = table(bench, corpus, videos, together, options.far)
    solves(bench, corpus, videos, together)
    if options.other:
        between(bench, corpus, options.other, made)
    columns = {options.far: options.far, "no style": "none", "of the videos": "all videos, strength 1"}
    if options.output or options.sheet:
        show(made, bench.sounds[0], columns, options.output, options.sheet)


if __name__ == "__main__":
    main()
