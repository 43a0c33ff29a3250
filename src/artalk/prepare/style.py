"""A person's way of moving from a recording: the sample that a model follows, and in words what it shows."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from artalk import rotation
from artalk.captures import Capture
from artalk.channels import ARKIT, HEAD
from artalk.errors import BadFile, BadInput, needs
from artalk.formats import files, npz
from artalk.formats.atomic import atomic
from artalk.motion import Motion
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

SHOWN_BY: dict[str, tuple[str, ...]] = {
    "opening": ("jawOpen", "mouthLowerDownLeft", "mouthLowerDownRight"),
    "rounding": ("mouthFunnel", "mouthPucker"),
    "smile": ("mouthSmileLeft", "mouthSmileRight"),
    "brows": ("browInnerUp", "browOuterUpLeft", "browDownLeft"),
    "blinks": ("eyeBlinkLeft", "eyeBlinkRight"),
    "head": HEAD,
}
"""The channels that a trait is seen in."""


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
    face: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        facts = asdict(self)
        facts.pop("motion")
        return facts

    def words(self) -> str:
        """A few lines for a person."""
        enough = "enough" if self.seconds >= GOOD else f"{GOOD:.0f} s and more are steadier"
        lines = [f"style     of {self.seconds:.1f} s of a seen face ({enough})"]
        for name in self.traits:
            title, said, more, less = TRAITS[name]
            share = self.traits[name] / USUAL[name]
            how = "as" if 0.75 < share < 1.33 else more if share > 1 else less
            lines.append(f"{title:<9} {said.format(self.traits[name])}, {how} usual ({USUAL[name]:g})")
        return "\n".join(lines)


def style_of(done: Prepared) -> Style:
    """The style of a prepared video; raises `BadInput` where a face is seen for less than 2 seconds."""
    return style(done.motion, done.performance.ok, done.face)


def style_of_capture(capture: Capture, face: str = "") -> Style:
    """The style of a capture in ARKit's channels, of the frames with its face in sight; raises as `style_of`."""
    return style(capture.motion, capture.seen, face, capture.observed)


def style(motion: Motion, ok: NDArray[np.bool_], face: str = "", observed: NDArray[np.bool_] | None = None) -> Style:
    """The style of ARKit motion in the frames that are `ok` (frames,), its liveliest minute if there is more.

    `observed` (55,) says of which channels anything is known (default: of all).
    """
    kept, seconds = _kept(motion, ok)
    whole = _liveliest(kept)
    shown = np.ones(len(ARKIT), bool) if observed is None else observed
    known = {name: value for name, value in traits(whole).items() if shown[ARKIT.indices(SHOWN_BY[name])].any()}
    return Style(whole, round(seconds, 2), known, face)


def joined(parts: Sequence[Style]) -> Style:
    """The style of a person whom several recordings show; raises `BadInput` where they were solved on several faces."""
    faces = {part.face for part in parts}
    if len(faces) != 1:
        names = ", ".join(sorted(face or "nobody knows which" for face in faces))
        raise BadInput(f"recordings that are one style have motion solved on one face, got {names}; use videos alone")
    motion = Motion(np.concatenate([part.motion.values for part in parts]), ARKIT, FPS)
    whole = _liveliest(motion)
    known = {name: value for name, value in traits(whole).items() if all(name in part.traits for part in parts)}
    return Style(whole, round(sum(part.seconds for part in parts), 2), known, faces.pop())


def sample(motion: Motion, ok: NDArray[np.bool_]) -> Motion:
    """Motion of any channels, at 25 fps, in the frames that are `ok` (frames,): what a model follows of it."""
    kept, _ = _kept(motion, ok)
    return kept.cut(0, min(len(kept), round(MOST * float(FPS))))


def face_of(path: Path) -> str:
    """The face model on which the motion in a .npz was solved, as `save` and `artalk prepare` note it; else ""."""
    try:
        return npz.notes(path).get("face", "") if path.suffix.lower() == ".npz" else ""
    except BadFile:  # arrays of a tracker
        return ""


def _kept(motion: Motion, ok: NDArray[np.bool_]) -> tuple[Motion, float]:
    """The stretches of a second and more in which a face is seen, at 25 fps one after the other, and their seconds."""
    fps = float(motion.fps)
    kept = [motion.values[first:last] for first, last in runs(ok) if last - first >= RUN * fps]
    frames = sum(len(part) for part in kept)
    if frames < LEAST * fps:
        raise BadInput(f"a style needs a face seen for at least {LEAST:g} seconds, got {frames / fps:.1f}")
    whole = Motion(np.concatenate(kept), motion.channels, motion.fps)
    return whole if motion.fps == FPS else whole.resample(FPS), frames / fps


def save(found: Style, path: Path) -> None:
    """Write the motion of a style. A .npz remembers the face that it was solved on, other formats do not."""
    if path.suffix.lower() == ".npz":
        npz.write_noted(found.motion, path, {"face": found.face} if found.face else {})
    else:
        files.save(found.motion, path)


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
    shares = [value / USUAL[name] for name, value in found.traits.items()]
    above.barh([TRAITS[name][0] for name in found.traits], shares, color="tab:blue", height=0.6)
    above.axvline(1.0, color="black", linewidth=1)
    for row, (name, value) in enumerate(found.traits.items()):
        above.annotate(f" {TRAITS[name][1].format(value)}", (shares[row], row), va="center", fontsize="small")
    above.invert_yaxis()
    above.set_xlim(0, max(2.0, *(1.25 * share for share in shares)))
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
