"""What the head is made of."""

from artalk.rigs.rig import Material

MATERIALS = (
    Material("skin", (0.74, 0.44, 0.32), 0.55, 0.6, 0.8),
    Material("lips", (0.74, 0.44, 0.32), 0.46, 1.0, 0.8),
    Material("sclera", (1.0, 1.0, 1.0), 0.18, 1.0, 0.25),
    Material("iris", (1.0, 1.0, 1.0), 0.14, 1.2, 0.0),
    Material("pupil", (1.0, 1.0, 1.0), 0.12, 1.2, 0.0),
    Material("caruncle", (0.62, 0.27, 0.22), 0.25, 1.0, 0.5),
    Material("teeth", (0.95, 0.90, 0.82), 0.3, 0.7, 0.3),
    Material("gums", (0.60, 0.22, 0.20), 0.35, 1.0, 0.4),
    Material("tongue", (0.66, 0.26, 0.25), 0.4, 1.0, 0.5),
    Material("mouth", (0.36, 0.08, 0.07), 0.9, 0.05, 0.2),
    Material("brows", (0.075, 0.036, 0.018), 0.8, 0.2, 0.0),
    Material("lashes", (0.022, 0.013, 0.010), 0.9, 0.1, 0.0),
    Material("hair", (0.115, 0.052, 0.023), 0.56, 0.55, 0.15),
    Material("shirt", (0.10, 0.22, 0.30), 0.9, 0.3, 0.2),
)
NUMBER = {material.name: i for i, material in enumerate(MATERIALS)}
