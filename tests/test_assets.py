import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from artalk import assets
from artalk.errors import ArtalkError, BadFile, BadInput, MissingAsset, MissingFile
from tests.shared import shared


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ARTALK_HOME", str(tmp_path / "data" / "artalk"))
    return tmp_path / "data" / "artalk"


@pytest.fixture
def notes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kind whose file is a copy in upper case."""

    def store(source: Path, target: Path) -> None:
        target.write_text(source.read_text().upper())
        if "BROKEN" in target.read_text():
            raise BadFile("broken")

    monkeypatch.setitem(assets.KINDS, "notes", assets.Kind("notes.txt", "the notes", "the shelf", store))


def note(folder: Path, text: str) -> Path:
    (folder / "note.txt").write_text(text)
    return folder / "note.txt"


@pytest.mark.usefixtures("notes")
def test_what_was_added_is_kept_and_found(home: Path, tmp_path: Path) -> None:
    asset = assets.add("notes", note(tmp_path, "hello"))
    assert assets.get("notes") == home / "notes.txt"
    assert assets.get("notes").read_text() == "HELLO"
    assert assets.added() == (asset,)
    assert asset.size == 5
    assert asset.sha256 == "3733cd977ff8eb18b987357e22ced99f46097f31ecb239e878ae63760e83e4d5"


@pytest.mark.usefixtures("notes")
def test_a_file_that_changed_is_not_used(home: Path, tmp_path: Path) -> None:
    assets.add("notes", note(tmp_path, "hello"))
    (home / "notes.txt").write_text("HELLA")
    with pytest.raises(BadFile, match="changed since it was added"):
        assets.get("notes")
    (home / "notes.txt").write_text("HELLOO")
    with pytest.raises(BadFile, match="changed since it was added"):
        assets.get("notes")


@pytest.mark.usefixtures("home")
def test_a_missing_one_says_where_it_is_had() -> None:
    with pytest.raises(MissingAsset, match=r"github.com/ICT-VGL.*artalk assets add ict"):
        assets.get("ict")
    assert assets.added() == ()


@pytest.mark.usefixtures("notes")
def test_a_failed_add_leaves_the_one_before(home: Path, tmp_path: Path) -> None:
    assets.add("notes", note(tmp_path, "hello"))
    with pytest.raises(BadFile, match="broken"):
        assets.add("notes", note(tmp_path, "broken"))
    assert assets.get("notes").read_text() == "HELLO"
    assert sorted(path.name for path in home.iterdir()) == ["assets.json", "notes.txt"]


@pytest.mark.usefixtures("notes")
def test_removing_deletes_our_copy_only(home: Path, tmp_path: Path) -> None:
    source = note(tmp_path, "hello")
    assets.add("notes", source)
    assets.remove("notes")
    assert source.exists()
    assert not (home / "notes.txt").exists()
    with pytest.raises(MissingAsset):
        assets.get("notes")
    assets.remove("notes")


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize("kind", ["../ict", "/etc/passwd", "", "flame/../../x", "ict\0"])
def test_names_do_not_lead_out_of_the_folder(kind: str, tmp_path: Path) -> None:
    for verb in (assets.get, assets.remove):
        with pytest.raises(BadInput, match="no asset is called"):
            verb(kind)
    with pytest.raises(BadInput, match="no asset is called"):
        assets.add(kind, tmp_path)


@pytest.mark.usefixtures("notes")
def test_a_manifest_cannot_point_elsewhere(home: Path, tmp_path: Path) -> None:
    asset = assets.add("notes", note(tmp_path, "hello"))
    item = {"kind": "notes", "file": "../../note.txt", "size": asset.size, "sha256": asset.sha256}
    (home / "assets.json").write_text(json.dumps([item]))
    assert assets.get("notes") == home / "notes.txt"


@pytest.mark.usefixtures("home")
def test_adding_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(MissingFile, match="no such file or folder"):
        assets.add("ict", tmp_path / "nowhere")
    with pytest.raises(MissingFile, match="lacks 54 of"):
        assets.add("ict", tmp_path)


@given(
    text=st.one_of(st.binary(max_size=60), st.sampled_from([b"[{}]", b"[1]", b"{}", b"[[[", b"null", b'[{"kind":1}]']))
)
def test_a_broken_manifest_is_a_typed_error(tmp_path_factory: pytest.TempPathFactory, text: bytes) -> None:
    folder = tmp_path_factory.mktemp("home")
    (folder / "assets.json").write_bytes(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ARTALK_HOME", str(folder))
        with pytest.raises(ArtalkError):
            assets.get("ict")


def test_the_folder_follows_the_platform(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("ARTALK_HOME", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setattr("sys.platform", "linux")
    assert assets.home() == tmp_path / "artalk"
    monkeypatch.setattr("sys.platform", "darwin")
    assert assets.home().parts[-3:] == ("Library", "Application Support", "artalk")


def test_ict_is_added_whole(home: Path) -> None:
    assets.add("ict", shared("assets/ict_facekit_light.npz"))
    with np.load(assets.get("ict")) as data:
        assert data["expressions"].shape == (53, 26719, 3)
    assert home.is_dir()
