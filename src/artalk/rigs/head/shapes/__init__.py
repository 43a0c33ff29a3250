"""Expression shapes: displacement fields over the neutral head, in millimetres."""

from artalk.rigs.head.part import Floats
from artalk.rigs.head.shapes import brows, cheeks, jaw, lids, mouth, tongue
from artalk.rigs.head.shapes.face import Face
from artalk.rigs.head.shapes.lips import Lips
from artalk.rigs.head.skin import Skin

__all__ = ["skin_fields", "tongue_out"]


def skin_fields(skin: Skin) -> dict[str, Floats]:
    """(N, 3) displacements of the skin by shape; of left-right pairs only the left."""
    face = Face(skin)
    lips = Lips(face)
    return {
        **lids.fields(face),
        **jaw.fields(face),
        **mouth.fields(face, lips),
        **brows.fields(face),
        **cheeks.fields(face, lips),
        **tongue.fields(lips),
    }


def tongue_out(skin: Skin, points: Floats) -> Floats:
    """(N, 3) displacement of the tongue's `points` at tongueOut 1."""
    return tongue.out(Face(skin), points)
