"""The many spellings of ARKit's 52 shapes: what a mesh or a file calls them, found by name and never by position.

Understood, ignoring case and separators: ARKit's camelCase, Unreal's and Audio2Face's PascalCase, sides as
`Left`/`_L`/`_l` before or after, ICT-FaceKit's and others' splits of one shape into sides (`browInnerUp_L`),
Faceshift's and FaceScape's names (`BrowsU_C`, `LipsTogether`), the 46 poses of older Audio2Face (`jawDrop`), and
prefixes such as `blendShape1.` or `Head_`.
"""

import re
from collections.abc import Iterable, Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from artalk.channels import ARKIT_SHAPES

SIDES = ("Left", "Right")

PAIRED = tuple(
    name.removesuffix("Left") for name in ARKIT_SHAPES if name.endswith("Left") and name not in ("jawLeft", "mouthLeft")
)
"""Names without their side of the shapes that exist left and right."""

NEUTRAL = frozenset({"neutral", "basis", "default", "base"})
"""What a mesh or MediaPipe calls the face at rest: known, and no shape."""

# Faceshift's 51 shapes, from which ARKit's descend; FaceScape uses them with LipsTogether for JawChew. Where the old
# name has a side, `?` stands for it.
_FACESHIFT = {
    "EyeDown?": "eyeLookDown?",
    "EyeIn?": "eyeLookIn?",
    "EyeOut?": "eyeLookOut?",
    "EyeUp?": "eyeLookUp?",
    "EyeOpen?": "eyeWide?",
    "BrowsD?": "browDown?",
    "BrowsU?": "browOuterUp?",
    "LipsStretch?": "mouthStretch?",
    "Sneer?": "noseSneer?",
    "BrowsUC": "browInnerUp",
    "JawFwd": "jawForward",
    "JawChew": "mouthClose",
    "LipsTogether": "mouthClose",
    "LipsUpperClose": "mouthRollUpper",
    "LipsLowerClose": "mouthRollLower",
    "LipsFunnel": "mouthFunnel",
    "LipsPucker": "mouthPucker",
    "ChinLowerRaise": "mouthShrugLower",
    "ChinUpperRaise": "mouthShrugUpper",
    "Puff": "cheekPuff",
}

# The 46 poses of Audio2Face's former solver, named after FACS.
_AUDIO2FACE = {
    "browLower?": "browDown?",
    "outerBrowRaiser?": "browOuterUp?",
    "eyesClose?": "eyeBlink?",
    "eyesUpperLidRaiser?": "eyeWide?",
    "squint?": "eyeSquint?",
    "cheekRaiser?": "cheekSquint?",
    "noseWrinkler?": "noseSneer?",
    "jawSlide?": "jaw?",
    "mouthSlide?": "mouth?",
    "dimpler?": "mouthDimple?",
    "lipCornerPuller?": "mouthSmile?",
    "lipCornerDepressor?": "mouthFrown?",
    "lipStretcher?": "mouthStretch?",
    "upperLipRaiser?": "mouthUpperUp?",
    "lowerLipDepressor?": "mouthLowerDown?",
    "jawDrop": "jawOpen",
    "jawDropLipTowards": "mouthClose",
    "jawThrust": "jawForward",
    "chinRaiser": "mouthShrugLower",
    "pucker": "mouthPucker",
    "funneler": "mouthFunnel",
}

# One shape for both sides, or a rougher name: used only where nothing finer is there.
_COARSE = {
    "eyesClosed": ("eyeBlinkLeft", "eyeBlinkRight"),
    "eyesLookUp": ("eyeLookUpLeft", "eyeLookUpRight"),
    "eyesLookDown": ("eyeLookDownLeft", "eyeLookDownRight"),
    "LipsUpperUp": ("mouthUpperUpLeft", "mouthUpperUpRight"),
    "LipsLowerDown": ("mouthLowerDownLeft", "mouthLowerDownRight"),
    "Sneer": ("noseSneerLeft", "noseSneerRight"),
    "mouthOpen": ("jawOpen",),
    "eyesLookLeft": ("eyeLookOutLeft", "eyeLookInRight"),
    "eyesLookRight": ("eyeLookInLeft", "eyeLookOutRight"),
    "lipPressor": ("mouthPressLeft", "mouthPressRight"),
    "lipSuck": ("mouthRollLower", "mouthRollUpper"),
}


class Match(dict[str, tuple[str, ...]]):
    """ARKit names, in order U, to the names that a mesh has for them.

    `missing` are the ARKit shapes that it lacks, `unknown` its names that are not ARKit's.
    """

    def __init__(self, found: dict[str, tuple[str, ...]], unknown: Iterable[str]) -> None:
        super().__init__((shape, found[shape]) for shape in ARKIT_SHAPES if shape in found)
        self.missing = tuple(shape for shape in ARKIT_SHAPES if shape not in found)
        self.unknown = tuple(unknown)

    def matrix(self, names: Sequence[str]) -> NDArray[np.float32]:
        """The (52, names) mix: ARKit weights @ matrix are the mesh's weights.

        A shape split into sides gets the weight on each; one that serves both sides gets their mean.
        """
        mix = np.zeros((len(ARKIT_SHAPES), len(names)), np.float32)
        column = {name: k for k, name in enumerate(names)}
        for shape, targets in self.items():
            for target in targets:
                if target in column:
                    mix[ARKIT_SHAPES.index(shape), column[target]] = 1.0
        return mix / np.maximum(mix.sum(axis=0), 1.0)


def match(names: Iterable[str]) -> Match:
    """What a mesh with morph targets `names` has of ARKit's shapes.

    Where it has several spellings of one shape the nearest to ARKit's own is taken; both halves of a split shape are;
    shapes for both sides at once (`mouthSmile`, `eyesClosed`) only where those for one side are missing.
    """
    given = list(dict.fromkeys(names))
    ranked: dict[str, list[tuple[int, str]]] = {}
    used: set[str] = set()
    for name in given:
        for rank, shape in _shapes(name):
            ranked.setdefault(shape, []).append((rank, name))
            used.add(name)
    found: dict[str, tuple[str, ...]] = {}
    for shape, candidates in ranked.items():
        best = min(rank for rank, _ in candidates)
        found[shape] = tuple(name for rank, name in candidates if rank == best)
    return Match(found, (name for name in given if name not in used and _key(name) not in NEUTRAL))


def canonical(name: str) -> str | None:
    """The one ARKit shape that `name` spells, or None; halves of split and two-sided shapes are none."""
    for rank, shape in _shapes(name):
        if rank < _HALF:
            return shape
    return None


# How far a name is from ARKit's own; between two of these a prefix counts.
_EXACT, _SPELLED, _HALF, _TWO_SIDED = 0, 2, 4, 6


def _shapes(name: str) -> list[tuple[int, str]]:
    """The ARKit shapes that `name` may stand for, with how far it is from ARKit's spelling (0: the same)."""
    plain = re.sub(r"\.\d{3}$", "", name)  # Blender numbers copies so
    parts = [part for part in re.split(r"[^0-9A-Za-z]+", plain) if part]
    table = spellings()
    # Trailing parts only: what comes before is the prefix of a mesh or of an exporter.
    for skipped in range(len(parts)):
        key = "".join(parts[skipped:]).lower()
        if key in table:
            return [(rank + (skipped > 0), shape) for rank, shape in table[key]]
    return []


def _key(name: str) -> str:
    return re.sub(r"[^0-9a-z]+", "", name.lower())


@cache
def spellings() -> dict[str, list[tuple[int, str]]]:
    """What is understood, lower case without separators, to the shapes meant and how far each is from ARKit's own."""
    table: dict[str, list[tuple[int, str]]] = {}

    def add(rank: int, spelling: str, *shapes: str) -> None:
        table.setdefault(_key(spelling), [(rank, shape) for shape in shapes])

    for shape in ARKIT_SHAPES:
        add(_EXACT, shape, shape)
    for base in (*PAIRED, "jaw", "mouth"):
        for side in SIDES:
            for spelling in _sided(base, side):
                add(_SPELLED, spelling, base + side)
    for old, shape in (_FACESHIFT | _AUDIO2FACE).items():
        for side in SIDES if "?" in old else ("",):
            for spelling in _sided(old.replace("?", ""), side):
                add(_SPELLED, spelling, shape.replace("?", side))
    halves = {shape: shape for shape in ARKIT_SHAPES if not shape.endswith(SIDES)} | {"innerBrowRaiser": "browInnerUp"}
    for old, shape in halves.items():
        for side in SIDES:
            for spelling in _sided(old, side):
                add(_HALF, spelling, shape)
    for base in PAIRED:
        add(_TWO_SIDED, base, *(base + side for side in SIDES))
    for spelling, shapes in _COARSE.items():
        add(_TWO_SIDED, spelling, *shapes)
    return table


def _sided(base: str, side: str) -> tuple[str, ...]:
    if not side:
        return (base,)
    return (base + side, base + side[0], side + base, side[0] + "_" + base)
