"""Sequences of registered meshes in the layouts in which VOCASET goes round."""

import pickle

import numpy as np
import pytest

from artalk import captures
from artalk.captures import vertices
from artalk.errors import BadFile

RNG = np.random.default_rng(1)
TEMPLATE = RNG.standard_normal((400, 3)).astype(np.float32) / 10
MOVED = TEMPLATE + RNG.standard_normal((20, 400, 3)).astype(np.float32) / 1000
PERSON = "FaceTalk_170725_00137_TA"


@pytest.mark.parametrize("flat", [True, False])
def test_an_array_and_the_pickled_templates_above_it(tmp_path, flat):
    (tmp_path / "vertices_npy").mkdir()
    path = tmp_path / "vertices_npy" / f"{PERSON}_sentence01.npy"
    np.save(path, MOVED.reshape(20, -1) if flat else MOVED)
    (tmp_path / "templates.pkl").write_bytes(pickle.dumps({"other": MOVED[0], PERSON: TEMPLATE}, protocol=2))
    assert captures.is_capture(path)
    assert isinstance(captures.read(path), captures.Surface)
    surface = vertices.read(path)
    assert surface.fps == 60
    np.testing.assert_array_equal(surface.vertices, MOVED)
    np.testing.assert_array_equal(surface.template, TEMPLATE)


def test_templates_in_a_folder_in_the_file_and_none_at_all(tmp_path):
    path = tmp_path / f"{PERSON}_sentence01.npy"
    np.save(path, MOVED)
    np.testing.assert_array_equal(vertices.read(path, fps=30).template, MOVED[0])
    (tmp_path / "templates").mkdir()
    np.save(tmp_path / "templates" / f"{PERSON}.npy", TEMPLATE)
    np.testing.assert_array_equal(vertices.read(path).template, TEMPLATE)
    np.savez(tmp_path / "all.npz", vertices=MOVED, template=TEMPLATE, fps=np.array(25))
    surface = vertices.read(tmp_path / "all.npz")
    assert surface.fps == 25
    np.testing.assert_array_equal(surface.template, TEMPLATE)


def test_wrong_templates_and_vertices(tmp_path):
    path = tmp_path / f"{PERSON}_sentence01.npy"
    np.save(path, MOVED)
    (tmp_path / "templates.pkl").write_bytes(pickle.dumps({"nobody": TEMPLATE}))
    with pytest.raises(BadFile, match="begins with none"):
        vertices.read(path)
    (tmp_path / "templates.pkl").write_bytes(pickle.dumps({PERSON: TEMPLATE[:100]}))
    with pytest.raises(BadFile, match="neutral mesh"):
        vertices.read(path)
    (tmp_path / "templates.pkl").write_bytes(pickle.dumps(print))
    with pytest.raises(BadFile):
        vertices.read(path)
    (tmp_path / "templates.pkl").unlink()
    np.save(path, MOVED * np.nan)
    with pytest.raises(BadFile, match="unit is the metre"):
        vertices.read(path)
