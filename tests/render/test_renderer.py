import dataclasses
import gc
import logging
import threading

import numpy as np
import pytest

from artalk.errors import BadInput, Unsupported
from artalk.render import Background, Camera, Look, gl, open_renderer
from tests.render.meshes import ball, face

SIZE = 96


@pytest.fixture(scope="module", autouse=True)
def needs_opengl():
    try:
        gl._context().release()
    except Unsupported as error:
        pytest.skip(f"no OpenGL here: {error}")


def picture(backend, mesh=None, width=SIZE, height=SIZE, vertices=None, **options):
    mesh = mesh or face()
    with open_renderer(mesh, width, height, backend, **options) as renderer:
        return renderer.frame(mesh.vertices if vertices is None else vertices)


both = pytest.mark.parametrize("backend", ["gl", "raster"])


@both
def test_a_frame_is_srgb_bytes_of_the_size_asked_for(backend):
    drawn = picture(backend, width=120, height=80)
    assert drawn.shape == (80, 120, 3)
    assert drawn.dtype == np.uint8
    assert (drawn == picture(backend, width=120, height=80)).all()
    assert (drawn[0] == Background().picture(120, 80)[0]).all()


@pytest.mark.parametrize(("width", "height", "turn"), [(96, 96, 0.0), (160, 96, 0.7), (96, 160, 2.8), (420, 400, 0.0)])
def test_both_renderers_draw_the_same(width, height, turn):
    mesh = face()
    mesh = dataclasses.replace(mesh, colors=np.abs(np.sin(mesh.vertices * 60)).astype(np.float32) * 0.5 + 0.5)
    camera = Camera.portrait(mesh, None, width / height, turn)
    one, other = (
        picture(backend, mesh, width, height, camera=camera, look=Look(background=None)).astype(int)
        for backend in ("gl", "raster")
    )
    assert np.abs(one[..., 3] - other[..., 3]).mean() < 1.0
    solid = (one[..., 3] == 255) & (other[..., 3] == 255)
    assert np.abs(one - other)[solid].mean() < 1.0
    assert np.percentile(np.abs(one - other)[solid], 99) <= 12


@both
def test_the_key_light_comes_from_the_upper_left(backend):
    drawn = picture(backend, ball()).astype(float).sum(axis=2)
    middle, head = SIZE // 2, SIZE // 6
    assert drawn[middle - head, middle - head] > 1.15 * drawn[middle - head, middle + head]
    assert drawn[middle - head, middle] > 1.1 * drawn[middle + head, middle]


@both
def test_eyes_have_a_catch_light(backend):
    mesh = face()
    dark = dataclasses.replace(
        mesh, materials=tuple(dataclasses.replace(m, color=(0.01, 0.01, 0.01)) for m in mesh.materials)
    )
    eye = ball(10, 20, (0.014,) * 3, (-0.032, 0.02, 0.072))
    points = np.column_stack([eye.vertices, np.ones(len(eye.vertices))]) @ Camera.portrait(mesh).matrix(1.0).T
    x, y = ((points[:, 0] / points[:, 3] + 1) / 2 * 256), ((1 - points[:, 1] / points[:, 3]) / 2 * 256)
    region = picture(backend, dark, 256, 256)[int(y.min()) : int(y.max()) + 1, int(x.min()) : int(x.max()) + 1]
    bright = (region.min(axis=2) > 110).mean()
    assert 0.01 < bright < 0.2
    assert np.median(region) < 80


@both
def test_what_lies_inside_is_dark(backend):
    """The floor of a deep bowl that is open to the front, against the same floor alone."""
    bowl = ball(24, 48, (0.1, 0.1, 0.1))
    open_ = bowl.vertices[bowl.faces].mean(axis=1)[:, 2] < 0.085
    bowl = dataclasses.replace(bowl, faces=bowl.faces[open_], face_materials=bowl.face_materials[open_])
    floor = bowl.vertices[bowl.faces].mean(axis=1)[:, 2] < -0.085
    alone = dataclasses.replace(bowl, faces=bowl.faces[floor], face_materials=bowl.face_materials[floor])
    camera = Camera((0, 0, 1), (0, 0, 0))
    inside, outside = (
        picture(backend, mesh, camera=camera)[SIZE // 2, SIZE // 2].mean()
        for mesh in (dataclasses.replace(m, faces=np.ascontiguousarray(m.faces[:, ::-1])) for m in (bowl, alone))
    )
    assert inside < 0.8 * outside


@both
def test_the_picture_follows_the_pose_and_comes_back(backend):
    mesh = face()
    moved = mesh.vertices + np.float32([0.01, 0, 0])
    with open_renderer(mesh, SIZE, SIZE, backend) as renderer:
        first, second, third = (renderer.frame(v) for v in (mesh.vertices, moved, mesh.vertices.astype(np.float64)))
    assert (first == third).all()
    weight = np.arange(SIZE)[None, :]
    bright = [np.abs(p.astype(float) - Background().picture(SIZE, SIZE)).sum(axis=2) for p in (first, second)]
    shift = [(b * weight).sum() / b.sum() for b in bright]
    assert shift[1] - shift[0] > 2


@both
def test_without_a_background_the_alpha_is_straight(backend):
    clear, shown = picture(backend, look=Look(background=None)), picture(backend)
    assert clear.shape == (SIZE, SIZE, 4)
    alpha = clear[..., 3:] / 255
    assert {0, 255} < set(np.unique(clear[..., 3]))
    again = clear[..., :3] * alpha + Background().picture(SIZE, SIZE) * (1 - alpha)
    assert np.abs(again - shown).max() <= 2


@both
def test_a_closed_surface_has_no_holes(backend):
    alpha = picture(backend, ball(31, 57), 131, 131, look=Look(background=None))[..., 3]
    around = np.lib.stride_tricks.sliding_window_view(alpha, (5, 5)).min(axis=(2, 3))
    outline = np.lib.stride_tricks.sliding_window_view(alpha > 0, (5, 5))
    inside = outline.sum(axis=(2, 3)) >= 22
    assert inside.sum() > 3000
    assert (alpha[2:-2, 2:-2][inside] == 255).all()
    assert (around > 0).sum() > 3000


@both
def test_backs_of_sheets_are_drawn_and_lit(backend):
    mesh = ball(9, 18)
    turned = dataclasses.replace(mesh, faces=np.ascontiguousarray(mesh.faces[:, ::-1]))
    drawn = picture(backend, turned, look=Look(background=None))
    assert (drawn[..., 3] > 0).sum() == (picture(backend, mesh, look=Look(background=None))[..., 3] > 0).sum()
    assert drawn[SIZE // 2, SIZE // 2, :3].mean() > 30


@both
def test_frames_that_make_no_sense_are_refused(backend):
    mesh = face()
    with open_renderer(mesh, 16, 16, backend) as renderer:
        with pytest.raises(BadInput, match=rf"\({len(mesh.vertices)}, 3\)"):
            renderer.frame(mesh.vertices[:-1])
        with pytest.raises(BadInput, match="finite"):
            renderer.frame(np.where(np.arange(len(mesh.vertices))[:, None] == 5, np.nan, mesh.vertices))
    with pytest.raises(BadInput, match="closed"):
        renderer.frame(mesh.vertices)
    renderer.close()


@both
def test_what_flies_far_out_of_the_picture_is_harmless(backend):
    mesh = face()
    wild = mesh.vertices.copy()
    wild[::7] *= 1e6
    with open_renderer(mesh, 32, 32, backend) as renderer:
        assert renderer.frame(wild).shape == (32, 32, 3)
        away = renderer.frame(mesh.vertices + np.float32([0, 1000, 0]))
    assert (away == Background().picture(32, 32)).all()


@pytest.mark.parametrize(("width", "height"), [(0, 10), (10, 100_000), (-3, 4)])
def test_sizes_that_make_no_sense_are_refused(width, height):
    with pytest.raises(BadInput, match="pixels wide"):
        open_renderer(face(), width, height)


def test_an_unknown_backend_is_refused():
    with pytest.raises(BadInput, match="auto, gl or raster, got 'vulkan'"):
        open_renderer(face(), backend="vulkan")


@pytest.mark.parametrize(
    "fault",
    [
        {"faces": np.zeros((0, 3), np.int32), "face_materials": np.zeros(0, np.int32)},
        {"faces": np.full((4, 3), 10**6, np.int32), "face_materials": np.zeros(4, np.int32)},
        {"materials": ()},
        {"colors": np.ones((3, 3), np.float32)},
        {"face_materials": np.full(len(face().faces), 9, np.int32)},
    ],
)
@both
def test_a_mesh_that_does_not_hold_together_is_refused(backend, fault):
    with pytest.raises(BadInput):
        open_renderer(dataclasses.replace(face(), **fault), backend=backend)


def test_auto_takes_opengl_and_keeps_the_terminal_clean(capfd):
    with open_renderer(face(), 16, 16) as renderer:
        assert renderer.name.startswith("gl (")
    assert capfd.readouterr() == ("", "")


def test_auto_falls_back_to_numpy_and_says_so_once(monkeypatch, caplog):
    def none(**_):
        raise Exception("cannot open display")  # what glcontext raises

    monkeypatch.setattr("moderngl.create_context", none)
    with caplog.at_level(logging.INFO), open_renderer(face(), 16, 16) as renderer:
        assert renderer.name == "raster (numpy)"
    assert [record.levelname for record in caplog.records] == ["INFO"]
    assert "cannot open display" in caplog.text
    with pytest.raises(Unsupported, match="OpenGL 3.3"):
        open_renderer(face(), 16, 16, "gl")


def test_a_picture_larger_than_the_card_takes_is_a_typed_error(monkeypatch):
    monkeypatch.setattr("artalk.render.renderer.LARGEST", 10**6)
    with pytest.raises(Unsupported, match="use raster"):
        open_renderer(face(), 60_000, 500, "gl", look=Look(background=None))


def test_renderers_come_and_go_side_by_side():
    mesh = face()
    wanted = picture("gl", mesh)
    with open_renderer(mesh, SIZE, SIZE, "gl") as one:
        for _ in range(5):
            with open_renderer(mesh, 24, 24, "gl") as other:
                other.frame(mesh.vertices)
            assert (one.frame(mesh.vertices) == wanted).all()
    gc.collect()


def test_a_renderer_works_in_another_thread():
    mesh, found = face(), []
    thread = threading.Thread(target=lambda: found.append(picture("auto", mesh)))
    thread.start()
    thread.join()
    assert (found[0] == picture("gl", mesh)).all()


def test_a_large_picture_is_drawn_in_bands_that_fit(monkeypatch):
    wanted = picture("raster", width=120, height=90)
    monkeypatch.setattr("artalk.render.raster.BAND", 120 * 9 * 13)
    with open_renderer(face(), 120, 90, "raster") as renderer:
        assert renderer._rows == 13
        banded = renderer.frame(face().vertices)
    difference = np.abs(banded.astype(int) - wanted)
    assert difference.mean() < 0.02
    assert difference.max() < 60
