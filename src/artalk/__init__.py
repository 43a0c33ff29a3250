"""Speech becomes a 3D head's performance: lips, expression, blinks, gaze and head pose.

import artalk
motion = artalk.animate("hello.wav")
artalk.save(motion, "hello.csv")
artalk.render(motion, audio="hello.wav").save("hello.mp4")
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from artalk.api import Clip as Clip
    from artalk.api import animate as animate
    from artalk.api import generator as generator
    from artalk.api import listen as listen
    from artalk.api import load as load
    from artalk.api import prepare as prepare
    from artalk.api import render as render
    from artalk.api import retarget as retarget
    from artalk.api import rig as rig
    from artalk.api import save as save
    from artalk.api import stream as stream
    from artalk.audio import Audio as Audio
    from artalk.channels import ARKIT as ARKIT
    from artalk.channels import FLAME as FLAME
    from artalk.channels import Channels as Channels
    from artalk.channels import Group as Group
    from artalk.errors import ArtalkError as ArtalkError
    from artalk.motion import Motion as Motion
    from artalk.stream.client import connect as connect

__version__ = "0.1.0"

_HOMES = {
    "artalk.api": "Clip animate generator listen load prepare render retarget rig save stream",
    "artalk.audio": "Audio",
    "artalk.channels": "ARKIT FLAME Channels Group",
    "artalk.errors": "ArtalkError",
    "artalk.motion": "Motion",
    "artalk.stream.client": "connect",
}
_HOME = {name: home for home, names in _HOMES.items() for name in names.split()}
__all__ = [
    "ARKIT",
    "FLAME",
    "ArtalkError",
    "Audio",
    "Channels",
    "Clip",
    "Group",
    "Motion",
    "animate",
    "connect",
    "generator",
    "listen",
    "load",
    "prepare",
    "render",
    "retarget",
    "rig",
    "save",
    "stream",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'artalk' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
