"""Recipes by name, from a checkout and from a wheel."""

import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from artalk import config, cookbook
from artalk.cookbook import CORPORA, TRAININGS
from artalk.data.collection import Collection, of_folder
from artalk.errors import MissingFile
from tests.prepare.command import run

ROOT = Path(__file__).parents[1]


def test_recipes_are_found_by_name():
    assert {"default", "personalise", "tiny", "wav2vec"} <= set(cookbook.names(TRAININGS))
    assert {"grid", "lombard_grid", "beat2"} <= set(cookbook.names(CORPORA))
    for name in cookbook.names(CORPORA):
        assert config.load(Collection, cookbook.find(name, CORPORA)).source == name


def test_a_file_goes_before_a_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert of_folder(tmp_path, Path("grid")).source == "grid"
    Path("grid").write_text('source = "mine"')
    assert of_folder(tmp_path, Path("grid")).source == "mine"


def test_as_installed_they_lie_in_the_package(tmp_path, monkeypatch):
    (tmp_path / "public").mkdir()
    (tmp_path / "mine.toml").write_text("")
    monkeypatch.setattr(cookbook, "PLACES", (tmp_path, *cookbook.PLACES))
    assert cookbook.names(TRAININGS) == ("mine",)
    assert cookbook.names(CORPORA) == ()


def test_an_unknown_name_lists_those_that_there_are(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(MissingFile, match="none is at 'defualt'; by name there are default, "):
        cookbook.find("defualt", TRAININGS)
    (tmp_path / "in").mkdir()
    code, _, err = run(capsys, "prepare", "in", "-o", "out", "--recipe", "gird")
    assert code == 2
    assert "by name there are beat, beat2, crema_d, grid, " in err


def test_the_wheel_is_told_to_take_them():
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert wheel["sources"]["recipes"] == f"artalk/{cookbook.PLACES[0].name}"
    assert "recipes" in wheel["only-include"]


@pytest.mark.slow
def test_a_wheel_has_every_recipe_and_finds_it(tmp_path):
    wheels = pytest.importorskip("hatchling.builders.wheel")
    (path,) = wheels.WheelBuilder(str(ROOT)).build(directory=str(tmp_path / "dist"), versions=["standard"])
    with zipfile.ZipFile(path) as wheel:
        wheel.extractall(tmp_path / "site")
    assert not list((tmp_path / "site/artalk/recipes").glob("*.py"))
    assert (tmp_path / "site/artalk/weights/artalk.onnx").is_file()
    code = f"""
import sys
sys.path.insert(0, {str(tmp_path / "site")!r})
import artalk.cookbook as book
print(book.find("grid", book.CORPORA))
print(*book.names(book.TRAININGS), *book.names(book.CORPORA))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    place, names = done.stdout.splitlines()
    assert Path(place) == tmp_path / "site/artalk/recipes/public/grid.toml"
    assert names.split() == [*cookbook.names(TRAININGS), *cookbook.names(CORPORA)]
