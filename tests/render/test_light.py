import numpy as np
import pytest
from PIL import Image

from artalk.errors import BadInput
from artalk.render import contact_sheet
from artalk.render.light import SHOULDER, Background, display, encode, tone
from artalk.render.picture import over, shrunk


def test_srgb_meets_its_definition():
    assert encode(np.float32([0, 0.0031308, 0.2140, 0.5, 1])) == pytest.approx([0, 0.04045, 0.5, 0.7354, 1], abs=1e-4)


def test_tone_keeps_colours_below_the_shoulder_and_never_clips():
    levels = np.linspace(0, 20, 20001).astype(np.float32)
    toned = tone(levels)
    assert toned[levels < SHOULDER] == pytest.approx(levels[levels < SHOULDER])
    assert (np.diff(toned) >= 0).all()
    assert toned.max() <= 1
    assert np.diff(toned).max() < 1.01e-3


def test_the_table_is_the_function():
    levels = np.random.default_rng(0).uniform(0, 3.9, 1000).astype(np.float32)
    assert np.abs(display(levels) - encode(tone(levels)) * 255).max() < 1.0


def test_the_background_is_calm():
    wall = Background().picture(200, 100).astype(int)
    assert wall.shape == (100, 200, 3)
    assert wall[45, 100].mean() > wall[0, 0].mean() + 15
    assert np.abs(np.diff(wall.mean(axis=2), axis=1)).max() < 3
    assert (wall == Background().picture(200, 100)).all()
    flat = Background((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)).picture(9, 9)
    assert (flat == 188).all()


def test_shrinking_is_the_mean():
    samples = np.random.default_rng(1).integers(0, 256, (12, 18, 4)).astype(np.uint8)
    for times in (1, 2, 3):
        blocks = samples.reshape(12 // times, times, 18 // times, times, 4)
        assert np.abs(shrunk(samples, times) - blocks.mean(axis=(1, 3))).max() <= 0.5


def test_over_keeps_what_is_solid_and_what_is_empty():
    wall = np.full((1, 3, 3), 200, np.uint8)
    drawn = np.uint8([[[10, 20, 30, 255], [0, 0, 0, 0], [50, 50, 50, 128]]])
    shown = over(drawn, wall)
    assert shown[0].tolist() == [[10, 20, 30], [200, 200, 200], [150, 150, 150]]
    assert over(drawn, None)[0].tolist() == [[10, 20, 30, 255], [0, 0, 0, 0], [100, 100, 100, 128]]


def test_a_sheet_lays_pictures_in_rows_with_names_below():
    pictures = [np.full((40, 60, 3), 10 * k, np.uint8) for k in range(5)]
    sheet = contact_sheet(pictures, 2, [f"mouthUpperUpLeft {k}" for k in range(5)])
    assert sheet.shape == (3 * 62, 120, 3)
    assert (sheet[62:102, 60:] == 30).all()
    assert (sheet[40:62, :60] > 100).any()
    assert contact_sheet(pictures, 3).shape == (80, 180, 3)
    assert Image.fromarray(sheet).size == (120, 186)


@pytest.mark.parametrize(
    ("images", "columns", "labels"),
    [([], 3, None), ([np.zeros((4, 4, 3), np.uint8)], 0, None), ([np.zeros((4, 4, 3), np.uint8)], 1, ["a", "b"])],
)
def test_sheets_that_make_no_sense_are_refused(images, columns, labels):
    with pytest.raises(BadInput, match="sheet"):
        contact_sheet(images, columns, labels)
