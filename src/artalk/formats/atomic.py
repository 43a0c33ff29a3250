"""Files that appear whole or not at all."""

import os
import secrets
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from artalk.errors import ArtalkError, BadFile, BadInput, MissingFile


@contextmanager
def atomic(path: str | os.PathLike[str]) -> Generator[Path, None, None]:
    """A temporary path, to be written, that becomes `path` when the block ends and vanishes when it fails.

    It lies in the same folder and has the same suffix, so that writers which go by the suffix work. A link is written
    through. Folders are not made. Raises `MissingFile` when the folder is not there, `BadInput` when `path` is not a
    plain file, `BadFile` when the system refuses to write.
    """
    target = Path(os.path.realpath(path))
    if not target.parent.is_dir():
        raise MissingFile(f"{str(path)!r} needs the folder {str(target.parent)!r}, which is not there: make it first")
    if target.exists() and not target.is_file():
        raise BadInput(f"an output is a plain file, {str(path)!r} is a folder or a device")
    # The stem is cut: with our mark a name near the system's limit of 255 bytes would pass it.
    temporary = target.with_name(f".{target.stem[:40]}.{secrets.token_hex(6)}{target.suffix}")
    try:
        yield temporary
        os.replace(temporary, target)
    except ArtalkError:
        raise
    except OSError as error:
        raise BadFile(f"writing {str(path)!r} failed: {error.strerror or error}") from error
    finally:
        temporary.unlink(missing_ok=True)
