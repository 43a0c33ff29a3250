"""Planted ways of speaking: habits that are laid over motion, so that style can be learnt and tested."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from artalk.channels import ARKIT
from artalk.errors import BadInput
from artalk.motion import Motion

Float = NDArray[np.float64]


@dataclass(frozen=True)
class Style:
    """Habits of a face; the defaults change nothing.

    `mouth` scales how far the mouth opens and the lips move; `smile` is added to both corners; `sideways` (-1..1) makes
    the subject's left (right) side of the mouth the livelier one; `rounding` scales pucker and funnel; `brows` scales
    how brows move, `raised` and `lowered` are added to them; `head` scales head motion; `narrow` closes the lids a bit;
    `blinks` is blinks a minute, for motion that is made.
    """

    name: str
    mouth: float = 1.0
    smile: float = 0.0
    sideways: float = 0.0
    rounding: float = 1.0
    brows: float = 1.0
    raised: float = 0.0
    lowered: float = 0.0
    head: float = 1.0
    narrow: float = 0.0
    blinks: float = 15.0


STYLES: tuple[Style, ...] = (
    Style("broad", mouth=1.4, rounding=1.15, brows=1.3, head=1.3),
    Style("mumbling", mouth=0.62, brows=0.5, head=0.5, narrow=0.08, blinks=12.0),
    Style("smiling", smile=0.3, brows=1.2, raised=0.1, head=1.2, blinks=18.0),
    Style("left", sideways=0.6, smile=0.06),
    Style("right", sideways=-0.6, smile=0.06),
    Style("lively", mouth=1.15, brows=2.2, raised=0.12, head=2.0, blinks=22.0),
    Style("stern", mouth=0.85, lowered=0.35, brows=0.6, head=0.6, narrow=0.12, blinks=9.0),
    Style("rounded", rounding=1.6, mouth=1.05, brows=0.9),
)
"""The planted styles; a speaker's own is called ""."""

OWN = Style("")

_SIDED = ("mouthSmile", "mouthDimple", "mouthStretch", "mouthLowerDown", "mouthUpperUp", "mouthFrown", "mouthPress")

_MOUTH_KEPT = ("mouthPucker", "mouthFunnel", "mouthRollLower", "mouthRollUpper")


def named(name: str) -> Style:
    """A planted style by its name; "" is the one that changes nothing."""
    for style in (OWN, *STYLES):
        if style.name == name:
            return style
    raise BadInput(f"no planted style {name!r}; there are {', '.join(style.name for style in STYLES)}")


def styled(motion: Motion, style: Style) -> Motion:
    """Motion with the habits of a style; lips that were sealed stay sealed, weights stay in 0..1."""
    values = motion.values.astype(np.float64)
    _scale_mouth(values, style)
    _lean(values, style)
    _brows(values, style)
    for side in ("Left", "Right"):
        blink = _column(values, f"eyeBlink{side}")
        blink[:] = style.narrow + (1 - style.narrow) * blink
        pucker = _column(values, "mouthPucker") + _column(values, "mouthFunnel")
        _column(values, f"mouthSmile{side}")[:] += style.smile * (1 - 0.6 * np.clip(pucker, 0, 1))
    values[:, ARKIT.slice("head")] *= style.head
    return replace(motion, values=values.astype(np.float32)).clipped()


def _scale_mouth(values: Float, style: Style) -> None:
    jaw, closed = ARKIT.index("jawOpen"), ARKIT.index("mouthClose")
    for name in ARKIT.names[ARKIT.slice("mouth")]:
        if name not in (*_MOUTH_KEPT, "mouthClose"):
            _column(values, name)[:] *= style.mouth
    for name in ("mouthPucker", "mouthFunnel"):
        _column(values, name)[:] *= style.rounding
    # What keeps a seal is the share of the jaw's opening that mouthClose takes back.
    share = values[:, closed] / np.maximum(values[:, jaw], 1e-6)
    values[:, jaw] = np.minimum(values[:, jaw] * style.mouth, 0.95)
    values[:, closed] = np.minimum(share, 1.0) * values[:, jaw]


def _lean(values: Float, style: Style) -> None:
    if not style.sideways:
        return
    for name in _SIDED:
        _column(values, name + "Left")[:] *= 1 + style.sideways
        _column(values, name + "Right")[:] *= 1 - style.sideways
    opened = _column(values, "jawOpen") - _column(values, "mouthClose")
    towards = "Left" if style.sideways > 0 else "Right"
    strength = abs(style.sideways)
    _column(values, f"mouth{towards}")[:] += 0.12 * strength + 0.25 * strength * np.clip(opened, 0, 1)
    _column(values, f"mouthSmile{towards}")[:] += 0.1 * strength


def _brows(values: Float, style: Style) -> None:
    values[:, ARKIT.slice("brows")] *= style.brows
    for name in ("browInnerUp", "browOuterUpLeft", "browOuterUpRight"):
        _column(values, name)[:] += style.raised
    for name in ("browDownLeft", "browDownRight"):
        _column(values, name)[:] += style.lowered


def _column(values: Float, name: str) -> Float:
    return values[:, ARKIT.index(name)]
