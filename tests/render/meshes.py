"""Meshes to draw: a ball with eyes, which has a front, a top and a left that can be told apart."""

import numpy as np

from artalk.rigs.rig import Material, Mesh

SKIN = Material("skin", (0.60, 0.35, 0.27), roughness=0.5, subsurface=0.8)
EYE = Material("eye", (0.8, 0.78, 0.76), roughness=0.1)


def ball(rows=18, columns=36, radius=(0.08, 0.115, 0.09), centre=(0.0, 0.0, 0.0), material=SKIN):
    down, round_ = np.meshgrid(
        np.linspace(0, np.pi, rows), np.linspace(0, 2 * np.pi, columns, endpoint=False), indexing="ij"
    )
    unit = np.stack([np.sin(down) * np.sin(round_), np.cos(down), np.sin(down) * np.cos(round_)], axis=-1)
    at = np.arange((rows - 1) * columns).reshape(rows - 1, columns)
    beside = np.roll(at, -1, axis=1)
    faces = np.concatenate(
        [np.stack([at, at + columns, beside], -1), np.stack([beside, at + columns, beside + columns], -1)]
    )
    faces = faces.reshape(-1, 3)
    vertices = unit.reshape(-1, 3) * radius + centre
    return Mesh(
        vertices.astype(np.float32),
        faces.astype(np.int32),
        np.zeros(len(faces), np.int32),
        (material,),
        np.ones(vertices.shape, np.float32),
    )


def joined(*meshes):
    starts = np.cumsum([0, *(len(mesh.vertices) for mesh in meshes)])
    return Mesh(
        np.concatenate([mesh.vertices for mesh in meshes]),
        np.concatenate([mesh.faces + np.int32(start) for mesh, start in zip(meshes, starts, strict=False)]),
        np.concatenate([np.full(len(mesh.faces), k, np.int32) for k, mesh in enumerate(meshes)]),
        tuple(mesh.materials[0] for mesh in meshes),
        np.concatenate([mesh.colors for mesh in meshes]),
    )


def face():
    left = ball(10, 20, (0.014,) * 3, (0.032, 0.02, 0.072), EYE)
    right = ball(10, 20, (0.014,) * 3, (-0.032, 0.02, 0.072), EYE)
    nose = ball(10, 20, (0.014, 0.02, 0.02), (0.0, -0.02, 0.09))
    return joined(ball(), left, right, nose)
