"""What a sample tells about columns: the schema of JSON objects, and of cells of text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import polars as pl

_WHOLE = range(-(2**63), 2**63)
_TYPES = {"int": pl.Int64(), "float": pl.Float64(), "bool": pl.Boolean()}

_SURE = {str: "str", float: "float", bool: "bool"}
"""Types whose values are all of one kind: most values need no closer look."""

Kind = str | list[Any] | dict[str, Any] | None
"""What a value is: a word, a list of one kind, a dict of kinds; None: not known."""


def schema_of(objects: Iterable[Mapping[str, Any]]) -> pl.Schema:
    """Every field of any object, in the order first seen.

    int with float gives float; other mixtures, fields without a value and whole numbers beyond
    64 bits give string.

    >>> dict(schema_of([{"a": 1}, {"a": 1.5, "b": None}]))
    {'a': Float64, 'b': String}
    """
    return pl.Schema({name: _type(kind) for name, kind in _fields(objects).items()})


def _fields(objects: Iterable[Mapping[str, Any]]) -> dict[str, Kind]:
    kinds: dict[str, Kind] = {}
    for one in objects:
        for name, value in one.items():
            known = kinds.get(name)
            if known is None or _SURE.get(type(value)) != known:
                kinds[name] = _merged(known, _kind(value))
    return kinds


def _kind(value: Any) -> Kind:
    if isinstance(value, dict):
        return _fields([value])
    if isinstance(value, list):
        inner: Kind = None
        for one in value:
            inner = _merged(inner, _kind(one))
        return [inner]
    if isinstance(value, int) and not isinstance(value, bool) and value not in _WHOLE:
        return "str"
    return None if value is None else type(value).__name__


def _merged(one: Kind, other: Kind) -> Kind:
    if one is None or other is None or one == other:
        return other if one is None else one
    if isinstance(one, dict) and isinstance(other, dict):
        names = [*one, *(name for name in other if name not in one)]
        return {name: _merged(one.get(name), other.get(name)) for name in names}
    if isinstance(one, list) and isinstance(other, list):
        return [_merged(one[0], other[0])]
    return "float" if sorted(map(str, (one, other))) == ["float", "int"] else "str"


def _type(kind: Kind) -> pl.DataType:
    if isinstance(kind, list):
        return pl.List(_type(kind[0]))
    if isinstance(kind, dict) and kind:
        return pl.Struct({name: _type(of) for name, of in kind.items()})
    return _TYPES.get(kind, pl.String()) if isinstance(kind, str) else pl.String()


_FLOAT = r"^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?$|^(?i:nan|-?inf)$"


def schema_of_text(cells: pl.DataFrame) -> pl.Schema:
    """The types that every cell of a column fits; numbers with leading zeros stay strings.

    A column is float if one of its cells has a point: codes such as 1e5 alone stay strings.

    >>> dict(schema_of_text(pl.DataFrame({"a": ["1", "2"], "b": ["007", "8"], "c": ["1", "2.5"]})))
    {'a': Int64, 'b': String, 'c': Float64}
    """
    return pl.Schema({cell.name: _type_of_text(cell.drop_nulls()) for cell in cells})


def _type_of_text(cells: pl.Series) -> pl.DataType:
    text = cells.filter(cells != "")
    if text.is_empty():
        return pl.String()
    if text.str.contains(r"^(?:0|-?[1-9][0-9]{0,17})$").all():
        return pl.Int64()
    if text.str.contains(_FLOAT).all() and text.str.contains(".", literal=True).any():
        return pl.Float64()
    return pl.Boolean() if text.str.contains(r"^(?i:true|false)$").all() else pl.String()
