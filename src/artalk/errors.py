"""The errors a user of artalk can cause, each a subclass of the builtin that fits.

Every message says what was wanted, what came, and what to do. The command line prints them as one sentence and
exits with 2; anything that is not an `ArtalkError` is our bug.
"""

import importlib
from types import ModuleType


class ArtalkError(Exception):
    """Base of all errors that are the caller's to mend."""


class BadInput(ArtalkError, ValueError):
    """An argument or a combination of arguments makes no sense."""


class BadFile(ArtalkError, ValueError):
    """A file exists but does not hold what its name or its use promised."""


class BadAudio(BadFile):
    """A sound file or array from which no sound can be had."""


class MissingFile(ArtalkError, FileNotFoundError):
    """A path that the user gave leads nowhere."""


class MissingAsset(ArtalkError, FileNotFoundError):
    """A head or a weight file that the user has to add; the message says where it is had."""


class Unreachable(ArtalkError, ConnectionError):
    """An address from which nothing comes, or not what was asked for; what came so far is kept."""


class NeedsExtra(ArtalkError, ImportError):
    """An optional dependency is asked for and not installed."""


class Unsupported(ArtalkError, NotImplementedError):
    """A valid wish that this generator, rig or format cannot honour."""


def needs(module: str, extra: str, what: str) -> ModuleType:
    """Import `module`, or say which extra installs it.

    `what` completes the sentence "… needs": `needs("pxr", "usd", "writing .usda")`.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise NeedsExtra(f"{what} needs {module!r}, which is not installed: pip install 'artalk[{extra}]'") from error
