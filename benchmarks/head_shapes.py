"""Size, place and direction of the built-in head's 52 shapes, beside those of the ICT-FaceKit head.

    python benchmarks/head_shapes.py [--ict FILE.npz | FOLDER]

For each shape at weight 1: the largest displacement (mm), how many mm² of skin move more than 1 mm, where the middle of
the displacement lies (mm from the point between the eyes), and its mean direction.
"""

import argparse

import numpy as np
from numpy.typing import NDArray

from artalk.channels import ARKIT_SHAPES
from artalk.rigs import ict
from artalk.rigs.blendshape import BlendshapeRig
from artalk.rigs.head import head

Floats = NDArray[np.float64]
MEASURED = ("skin", "lips", "tongue")
"""Materials that are measured: teeth go with the jaw, brows and lashes with the skin."""


def areas(vertices: Floats, faces: NDArray[np.integer]) -> Floats:
    """(V,) a third of the area of each vertex's triangles."""
    cross = np.cross(vertices[faces[:, 1]] - vertices[faces[:, 0]], vertices[faces[:, 2]] - vertices[faces[:, 0]])
    share = np.linalg.norm(cross, axis=1) / 6
    return np.bincount(faces.T.ravel(), np.tile(share, 3), len(vertices))


def row(moved: Floats, vertices: Floats, area: Floats) -> str:
    """One shape's numbers as text."""
    size = np.linalg.norm(moved, axis=1)
    weight = size * area
    if not weight.any():
        return "-"
    middle = weight @ vertices / weight.sum()
    mean = area @ moved
    way = mean / max(float(np.linalg.norm(mean)), 1e-9)
    place, direction = " ".join(f"{v:4.0f}" for v in middle), " ".join(f"{v:5.2f}" for v in way)
    return f"{size.max():5.1f} mm  {area[size > 1].sum():6.0f} mm²  [{place}]  [{direction}]"


def measured(rig: BlendshapeRig, materials: tuple[str, ...], origin: Floats) -> dict[str, str]:
    """The numbers of each shape of a rig, over the given materials."""
    vertices = rig.mesh.vertices.astype(float) * 1000 - origin
    numbers = [i for i, material in enumerate(rig.mesh.materials) if material.name in materials]
    faces = rig.mesh.faces[np.isin(rig.mesh.face_materials, numbers)]
    area = areas(vertices, faces)
    return {
        name: row(moved.astype(float) * 1000, vertices, area)
        for name, moved in zip(rig.shapes, rig.deltas, strict=True)
    }


def between_eyes(rig: BlendshapeRig) -> Floats:
    """The middle of the eye joints, mm."""
    return 1000 * np.mean([joint.position for joint in rig.joints if joint.name.endswith("Eye")], axis=0)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="numbers of the built-in head's shapes")
    parser.add_argument("--ict", help="ICT-FaceKit's folder FaceXModel, or a file packed from it")
    args = parser.parse_args()
    own = head()
    ours = measured(own, MEASURED, between_eyes(own))
    theirs: dict[str, str] = {}
    if args.ict:
        other = ict.load(args.ict)
        theirs = measured(other, ("skin",), between_eyes(other))
    print(f"{'':20} largest    moved     middle x y z       direction")
    for name in ARKIT_SHAPES:
        print(f"{name:20} {ours[name]}")
        if name in theirs:
            print(f"{'  ICT':20} {theirs[name]}")


if __name__ == "__main__":
    main()
