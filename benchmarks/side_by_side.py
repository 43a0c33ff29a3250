"""Performers side by side in one video with sound and captions, and a sheet of a few of its frames.

    python benchmarks/side_by_side.py --corpus CORPUS rules R.safetensors M.onnx truth -o side.mp4
        [--clip ID] [--names rules,regression,ours,truth] [--sheet side.png] [--size 384] [--frames 6]

`truth` is the clip's own motion, all of it, also what training does not use (GRID's lids, gaze, head); anything else is
a name or a file that `artalk evaluate` knows. Without --clip it is the first held-out clip with measured lips. Models
that follow a style get the speaker's own, as in the evaluation.
"""

import argparse
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image

import artalk
from artalk.channels import ARKIT
from artalk.data.clips import FPS, Clip, Corpus
from artalk.errors import BadInput
from artalk.evaluate import judge
from artalk.evaluate.face import of_rig
from artalk.evaluate.performers import performer
from artalk.formats import video
from artalk.motion import Motion
from artalk.render.picture import Picture
from artalk.render.sheet import contact_sheet
from artalk.rigs.head import head


def motions(corpus: Corpus, clip: Clip, who: Sequence[str]) -> Iterator[Motion]:
    """What each performer makes of the clip's sound; of the truth, what is in the clip."""
    sample = judge.example(corpus, clip.entry)
    for name in who:
        if name == "truth":
            values = clip.motion.values
        else:
            actor = performer(name, corpus)
            values = actor.perform(clip.audio, sample if actor.styled else None)[: len(clip.motion)]
        yield Motion(values, ARKIT, FPS)


def drawn(motion: Motion, size: int) -> list[Picture]:
    """The pictures of a motion on the built-in head."""
    return list(artalk.render(motion, size=(size, size)).frames())


def side_by_side(rows: Sequence[Sequence[Picture]], names: Sequence[str]) -> Iterator[Picture]:
    """One picture a frame: the performers in a row, each with its name below."""
    for pictures in zip(*rows, strict=True):
        yield contact_sheet(pictures, len(pictures), names)


def moments(clip: Clip, count: int) -> list[int]:
    """Frames to look at: while the clip's mouth moves, the widest and the narrowest gap of each stretch."""
    gap = of_rig(head()).aperture(clip.motion.values)
    busy = np.flatnonzero(gap > 0.3 * gap.max())
    parts = np.array_split(np.arange(busy[0], busy[-1] + 1), max(1, count // 2))
    chosen = {int(part[place]) for part in parts for place in (gap[part].argmax(), gap[part].argmin())}
    return sorted(chosen)


def close_up(picture: Picture) -> Picture:
    """The middle of a picture of the built-in head: brows to chin."""
    height, width = picture.shape[:2]
    return picture[round(0.32 * height) : round(0.82 * height), round(0.25 * width) : round(0.75 * width)]


def main() -> None:
    """Write the video and the sheet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("who", nargs="+", help="truth, rules, nearest …, .onnx, .safetensors")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--clip")
    parser.add_argument("--names", help="captions, with commas; default: the performers' own")
    parser.add_argument("--sheet", type=Path)
    parser.add_argument("--size", type=int, default=384)
    parser.add_argument("--frames", type=int, default=6)
    options = parser.parse_args()
    corpus = Corpus(options.corpus)
    clip = corpus.read(options.clip or judge.chosen(corpus, 1)[0])
    names = options.names.split(",") if options.names else [Path(name).stem for name in options.who]
    if len(names) != len(options.who):
        raise BadInput(f"{len(options.who)} performers have as many names, got {len(names)}")
    rows = [drawn(motion, options.size) for motion in motions(corpus, clip, options.who)]
    video.write(options.output, side_by_side(rows, names), Fraction(FPS), clip.audio)
    print(f"wrote {options.output}: {clip.entry.id}, {clip.entry.text!r}, {len(rows[0])} frames")
    if options.sheet:
        chosen = moments(clip, options.frames)
        pictures = [close_up(row[frame]) for row in rows for frame in chosen]
        labels = [f"{name}, {frame / float(FPS):.2f} s" for name in names for frame in chosen]
        Image.fromarray(contact_sheet(pictures, len(chosen), labels)).save(options.sheet)
        print(f"wrote {options.sheet}")


if __name__ == "__main__":
    main()
