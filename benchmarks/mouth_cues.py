"""Do mouth cues say what is said? Letters of Rhubarb and vowels of VRM against the phones of held-out clips.

    python benchmarks/mouth_cues.py --corpus CORPUS [--clips 30] [truth artalk visemes]

A phone's letter is the one that Rhubarb draws for it, its vowel that of VRM; judged is the frame in its middle.
"""

import argparse
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from artalk import api
from artalk.data.clips import Clip, Corpus
from artalk.motion import Motion
from artalk.retarget import letters, vrm

LETTERS = {
    "A": "p b m",
    "B": "i ɪ j t d k ɡ n ŋ s z ʃ ʒ tʃ dʒ θ ð h ɹ x",
    "C": "e ɛ æ ə ʌ",
    "D": "a ɑ",
    "E": "ɔ o ɜ œ ø",
    "F": "u ʊ w y",
    "G": "f v",
    "H": "l",
    "X": "sil",
}
"""Phones by letter, after Rhubarb's own table; only those whose time is known count."""

VOWELS = {"aa": "a ɑ ʌ æ", "ih": "ɪ i", "ou": "u ʊ w y", "ee": "e ɛ", "oh": "ɔ o"}
"""Phones by preset."""

SOURCES = (("grid_s1", "real"), ("kerstin_de", "taught"), ("nathalie_nl", "taught"))


def by_phone(groups: dict[str, str]) -> dict[str, str]:
    return {phone: name for name, phones in groups.items() for phone in phones.split()}


def middles(clip: Clip, table: dict[str, str], frames: int) -> Iterator[tuple[str, int]]:
    """What is to be seen in the middle of each phone, and its frame."""
    for start, end, phone in clip.phones:
        frame = round((start + end) / 2 * 25)
        if phone in table and frame < frames:
            yield table[phone], frame


def recalls(motions: Sequence[Motion], clips: Sequence[Clip]) -> tuple[dict[str, float], dict[str, float]]:
    """The share of each letter's phones that are drawn so, and of all frames that each letter has."""
    table, right, all_, frames = by_phone(LETTERS), Counter[str](), Counter[str](), Counter[str]()
    for motion, clip in zip(motions, clips, strict=True):
        drawn = [letters.LETTERS[k] for k in letters.from_arkit(motion).values.argmax(axis=1)]
        frames.update(drawn)
        for wanted, frame in middles(clip, table, len(drawn)):
            all_[wanted] += 1
            right[wanted] += drawn[frame] == wanted
    return {name: right[name] / all_[name] for name in LETTERS if all_[name]}, {
        name: frames[name] / frames.total() for name in LETTERS
    }


def vowels(motions: Sequence[Motion], clips: Sequence[Clip]) -> dict[str, NDArray[np.floating]]:
    """The mean weights of the presets in the middle of each preset's phones."""
    found: defaultdict[str, list[NDArray[np.floating]]] = defaultdict(list)
    columns = vrm.VRM.indices(vrm.VOWELS)
    for motion, clip in zip(motions, clips, strict=True):
        weights = vrm.from_arkit(motion).values[:, columns]
        for wanted, frame in middles(clip, by_phone(VOWELS), len(weights)):
            found[wanted].append(weights[frame])
    return {name: np.mean(found[name], axis=0) for name in vrm.VOWELS if found[name]}


def performer(name: str) -> Callable[[Clip], Motion]:
    if name == "truth":
        return lambda clip: clip.motion
    generator = api.generator(name)
    return lambda clip: generator.generate(clip.audio)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=["truth", "artalk", "visemes"])
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--clips", type=int, default=30)
    options = parser.parse_args()
    corpus = Corpus(options.corpus)
    for source, kind in SOURCES:
        entries = [
            e for e in corpus.select("validation", source=source) if e.kind == kind and not (kind == "real" and e.style)
        ]
        clips = [corpus.read(entry) for entry in entries[: options.clips]]
        for name in options.names:
            motions = [performer(name)(clip) for clip in clips]
            recall, shares = recalls(motions, clips)
            print(f"\n{name} on {len(clips)} clips of {source}: letters right {np.mean(list(recall.values())):.2f}")
            print("  recall  " + "  ".join(f"{letter} {share:.2f}" for letter, share in recall.items()))
            print("  frames  " + "  ".join(f"{letter} {share:.2f}" for letter, share in shares.items()))
            for preset, weights in vowels(motions, clips).items():
                print(f"  {preset}: " + "  ".join(f"{n} {w:.2f}" for n, w in zip(vrm.VOWELS, weights, strict=True)))


if __name__ == "__main__":
    main()
