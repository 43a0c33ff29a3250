"""Packages that are also verbs.

Importing `artalk.render.camera` makes Python put the package `render` where `artalk.render` was the function. Such a
package is called like the function instead, so that both `artalk.render(motion)` and `artalk.render.camera` work.
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import Any


class _Verb(ModuleType):
    def __call__(self, *arguments: Any, **options: Any) -> Any:
        verb = self.__name__.rpartition(".")[2]
        return getattr(import_module("artalk.api"), verb)(*arguments, **options)


def make_verb(package: str) -> None:
    """Make `package`, such as "artalk.render", callable as the function of its name in `artalk.api`."""
    sys.modules[package].__class__ = _Verb
