"""The user's own heads and weights: added once from what the user has, kept in one folder, checked by SHA-256.

Nothing is downloaded and nothing that may not be passed on comes with artalk: `MissingAsset` says where a thing is had.
"""

import hashlib
import json
import os
import re
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

from artalk.errors import BadFile, BadInput, MissingAsset, MissingFile
from artalk.formats.atomic import atomic
from artalk.rigs import ict

MANIFEST = "assets.json"


@dataclass(frozen=True)
class Kind:
    """A thing that can be added: `file` is its name in the folder, `store` reads the user's path and writes ours."""

    file: str
    what: str
    where: str
    store: Callable[[Path, Path], None]


@dataclass(frozen=True)
class Asset:
    """One that was added: its file's name, size in bytes and SHA-256 at that time."""

    kind: str
    file: str
    size: int
    sha256: str


def _store_ict(source: Path, target: Path) -> None:
    ict.pack(ict.read(source), target)


KINDS: dict[str, Kind] = {
    "ict": Kind("ict.npz", "the ICT-FaceKit head", ict.WHERE, _store_ict),
}
"""What can be added, by name."""


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
    folder = home()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadFile(f"the assets folder {folder} cannot be made: {error.strerror}; set ARTALK_HOME") from error
    known = _manifest()
    with atomic(folder / entry.file) as temporary:
        entry.store(source, temporary)
        asset = Asset(kind, entry.file, temporary.stat().st_size, _sha256(temporary))
    _write_manifest({**known, kind: asset})
    return asset


def get(kind: str) -> Path:
    """The file of an asset, unchanged since it was added.

    Raises `MissingAsset`, which says where it is had, when it was never added, and `BadFile` when it has changed.
    """
    entry = _kind(kind)
    asset = _manifest().get(kind)
    path = home() / entry.file
    if asset is None or not path.is_file():
        raise MissingAsset(
            f"{entry.what} is not here: get it from {entry.where}, then run `artalk assets add {kind} PATH`"
        )
    if path.stat().st_size != asset.size or _sha256(path) != asset.sha256:
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


def _kind(kind: str) -> Kind:
    if kind not in KINDS:
        raise BadInput(f"no asset is called {kind!r}; there are {', '.join(KINDS)}")
    return KINDS[kind]


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
