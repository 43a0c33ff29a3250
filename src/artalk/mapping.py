"""Motion between any two sets of channels, FLAME's among them, with the map that the user has.

A FLAME map is a table that the user added, or is solved once from the user's FLAME file and kept among the assets.
"""

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from artalk import assets
from artalk.channels import ARKIT, FLAME, FLAME112, Channels
from artalk.errors import BadInput, MissingAsset
from artalk.motion import Motion
from artalk.retarget import flame, maps
from artalk.retarget.flame import FlameMap

if TYPE_CHECKING:
    from artalk.fitting.flame import Fit

FLAMES = (FLAME, FLAME112)

HEADS = ("head", "ict")
"""Rigs that FLAME is fitted to."""

TWO_WAYS = (
    "FLAME motion becomes ARKit's, and the other way round, in one of two ways. With a FLAME file: get it from "
    "{where}, then run `artalk assets add flame FILE`. Without one: with a table of ARKit's shapes in FLAME "
    "coefficients, as docs/flame.md describes it, run `artalk assets add flame-map TABLE.csv`."
)


def retarget(motion: Motion, to: Channels | str, per_frame: bool = False) -> Motion:
    """Motion in other channels; to and from FLAME by `flame_map`, or with `per_frame` by fitting every frame's face.

    Raises what `artalk.retarget.maps.retarget` raises, and `MissingAsset`, which says what FLAME needs.
    """
    target = maps.channels_of(to)
    if motion.channels == target:
        return motion
    if motion.channels in FLAMES and target in FLAMES:
        return _renamed(motion, target)
    if motion.channels in FLAMES:
        return maps.retarget(_to_arkit(motion, per_frame), target)
    if target in FLAMES:
        return _to_flame(maps.retarget(motion, ARKIT), target, per_frame)
    return maps.retarget(motion, target)


def flame_map() -> FlameMap:
    """The user's FLAME map: the table that was added, the map that was kept, or one that is solved now and kept."""
    kept = _kept()
    if kept is not None:
        return kept
    expect("coefficients")
    return solve()


def expect(kind: str) -> None:
    """Miss what a capture of some `captures.kind` needs to become ARKit's, before any work is done.

    Raises `MissingAsset`, which says how it is had: a FLAME file for vertices, that or a map for coefficients.
    """
    if kind == "vertices":
        assets.get("flame")
    elif kind == "coefficients" and not _model() and _kept() is None:
        from artalk.rigs.flame import WHERE

        raise MissingAsset(TWO_WAYS.format(where=WHERE))


def solve(face: str = "head") -> FlameMap:
    """Solve the map between the user's FLAME file and a rig ("head" or "ict"), and keep it in place of any other."""
    from artalk.fitting import flame as fitting

    if face not in HEADS:
        raise BadInput(f"FLAME is fitted to {' or '.join(HEADS)}, got {face!r}")
    fitted = _fit(face)
    model = _model()
    made = replace(fitting.solve(fitted, f"{face} and the FLAME file {model[:8]}", model), head=face)
    assets.keep("flame-map", lambda path: flame.save(made, path))
    return made


def shapes_on_flame() -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Those vertices (K,) of the user's FLAME mesh that have a partner on the map's head, and how ARKit's shapes move
    them, (52, K, 3) in FLAME's metres.
    """
    fitted = _fit(_head())
    return fitted.pairs.vertices, fitted.deltas


def _model() -> str:
    """The SHA-256 of the user's FLAME file, "" where there is none."""
    return next((asset.sha256 for asset in assets.added() if asset.kind == "flame"), "")


def _kept() -> FlameMap | None:
    """The map among the assets, unless it belongs to another FLAME file."""
    if all(asset.kind != "flame-map" for asset in assets.added()):
        return None
    kept, model = flame.load(assets.get("flame-map")), _model()
    return kept if kept.model in ("", model) or not model else None


def _head() -> str:
    """The rig that the map was fitted to, so that single frames are fitted to the same; "head" where none is known."""
    kept = _kept()
    return kept.head if kept is not None and kept.head in HEADS else "head"


def _fit(face: str) -> "Fit":
    """The user's FLAME file and a rig brought together, once in a process."""
    return _fit_once(assets.get("flame"), _model(), face)


@cache
def _fit_once(path: Path, model: str, face: str) -> "Fit":
    from artalk.fitting.flame import fit
    from artalk.rigs.flame import read

    if face == "ict":
        from artalk.rigs import ict

        return fit(read(path), ict.load(assets.get("ict")))
    from artalk.rigs.head import head

    return fit(read(path), head())


def _to_arkit(motion: Motion, per_frame: bool) -> Motion:
    if not per_frame:
        return flame.to_arkit(motion, flame_map())
    from artalk.fitting import flame as fitting

    return fitting.to_arkit(motion, _fit(_head()))


def _to_flame(motion: Motion, to: Channels, per_frame: bool) -> Motion:
    if not per_frame:
        return flame.from_arkit(motion, flame_map(), to)
    from artalk.fitting import flame as fitting

    return fitting.from_arkit(motion, _fit(_head()), to)


def _renamed(motion: Motion, to: Channels) -> Motion:
    """FLAME motion with or without eyes: what the other lacks is dropped, what it has more is at rest."""
    values = np.zeros((len(motion), len(to)), np.float32)
    shared = [name for name in to.names if name in motion.channels]
    values[:, to.indices(shared)] = motion.values[:, motion.channels.indices(shared)]
    return Motion(values, to, motion.fps, motion.start)
