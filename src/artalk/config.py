"""Configs: frozen dataclasses ⇄ nested mappings, TOML and JSON; unknown keys and wrong types are errors."""

import dataclasses
import json
import os
import tomllib
import types
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from artalk.errors import ArtalkError, BadFile, BadInput, MissingFile

C = TypeVar("C")


def from_dict(kind: type[C], values: Mapping[str, Any], where: str = "") -> C:
    """Build the dataclass `kind` from nested plain values.

    Lists become tuples, integers become floats where a float is asked for. Raises `BadInput` that names the place for
    an unknown key, a missing one and a value of another type.
    """
    hints = get_type_hints(kind)
    known = {field.name: field for field in fields(cast(Any, kind)) if field.init}
    for key in values:
        if key not in known:
            raise BadInput(f"unknown key {_join(where, str(key))!r}; {kind.__name__} has {', '.join(known)}")
    made = {key: _read(hints[key], value, _join(where, key)) for key, value in values.items()}
    for name, field in known.items():
        if name not in made and field.default is MISSING and field.default_factory is MISSING:
            raise BadInput(f"{kind.__name__} needs {_join(where, name)!r}")
    try:
        return kind(**made)
    except ArtalkError as error:
        raise BadInput(f"{where}: {error}" if where else str(error)) from error


def to_dict(config: Any) -> dict[str, Any]:
    """The nested plain values of a dataclass: what JSON and TOML can hold."""
    return {field.name: _plain(getattr(config, field.name)) for field in fields(config) if field.init}


def to_json(config: Any) -> str:
    """One line of JSON."""
    return json.dumps(to_dict(config))


def from_json(kind: type[C], text: str, **said: Any) -> C:
    """Read what `to_json` wrote; what is `said` counts more."""
    try:
        values = json.loads(text)
    except ValueError as error:
        raise BadFile(f"a {kind.__name__} is JSON, got {text[:40]!r}") from error
    return from_dict(kind, {**_table(values, ""), **said})


def to_toml(config: Any) -> str:
    """TOML: values first, then a `[table]` for every nested dataclass or mapping. None is left out."""
    return "\n".join(_toml(to_dict(config), "")).strip() + "\n"


def from_toml(kind: type[C], text: str, **said: Any) -> C:
    """Read TOML, as `to_toml` writes it or by hand; what is `said` counts more."""
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadFile(f"a {kind.__name__} is TOML: {error}") from error
    return from_dict(kind, {**values, **said})


def load(kind: type[C], path: str | os.PathLike[str], **said: Any) -> C:
    """The config in a `.toml` or `.json` file; what is `said` besides, on a command line, counts more."""
    file = Path(path)
    if not file.is_file():
        raise MissingFile(f"a config is a .toml or .json file, none is at {str(path)!r}")
    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise BadFile(f"{str(path)!r} is no text") from error
    return from_json(kind, text, **said) if file.suffix == ".json" else from_toml(kind, text, **said)


def _join(where: str, key: str) -> str:
    return f"{where}.{key}" if where else key


def _table(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise BadInput(f"{where or 'a config'} is a table of names and values, got {value!r}")
    return cast("Mapping[str, Any]", value)


def _read(hint: Any, value: Any, where: str) -> Any:
    origin, inner = get_origin(hint), get_args(hint)
    if is_dataclass(hint):
        return from_dict(cast("type[Any]", hint), _table(value, where), where)
    if origin is Literal:
        if value not in inner:
            raise BadInput(f"{where} is one of {', '.join(map(repr, inner))}, got {value!r}")
        return value
    if origin in (Union, types.UnionType):
        return _read_union(inner, value, where)
    if origin is tuple:
        return _read_tuple(inner, value, where)
    if origin in (dict, Mapping):
        return {str(key): _read(inner[1], item, _join(where, str(key))) for key, item in _table(value, where).items()}
    return _read_scalar(hint, value, where)


def _read_union(options: tuple[Any, ...], value: Any, where: str) -> Any:
    if value is None and type(None) in options:
        return None
    complaint = BadInput(f"{where} has no type that fits {value!r}")
    for option in sorted(options, key=lambda option: _shared_keys(option, value)):  # the likeliest complains last
        if option is not type(None):
            try:
                return _read(option, value, where)
            except BadInput as error:
                complaint = error
    raise complaint


def _shared_keys(option: Any, value: Any) -> int:
    """How many keys of a table a dataclass knows; 0 for all else."""
    if not is_dataclass(option) or not isinstance(value, Mapping):
        return 0
    return len({field.name for field in fields(option)} & set(cast("Mapping[str, Any]", value)))


def _read_tuple(inner: tuple[Any, ...], value: Any, where: str) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise BadInput(f"{where} is a list, got {value!r}")
    items = cast("list[Any]", value)
    hints = [inner[0]] * len(items) if len(inner) == 2 and inner[1] is Ellipsis else list(inner)
    if len(hints) != len(items):
        raise BadInput(f"{where} is a list of {len(hints)} values, got {len(items)}")
    return tuple(_read(hint, item, f"{where}[{i}]") for i, (hint, item) in enumerate(zip(hints, items, strict=True)))


def _read_scalar(hint: Any, value: Any, where: str) -> Any:
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    # bool is an int to Python, but 1 steps and true steps are not the same thing.
    if not isinstance(value, hint) or (isinstance(value, bool) and hint is not bool):
        raise BadInput(f"{where} is of type {hint.__name__}, got {value!r}")
    return value


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        return to_dict(value)
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in cast("Mapping[str, Any]", value).items()}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in cast("tuple[Any, ...]", value)]
    return value


def _toml(values: Mapping[str, Any], where: str) -> list[str]:
    tables = {key: cast("Mapping[str, Any]", value) for key, value in values.items() if isinstance(value, Mapping)}
    lines = [
        f"{_key(key)} = {_toml_value(value)}"
        for key, value in values.items()
        if key not in tables and value is not None
    ]
    for key, table in tables.items():
        path = _join(where, _key(key))
        lines += ["", f"[{path}]", *_toml(table, path)]
    return lines


def _key(name: str) -> str:
    return name if name.replace("_", "").replace("-", "").isalnum() and name.isascii() else _quoted(name)


def _toml_value(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(_toml_value(item) for item in cast('list[Any]', value))}]"
    if isinstance(value, float):
        return repr(value)
    return _quoted(value) if isinstance(value, str) else json.dumps(value)


def _quoted(text: str) -> str:
    """JSON's quotes are TOML's, but for pairs of surrogates (so nothing is escaped to them) and DEL."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def with_values(config: C, **values: Any) -> C:
    """The same config with some fields replaced, checked again."""
    return dataclasses.replace(cast(Any, config), **values)
