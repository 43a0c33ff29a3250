"""How good the corpus' making is: landmarks' residual, phone times, the teacher against tracked lips.

    python benchmarks/data_quality.py --shared FOLDER --face ict.npz --corpus CORPUS [--count 40]

FOLDER holds grid_s1/, nathalie_nl/ and emodb/; CORPUS was built from it by `python -m artalk.data.build`.
"""

import argparse
import csv
import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from artalk import audio
from artalk.channels import ARKIT
from artalk.data import align, phones, tracks
from artalk.data.clips import SAMPLE_RATE, Clip, Corpus, fitted
from artalk.data.landmarks import LIPS, ict_face
from artalk.data.teacher import MOUTH, Teacher
from artalk.errors import BadInput
from artalk.rigs import ict
from artalk.rigs.head import head

Float = NDArray[np.float64]
Phone = tuple[float, float, str]

EYES_PX = 64.5
"""Pixels between the outer eye corners in GRID's video."""

EMODB = {
    "a01": "Der Lappen liegt auf dem Eisschrank.",
    "a02": "Das will sie am Mittwoch abgeben.",
    "a04": "Heute abend könnte ich es ihm sagen.",
    "a05": "Das schwarze Stück Papier befindet sich da oben neben dem Holzstück.",
    "a07": "In sieben Stunden wird es soweit sein.",
    "b01": "Was sind denn das für Tüten, die da unter dem Tisch stehen?",
    "b02": "Sie haben es gerade hochgetragen und jetzt gehen sie wieder runter.",
    "b03": "An den Wochenenden bin ich jetzt immer nach Hause gefahren und habe Agnes besucht.",
    "b09": "Ich will das eben wegbringen und dann mit Karl was trinken gehen.",
    "b10": "Die wird auf dem Platz sein, wo wir sie immer hinlegen.",
}

WOMEN = ("08", "09", "13", "14", "16")


def interval(values: Iterable[float]) -> str:
    """The mean with its 95 % bootstrap interval."""
    found = np.array([value for value in values if np.isfinite(value)])
    rng = np.random.default_rng(0)
    means = [found[rng.integers(0, len(found), len(found))].mean() for _ in range(1000)]
    return f"{found.mean():.3f} [{np.percentile(means, 2.5):.3f}, {np.percentile(means, 97.5):.3f}]"


def residuals(folder: Path, face_file: Path, count: int) -> None:
    """Pixels between tracked and solved landmarks, and the lips of two rigs under the solved motion."""
    model = ict.load(face_file)
    face = ict_face(model)
    files = sorted((folder / "grid_s1" / "tracks").glob("*.npz"))
    known = [tracks.read(path) for path in files[:: max(1, len(files) // 60)]]
    tracker = tracks.Tracker(face, tracks.know(known, face), (head(),))
    rest = tracker.person.points
    pixel = np.linalg.norm(rest[263] - rest[33]) / EYES_PX
    lips = face.at(*(LIPS & set(face.numbers.tolist())))
    away: list[Float] = []
    scores: dict[str, list[float]] = {}
    for path in files[:: max(1, len(files) // count)]:
        track = tracks.read(path)
        motion = tracker.solve(track)
        away.append(tracker.residual(track, motion)[:, lips] / pixel)
        for name, rig in (("ICT", model), ("built-in head", head())):
            gap, width = openness(rig, motion.values)
            scores.setdefault(f"{name}: aperture r", []).append(np.corrcoef(gap, tracks.lip_gap(track))[0, 1])
            scores.setdefault(f"{name}: width r", []).append(np.corrcoef(width, tracks.mouth_width(track))[0, 1])
    every = np.concatenate(away)
    print(f"lip landmarks: {every.mean():.2f} px mean, {np.percentile(every, 90):.2f} px p90")
    for name, values in scores.items():
        print(f"{name} {interval(values)}")


def openness(rig: object, values: NDArray[np.float32]) -> tuple[Float, Float]:
    """(frames,) millimetres of a rig's lip gap beyond its neutral one, and of its mouth's width."""
    marks, deltas = rig.landmarks, rig.deltas * 1000.0
    weights = values[:, ARKIT.indices(rig.shapes)]
    gap = weights @ (deltas[:, marks.inner_upper_lip, 1] - deltas[:, marks.inner_lower_lip, 1])
    ends = [marks.left_mouth_corner, marks.right_mouth_corner]
    apart = weights @ (deltas[:, ends[0], 0] - deltas[:, ends[1], 0])
    return np.maximum(gap, 0.0), apart


def matches(true: Sequence[Phone], made: Sequence[Phone]) -> list[tuple[int, int]]:
    """Pairs of phones alike, by the smallest edit distance."""
    cost = np.zeros((len(true) + 1, len(made) + 1))
    cost[:, 0], cost[0] = np.arange(len(true) + 1), np.arange(len(made) + 1)

    def swap(i: int, j: int) -> float:
        return cost[i - 1, j - 1] + (0.0 if true[i - 1][2] == made[j - 1][2] else 1.2)

    for i in range(1, len(true) + 1):
        for j in range(1, len(made) + 1):
            cost[i, j] = min(cost[i - 1, j] + 1, cost[i, j - 1] + 1, swap(i, j))
    i, j, pairs = len(true), len(made), list[tuple[int, int]]()
    while i and j:
        if cost[i, j] == swap(i, j):
            if true[i - 1][2] == made[j - 1][2]:
                pairs.append((i - 1, j - 1))
            i, j = i - 1, j - 1
        elif cost[i, j] == cost[i - 1, j] + 1:
            i -= 1
        else:
            j -= 1
    return pairs


def report(name: str, errors: list[float], shares: list[float]) -> None:
    """Say how far phone starts are off."""
    off = 1000 * np.array(errors)
    size = np.abs(off)
    print(
        f"{name}: {len(off)} phones ({np.mean(shares):.0%} matched), bias {np.median(off):.0f} ms, median "
        f"{np.median(size):.0f} ms, p90 {np.percentile(size, 90):.0f} ms, within 40 ms {np.mean(size <= 40):.0%}"
    )


def dutch(folder: Path, count: int) -> None:
    """Warped synthetic readings against the given alignment."""
    home = folder / "nathalie_nl"
    with (home / "metadata.csv").open(encoding="utf-8", newline="") as file:
        texts = dict(row[:2] for row in csv.reader(file, delimiter="|", quoting=csv.QUOTE_NONE))
    lines = (home / "nathalie_align.jsonl").read_text(encoding="utf-8").splitlines()
    errors, shares = list[float](), list[float]()
    for line in lines[:: max(1, len(lines) // count)]:
        given = json.loads(line)
        sound = audio.load(next((home / "audio").glob(given["id"] + ".*"))).resampled(SAMPLE_RATE)
        spans = [
            part
            for word in given["words"]
            for p in word["phones"]
            for part in phones.spread(p["start"], p["start"] + p["duration"], phones.from_ipa(p["phone"]))
        ]
        compare(phones.filled(spans, float(sound.duration)), sound, texts[given["id"]], ("nl+f3",), errors, shares)
    report("nathalie_nl, given against warped", errors, shares)


def compare(
    spans: Sequence[Phone],
    sound: audio.Audio,
    text: str,
    voices: Sequence[str],
    errors: list[float],
    shares: list[float],
) -> None:
    """Add the errors of one recording."""
    true = [span for span in spans if span[2] != phones.SILENCE]
    made = [span for span in align.by_synthesis(sound, align.clean(text), voices) if span[2] != phones.SILENCE]
    pairs = matches(true, made)
    shares.append(len(pairs) / len(true))
    errors += [made[j][0] - true[i][0] for i, j in pairs]


def german(folder: Path, count: int) -> None:
    """Warped synthetic readings against hand labels of acted emotional speech; recordings that are cut are left out."""
    home = folder / "emodb"
    files = sorted((home / "audio").iterdir())
    errors, shares = list[float](), list[float]()
    for path in files[:: max(1, len(files) // (2 * count))]:
        sound = audio.load(path).resampled(SAMPLE_RATE)
        true = labels(home / "phones" / f"{path.stem}xx.lablaut", float(sound.duration))
        if true[-1][1] <= float(sound.duration):
            voices = ("de+f3", "de+f2") if path.stem[:2] in WOMEN else ("de", "de+m3")
            compare(true, sound, EMODB[path.stem[2:5]], voices, errors, shares)
    report("emodb, hand labels against warped", errors, shares)


def labels(path: Path, seconds: float) -> list[Phone]:
    """EmoDB's labels: the times are starts, a closure (!) belongs to its plosive."""
    body = path.read_text(encoding="latin1").split("#", 1)[1]
    rows = [line.split() for line in body.splitlines() if line.strip()]
    found: list[Phone] = []
    starts = [float(row[0]) for row in rows]
    for row, start, end in zip(rows, starts, [*starts[1:], max(seconds, starts[-1])], strict=True):
        sign = row[2].lstrip("!_").replace("asp", "") if len(row) > 2 else "_"
        try:
            phone = phones.from_sampa(sign or "_")[0]
        except BadInput:
            continue
        if found and found[-1][2] == phone:
            found[-1] = (found[-1][0], end, phone)
        else:
            found.append((start, end, phone))
    return [span for span in found if span[2] != phones.SILENCE]


def taught(folder: Path, corpus_folder: Path) -> None:
    """The teacher's mouth on held-out GRID sentences against the tracked one, from phones alone and with the sound."""
    wise = Teacher.load(corpus_folder / "teacher.json")
    _taught(folder, corpus_folder, "phones alone", lambda clip, frames: wise.mouth(clip.phones, frames))

    def heard(clip: Clip, frames: int) -> Float:
        return np.asarray(wise.motion(clip.audio, clip.phones).values[:frames, ARKIT.indices(MOUTH)], np.float64)

    _taught(folder, corpus_folder, "phones and stress", heard)


def _taught(folder: Path, corpus_folder: Path, how: str, teach: Callable[[Clip, int], Float]) -> None:
    corpus, rig = Corpus(corpus_folder), head()
    scores: dict[str, list[float]] = {"aperture r": [], "width r": [], "bilabials sealed (share)": []}
    for entry in corpus.select("validation", source="grid_s1", kind="real"):
        clip = corpus.read(entry)
        track = tracks.read(folder / "grid_s1" / "tracks" / f"{entry.id.removeprefix('grid_s1-')}.npz")
        values = np.zeros((len(clip.motion), len(ARKIT)), np.float32)
        values[:, ARKIT.indices(MOUTH)] = teach(clip, len(values))
        gap, width = openness(rig, values)
        seen = fitted(np.stack([tracks.lip_gap(track), tracks.mouth_width(track)], axis=1), len(values))
        scores["aperture r"].append(np.corrcoef(gap, seen[:, 0])[0, 1])
        scores["width r"].append(np.corrcoef(width, seen[:, 1])[0, 1])
        scores["bilabials sealed (share)"] += [
            float(gap[max(0, int(start * 25) - 1) : int(end * 25) + 3].min() < 0.5)
            for start, end, phone in clip.phones
            if phone in phones.BILABIAL
        ]
    for name, values in scores.items():
        print(f"teacher on held-out GRID, {how}: {name} {interval(values)}")


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, required=True)
    parser.add_argument("--face", type=Path, required=True)
    parser.add_argument("--corpus", type=Path)
    parser.add_argument("--count", type=int, default=40)
    options = parser.parse_args()
    residuals(options.shared, options.face, options.count)
    dutch(options.shared, options.count)
    german(options.shared, options.count)
    if options.corpus:
        taught(options.shared, options.corpus)


if __name__ == "__main__":
    main()
