import os

import pytest

from artalk.errors import BadFile, BadInput, MissingFile
from artalk.formats.atomic import atomic


def test_the_file_appears_when_the_block_ends(tmp_path):
    path = tmp_path / "a.txt"
    with atomic(path) as temporary:
        assert temporary.parent == tmp_path
        assert temporary.suffix == ".txt"
        temporary.write_text("new")
        assert not path.exists()
    assert path.read_text() == "new"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_a_failure_leaves_what_was_there(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def fail():
        with atomic(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError):
        fail()
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


def enter(path):
    with atomic(path) as temporary:
        temporary.write_text("x")


def test_folders_are_not_made(tmp_path):
    with pytest.raises(MissingFile, match="make it first"):
        enter(tmp_path / "no" / "a.txt")


def test_folders_and_devices_are_not_replaced(tmp_path):
    with pytest.raises(BadInput, match="plain file"):
        enter(tmp_path)
    with pytest.raises(BadInput, match="plain file"):
        enter("/dev/null")


def test_links_are_written_through(tmp_path):
    target = tmp_path / "target.txt"
    target.write_text("old")
    link = tmp_path / "link.txt"
    link.symlink_to(target)
    with atomic(link) as temporary:
        temporary.write_text("new")
    assert link.is_symlink()
    assert target.read_text() == "new"


def test_what_the_system_refuses_is_a_bad_file(tmp_path):
    def refuse():
        with atomic(tmp_path / "a.txt"):
            raise OSError(28, "No space left on device")

    with pytest.raises(BadFile, match="No space left"):
        refuse()


def test_names_near_the_limit_work(tmp_path):
    path = tmp_path / ("x" * 250 + ".txt")
    with atomic(path) as temporary:
        temporary.write_text("x")
    assert path.exists()
