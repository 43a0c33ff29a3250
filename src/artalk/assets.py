"""The user's own heads and weights: added from what the user has, or fetched by name; in one folder, by SHA-256.

Nothing is downloaded but by `fetch`, which a user calls by name, and nothing that may not be passed on comes with
artalk: `MissingAsset` says where a thing is had.
"""

import hashlib
import json
import os
import re
import shutil
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

from artalk.errors import BadFile, BadInput, MissingAsset, MissingFile, Unsupported
from artalk.formats.atomic import atomic
from artalk.retarget import flame as flame_maps
from artalk.rigs import flame, ict

MANIFEST = "assets.json"


@dataclass(frozen=True)
class Source:
    """A public place that one known file is fetched from, with its size in bytes and its SHA-256."""

    address: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Kind:
    """A thing that can be added: `file` is its name in the folder, `store` reads the user's path and writes ours.

    One with a `source` is that very file, from wherever it came. `licence` is what is said before it is fetched,
    `note` what is not fetched with it.
    """

    file: str
    what: str
    where: str
    store: Callable[[Path, Path], None]
    licence: str = ""
    source: Source | None = None
    note: str = ""


@dataclass(frozen=True)
class Asset:
    """One that was added: its file's name, size in bytes and SHA-256 at that time."""

    kind: str
    file: str
    size: int
    sha256: str


def _store_ict(source: Path, target: Path) -> None:
    ict.pack(ict.read(source), target)


def _store_flame(source: Path, target: Path) -> None:
    flame.pack(flame.read(source), target)


def _store_flame_map(source: Path, target: Path) -> None:
    flame_maps.save(flame_maps.load(source), target)


def _store_copy(source: Path, target: Path) -> None:
    if not source.is_file():
        raise BadFile(f"one file was wanted, {str(source)!r} is a folder or a device")
    shutil.copyfile(source, target)


KINDS: dict[str, Kind] = {
    "ict": Kind("ict.npz", "the ICT-FaceKit head", ict.WHERE, _store_ict),
    "flame": Kind("flame.npz", "the FLAME head", flame.WHERE, _store_flame),
    "flame-map": Kind(
        "flame-map.npz",
        "a map between FLAME and ARKit",
        "a table of yours (docs/flame.md), or from your FLAME file by `artalk assets fit`",
        _store_flame_map,
    ),
    "artalk-released": Kind(
        "ARTalk_wav2vec.pt",
        "the released ARTalk weights (wav2vec 2.0)",
        "https://huggingface.co/xg-chu/ARTalk",
        _store_copy,
        "the authors' code (github.com/xg-chu/ARTalk) is MIT; for the weights the terms on their page hold, read them "
        "there: https://huggingface.co/xg-chu/ARTalk",
        Source(
            "https://huggingface.co/xg-chu/ARTalk/resolve/main/ARTalk_wav2vec.pt",
            1_959_150_898,
            "d89615a32e2a6b4e35cf5494c1e400b2acedc43812f63423b9f5d705046d67c2",
        ),
        "the checkpoint alone: sizes and sums of the release's config.json and style clips are not known to artalk, so "
        "it fetches neither. This checkpoint needs no config.json; style clips are had by hand from the same page, and "
        "looked at when they are opened",
    ),
    "face-landmarker": Kind(
        "face_landmarker.task",
        "MediaPipe's face landmarker",
        "https://ai.google.dev/edge/mediapipe/solutions/vision/face_landmarker",
        _store_copy,
        "Apache-2.0, Google",
        Source(
            "https://storage.googleapis.com/mediapipe-models/face_landmarker/face_landmarker/float16/1/"
            "face_landmarker.task",
            3_758_596,
            "64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff",
        ),
    ),
}
"""What can be added, by name."""

NEVER_FETCHED = {
    "flame": "FLAME is never fetched: register at https://flame.is.tue.mpg.de, accept the licence that the version you "
    "take comes with there (Max Planck; not the same for all versions), then run `artalk assets add flame FILE`",
}
"""What a user has to get by hand, with how."""


def home() -> Path:
    """The folder of the user's assets: $ARTALK_HOME, or `artalk` where the system keeps the data of programs."""
    if chosen := os.environ.get("ARTALK_HOME"):
        return Path(chosen).expanduser()
    if sys.platform == "darwin":
        base = Path.home() / "Library" / "Application Support"
    elif sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    else:
        base = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    return base / "artalk"


def add(kind: str, path: str | Path) -> Asset:
    """Read the user's file or folder at `path`, keep what artalk needs of it, and note its checksum.

    What was there before stays until the new one is whole. Raises `BadInput` for an unknown kind, `MissingFile` and
    `BadFile` for what is not that kind.
    """
    entry = _kind(kind)
    source = Path(path).expanduser()
    if not source.exists():
        raise MissingFile(f"no such file or folder: {source}; {entry.what} is had from {entry.where}")
    folder = _folder()
    known = _manifest()
    with atomic(folder / entry.file) as temporary:
        entry.store(source, temporary)
        asset = Asset(kind, entry.file, temporary.stat().st_size, _sha256(temporary))
        if entry.source is not None and asset.sha256 != entry.source.sha256:
            raise BadFile(
                f"{source} is not {entry.what} that artalk knows: {entry.source.size:,} bytes with the SHA-256 "
                f"{entry.source.sha256}, got {asset.size:,} with {asset.sha256}"
            )
    _write_manifest({**known, kind: asset})
    return asset


def keep(kind: str, store: Callable[[Path], None]) -> Asset:
    """Keep an asset that artalk made itself: `store` writes it to the path that it is given."""
    entry = _kind(kind)
    folder = _folder()
    known = _manifest()
    with atomic(folder / entry.file) as temporary:
        store(temporary)
        asset = Asset(kind, entry.file, temporary.stat().st_size, _sha256(temporary))
    _write_manifest({**known, kind: asset})
    return asset


def origin(kind: str) -> Source:
    """Where an asset is fetched from. Raises `Unsupported`, which says how it is had, for what is got by hand."""
    if kind in NEVER_FETCHED:
        raise Unsupported(NEVER_FETCHED[kind])
    entry = _kind(kind)
    if entry.source is None:
        raise Unsupported(
            f"{entry.what} is not fetched: get it from {entry.where}, then run `artalk assets add {kind} PATH`"
        )
    return entry.source


def fetch(kind: str, address: str | None = None, progress: Callable[[int, int], None] | None = None) -> Asset:
    """Fetch an asset from its public place, or from a mirror's `address`, and add it; nothing if it is here and whole.

    You take it under the licence in `KINDS[kind].licence`. What comes is checked by size and SHA-256; a fetch that was
    stopped goes on. `progress` is called with the bytes that are here and those of the whole. Raises `BadInput` for an
    unknown kind and an unsafe address, `Unsupported` for what has to be got by hand, `Unreachable` and `BadFile` as
    `artalk.fetch.fetch`.
    """
    place = origin(kind)
    path = _folder() / KINDS[kind].file
    asset = Asset(kind, path.name, place.size, place.sha256)
    if _manifest().get(kind) == asset and _is_whole(path, asset):
        return asset
    from artalk.fetch import fetch as download  # brings the network's modules: only here

    download(address or place.address, path, place.size, place.sha256, progress)
    _write_manifest({**_manifest(), kind: asset})
    return asset


def get(kind: str) -> Path:
    """The file of an asset, unchanged since it was added.

    Raises `MissingAsset`, which says where it is had, when it was never added, and `BadFile` when it has changed.
    """
    entry = _kind(kind)
    asset = _manifest().get(kind)
    path = home() / entry.file
    if asset is None or not path.is_file():
        fetched = f", or run `artalk assets get {kind}`" if entry.source else ""
        raise MissingAsset(
            f"{entry.what} is not here: get it from {entry.where}, then run `artalk assets add {kind} PATH`{fetched}"
        )
    if not _is_whole(path, asset):
        raise BadFile(f"{path} has changed since it was added: run `artalk assets add {kind} PATH` again")
    return path


def remove(kind: str) -> None:
    """Forget an asset and delete our copy of it; the user's own files stay."""
    entry = _kind(kind)
    known = _manifest()
    (home() / entry.file).unlink(missing_ok=True)
    if known.pop(kind, None) is not None:
        _write_manifest(known)


def added() -> tuple[Asset, ...]:
    """All assets that were added, by name; `get` tells whether one is still whole."""
    return tuple(asset for _, asset in sorted(_manifest().items()))


def _folder() -> Path:
    """The folder of assets, made if it is not there."""
    folder = home()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadFile(f"the assets folder {folder} cannot be made: {error.strerror}; set ARTALK_HOME") from error
    return folder


def _kind(kind: str) -> Kind:
    if kind not in KINDS:
        raise BadInput(f"no asset is called {kind!r}; there are {', '.join(KINDS)}")
    return KINDS[kind]


def _is_whole(path: Path, asset: Asset) -> bool:
    return path.is_file() and path.stat().st_size == asset.size and _sha256(path) == asset.sha256


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _manifest() -> dict[str, Asset]:
    path = home() / MANIFEST
    if not path.is_file():
        return {}
    try:
        items: Any = json.loads(path.read_text("utf-8"))
        if not isinstance(items, list):
            raise TypeError("it is not a list")
        return {asset.kind: asset for asset in map(_read_asset, cast(list[Any], items)) if asset.kind in KINDS}
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise BadFile(f"{path} cannot be read: {error}; delete it and add your assets again") from error


def _read_asset(item: Any) -> Asset:
    asset = Asset(str(item["kind"]), str(item["file"]), int(item["size"]), str(item["sha256"]))
    if not re.fullmatch(r"[0-9a-f]{64}", asset.sha256):
        raise ValueError(f"{asset.kind!r} has no SHA-256")
    return asset


def _write_manifest(assets: dict[str, Asset]) -> None:
    with atomic(home() / MANIFEST) as temporary:
        text = json.dumps([asdict(asset) for _, asset in sorted(assets.items())], indent=2)
        temporary.write_text(text + "\n", "utf-8")
