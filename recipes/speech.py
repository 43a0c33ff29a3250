"""The sentences by which a model shows how it moves in a style (`generators/likeness.py`): a few of a corpus' clips.

    python recipes/speech.py CORPUS

Writes src/artalk/weights/speech.flac (16 kHz, mono) and speech.md, which says whose they are.
"""

import argparse
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from artalk.data.clips import SAMPLE_RATE, Clip, Corpus
from artalk.generators.likeness import BREAK, SPEECH

WANTED = {"grid_s1": 3, "kerstin_de": 1, "nathalie_nl": 1}
"""Clips of each source: an English man, a German and a Dutch woman."""

SECONDS = 2.5, 4.5
LEVEL = 0.06
"""Root mean square of each."""


def chosen(corpus: Corpus) -> list[Clip]:
    """The middle ones of the training clips of a fit length, in no planted style."""
    found: list[Clip] = []
    for source, count in WANTED.items():
        fit = [e for e in corpus.select("train", source=source, style="") if SECONDS[0] <= e.seconds <= SECONDS[1]]
        found += [corpus.read(fit[len(fit) * (k + 1) // (count + 1)]) for k in range(count)]
    return found


def joined(clips: list[Clip]) -> np.ndarray:
    """One after the other, each equally loud, with breaks."""
    gap = np.zeros(int(BREAK * SAMPLE_RATE), np.float32)
    parts = [part for clip in clips for part in (clip.audio.samples, gap)]
    return np.concatenate([part * (LEVEL / np.sqrt(np.mean(part**2))) if part.any() else part for part in parts])


def write(samples: np.ndarray, path: Path) -> None:
    """Write FLAC."""
    with av.open(path, "w") as file:
        stream = file.add_stream("flac", rate=SAMPLE_RATE, layout="mono")
        stream.codec_context.format = "s16"
        block = av.AudioFrame.from_ndarray((samples.clip(-1, 1) * 32767).astype(np.int16)[None], "s16", "mono")
        block.sample_rate, block.time_base, block.pts = SAMPLE_RATE, Fraction(1, SAMPLE_RATE), 0
        for packet in [*stream.encode(block), *stream.encode(None)]:
            file.mux(packet)


def main() -> None:
    """Write both files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path)
    clips = chosen(Corpus(parser.parse_args().corpus))
    write(joined(clips), SPEECH)
    rows = [
        f"| {clip.entry.text} | {clip.entry.language} | {clip.entry.licence} | {clip.entry.credit} |" for clip in clips
    ]
    lines = [
        "# speech.flac",
        "",
        "Sentences by which a model shows how it moves in a style, made equally loud and joined.",
        "",
    ]
    lines += ["| says | language | licence | credit |", "|---|---|---|---|", *rows, ""]
    SPEECH.with_suffix(".md").write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
