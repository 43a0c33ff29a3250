"""A person's way of moving from a video: the sample that a model follows, and in words what it shows."""

from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from artalk import rotation
from artalk.errors import BadInput, needs
from artalk.formats.atomic import atomic
from artalk.motion import Motion
from artalk.prepare import terms
from artalk.prepare.quality import lip_gap
from artalk.prepare.take import runs
from artalk.prepare.video import Prepared
from artalk.summary import summarise

Float = NDArray[np.float64]

FPS = Fraction(25)
"""Frames a second of a style: those of the models that follow it."""

LEAST, GOOD, MOST = 2.0, 10.0, 60.0
"""Seconds of a seen face: without which there is no style, from which on it is steady, and that are kept."""

RUN = 1.0
"""Seconds for which a face is seen without a break to count."""

TALKING = 0.002
"""Metres of lip gap, smoothed, above which a face is taken to talk."""

USUAL: dict[str, float] = {"opening": 12.8, "rounding": 0.3, "smile": 0.03, "brows": 0.13, "blinks": 15.0, "head": 4.0}
"""What each trait is in a calm reader (GRID's speaker 1, 267 sentences), but blinks and head, which free speech has."""

TRAITS: dict[str, tuple[str, str, str, str]] = {
    "opening": ("mouth", "opens to {:.1f} mm", "wider than", "less wide than"),
    "rounding": ("lips", "round to {:.2f}", "more than", "less than"),
    "smile": ("smile", "{:.2f} on average", "more than", "less than"),
    "brows": ("brows", "move by {:.2f}", "more than", "less than"),
    "blinks": ("blinks", "{:.0f} a minute", "more often than", "less often than"),
    "head": ("head", "moves by {:.1f}°", "more than", "less than"),
}
"""What a trait is called, how it is said, and how more and less of it are."""


@dataclass(frozen=True, eq=False)
class Style:
    """`motion` (25 fps) to follow, of `seconds` of a seen face, and its `traits`.

    The motion is in the `terms` of the model that ships, which is to follow it; the traits are of the face as it was.

    opening: mm between the lips that 5 % of talking frames exceed · rounding: 90th percentile of the larger of funnel
    and pucker · smile: mean · brows: standard deviation · blinks: a minute · head: degrees, standard deviation.
    """

    motion: Motion
    seconds: float
    traits: dict[str, float]

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        facts = asdict(self)
        facts.pop("motion")
        return facts

    def words(self) -> str:
        """A few lines for a person."""
        enough = "enough" if self.seconds >= GOOD else f"{GOOD:.0f} s and more are steadier"
        lines = [f"style     of {self.seconds:.1f} s of a seen face ({enough})"]
        for name, (title, said, more, less) in TRAITS.items():
            share = self.traits[name] / USUAL[name]
            how = "as" if 0.75 < share < 1.33 else more if share > 1 else less
            lines.append(f"{title:<9} {said.format(self.traits[name])}, {how} usual ({USUAL[name]:g})")
        return "\n".join(lines)


def style_of(done: Prepared) -> Style:
    """The style of a prepared video; raises `BadInput` where a face is seen for less than 2 seconds."""
    found = style(done.motion, done.performance.ok)
    on_head = "tongueOut" in done.performance.tracker.face.shapes  # which ICT's face lacks
    return replace(found, motion=terms.on_ict(found.motion)) if on_head else found


def style(motion: Motion, ok: NDArray[np.bool_]) -> Style:
    """The style of motion in the frames that are `ok`, its liveliest minute if there is more."""
    fps = float(motion.fps)
    parts = [motion.cut(first, last) for first, last in runs(ok) if last - first >= RUN * fps]
    kept = [part.values for part in parts]
    frames = sum(len(part) for part in kept)
    if frames < LEAST * fps:
        raise BadInput(f"a style needs a face seen for at least {LEAST:g} seconds, got {frames / fps:.1f}")
    whole = Motion(np.concatenate(kept), motion.channels, motion.fps)
    whole = _liveliest(whole if motion.fps == FPS else whole.resample(FPS))
    return Style(terms.still_eyes(whole), round(frames / fps, 2), traits(whole))


def traits(motion: Motion) -> dict[str, float]:
    """The traits of ARKit motion, see `Style`."""
    gap = lip_gap(motion)
    talking = _smoothed(gap, motion) > TALKING
    chosen = talking if talking.sum() > 10 else np.ones(len(gap), bool)
    rounding = np.maximum(motion.channel("mouthFunnel"), motion.channel("mouthPucker"))
    brows = motion.channel("browInnerUp") + motion.channel("browOuterUpLeft") - motion.channel("browDownLeft")
    turned = rotation.rotvec_to_quat(motion.group("head"))
    angles = np.degrees(rotation.quat_to_euler(turned))
    blinks = summarise(motion).blinks
    found = {
        "opening": 1000 * float(np.percentile(gap[chosen], 95)),
        "rounding": float(np.percentile(rounding[chosen], 90)),
        "smile": float((motion.channel("mouthSmileLeft") + motion.channel("mouthSmileRight")).mean() / 2),
        "brows": float(brows.std()),
        "blinks": 0.0 if blinks is None else blinks.per_minute,
        "head": float(np.linalg.norm(angles.std(axis=0))),
    }
    return {name: round(value, 4) for name, value in found.items()}


def draw(found: Style, path: Path) -> None:
    """A picture of the traits beside what is usual, and of the mouth over time. Needs the extra `plot`."""
    needs("matplotlib", "plot", "drawing a style")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 5.5), layout="constrained")
    above, below = figure.subplots(2, 1, height_ratios=[3, 2])
    shares = [found.traits[name] / USUAL[name] for name in TRAITS]
    above.barh([title for title, *_ in TRAITS.values()], shares, color="tab:blue", height=0.6)
    above.axvline(1.0, color="black", linewidth=1)
    for row, (name, (_, said, *_)) in enumerate(TRAITS.items()):
        above.annotate(f" {said.format(found.traits[name])}", (shares[row], row), va="center", fontsize="small")
    above.invert_yaxis()
    above.set_xlim(0, max(2.0, 1.25 * max(shares)))
    above.set_xlabel("1 is usual")
    below.plot(found.motion.times, 1000 * lip_gap(found.motion), linewidth=1)
    below.set_ylabel("lips apart (mm)")
    below.set_xlabel("seconds of the style")
    below.grid(alpha=0.25)
    with atomic(path) as temporary:
        figure.savefig(temporary, dpi=100)  # pyright: ignore[reportUnknownMemberType]


def _smoothed(gap: Float, motion: Motion) -> Float:
    size = max(round(0.4 * float(motion.fps)), 1)
    return np.convolve(gap, np.ones(size) / size, mode="same")[: len(gap)]


def _liveliest(motion: Motion) -> Motion:
    """The minute in which the mouth moves most."""
    most = round(MOST * float(motion.fps))
    if len(motion) <= most:
        return motion
    moved = np.concatenate([[0.0], np.cumsum(np.abs(np.diff(lip_gap(motion), prepend=0.0)))])
    first = int((moved[most:] - moved[:-most]).argmax())
    return Motion(motion.values[first : first + most], motion.channels, motion.fps)
