import hashlib
import json
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from artalk import assets, cli
from artalk.errors import ArtalkError, BadFile, BadInput, MissingAsset, MissingFile, Unreachable, Unsupported
from tests.shared import shared
from tests.web import Shelf, serving


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


WEIGHTS = b"weights" * 1000


@pytest.fixture
def shelf(home: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[Shelf]:
    """A server that has the asset `weights`."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr("artalk.fetch.PAUSE", 0.0)
    with serving(Shelf(WEIGHTS)) as shelf:
        place = assets.Source(shelf.address, len(WEIGHTS), hashlib.sha256(WEIGHTS).hexdigest())
        kind = assets.Kind("weights.bin", "the weights", "the shelf", copy, "Be kind", place, "bring a spoon")
        monkeypatch.setitem(assets.KINDS, "weights", kind)
        yield shelf


def copy(source: Path, target: Path) -> None:
    target.write_bytes(source.read_bytes())


def test_what_is_fetched_is_added(shelf: Shelf, home: Path) -> None:
    shelf.cuts = [1000, None]
    asset = assets.fetch("weights")
    assert assets.get("weights").read_bytes() == WEIGHTS
    assert assets.added() == (asset,)
    assert sorted(path.name for path in home.iterdir()) == ["assets.json", "weights.bin"]
    assert shelf.asked == ["", "bytes=1000-"]
    assert assets.fetch("weights") == asset
    assert len(shelf.asked) == 2


def test_one_that_changed_on_the_disk_is_fetched_again(shelf: Shelf, home: Path) -> None:
    assets.fetch("weights")
    (home / "weights.bin").write_bytes(WEIGHTS[::-1])
    with pytest.raises(BadFile, match="changed since"):
        assets.get("weights")
    assets.fetch("weights")
    assert assets.get("weights").read_bytes() == WEIGHTS
    assert len(shelf.asked) == 2


def test_nothing_is_fetched_but_by_name(shelf: Shelf, tmp_path: Path) -> None:
    with pytest.raises(MissingAsset, match="artalk assets get weights"):
        assets.get("weights")
    with pytest.raises(MissingFile):
        assets.add("weights", tmp_path / "none")
    assert assets.added() == ()
    assert shelf.asked == []


def test_a_failed_fetch_leaves_the_one_before(shelf: Shelf, home: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").write_bytes(WEIGHTS)
    before = assets.add("weights", tmp_path / "mine")
    (home / "weights.bin").write_bytes(b"changed")
    shelf.content = WEIGHTS[::-1]
    with pytest.raises(BadFile, match="thrown away"):
        assets.fetch("weights")
    assert assets.added() == (before,)
    assert (home / "weights.bin").read_bytes() == b"changed"


def test_a_known_file_is_added_only_if_it_is_that_file(shelf: Shelf, tmp_path: Path) -> None:
    (tmp_path / "mine").write_bytes(WEIGHTS[:-1])
    with pytest.raises(BadFile, match=r"is not the weights that artalk knows: 7,000 bytes .* got 6,999"):
        assets.add("weights", tmp_path / "mine")
    (tmp_path / "mine").write_bytes(WEIGHTS)
    assert assets.add("weights", tmp_path / "mine") == assets.fetch("weights")
    assert shelf.asked == []


def test_a_mirror_is_checked_the_same(shelf: Shelf) -> None:
    with serving(Shelf(WEIGHTS)) as mirror:
        assets.fetch("weights", mirror.address)
    assert (len(mirror.asked), len(shelf.asked)) == (1, 0)
    with serving(Shelf(b"x" * len(WEIGHTS))) as liar:
        assets.remove("weights")
        with pytest.raises(BadFile, match="wanted"):
            assets.fetch("weights", liar.address)
    with pytest.raises(BadInput, match="begins with https://"):
        assets.fetch("weights", "http://192.0.2.1/weights")


@pytest.mark.usefixtures("home")
def test_what_is_got_by_hand_says_how() -> None:
    with pytest.raises(Unsupported, match=r"never fetched: register at https://flame.is.tue.mpg.de.*licence"):
        assets.fetch("flame")
    with pytest.raises(Unsupported, match=r"github.com/ICT-VGL.*artalk assets add ict"):
        assets.fetch("ict")
    with pytest.raises(BadInput, match="no asset is called"):
        assets.fetch("moon")


def test_flame_has_no_address_anywhere() -> None:
    assert all("flame" not in kind.source.address.lower() for kind in assets.KINDS.values() if kind.source)


def test_every_public_place_is_whole() -> None:
    known = {name: kind for name, kind in assets.KINDS.items() if kind.source}
    assert set(known) == {"artalk-released", "face-landmarker"}
    for kind in known.values():
        assert kind.source
        assert kind.source.address.startswith("https://")
        assert kind.source.size > 1_000_000
        assert len(bytes.fromhex(kind.source.sha256)) == 32
        assert kind.licence
    # What is not checked is not fetched either, and said.
    assert "fetches neither" in known["artalk-released"].note


def test_the_face_landmarker_at_hand_is_the_one_that_is_fetched(home: Path) -> None:
    asset = assets.add("face-landmarker", shared("assets/face_landmarker_v2_with_blendshapes.task"))
    assert assets.get("face-landmarker").stat().st_size == asset.size == 3_758_596


def test_the_command_says_the_licence_before_anything_comes(
    shelf: Shelf, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []

    def fetch(*arguments: object) -> assets.Asset:
        seen.append(capsys.readouterr().err)
        return genuine(*arguments)  # pyright: ignore[reportArgumentType]

    genuine = assets.fetch
    monkeypatch.setattr(assets, "fetch", fetch)
    for quiet in ([], ["--quiet"]):
        with pytest.raises(SystemExit) as ended:
            cli.main(["assets", "get", "weights", *quiet])
        assert ended.value.code == 0
        assert seen.pop() == (
            f"weights: 7,000 bytes from {shelf.address}\nchecked by SHA-256: {assets.origin('weights').sha256}\n"
            "licence: Be kind\nnote: bring a spoon\n"
        )
        out, err = capsys.readouterr()
        assert out.startswith("added weights: ")
        assert err == (
            ""
            if quiet or len(shelf.asked) > 1
            else "weights: 0 of 7,000 bytes, 0 %\nweights: 7,000 of 7,000 bytes, 100 %\n"
        )
    with pytest.raises(SystemExit):
        cli.main(["assets"])
    assert "weights: the weights, added, SHA-256" in capsys.readouterr().out


def test_the_command_ends_in_a_sentence(shelf: Shelf, capsys: pytest.CaptureFixture[str]) -> None:
    shelf.codes = [404]
    with pytest.raises(SystemExit) as ended:
        cli.main(["assets", "get", "weights", "--quiet"])
    assert ended.value.code == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith("artalk: http://127.0.0.1:")
    with pytest.raises(Unreachable, match="404"):
        assets.fetch("weights")


def test_assets_bring_no_network() -> None:
    code = "import sys, artalk.assets; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"urllib.request", "http.client", "ssl", "artalk.fetch"} & set(loaded)
