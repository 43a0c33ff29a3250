import numpy as np
import pytest

from artalk.channels import ARKIT, FLAME
from artalk.errors import BadFile, BadInput, MissingFile, Unsupported
from artalk.formats import files
from artalk.motion import Motion, exact_fps
from tests.formats.motions import arkit


def test_every_reader_reads_what_the_writer_of_its_row_wrote(tmp_path):
    motion = arkit(70, 30)
    for suffix, entry in files.FORMATS.items():
        if entry.reader and entry.writer and not entry.rigged:
            files.save(motion, tmp_path / f"a{suffix}")
            back = files.load(tmp_path / f"a{suffix}")
            assert back.duration == pytest.approx(motion.duration, abs=0.02), suffix
            assert back.values.any(), suffix


def test_suffixes_are_case_insensitive_and_the_longest_wins(tmp_path):
    files.save(arkit(70), tmp_path / "A.CSV")
    assert files.load(tmp_path / "A.CSV").channels == ARKIT
    files.save(arkit(70), tmp_path / "a.b.cues.json")
    assert files.load(tmp_path / "a.b.cues.json").channels.name == "rhubarb"


@pytest.mark.parametrize("name", ["a", "a.txt", ".csv", "a.csv.bak"])
def test_an_unknown_suffix_gets_the_list(tmp_path, name):
    for wish in (lambda: files.save(arkit(2), tmp_path / name), lambda: files.load(tmp_path / name)):
        with pytest.raises(BadInput, match=r"\.npz .*\.csv .*\.vrma "):
            wish()


def test_pictures_are_pointed_elsewhere(tmp_path):
    with pytest.raises(BadInput, match="render"):
        files.save(arkit(2), tmp_path / "a.mp4")
    with pytest.raises(BadInput, match="render"):
        files.load(tmp_path / "a.mp4")


def test_what_is_only_written_is_not_read(tmp_path):
    (tmp_path / "a.usda").write_text("#usda 1.0")
    with pytest.raises(Unsupported, match="does not read"):
        files.load(tmp_path / "a.usda")


def test_unknown_options_are_said(tmp_path):
    with pytest.raises(BadInput, match="no option 'colour'; it has first, degrees"):
        files.save(arkit(2), tmp_path / "a.csv", colour=3)


def test_missing_files_and_folders(tmp_path):
    with pytest.raises(MissingFile, match="none.csv"):
        files.load(tmp_path / "none.csv")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(MissingFile):
        files.load(tmp_path / "folder.csv")
    with pytest.raises(MissingFile, match="make it first"):
        files.save(arkit(2), tmp_path / "no" / "a.csv")


@pytest.mark.parametrize("suffix", [".csv", ".json", ".cues.json", ".tsv", ".xml", ".vrma"])
def test_formats_of_arkit_refuse_flame_and_say_what_to_do(tmp_path, suffix):
    flame = Motion(np.zeros((2, 106)), FLAME, exact_fps(25))
    with pytest.raises(Unsupported, match="retarget"):
        files.save(flame, tmp_path / f"a{suffix}")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("suffix", files.readable())
@pytest.mark.parametrize("content", [b"", b"\x00" * 64, b"hello\n", bytes(range(256))])
def test_a_file_that_lies_about_its_suffix_is_a_bad_file(tmp_path, suffix, content):
    (tmp_path / f"a{suffix}").write_bytes(content)
    with pytest.raises((BadFile, Unsupported)):
        files.load(tmp_path / f"a{suffix}")
