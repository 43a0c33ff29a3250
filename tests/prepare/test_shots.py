import numpy as np
import pytest

from artalk.prepare.shots import Cuts, thumbnail
from tests.prepare.videos import drawn


def cuts(pictures) -> list[int]:
    found = Cuts()
    return [k for k, picture in enumerate(pictures) if found.add(picture)]


def test_a_cut_is_where_one_scene_follows_another():
    assert cuts([*drawn(20, seed=0), *drawn(20, seed=1), *drawn(5, seed=0)]) == [20, 40]


def test_one_scene_is_one_shot():
    assert cuts(drawn(60)) == []


def filmed(count, person, seed=0):
    """Pictures of a room with noise, and of somebody in it who sways a little about a place."""
    rng = np.random.default_rng(seed)
    room = np.kron(np.random.default_rng(9).integers(60, 200, (12, 16, 1)), np.ones((20, 20, 3)))
    rows, columns = np.mgrid[:240, :320]
    pictures = []
    for k in range(count):
        x, y = person[0] + 2 * np.sin(k / 6), person[1] + np.sin(k / 9)
        inside = ((columns - x) / 60) ** 2 + ((rows - y) / 90) ** 2 < 1
        picture = np.where(inside[..., None], 220 - 60 * np.hypot(columns - x, rows - y)[..., None] / 90, room)
        pictures.append((picture + rng.normal(0, 3, picture.shape)).clip(0, 255).astype(np.uint8))
    return pictures


def test_a_jump_cut_leaves_the_room_as_it_is():
    assert cuts([*filmed(30, (150, 130)), *filmed(30, (185, 145), seed=1)]) == [30]


def test_who_leans_over_does_not_cut():
    way = [(150 + 20 / (1 + np.exp(-(k - 20) / 2)), 130) for k in range(40)]
    assert cuts([picture for k, place in enumerate(way) for picture in filmed(1, place, seed=k)]) == []


def test_a_light_switched_on_is_no_cut():
    dark, bright = (drawn(10)[0] // 3 + shade for shade in (10, 120))
    assert cuts([dark.astype(np.uint8)] * 10 + [bright.astype(np.uint8)] * 10) == []


def test_a_camera_that_pans_fast_does_not_cut():
    wide = drawn(1, (1600, 64), seed=3)[0]
    assert cuts([np.ascontiguousarray(wide[:, 24 * k : 24 * k + 96]) for k in range(60)])[1:] == []


@pytest.mark.parametrize("size", [(96, 64), (97, 65), (1920, 1080), (16, 16)])
def test_thumbnails_are_means_of_parts(size):
    width, height = size
    flat = np.full((height, width, 3), 77, np.uint8)
    small = thumbnail(flat)
    assert small.shape == (12, 16)
    assert np.allclose(small, 77)
