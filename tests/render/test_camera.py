import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from artalk.errors import BadInput
from artalk.render.camera import Camera
from tests.render.meshes import ball, face, joined


def on_screen(camera, points, aspect=1.0):
    clip = np.column_stack([points, np.ones(len(points))]) @ camera.matrix(aspect).T
    return clip[:, :3] / clip[:, 3:]


def bust():
    """A head on a neck on shoulders, metres."""
    head = ball(radius=(0.078, 0.115, 0.1))
    neck = ball(radius=(0.05, 0.1, 0.05), centre=(0, -0.15, -0.02))
    shoulders = ball(radius=(0.22, 0.06, 0.1), centre=(0, -0.25, -0.03))
    return joined(head, neck, shoulders)


def moved(mesh, scale=1.0, by=(0, 0, 0)):
    return dataclasses.replace(mesh, vertices=(mesh.vertices * scale + np.float32(by)).astype(np.float32))


def test_the_subjects_left_is_on_the_right_of_the_picture_and_up_is_up():
    camera = Camera.portrait(face())
    left, top, near = on_screen(camera, np.array([[0.05, 0, 0], [0, 0.05, 0], [0, 0, 0.05]], float))
    middle = on_screen(camera, np.zeros((1, 3)))[0]
    assert left[0] > middle[0]
    assert left[1] == pytest.approx(middle[1])
    assert top[1] > middle[1]
    assert near[2] < middle[2]


@pytest.mark.parametrize("aspect", [0.5, 1.0, 16 / 9])
@pytest.mark.parametrize("mesh", [face(), bust()], ids=["head", "bust"])
def test_a_head_is_whole_in_the_picture_with_air_above(mesh, aspect):
    camera = Camera.portrait(mesh, aspect=aspect)
    head = mesh.vertices[: len(ball().vertices)]
    points = on_screen(camera, head, aspect)
    assert np.abs(points).max() < 1
    assert 0.7 > 1 - points[:, 1].max() > 0.08


def test_the_neck_runs_out_of_the_picture_below():
    points = on_screen(Camera.portrait(bust()), bust().vertices)
    assert points[:, 1].min() < -1
    chin = points[: len(ball().vertices), 1].min()
    assert -1 < chin < -0.3


@given(st.floats(1e-3, 1e3), st.tuples(*[st.floats(-50, 50)] * 3))
def test_framing_does_not_depend_on_units_or_place(scale, by):
    by = np.array(by) * scale
    plain, other = bust(), moved(bust(), scale, by)
    wanted = on_screen(Camera.portrait(plain), plain.vertices)
    assert on_screen(Camera.portrait(other), other.vertices)[:, :2] == pytest.approx(wanted[:, :2], abs=2e-2)


def test_a_full_body_is_framed_at_its_head_with_and_without_a_focus():
    body = joined(bust(), ball(radius=(0.25, 0.8, 0.15), centre=(0, -1.1, -0.03)))
    head = body.vertices[: len(ball().vertices)]
    focus = tuple(map(tuple, (head.min(axis=0).tolist(), head.max(axis=0).tolist())))
    for camera in (Camera.portrait(body), Camera.portrait(body, focus)):
        height = np.ptp(on_screen(camera, head)[:, 1])
        assert 1.1 < height < 1.8


def test_turning_walks_round_the_head_to_the_subjects_left():
    camera = Camera.portrait(face(), turn=math.pi / 2)
    assert camera.position[0] > camera.target[0]
    assert camera.frame()[0] == pytest.approx([0, 0, -1], abs=1e-9)


@pytest.mark.parametrize(
    "numbers",
    [
        {"position": (0, 0, 0)},
        {"position": (0, 1, 0)},
        {"position": (0, math.nan, 1)},
        {"view_angle": 0},
        {"view_angle": 4},
        {"near": 0},
        {"near": 2, "far": 1},
    ],
)
def test_a_camera_that_makes_no_sense_is_refused(numbers):
    with pytest.raises(BadInput, match="camera"):
        Camera(**{"position": (0, 0, 1), "target": (0, 0, 0), **numbers})


def test_a_mesh_that_is_not_finite_is_refused():
    with pytest.raises(BadInput, match="finite"):
        Camera.portrait(moved(face(), math.nan))
