"""Whose way of moving is it? Motion made in the style of unseen clips, told apart from the other ways of its source.

A trial is several held-out sentences, made in the style of other held-out clips of one way (speaker and style). It is
right where the distributions of its curves (lip gap, corners of the mouth, brows, lids, head …) and of their speeds
lie nearer to those of that way's training clips than to any other way's. Held-out motion itself, put to the same test,
shows what the test can tell: the ceiling, which is shown beside every figure.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from artalk.channels import ARKIT
from artalk.data.clips import FPS, Clip, Corpus, Entry
from artalk.data.habits import Habits, drawn
from artalk.evaluate import metrics
from artalk.evaluate.face import Face
from artalk.evaluate.metrics import Spread
from artalk.evaluate.performers import Performer
from artalk.motion import Motion

Float = NDArray[np.floating]
Curves = NDArray[np.float64]
Way = tuple[str, str]
"""Speaker and style."""

SENTENCES = 5
"""Sentences of a trial. With one sentence of true motion the test is right 92 times of 100, with three always."""

REFERENCE = 4
"""Clips of a reference, about twelve seconds: a single sentence does not always show its habit either."""

LOOK = 40
"""Training clips of which a way's own distributions are taken."""

ROUNDS = 2
"""Trials of each reference, each with other sentences."""

REFERENCES, GROUPS = 3, 10
"""References of each way, and groups of its own clips, at most: a way with many clips does not outvote the others."""

LOTS, LOT_SEED = 12, 19
"""Ways of moving drawn by lot, and what they are drawn from."""

LEVELS = np.linspace(0.5 / 32, 1 - 0.5 / 32, 32)

STILL = 0.02
"""Deviation (mm, hundredths of a radian) below which a curve is still and does not count."""

POINTS: dict[str, str] = {
    "brow_left": "browOuterUpLeft",
    "brow_right": "browOuterUpRight",
    "brow_inner": "browInnerUp",
    "lid_left": "eyeBlinkLeft",
    "lid_right": "eyeBlinkRight",
}
"""Points of the upper face: where these shapes move it most."""


def curves(face: Face, values: Float) -> Curves:
    """(frames, 13) of motion (frames, 55): mm of points of the face, hundredths of a radian of the head.

    Lip gap, mouth width, how far the lips stand forward and aside, the height of each corner, of both outer brows, of
    the inner brows and of the lids, the three angles of the head.
    """
    upper = {
        name: int((np.linalg.norm(face.deltas[ARKIT.index(shape)], axis=1) * face.upper).argmax())
        for name, shape in POINTS.items()
    }
    vertices = [*face.gap, *face.corners, *upper.values()]
    moved = np.einsum("tc,cvx->vtx", np.asarray(values, np.float32), face.deltas[:, vertices])
    points = dict(
        zip(("above", "below", "left", "right", *upper), moved + face.neutral[vertices][:, None], strict=True)
    )
    lips = (points["above"] + points["below"]) / 2
    columns = [
        face.aperture(np.asarray(values, np.float32)),
        face.width(np.asarray(values, np.float32)),
        lips[:, 2],
        lips[:, 0],
        *(points[name][:, 1] for name in ("left", "right", "brow_left", "brow_right", "brow_inner")),
        (points["lid_left"][:, 1] + points["lid_right"][:, 1]) / 2,
        *(100 * values[:, ARKIT.slice("head")].T),
    ]
    return np.stack(columns, axis=1).astype(np.float64)


def look(clips: Sequence[Curves]) -> NDArray[np.float64]:
    """(2, curves, 32) quantiles of curves and of their speeds: what a way of moving looks like, whatever is said."""
    speeds = [np.abs(np.diff(clip, axis=0)) for clip in clips]
    return np.stack([np.quantile(np.concatenate(part), LEVELS, axis=0).T for part in (clips, speeds)])


def distance(one: NDArray[np.float64], other: NDArray[np.float64], scale: NDArray[np.float64]) -> float:
    """Wasserstein-1 between the distributions of two looks by their deviation `scale` (2, curves), averaged.

    In one dimension it is the mean distance of the quantile functions. Curves that are still by `scale` do not count.
    """
    counts = scale[0] > STILL
    apart = np.abs(one - other).mean(axis=-1)[:, counts] / np.maximum(scale[:, counts], 1e-6)
    return float(apart.mean())


@dataclass(frozen=True, eq=False)
class Ways:
    """The ways of one source: the `looks` of their training clips, `scale` (2, curves), and their held-out clips."""

    looks: dict[Way, NDArray[np.float64]]
    scale: NDArray[np.float64]
    held: dict[Way, list[Clip]]

    def nearest(self, clips: Sequence[Curves]) -> tuple[Way, dict[Way, float]]:
        """The way that some clips together are nearest to, and how far they are from each."""
        mine = look(clips)
        far = {way: distance(mine, own, self.scale) for way, own in self.looks.items()}
        return min(far, key=lambda way: far[way]), far


def ways(corpus: Corpus, source: str, face: Face) -> Ways | None:
    """The ways of a source; None where it has but one."""
    known: dict[Way, list[Entry]] = {}
    for entry in corpus.select("train", source=source):
        if entry.observed:
            known.setdefault((entry.speaker, entry.style), []).append(entry)
    if len(known) < 2:
        return None
    seen = {way: [_curves(face, corpus.read(entry)) for entry in _spread(own, LOOK)] for way, own in known.items()}
    every = [clip for clips in seen.values() for clip in clips]
    scale = _scale(every)
    held = {way: [corpus.read(entry) for entry in _held(corpus, source, way)] for way in known}
    return Ways({way: look(clips) for way, clips in seen.items()}, scale, held)


def ceiling(
    corpus: Corpus, face: Face, sentences: int = SENTENCES, sources: Collection[str] | None = None
) -> dict[str, Spread]:
    """The test put to held-out motion itself: groups of `sentences` clips of one way, of some sources or of all."""
    rows: list[tuple[float, float]] = []
    for own in _all(corpus, face, sources):
        for way, clips in own.held.items():
            for group in islice(_groups(clips, sentences), GROUPS):
                found, far = own.nearest([_curves(face, clip) for clip in group])
                rows.append((found == way, far[way]))
    return _spreads(rows)


def trials(
    performer: Performer,
    corpus: Corpus,
    face: Face,
    reference: int = REFERENCE,
    rounds: int = ROUNDS,
    sources: Collection[str] | None = None,
) -> dict[str, Spread]:
    """`style_right`: the share of trials that are right, and `style_distance`: how far they are from their own way.

    A reference is `reference` held-out clips of a way, one after the other; sounds are held-out clips of the same
    source that say other sentences. With `sources`, of these alone.
    """
    rows: list[tuple[float, float]] = []
    rng = np.random.default_rng(0)
    for own in _all(corpus, face, sources):
        every = [clip for clips in own.held.values() for clip in clips]
        for way, clips in own.held.items():
            for group in islice(_groups(clips, reference), REFERENCES):
                wanted, said = sample(corpus, group), {_says(clip.entry) for clip in group}
                others = _one_each([clip for clip in every if _says(clip.entry) not in said])
                found: list[tuple[bool, float]] = []
                for _ in range(rounds if others else 0):
                    chosen = [int(place) for place in rng.permutation(len(others))[:SENTENCES]]
                    made = [_made(performer, others[place], wanted, face) for place in chosen]
                    nearest, far = own.nearest(made)
                    found.append((nearest == way, far[way]))
                if found:  # what one reference gives counts once: its trials are alike
                    right, apart = np.mean(found, axis=0)
                    rows.append((float(right), float(apart)))
    return _spreads(rows)


def followed(performer: Performer, corpus: Corpus, source: str, face: Face, lots: int = LOTS) -> Spread:
    """How far a performer goes along with ways that nobody has met: 0 not at all, 1 as far as motion itself.

    Habits drawn by lot (`data.habits`) are laid over the source's own clips. Held-out sentences are made in no style
    and in that of other held-out clips with these habits; the figure is how much nearer that brings them to training
    clips with the habits, in shares of what the habits' own held-out clips are nearer. NaN where there are too few.
    """
    learnt = [corpus.read(entry) for entry in _spread(corpus.select("train", source=source, style=""), LOOK)]
    held = [corpus.read(entry) for entry in _one_of_each(corpus.select("validation", source=source, style=""))]
    shown, said = held[:REFERENCE], held[REFERENCE : REFERENCE + SENTENCES]
    if not learnt or not said:
        return float("nan"), float("nan"), float("nan")
    free = [_seen(face, clip, performer.perform(clip.audio)) for clip in said]
    gained: list[float] = []
    possible: list[float] = []
    for lot in range(lots):
        habits = drawn(np.random.default_rng([LOT_SEED, lot]))
        own, sampled, true = ([_worn(clip, habits) for clip in clips] for clips in (learnt, shown, said))
        theirs = [_curves(face, clip) for clip in own]
        wanted, scale, wish = look(theirs), _scale(theirs), sample(corpus, sampled)
        made = [_made(performer, clip, wish, face) for clip in said]
        none, styled, best = (
            distance(look(clips), wanted, scale) for clips in (free, made, [_curves(face, clip) for clip in true])
        )
        gained.append(none - styled)
        possible.append(none - best)
    return metrics.ratio(gained, possible)


def chance(corpus: Corpus) -> float:
    """The share of trials that would be right if the nearest way were drawn by lot."""
    shares: list[float] = []
    for source in dict.fromkeys(entry.source for entry in corpus.entries):
        known = {(entry.speaker, entry.style) for entry in corpus.select("train", source=source) if entry.observed}
        shares += [1 / len(known)] * (len(known) if len(known) > 1 else 0)
    return float(np.mean(shares)) if shares else float("nan")


def cost(
    performer: Performer,
    corpus: Corpus,
    entries: Sequence[Entry],
    face: Face,
    own: Callable[[Entry], Motion | None],
) -> dict[str, Spread]:
    """`style_cost`: by how much the lips' aperture correlation falls where the style is a foreign one of the source.

    Each clip is performed in its `own` style and in one other, the ways in turn; the mean of the differences.
    """
    losses: list[float] = []
    for number, entry in enumerate(entries):
        usual, foreign = own(entry), _foreign(corpus, entry, number)
        if usual is None or foreign is None:
            continue
        clip = corpus.read(entry)
        true = face.aperture(clip.motion.values)
        one, other = (
            metrics.correlation(face.aperture(performer.perform(clip.audio, style)[: len(true)]), true)
            for style in (usual, foreign)
        )
        losses.append(one - other)
    return {"style_cost": metrics.interval(losses)} if losses else {}


def _foreign(corpus: Corpus, entry: Entry, number: int) -> Motion | None:
    """A sample of another way of the entry's source, the `number`-th in turn, in which other sentences are said."""
    others: dict[Way, list[Entry]] = {}
    for other in corpus.select("validation", source=entry.source):
        if other.style != entry.style and other.observed and other.frames >= FPS and _says(other) != _says(entry):
            others.setdefault((other.speaker, other.style), []).append(other)
    if not others:
        return None
    way = list(others)[number % len(others)]
    return sample(corpus, [corpus.read(other) for other in _spread(others[way], REFERENCE)])


def sample(corpus: Corpus, clips: Sequence[Clip]) -> Motion:
    """The motion of clips one after the other, as a sample of a style.

    Channels that their source did not measure stand at the corpus' mean, which is what training shows of them: GRID's
    masked lids and head would be motion that no model was meant to see.
    """
    mean = corpus.mean()
    return Motion(np.concatenate([np.where(clip.observed, clip.motion.values, mean) for clip in clips]), ARKIT, FPS)


def _all(corpus: Corpus, face: Face, sources: Collection[str] | None = None) -> Iterator[Ways]:
    for source in dict.fromkeys(entry.source for entry in corpus.entries):
        found = ways(corpus, source, face) if sources is None or source in sources else None
        if found:
            yield found


def _held(corpus: Corpus, source: str, way: Way) -> list[Entry]:
    held = corpus.select("validation", source=source, speaker=way[0], style=way[1])
    return [entry for entry in held if entry.observed and entry.frames >= FPS]


def _groups(clips: list[Clip], size: int) -> Iterator[list[Clip]]:
    """Clips in groups of `size`, evenly spread; what is left over is left out, unless there are too few for one."""
    count = max(1, len(clips) // size)
    for number in range(count):
        if group := clips[number::count][:size]:
            yield group


def _one_each(clips: list[Clip]) -> list[Clip]:
    """One clip of each sentence."""
    return list({_says(clip.entry): clip for clip in clips}.values())


def _says(entry: Entry) -> str:
    return entry.text or entry.id


def _spread(entries: Sequence[Entry], most: int) -> list[Entry]:
    places = np.linspace(0, len(entries) - 1, min(most, len(entries)))
    return [entries[round(float(place))] for place in places]


def _one_of_each(entries: Sequence[Entry]) -> list[Entry]:
    """One entry of each sentence, of those with motion."""
    return list({_says(entry): entry for entry in entries if entry.observed and entry.frames >= FPS}.values())


def _scale(clips: Sequence[Curves]) -> NDArray[np.float64]:
    """(2, curves) the deviations of curves and of their speeds."""
    speeds = [np.abs(np.diff(clip, axis=0)) for clip in clips]
    return np.stack([np.concatenate(part).std(axis=0) for part in (clips, speeds)])


def _worn(clip: Clip, habits: Habits) -> Clip:
    return replace(clip, motion=habits.worn(clip.motion))


def _made(performer: Performer, clip: Clip, style: Motion, face: Face) -> Curves:
    return _seen(face, clip, performer.perform(clip.audio, style))


def _curves(face: Face, clip: Clip) -> Curves:
    return _seen(face, clip, clip.motion.values)


def _seen(face: Face, clip: Clip, values: Float) -> Curves:
    """Curves of what the clip's source has measured."""
    return curves(face, np.where(clip.observed, values, 0))


def _spreads(rows: Sequence[tuple[float, float]]) -> dict[str, Spread]:
    if not rows:
        return {}
    right, far = zip(*rows, strict=True)
    return {"style_right": metrics.interval(right), "style_distance": metrics.interval(far)}
