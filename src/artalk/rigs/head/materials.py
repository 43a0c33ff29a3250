"""What the head is made of."""

from dataclasses import replace

from artalk.rigs.rig import Material

_PARTS = (
    Material("skin", (0.74, 0.44, 0.32), 0.55, 0.6, 0.8),
    Material("lips", (0.74, 0.44, 0.32), 0.46, 1.0, 0.8),
    Material("sclera", (1.0, 1.0, 1.0), 0.18, 1.0, 0.25),
    Material("iris", (1.0, 1.0, 1.0), 0.14, 1.2, 0.0),
    Material("pupil", (1.0, 1.0, 1.0), 0.12, 1.2, 0.0),
    Material("caruncle", (0.62, 0.27, 0.22), 0.25, 1.0, 0.5),
    Material("teeth", (0.85, 0.77, 0.685), 0.3, 0.6, 0.8, inside=True),
    Material("gums", (0.62, 0.25, 0.22), 0.35, 1.0, 0.4, inside=True),
    Material("tongue", (0.68, 0.27, 0.25), 0.42, 0.8, 0.6, inside=True),
    Material("mouth", (0.74, 0.44, 0.32), 0.6, 0.3, 0.4, inside=True),
    Material("brows", (0.075, 0.036, 0.018), 0.8, 0.2, 0.0),
    Material("lashes", (0.022, 0.013, 0.010), 0.9, 0.1, 0.0),
    Material("hair", (0.115, 0.052, 0.023), 0.56, 0.55, 0.15),
    Material("shirt", (0.10, 0.22, 0.30), 0.9, 0.3, 0.2),
)
_SHEETS = {"lashes", "shirt"}
"""What is seen from both sides; everything else is closed, so that its backs need not be drawn."""

MATERIALS = tuple(replace(part, double_sided=part.name in _SHEETS) for part in _PARTS)
NUMBER = {material.name: i for i, material in enumerate(MATERIALS)}
