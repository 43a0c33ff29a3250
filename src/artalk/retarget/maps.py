"""Motion from one set of channels to another, by name; what cannot be carried is said.

| set | name | channels |
|---|---|---|
| `ARKIT` | arkit | 52 weights in camelCase, head |
| `A2F` | a2f | the 52 in PascalCase, as Audio2Face-3D has them |
| `MEDIAPIPE52` | mediapipe52 | `_neutral` and 51 in alphabetical order, no tongue |
| `SAID32` | said32 | SAiD's 32: jaw, mouth, cheeks, nose |
| `LIVELINK61` | livelink61 | the 52 in PascalCase and nine angles |
| `OCULUS` | oculus | 15 visemes |
| `VRM`, `VRM0` | vrm, vrm0 | the presets of VRM 1.0 and 0.x, head |
| `RHUBARB` | rhubarb | mouth shapes A to H and X |

Any other `Channels` whose names spell ARKit's shapes (`artalk.retarget.names`) work as well.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from artalk.channels import ARKIT, ARKIT_SHAPES, FLAME, FLAME112, HEAD, Channels, Group
from artalk.errors import BadInput, Unsupported
from artalk.motion import Motion
from artalk.retarget import letters, livelink, visemes, vrm
from artalk.retarget.letters import RHUBARB as RHUBARB
from artalk.retarget.livelink import LIVELINK61 as LIVELINK61
from artalk.retarget.names import Match as Match
from artalk.retarget.names import canonical as canonical
from artalk.retarget.names import match as match
from artalk.retarget.visemes import OCULUS as OCULUS
from artalk.retarget.vrm import VRM as VRM
from artalk.retarget.vrm import VRM0 as VRM0

A2F = Channels("a2f", (Group("shapes", 52),), tuple(name[0].upper() + name[1:] for name in ARKIT_SHAPES))
"""Audio2Face-3D's blendshapes, order U in PascalCase."""

MEDIAPIPE52 = Channels(
    "mediapipe52", (Group("shapes", 52),), ("_neutral", *sorted(name for name in ARKIT_SHAPES if name != "tongueOut"))
)
"""MediaPipe's face blendshapes: alphabetical, `_neutral` first, no tongueOut."""

SAID32 = Channels(
    "said32",
    (Group("shapes", 32),),
    tuple(name for name in ARKIT_SHAPES if name.startswith(("jaw", "mouth", "cheek", "nose"))),
)
"""SAiD's blendshapes."""

SETS: dict[str, Channels] = {
    channels.name: channels
    for channels in (ARKIT, A2F, MEDIAPIPE52, SAID32, LIVELINK61, OCULUS, VRM, VRM0, RHUBARB, FLAME, FLAME112)
}
"""The sets that can be asked for by name."""

_ENCODE: dict[str, Callable[[Motion], Motion]] = {
    OCULUS.name: visemes.from_arkit,
    VRM.name: lambda motion: vrm.from_arkit(motion, VRM),
    VRM0.name: lambda motion: vrm.from_arkit(motion, VRM0),
    RHUBARB.name: letters.from_arkit,
    LIVELINK61.name: livelink.from_arkit,
}
_DECODE: dict[str, Callable[[Motion], Motion]] = {
    OCULUS.name: visemes.to_arkit,
    VRM.name: vrm.to_arkit,
    VRM0.name: vrm.to_arkit,
    RHUBARB.name: letters.to_arkit,
    LIVELINK61.name: livelink.to_arkit,
}


@dataclass(frozen=True, eq=False)
class Carried:
    """A retargeted motion and what it could not carry.

    `lost` maps channels of the source to the share, 0..1, of their own energy (sum of squares) that does not come back
    when the result is mapped back; `share` is that of all channels together. Channels that never move are not listed.
    """

    motion: Motion
    lost: dict[str, float]
    share: float

    def words(self) -> str:
        """A sentence for a person."""
        if not self.lost:
            return f"all of the motion is carried into {self.motion.channels.name!r}"
        listed = ", ".join(f"{name} {share:.0%}" for name, share in list(self.lost.items())[:12])
        more = f" and {len(self.lost) - 12} more" if len(self.lost) > 12 else ""
        return (
            f"{self.share:.0%} of the motion's energy is not carried into {self.motion.channels.name!r}: {listed}{more}"
        )


def channels_of(to: Channels | str) -> Channels:
    """The channel set called `to`, ignoring case, or `to` itself."""
    if isinstance(to, Channels):
        return to
    if to.lower() not in SETS:
        raise BadInput(f"channels are one of {', '.join(SETS)}, got {to!r}")
    return SETS[to.lower()]


def retarget(motion: Motion, to: Channels | str) -> Motion:
    """The motion in other channels, at the same rate and place in time.

    ARKit is the go-between: `retarget(motion, "oculus")` solves for the mix of visemes nearest to the mouth. Channels
    that the target lacks are dropped and ones that the source lacks are 0; `carry` says what was. Raises `BadInput` for
    an unknown name and `Unsupported` where names do not tell how (FLAME).
    """
    target = channels_of(to)
    if motion.channels == target:
        return motion
    return _from_arkit(_to_arkit(motion), target)


def carry(motion: Motion, to: Channels | str) -> Carried:
    """As `retarget`, with an account of what was lost."""
    made = retarget(motion, to)
    back = retarget(made, motion.channels)
    had = np.square(motion.values.astype(np.float64)).sum(axis=0)
    gone = np.square((motion.values - back.values).astype(np.float64)).sum(axis=0)
    shares = {
        name: min(float(gone[k] / had[k]), 1.0)
        for k, name in enumerate(motion.channels.names)
        if had[k] > 1e-8 and gone[k] > 1e-6 * had[k]
    }
    total = min(float(gone.sum() / had.sum()), 1.0) if had.any() else 0.0
    weighty = sorted(shares, key=lambda name: -gone[motion.channels.index(name)])
    return Carried(made, {name: shares[name] for name in weighty}, total)


def _to_arkit(motion: Motion) -> Motion:
    source = motion.channels
    if source == ARKIT:
        return motion
    if SETS.get(source.name) == source and source.name in _DECODE:
        return _DECODE[source.name](motion)
    found = _named(source)
    values = np.zeros((len(motion), len(ARKIT)), np.float32)
    for shape, names in found.items():
        values[:, ARKIT.index(shape)] = motion.values[:, source.indices(names)].mean(axis=1)
    if all(name in source for name in HEAD):
        values[:, ARKIT.slice("head")] = motion.values[:, source.indices(HEAD)]
    return Motion(values, ARKIT, motion.fps, motion.start)


def _from_arkit(motion: Motion, to: Channels) -> Motion:
    if to == ARKIT:
        return motion
    if SETS.get(to.name) == to and to.name in _ENCODE:
        return _ENCODE[to.name](motion)
    mix = _named(to).matrix(to.names)
    values = motion.values[:, : len(ARKIT_SHAPES)] @ mix
    if all(name in to for name in HEAD):
        values[:, to.indices(HEAD)] = motion.group("head")
    return Motion(values, to, motion.fps, motion.start)


def _named(channels: Channels) -> Match:
    found = match(channels.names)
    if not found:
        raise Unsupported(
            f"no channel of {channels.name!r} is named after an ARKit shape, so names do not tell how to map it"
            + ("; FLAME needs a map: artalk.retarget finds or solves yours" if channels in (FLAME, FLAME112) else "")
        )
    return found
