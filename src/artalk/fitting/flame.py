"""FLAME and a head with ARKit's shapes: the map between them, solved once, and the best fit of every frame.

The rig's shapes are carried onto the FLAME face by correspondence. A shape, or a frame of weights, then becomes FLAME
coefficients by Gauss-Newton steps with bounds and regularisation through the posed model itself, jaw and skinning
included; FLAME's vertices become weights by bounded least squares.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from artalk.channels import ARKIT, ARKIT_SHAPES, FLAME, Channels
from artalk.errors import BadInput
from artalk.fitting.correspond import Correspondence, correspond
from artalk.motion import Motion
from artalk.retarget.flame import COEFFICIENTS, UNSEEN, FlameMap, assembled, coefficients_of, from_metric, gaze
from artalk.retarget.solve import Solver, minimise, pairs_of
from artalk.rigs.blendshape import BlendshapeRig
from artalk.rigs.flame import Flame

Float = NDArray[np.float64]

EXPRESSIONS = len(COEFFICIENTS) - 3

REACH = np.array([3.0] * EXPRESSIONS + [0.7, 0.25, 0.25])
"""Bounds: three standard deviations of an expression; radians of the jaw about X, Y and Z, to either side."""

QUIET = 3e-5
"""Metres that an expression coefficient of 1 must gain on the face's mean (root mean square) to be worth having."""

QUIET_FRAME = QUIET / 3
"""The same where every frame is fitted: more of the face for coefficients a quarter larger; less gains no more."""

RIDGE = 1e-3
"""Strength of the pull of ARKit weights to 0, of the mean energy of a shape."""

STEADY = 3e-4
"""Strength of the pull of a frame's weights or coefficients to those before, of the mean energy of one."""

SWING = np.array([0.2, 0.05, 0.05])
"""Radians of the jaw over which its effect is averaged for the linear map."""

ROUNDS = 6
"""Gauss-Newton steps; the next would move no vertex by a hundredth of a millimetre."""

CHECKED = 200
"""Random faces on which a map is measured."""

_CHUNK = 64


@dataclass(frozen=True, eq=False)
class Fit:
    """A FLAME model and a rig that were brought together.

    `deltas` (52, K, 3) are the rig's shapes in ARKit's order, at K of FLAME's vertices and in its metres; shapes that
    the rig lacks are 0.
    """

    model: Flame
    pairs: Correspondence
    deltas: Float

    @cached_property
    def _near(self) -> Flame:
        """The model with only the vertices that have a partner; its joints stay where the whole model has them."""
        at = self.pairs.vertices
        flat = (3 * at[:, None] + np.arange(3)).reshape(-1)
        return replace(
            self.model,
            template=self.model.template[at],
            identities=self.model.identities[:0, flat],
            expressions=self.model.expressions[:EXPRESSIONS, flat],
            correctives=self.model.correctives[:, flat],
            weights=self.model.weights[at],
            regressor=np.zeros((len(self.model.parents), len(at)), np.float32),
            landmarks={},
        )

    @cached_property
    def _joints(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """The joints at rest (5, 3), and how each expression shifts them (E, 5, 3)."""
        model = self.model
        directions = model.expressions[:EXPRESSIONS].reshape(-1, len(model.template), 3)
        return model.regressor @ model.template, model.regressor @ directions

    def moves(self, coefficients: NDArray[np.floating]) -> Float:
        """How FLAME moves its K vertices, (N, K, 3), for coefficients (N, 103)."""
        given = np.asarray(coefficients, np.float32)
        own = len(self._near.expressions)
        rest, shifts = self._joints
        joints = rest + np.tensordot(given[:, :own], shifts, 1)
        posed = self._near.pose_about(joints, given[:, :own], jaw=given[:, EXPRESSIONS:])
        return posed.vertices.astype(np.float64) - self._near.template

    @cached_property
    def jacobian(self) -> Float:
        """How a unit of each coefficient moves the K vertices, (103, 3K): at rest, the jaw on average over `SWING`."""
        count = 3 * len(self.pairs.vertices)
        found = np.zeros((len(COEFFICIENTS), count))
        found[: len(self._near.expressions)] = self._near.expressions
        for axis in range(3):
            turned = np.zeros((2, len(COEFFICIENTS)))
            turned[:, EXPRESSIONS + axis] = SWING[axis], -SWING[axis]
            forth, back = self.moves(turned).reshape(2, count)
            # A jaw opens one way only, and goes to both sides.
            found[EXPRESSIONS + axis] = forth / SWING[axis] if axis == 0 else (forth - back) / (2 * SWING[axis])
        return found

    @cached_property
    def table(self) -> Float:
        """Each ARKit shape at 1 as FLAME coefficients, (52, 103)."""
        return self.to_flame(self.deltas)

    def to_flame(self, moves: Float, steady: float = 0.0, quiet: float = QUIET) -> Float:
        """Coefficients (N, 103) within `REACH` whose FLAME comes nearest to vertex `moves` (N, K, 3).

        `steady` pulls every frame to the one before, `quiet` (see `QUIET`) coefficients to 0.
        """
        count = len(self.pairs.vertices)
        scaled = self.jacobian * REACH[:, None]
        normal = scaled @ scaled.T / count
        ridge = np.diag(quiet**2 * REACH**2 / np.where(np.arange(len(REACH)) < EXPRESSIONS, 1.0, REACH))
        temporal = steady * float(np.diag(normal).mean())
        found = np.zeros((len(moves), len(REACH)))
        for _ in range(ROUNDS):
            linear = found @ normal
            for first in range(0, len(moves), _CHUNK):
                piece = slice(first, first + _CHUNK)
                left = moves[piece] - self.moves(found[piece] * REACH)
                linear[piece] += left.reshape(len(left), -1) @ scaled.T / count
            found = minimise(normal + ridge, linear, (-1.0, 1.0), temporal)
        return found * REACH

    def to_arkit(self, moves: Float, steady: float = 0.0) -> Float:
        """ARKit weights (N, 52) in 0..1 whose shapes, as FLAME shows them, come nearest to `moves` (N, K, 3).

        `UNSEEN` shapes stay 0.
        """
        shown = self.moves(self.table)
        energy = np.square(shown).sum(axis=(1, 2))
        kept = [k for k, name in enumerate(ARKIT_SHAPES) if name not in UNSEEN and energy[k] > 1e-9 * energy.max()]
        mean = float(energy[kept].mean())
        solver = Solver(
            np.zeros(shown.shape[1:]),
            shown[kept],
            l2=RIDGE * mean,
            symmetry=RIDGE * mean,
            temporal=steady * mean,
            pairs=pairs_of([ARKIT_SHAPES[k] for k in kept]),
        )
        found = np.zeros((len(moves), len(ARKIT_SHAPES)))
        found[:, kept] = solver.weights(moves)
        return found


def fit(model: Flame, rig: BlendshapeRig) -> Fit:
    """Bring a FLAME model (numpy; with an identity folded in, if wanted) and a rig together.

    Takes some seconds. Raises `BadInput` and `BadFile` as `correspond` does.
    """
    pairs = correspond(model, rig)
    deltas = np.zeros((len(ARKIT_SHAPES), len(pairs.vertices), 3))
    for shape, delta in zip(rig.shapes, rig.deltas, strict=True):
        deltas[ARKIT_SHAPES.index(shape)] = pairs.carried(delta)
    return Fit(model, pairs, deltas)


def solve(fitted: Fit, source: str = "FLAME and a head", model: str = "") -> FlameMap:
    """The map of a fit, with its errors measured; it holds no mesh and can be stored.

    `source` and `model` are noted in it: see `FlameMap`.
    """
    made = from_metric(fitted.table, fitted.jacobian @ fitted.jacobian.T, RIDGE, source)
    return replace(made, errors=errors(fitted, made), shape_mm=_shape_errors(fitted, made), model=model)


def from_arkit(motion: Motion, fitted: Fit, to: Channels = FLAME) -> Motion:
    """ARKit motion as FLAME motion, every frame fitted to the moved face; several times the work of the map."""
    if motion.channels != ARKIT:
        raise BadInput(f"arkit motion is wanted, got {motion.channels.name!r}")
    weights = motion.values[:, : len(ARKIT_SHAPES)].astype(np.float64)
    wanted = np.tensordot(weights, fitted.deltas, 1)
    return assembled(fitted.to_flame(wanted, STEADY, QUIET_FRAME), motion, to)


def to_arkit(motion: Motion, fitted: Fit) -> Motion:
    """FLAME motion as ARKit weights, every frame fitted to FLAME's own vertices."""
    values = gaze(motion)
    moves = fitted.moves(coefficients_of(motion)) - fitted.moves(values[:, : len(ARKIT_SHAPES)] @ fitted.table)
    values[:, : len(ARKIT_SHAPES)] += fitted.to_arkit(moves, STEADY).astype(np.float32)
    return Motion(values, ARKIT, motion.fps, motion.start)


def errors(fitted: Fit, flame_map: FlameMap, per_frame: bool = False) -> dict[str, float]:
    """What is lost on random faces, by the map or by fitting every frame; mm are on FLAME's face, and means.

    "moved" is how far the faces move from rest; "to flame" and "to arkit" how far the other model's face stays from
    them where they move; "round trip" what ARKit → FLAME → ARKit leaves between the faces, "weights" between weights.
    """
    rng = np.random.default_rng(0)
    weights = rng.uniform(0.1, 0.8, (CHECKED, len(ARKIT_SHAPES))) * (rng.random((CHECKED, len(ARKIT_SHAPES))) < 0.1)
    weights[:, [ARKIT_SHAPES.index(name) for name in UNSEEN]] = 0
    wanted = np.tensordot(weights, fitted.deltas, 1)
    there = fitted.to_flame(wanted, quiet=QUIET_FRAME) if per_frame else weights @ flame_map.table
    shown = fitted.moves(there)
    back = fitted.to_arkit(shown) if per_frame else minimise(flame_map.hessian, there @ flame_map.cross.T)
    again = np.tensordot(back, fitted.deltas, 1)
    own = _random_flame(rng)
    shown_own = fitted.moves(own)
    found = fitted.to_arkit(shown_own) if per_frame else minimise(flame_map.hessian, own @ flame_map.cross.T)
    return {
        "moved mm": _mean_mm(wanted, np.zeros_like(wanted)),
        "to flame mm": _mean_mm(wanted, shown),
        "moved by flame mm": _mean_mm(shown_own, np.zeros_like(shown_own)),
        "to arkit mm": _mean_mm(shown_own, np.tensordot(found, fitted.deltas, 1)),
        "round trip mm": _mean_mm(wanted, again),
        "round trip weights": float(np.abs(back - weights).mean()),
    }


def _random_flame(rng: np.random.Generator) -> Float:
    """Faces as speech makes them: a jaw that opens, and expressions of one standard deviation."""
    made = rng.normal(0, 1.0, (CHECKED, len(COEFFICIENTS)))
    made[:, EXPRESSIONS:] = rng.uniform([0.0, -0.02, -0.02], [0.3, 0.02, 0.02], (CHECKED, 3))
    return np.clip(made, -REACH, REACH)


def _mean_mm(wanted: Float, got: Float) -> float:
    """The mean distance in mm over what moves: points beyond a tenth of a millimetre from rest."""
    moving = np.linalg.norm(wanted, axis=2) > 1e-4
    return 1000 * float(np.linalg.norm(wanted - got, axis=2)[moving].mean()) if moving.any() else 0.0


def _shape_errors(fitted: Fit, flame_map: FlameMap) -> Float:
    """For each shape (52, 2): how far it moves the face and how far its FLAME stays from it, root mean square in mm."""
    left = fitted.deltas - fitted.moves(flame_map.table)
    sizes = [np.sqrt(np.square(part).sum(axis=2).mean(axis=1)) for part in (fitted.deltas, left)]
    return 1000 * np.stack(sizes, axis=1)
