"""How well lips made from sound alone follow lips tracked in video, on sentences of the GRID corpus.

    python benchmarks/grid_aperture.py --grid FOLDER [--count 400] [--skip 400] [--rig head | ict.npz | avatar.glb]

FOLDER holds audio/NAME.*, tracks/NAME.npz (MediaPipe's 478 landmarks) and words/NAME.align. The lip gap of a rig under
the motion is correlated with the tracked one, sentence by sentence; the first 400 sentences served to choose constants.
"""

import argparse
import io
import lzma
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from artalk import audio
from artalk.audio import Audio
from artalk.generators.visemes import Visemes
from artalk.motion import Motion
from artalk.rigs.blendshape import BlendshapeRig

IMAGE = np.array([360.0, 288.0, 360.0])
"""Pixels that normalised landmarks (x, y, z) are multiples of."""

UPPER, LOWER, LEFT_EYE, RIGHT_EYE = 13, 14, 263, 33
"""MediaPipe's inner lips' middle and outer eye corners."""

EYES_MM = 90.0
"""Millimetres between the outer corners of the eyes, about, of a grown-up."""

LAGS = range(-2, 3)
BILABIAL = {"bin", "blue", "by", "place", "please", "b", "p", "m"}
"""The words of GRID that begin with closed lips; letter m ends with them."""

TRACKED_CLOSED = 0.02
"""Tracked gap, in distances between the eye corners, that counts as closed: about 2 mm, the tracker's own noise."""

SEALED_MM = 0.5

Curve = NDArray[np.float64]


@dataclass(frozen=True)
class Sentence:
    """Sound, the tracked gap (frames,) in eye distances, and words with their start and end in seconds."""

    name: str
    sound: Audio
    gap: Curve
    words: list[tuple[float, float, str]]


def sentences(folder: Path, skip: int, count: int) -> Iterator[Sentence]:
    """The sentences of a folder in order of their names."""
    for track in sorted((folder / "tracks").glob("*.npz"))[skip : skip + count]:
        sound = next((folder / "audio").glob(track.stem + ".*"))
        lines = (folder / "words" / f"{track.stem}.align").read_text().split("\n")
        parts = [line.split() for line in lines if line.strip()]
        words = [(int(start) / 25000, int(end) / 25000, word) for start, end, word in parts]
        yield Sentence(track.stem, audio.load(sound), tracked_gap(track), words)


def tracked_gap(path: Path) -> Curve:
    """The (frames,) inner lip gap of a track, by the distance between the outer eye corners."""
    with np.load(path) as track:
        steps = np.load(io.BytesIO(lzma.decompress(track["landmarks_delta_xz"].tobytes())))
        points = np.cumsum(steps.astype(np.int32), axis=0) / track["landmarks_scale"] * IMAGE

    def apart(a: int, b: int) -> Curve:
        return np.linalg.norm(points[:, a] - points[:, b], axis=1)

    return apart(UPPER, LOWER) / apart(LEFT_EYE, RIGHT_EYE)


def rig_gap(rig: BlendshapeRig, motion: Motion) -> Curve:
    """The (frames,) gap in mm between a rig's inner lips beyond that of its neutral pose, the head held still."""
    assert rig.landmarks is not None, "this rig names no lips"
    lips = [rig.landmarks.inner_upper_lip, rig.landmarks.inner_lower_lip]
    still = motion.with_groups(head=0).values
    heights = np.array([rig.pose(values)[lips, 1] for values in still], np.float64)
    rest = rig.mesh.vertices[lips, 1]
    return np.maximum(heights[:, 0] - heights[:, 1] - (rest[0] - rest[1]), 0.0) * 1000


def loudness(sentence: Sentence, frames: int) -> Curve:
    """dB of each frame's sound: the baseline that any lip synchronisation should beat."""
    hop = sentence.sound.sample_rate // 25
    samples = np.zeros(frames * hop)
    heard = sentence.sound.samples[: frames * hop]
    samples[: len(heard)] = heard
    return 10 * np.log10(np.mean(samples.reshape(frames, hop) ** 2, axis=1) + 1e-9)


def correlations(made: Curve, tracked: Curve) -> Curve:
    """Pearson's correlation at each of `LAGS`; at a positive lag what is made leads."""
    found: list[float] = []
    for lag in LAGS:
        a, b = made[max(-lag, 0) : len(made) - max(lag, 0)], tracked[max(lag, 0) : len(tracked) - max(-lag, 0)]
        found.append(float(np.corrcoef(a, b)[0, 1]) if a.std() > 0 and b.std() > 0 else 0.0)
    return np.array(found)


def interval(values: Curve, mean: Callable[[Curve], float]) -> tuple[float, float]:
    """The 95 % bootstrap interval over sentences."""
    rng = np.random.default_rng(0)
    means = [mean(values[rng.integers(0, len(values), len(values))]) for _ in range(2000)]
    return float(np.percentile(means, 2.5)), float(np.percentile(means, 97.5))


def closures(sentence: Sentence, gap: Curve) -> list[bool]:
    """For each word whose lips the tracker saw closed at its beginning: whether the rig's were sealed there."""
    found: list[bool] = []
    for start, _, word in sentence.words:
        near = slice(max(0, round(start * 25) - 3), round(start * 25) + 4)
        if word in BILABIAL and sentence.gap[near].min() < TRACKED_CLOSED:
            found.append(bool(gap[near].min() < SEALED_MM))
    return found


def wrong_seals(sentence: Sentence, gap: Curve) -> NDArray[np.bool_]:
    """For each frame of speech that the tracker saw open by 4 % of the eyes' distance: whether the rig was sealed."""
    spoken = [word for word in sentence.words if word[2] not in ("sil", "sp")]
    first, last = round(spoken[0][0] * 25) + 1, round(spoken[-1][1] * 25) - 2
    return gap[first:last][sentence.gap[first:last] > 0.04] < SEALED_MM


def a_rig(name: str) -> BlendshapeRig:
    """The built-in head, or a rig from a file."""
    if name == "head":
        from artalk.rigs.head import head

        return head()
    from artalk.rigs import ict

    return ict.load(name)


def row(name: str, all_lags: Curve) -> str:
    """A line of the table: correlation at lag 0, at the best lag of all, and at each sentence's best."""
    best = all_lags.max(axis=1)
    low, high = interval(best, lambda values: float(values.mean()))
    means = all_lags.mean(axis=0)
    return (
        f"| {name} | {means[LAGS.index(0)]:.3f} | {means.max():.3f} at {LAGS[int(means.argmax())]:+d} "
        f"| {best.mean():.3f} ({low:.3f} to {high:.3f}) |"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--grid", type=Path, required=True)
    parser.add_argument("--count", type=int, default=400)
    parser.add_argument("--skip", type=int, default=400)
    parser.add_argument("--rig", default="head")
    options = parser.parse_args()
    generator, rig = Visemes(), a_rig(options.rig)
    by_rules: list[Curve] = []
    by_loudness: list[Curve] = []
    sealed: list[bool] = []
    wrong: list[NDArray[np.bool_]] = []
    bends: list[Curve] = []
    tracked_bends: list[Curve] = []
    seconds = busy = 0.0
    for sentence in sentences(options.grid, options.skip, options.count):
        began = time.process_time()
        motion = generator.generate(sentence.sound)
        busy += time.process_time() - began
        seconds += float(sentence.sound.duration)
        frames = min(len(motion), len(sentence.gap))
        gap, tracked = rig_gap(rig, motion)[:frames], sentence.gap[:frames]
        by_rules.append(correlations(gap, tracked))
        by_loudness.append(correlations(loudness(sentence, frames), tracked))
        sealed += closures(sentence, gap)
        wrong.append(wrong_seals(sentence, gap))
        bends.append(np.abs(np.diff(gap, 2)))
        tracked_bends.append(np.abs(np.diff(tracked * EYES_MM, 2)))
    print(f"{len(by_rules)} sentences from number {options.skip}, rig {options.rig}")
    print("| lips from | r at lag 0 | r at one lag for all | r at each sentence's best lag (95 %) |\n|---|---|---|---|")
    print(row("loudness alone", np.array(by_loudness)))
    print(row("visemes", np.array(by_rules)))
    print(f"bilabial closures found: {np.mean(sealed):.2f} of {len(sealed)}")
    print(f"frames sealed though tracked open: {np.concatenate(wrong).mean():.3f}")
    print(
        f"99th percentile of acceleration, mm a frame²: {np.percentile(np.concatenate(bends), 99):.1f}, "
        f"tracked {np.percentile(np.concatenate(tracked_bends), 99):.1f}"
    )
    print(f"{seconds / busy:.0f} times real time on one core, clips of 3 s")


if __name__ == "__main__":
    main()
