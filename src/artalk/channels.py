"""Named columns: what the numbers of a `Motion` mean, without any mesh."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from artalk.errors import BadInput

Kind = Literal["weight", "coefficient", "rotvec", "angle"]


@dataclass(frozen=True)
class Group:
    """Controls that belong together.

    `kind` says how to bound and to interpolate them: a `weight` lies in 0..1, a `coefficient` is unbounded, a
    `rotvec` is an axis times an angle in radians (size 3), an `angle` is in radians.
    """

    name: str
    size: int
    kind: Kind = "weight"


@dataclass(frozen=True)
class Channels:
    """A named, ordered set of controls, cut into groups; two are equal when their names and groups are."""

    name: str
    groups: tuple[Group, ...]
    names: tuple[str, ...]

    def __post_init__(self) -> None:
        total = sum(group.size for group in self.groups)
        if total != len(self.names):
            raise BadInput(f"channels {self.name!r}: groups cover {total} columns but {len(self.names)} are named")
        if len(set(self.names)) != len(self.names):
            twice = sorted({name for name in self.names if self.names.count(name) > 1})
            raise BadInput(f"channels {self.name!r}: names must differ, these stand twice: {', '.join(twice)}")
        for group in self.groups:
            if group.kind == "rotvec" and group.size != 3:
                raise BadInput(f"channels {self.name!r}: a rotation vector has 3 columns, {group.name!r} {group.size}")

    def __len__(self) -> int:
        return len(self.names)

    @cached_property
    def _columns(self) -> dict[str, int]:
        return {name: column for column, name in enumerate(self.names)}

    @cached_property
    def _slices(self) -> dict[str, slice]:
        slices: dict[str, slice] = {}
        start = 0
        for group in self.groups:
            slices[group.name] = slice(start, start + group.size)
            start += group.size
        return slices

    def index(self, name: str) -> int:
        """The column of channel `name`."""
        if name not in self._columns:
            raise BadInput(f"no channel {name!r} in {self.name!r}; it has {', '.join(self.names)}")
        return self._columns[name]

    def indices(self, names: Iterable[str]) -> list[int]:
        """The columns of several channels."""
        return [self.index(name) for name in names]

    def slice(self, group: str) -> slice:
        """The columns of a whole group."""
        if group not in self._slices:
            raise BadInput(f"no group {group!r} in {self.name!r}; it has {', '.join(self._slices)}")
        return self._slices[group]

    def of_kind(self, *kinds: Kind) -> list[int]:
        """The columns of all groups of these kinds, in order."""
        return [
            column
            for group in self.groups
            if group.kind in kinds
            for column in range(*self.slice(group.name).indices(len(self)))
        ]

    def __contains__(self, name: object) -> bool:
        return name in self._columns


# Unreal's EARFaceBlendShape order, which is also that of the Live Link packet and of Audio2Face-3D.
ARKIT_SHAPES: tuple[str, ...] = tuple(
    """
    eyeBlinkLeft eyeLookDownLeft eyeLookInLeft eyeLookOutLeft eyeLookUpLeft eyeSquintLeft eyeWideLeft
    eyeBlinkRight eyeLookDownRight eyeLookInRight eyeLookOutRight eyeLookUpRight eyeSquintRight eyeWideRight
    jawForward jawLeft jawRight jawOpen
    mouthClose mouthFunnel mouthPucker mouthLeft mouthRight mouthSmileLeft mouthSmileRight
    mouthFrownLeft mouthFrownRight mouthDimpleLeft mouthDimpleRight mouthStretchLeft mouthStretchRight
    mouthRollLower mouthRollUpper mouthShrugLower mouthShrugUpper mouthPressLeft mouthPressRight
    mouthLowerDownLeft mouthLowerDownRight mouthUpperUpLeft mouthUpperUpRight
    browDownLeft browDownRight browInnerUp browOuterUpLeft browOuterUpRight
    cheekPuff cheekSquintLeft cheekSquintRight noseSneerLeft noseSneerRight tongueOut
    """.split()
)

HEAD = ("headX", "headY", "headZ")

ARKIT = Channels(
    "arkit",
    (
        Group("eyes", 14),
        Group("jaw", 4),
        Group("mouth", 23),
        Group("brows", 5),
        Group("cheeks", 3),
        Group("nose", 2),
        Group("tongue", 1),
        Group("head", 3, "rotvec"),
    ),
    (*ARKIT_SHAPES, *HEAD),
)
"""ARKit's 52 weights in order U, then the head's rotation vector in radians (glTF axes: +X nods down, +Y turns to the
subject's left, +Z tilts towards the subject's right). The default motion space: every engine and avatar reads it."""

FLAME = Channels(
    "flame",
    (Group("expression", 100, "coefficient"), Group("head", 3, "rotvec"), Group("jaw", 3, "rotvec")),
    (*(f"expression{i}" for i in range(100)), *HEAD, "jawX", "jawY", "jawZ"),
)
"""The 106 numbers of the released ARTalk checkpoint: 100 FLAME expression coefficients, head and jaw rotation."""

FLAME112 = Channels(
    "flame112",
    (*FLAME.groups, Group("leftEye", 3, "rotvec"), Group("rightEye", 3, "rotvec")),
    (*FLAME.names, *(f"{eye}{axis}" for eye in ("leftEye", "rightEye") for axis in "XYZ")),
)
"""FLAME with its eyes: what renderers of FLAME avatars take besides; the 106 have no gaze."""
