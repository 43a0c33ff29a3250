"""All pieces of the head: skin first, then what rides on it, then what stands alone."""

import numpy as np
from numpy.typing import NDArray

from artalk.rigs.head import ear, eyes, hair, mouth, paint, shirt, skin, strips
from artalk.rigs.head.cage import shortened
from artalk.rigs.head.materials import NUMBER
from artalk.rigs.head.part import Ints, Part, mirror_by_place, pair, welded


def parts() -> tuple[list[Part], skin.Skin, Ints]:
    """All pieces, the full skin, and which of its vertices are kept in the first piece."""
    full = skin.build()
    body, used = _skin(full)
    cover = _hair(full)
    body.colors = paint.contact_shadow(body.points, body.colors, cover.points)
    return [body, *_eyes(), *_strips(full), *_ears(), cover, *_mouth(), _shirt()], full, used


def _one(name: str, faces: Ints) -> Ints:
    return np.full(len(faces), NUMBER[name])


def _hidden(full: skin.Skin) -> NDArray[np.bool_]:
    """(N,) skin well under the hair, and the lowest ring under the shirt."""
    face = (full.mouth_ring > 0.5) | (full.eye_ring < 6.5)
    return (hair.covered(full.points, 4.0) | (full.row < 0.8)) & ~face


def _skin(full: skin.Skin) -> tuple[Part, Ints]:
    """The visible skin: not what hair and shirt cover, nor what lies behind the lids."""
    hidden = _hidden(full)
    quads = full.quads[~hidden[full.quads].all(1)]
    quads = quads[full.eye_ring[quads].mean(1) > 0.9]
    used = np.unique(quads)
    place = np.full(len(full.points), -1)
    place[used] = np.arange(len(used))
    ring = full.mouth_ring[quads].mean(1)
    material = np.where(ring > 4.2, NUMBER["mouth"], np.where(ring > 2.0, NUMBER["lips"], NUMBER["skin"]))
    faces = place[np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])]
    colors = paint.skin_colors(full)[used]
    return Part("skin", full.points[used], faces, np.tile(material, 2), colors, place[full.mirror[used]]), used


def _eyes() -> list[Part]:
    points, faces, colors = eyes.eyeball()
    ring = (faces.max(1) - 1) // eyes.SPOKES
    limbus, pupil = eyes.ANGLES.index(eyes.IRIS), eyes.ANGLES.index(eyes.PUPIL)
    coloured = np.where(ring <= limbus, NUMBER["iris"], NUMBER["sclera"])
    material = np.where(ring <= pupil, NUMBER["pupil"], coloured)
    left, right = pair(Part("eye", points, faces, material, colors, np.arange(len(points))))
    left.joint, right.joint = "leftEye", "rightEye"
    return [left, right]


def _strips(full: skin.Skin) -> list[Part]:
    found: list[Part] = []
    kinds = (("brow", "brows", strips.brow), ("lashes", "lashes", strips.lashes), ("caruncle", "caruncle", eyes.corner))
    for name, material, make in kinds:
        points, faces, colors, rides = make(full)
        left = Part(name, points, faces, _one(material, faces), colors, np.arange(len(points)), rides=rides)
        found += pair(left, full.mirror)
    return found


def _ears() -> list[Part]:
    points, faces, colors = ear.ear()
    return pair(Part("ear", points, faces, _one("skin", faces), colors, np.arange(len(points))))


def _hair(full: skin.Skin) -> Part:
    """The hair, fitted to the bare skull."""
    bare = (full.points[:, 1] > -95) & (full.mouth_ring < 0.5) & (full.eye_ring > 6.5)
    points, faces, colors, mirror = welded(*hair.hair(full.points[bare][::2]))
    return Part("hair", points, faces, _one("hair", faces), colors, mirror)


def _teeth(upper: bool) -> Part:
    points, faces, tooth, shade = mouth.teeth(upper)
    points = shortened(points)
    material = np.where(tooth[faces].mean(1) > 0.9, NUMBER["teeth"], NUMBER["gums"])
    # The mouth is darker towards the throat, and its walls redden what light comes so far.
    light = shade[:, None] * (0.25 + 0.75 * np.clip((points[:, 2:3] - 56) / 32, 0, 1) ** 0.7)
    name = "upperTeeth" if upper else "lowerTeeth"
    return Part(name, points, faces, material, light ** [0.6, 1.0, 1.4], mirror_by_place(points))


def _mouth() -> list[Part]:
    points, faces, colors = mouth.tongue()
    points = shortened(points)
    tongue = Part("tongue", points, faces, _one("tongue", faces), colors, mirror_by_place(points))
    return [_teeth(True), _teeth(False), tongue]


def _shirt() -> Part:
    points, faces, colors = shirt.shirt()
    return Part("shirt", points, faces, _one("shirt", faces), colors, mirror_by_place(points), joint="neck")
