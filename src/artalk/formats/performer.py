"""The face that a scene file holds together with its motion."""

from pathlib import Path

from artalk.channels import ARKIT
from artalk.errors import BadInput, Unsupported
from artalk.motion import Motion
from artalk.rigs.blendshape import BlendshapeRig
from artalk.rigs.gltf import AvatarRig
from artalk.rigs.rig import Rig


def performer(motion: Motion, path: Path, rig: Rig | None, suffixes: tuple[str, ...]) -> BlendshapeRig | AvatarRig:
    """The rig that performs `motion` in the file at `path`, if the three go together.

    Raises `BadInput` for another suffix, without a rig or a frame, `Unsupported` for motion or a rig of other channels
    than ARKit's and for rigs that are not made of blendshapes.
    """
    kind = path.suffix.lower()
    if kind not in suffixes:
        raise BadInput(f"such a file is called {', '.join(suffixes)}, got {path.name!r}")
    if rig is None:
        raise BadInput(f"a {kind} holds the face that moves: give a rig, such as --rig head")
    if motion.channels != ARKIT:
        raise Unsupported(f"a {kind} is animated by ARKit weights, got {motion.channels.name!r}: retarget it first")
    if not len(motion):
        raise BadInput(f"a {kind} animation has at least one frame, got a motion of none")
    if not isinstance(rig, AvatarRig | BlendshapeRig):
        raise Unsupported(f"a {kind} is written from a rig of blendshapes, got {type(rig).__name__}")
    if rig.channels != ARKIT:
        raise Unsupported(f"a {kind} is written from a rig that ARKit weights move, got one of {rig.channels.name!r}")
    return rig
