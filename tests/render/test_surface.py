import dataclasses

import numpy as np
import pytest

from artalk.render.openness import INSIDE, LEAST, openness
from artalk.render.surface import Surface
from artalk.render.zbuffer import DEEP, EMPTY, Triangles, fill
from artalk.rigs.rig import Mesh
from tests.render.meshes import SKIN, ball, face, joined


def test_normals_of_a_ball_point_outwards():
    mesh = ball(40, 80, (1.0, 1.0, 1.0))
    normals = Surface(mesh).normals(mesh.vertices)
    assert np.linalg.norm(normals, axis=1) == pytest.approx(1, abs=1e-5)
    assert np.einsum("vi,vi->v", normals, mesh.vertices).min() > 0.995


def test_normals_follow_the_pose():
    mesh = ball(20, 40)
    turn = np.array([[0, 0, 1], [0, 1, 0], [-1, 0, 0]], np.float32)
    surface = Surface(mesh)
    assert surface.normals(mesh.vertices @ turn.T) == pytest.approx(surface.normals(mesh.vertices) @ turn.T, abs=1e-5)


def test_a_texture_seam_does_not_show():
    mesh = ball(20, 40)
    split = dataclasses.replace(
        mesh,
        vertices=mesh.vertices[mesh.faces.reshape(-1)],
        colors=mesh.colors[mesh.faces.reshape(-1)],
        faces=np.arange(mesh.faces.size, dtype=np.int32).reshape(-1, 3),
    )
    normals = Surface(split).normals(split.vertices)
    # The poles' triangles without area have no normal, and no pixel.
    drawn = np.abs(normals).sum(axis=1) > 0
    assert drawn.mean() > 0.95
    wanted = Surface(mesh).normals(mesh.vertices)[mesh.faces.reshape(-1)]
    assert normals[drawn] == pytest.approx(wanted[drawn], abs=1e-4)


def test_lips_that_touch_keep_their_own_normals():
    sheet = np.array([[0, 0, 0], [0, 0, 1], [1, 0, 0], [1, 0, 1]], np.float32)
    up, down = np.array([[0, 1, 2], [2, 1, 3]]), np.array([[0, 2, 1], [2, 3, 1]]) + 4
    mesh = Mesh(
        np.concatenate([sheet, sheet]),
        np.concatenate([up, down]).astype(np.int32),
        np.zeros(4, np.int32),
        (SKIN,),
        np.ones((8, 3), np.float32),
    )
    normals = Surface(mesh).normals(mesh.vertices)
    assert normals[:4] == pytest.approx(np.tile([0, 1, 0], (4, 1)))
    assert normals[4:] == pytest.approx(np.tile([0, -1, 0], (4, 1)))


def test_a_vertex_between_two_materials_has_both():
    mesh = ball(9, 18)
    half = dataclasses.replace(
        mesh,
        materials=(SKIN, dataclasses.replace(SKIN, color=(1.0, 0.0, 0.0))),
        face_materials=(mesh.vertices[mesh.faces].mean(axis=1)[:, 1] > 0).astype(np.int32),
    )
    surface = Surface(half)
    assert len(surface.source) > len(half.vertices)
    for material in (0, 1):
        corners = surface.faces[half.face_materials == material]
        assert surface.albedo[corners] == pytest.approx(
            np.broadcast_to(half.materials[material].color, (*corners.shape, 3))
        )
    assert (surface.source[surface.faces] == half.faces).all()


def test_a_closed_shell_hides_what_it_holds_and_nothing_hides_it():
    mesh = joined(ball(20, 40), ball(10, 20, (0.03, 0.03, 0.03)))
    surface = Surface(mesh)
    found = openness(mesh, surface.normals(mesh.vertices))
    outer = len(ball(20, 40).vertices)
    assert found[:outer].min() > 0.9
    assert found[outer:].max() < LEAST + 0.02
    assert openness(mesh, np.zeros_like(mesh.vertices)) is found


def test_what_a_pose_uncovers_keeps_light_where_rest_shuts_it_in():
    outer = ball(20, 40)
    mesh = joined(outer, ball(10, 20, (0.03, 0.03, 0.03)))
    inner = (mesh.faces >= len(outer.vertices)).all(axis=1)
    mesh = dataclasses.replace(
        mesh,
        materials=(SKIN, dataclasses.replace(SKIN, inside=True)),
        face_materials=inner.astype(np.int32),
    )
    surface = Surface(mesh)
    hidden = surface.source >= len(outer.vertices)
    assert surface.open[hidden] == pytest.approx(INSIDE)
    assert surface.open[~hidden].min() > 0.9


def test_a_huge_mesh_is_not_looked_at_for_long(monkeypatch):
    mesh = joined(ball(20, 40), ball(10, 20, (0.03, 0.03, 0.03)))
    monkeypatch.setattr("artalk.render.openness.WORK", 10 * len(mesh.faces))
    normals = Surface(dataclasses.replace(mesh)).normals(mesh.vertices)
    assert openness(dataclasses.replace(mesh), normals).min() < 0.2
    monkeypatch.setattr("artalk.render.openness.WORK", 7 * len(mesh.faces))
    assert (openness(dataclasses.replace(mesh), normals) == 1).all()


def test_a_fold_is_darker_than_what_stands_out():
    mesh = face()
    found = openness(mesh, Surface(mesh).normals(mesh.vertices))
    nose = slice(len(mesh.vertices) - 200, None)
    tip = np.argmax(mesh.vertices[nose, 2])
    assert found[nose][tip] > 0.85
    beside = np.argmin(np.linalg.norm(mesh.vertices[:648] - [0.018, -0.02, 0.085], axis=1))
    assert found[beside] < 0.8


@pytest.mark.parametrize("seed", range(4))
def test_the_z_buffer_agrees_with_looking_at_each_sample(seed):
    rng = np.random.default_rng(seed)
    width, height = 37, 23
    corners = rng.uniform(-1.3, 1.3, (60, 3)).astype(np.float32)
    corners[:, 2] = rng.uniform(-0.9, 0.9, 60)
    faces = rng.integers(0, 60, (40, 3)).astype(np.int32)
    triangles = Triangles(corners, faces, np.eye(4), width, height)
    buffer = np.empty(width * height, np.uint64)
    fill(triangles, buffer, width, height)
    x, y = (part.reshape(-1) + 0.5 for part in np.meshgrid(np.arange(width), np.arange(height)))
    nearest = np.full(width * height, 2.0)
    for k in range(len(faces)):
        px, py, pz = triangles.x[:, k], triangles.y[:, k], triangles.z[:, k]
        area = (px[1] - px[0]) * (py[2] - py[0]) - (px[2] - px[0]) * (py[1] - py[0])
        if area == 0:
            continue
        second = ((x - px[0]) * (py[2] - py[0]) - (px[2] - px[0]) * (y - py[0])) / area
        third = ((px[1] - px[0]) * (y - py[0]) - (x - px[0]) * (py[1] - py[0])) / area
        inside = (second >= 0) & (third >= 0) & (second + third <= 1)
        depth = pz[0] + second * (pz[1] - pz[0]) + third * (pz[2] - pz[0])
        nearest = np.where(inside & (depth < nearest), depth, nearest)
    drawn = np.where(buffer == EMPTY, 2.0, (buffer >> np.uint64(32)) / DEEP)
    assert drawn == pytest.approx(nearest, abs=1e-6)
    assert (nearest < 2).mean() > 0.2
