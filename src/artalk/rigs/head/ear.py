"""The left ear: a polar sheet with helix, groove, antihelix, bowl, tragus and lobe; its edges tuck into the head."""

import numpy as np

from artalk.rigs.head.cage import step
from artalk.rigs.head.part import Floats, Ints, sheet

SPOKES = 30
RHO = np.array([0.004, 0.18, 0.30, 0.40, 0.48, 0.56, 0.64, 0.71, 0.78, 0.85, 0.91, 0.96, 1.0, 0.985, 0.9, 0.7])
"""Rings from the bowl to the rim, then three on the back."""
RIM = 12
CENTRE = np.array([70.9, -13.5, -5.0])
ANGLE = 0.37
"""How far the ear stands off the head: the slope of its plate."""


def ear() -> tuple[Floats, Ints, Floats]:
    """Points (N, 3) mm, triangles (F, 3), colours (N, 3) that multiply the skin's."""
    theta = 2 * np.pi * np.arange(SPOKES)[None] / SPOKES  # 0 forward, pi/2 up
    rho = RHO[:, None] + 0 * theta
    y, z = _outline(rho, theta)
    front = np.arange(len(RHO))[:, None] <= RIM
    skin = 0.075 * (12 - z)
    out = np.where(front, _front(rho, theta, z), _back(rho, theta, z)) + skin
    points = np.stack([out, y, z - 0.10 * y], axis=-1) + CENTRE
    shade = np.where(front, _shade(rho, theta), np.interp(rho, [0.7, 1], [0.5, 0.9]))
    colors = shade[..., None] ** np.array([0.8, 1.15, 1.2])
    return points.reshape(-1, 3), sheet(len(RHO), SPOKES, closed=True), colors.reshape(-1, 3)


def _bump(x: Floats, at: float, width: float) -> Floats:
    return np.exp(-(((x - at) / width) ** 2))


def _toward(theta: Floats, at: float, width: float) -> Floats:
    """A soft sector of directions round angle `at`."""
    return np.exp(-((np.angle(np.exp(1j * (theta - at))) / width) ** 2))


def _outline(rho: Floats, theta: Floats) -> tuple[Floats, Floats]:
    """Height and depth (mm): a wide round top, a narrower lobe, a nearly straight front."""
    low = np.clip(-np.sin(theta), 0, 1)
    back = 19.5 - 7.5 * low**1.5
    deep = np.where(np.cos(theta) < 0, back, 12.0)
    tall = np.where(np.sin(theta) > 0, 28.0, 29.5)
    return rho * tall * np.sin(theta), rho * deep * np.cos(theta) + 2.2 * low * rho


def _front(rho: Floats, theta: Floats, z: Floats) -> Floats:
    lobe, forward = _toward(theta, -1.45, 0.6), _toward(theta, 0.0, 0.8)
    rim = (1 - 0.85 * lobe) * (1 - 0.9 * forward)
    bowl = np.exp(-((rho / (0.50 - 0.06 * lobe)) ** 5))
    plate = ANGLE * np.clip(12 - z, 0, None) + 0.6
    height = plate * (1 - bowl) + bowl * 1.6
    height += 2.6 * _bump(rho, 0.94, 0.075) * rim  # helix
    height -= 2.6 * _bump(rho, 0.79, 0.075) * rim  # groove inside it
    height += 2.0 * _bump(rho, 0.60, 0.10) * (1 - _toward(theta, 0.0, 1.0)) * (1 - 0.5 * lobe)  # antihelix
    height -= 1.6 * _bump(rho, 0.66, 0.10) * _toward(theta, 1.25, 0.35)  # hollow between its arms
    height += 4.6 * _bump(rho, 0.62, 0.17) * _toward(theta, -0.2, 0.40)  # tragus
    height += 1.0 * _bump(rho, 0.55, 0.16) * _toward(theta, -1.9, 0.35)  # antitragus
    height += 1.4 * lobe * _bump(rho, 0.80, 0.22)
    tucked = _attached(theta) * step(0.66, 1.0, rho)
    return height * (1 - tucked) - 2.2 * tucked


def _back(rho: Floats, theta: Floats, z: Floats) -> Floats:
    rim = _front(np.ones_like(rho), theta, z)
    deep = np.interp(rho, [0.7, 0.9, 0.985, 1.0], [-4.0, 0.25, 0.85, 1.0])
    return np.where(deep > 0, rim - (1 - deep) * np.abs(rim), deep) - 0.6


def _attached(theta: Floats) -> Floats:
    """1 where the edge grows out of the head: in front, from above the tragus to under the lobe."""
    return step(0.0, 0.85, np.cos(theta + 0.3))


def _shade(rho: Floats, theta: Floats) -> Floats:
    """Openness to the light: dark in the bowl and in the groove, as bright as the cheek where the ear is attached."""
    lobe, forward = _toward(theta, -1.45, 0.6), _toward(theta, 0.0, 0.9)
    canal = 0.42 * np.exp(-((rho / 0.5) ** 4)) + 0.28 * np.exp(-((rho / 0.25) ** 2))
    groove = 0.24 * _bump(rho, 0.79, 0.07) * (1 - 0.8 * lobe) * (1 - forward)
    return 1 - canal - groove
