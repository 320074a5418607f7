"""Fields of many entries at once: as columns of bytes, as text, as a schema."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import polars as pl

from pydatastream.parts.decoding.inference import schema_of_text

Fields = Sequence[bytes]
"""Field, value, field, value, ..."""


def mapped(fields: Fields) -> Mapping[bytes, bytes]:
    """The values by field; of a field that comes twice the last."""
    return dict(zip(fields[0::2], fields[1::2], strict=True))


def values_of(entries: Sequence[Fields], field: bytes) -> list[bytes | None]:
    """The value of one field in each entry, None where it lacks."""
    if all(fields[0] == field for fields in entries):
        return [fields[1] for fields in entries]
    return [mapped(fields).get(field) for fields in entries]


def columns_of(entries: Sequence[Fields], names: Sequence[str]) -> list[pl.Series]:
    """The values of these fields as bytes, null where an entry lacks one."""
    found = _alike(entries)
    rows = [mapped(fields) for fields in entries] if found is None else []
    none = [None] * len(entries)

    def values(name: bytes) -> Sequence[bytes | None]:
        return [one.get(name) for one in rows] if found is None else found.get(name, none)

    return [pl.Series(name, values(name.encode()), dtype=pl.Binary) for name in names]


def _alike(entries: Sequence[Fields]) -> dict[bytes, list[bytes]] | None:
    """The columns of entries that all have the same fields in the same order; else None."""
    first, count = entries[0] if entries else [], len(entries)
    width = len(first)
    if any(len(fields) != width for fields in entries):
        return None
    flat = list(itertools.chain.from_iterable(entries))
    for at in range(0, width, 2):
        if flat[at::width].count(first[at]) != count:
            return None
    return {first[at]: flat[at + 1 :: width] for at in range(0, width, 2)}


def as_text(raw: pl.Series) -> pl.Series:
    """Bytes as text, null where they are none."""
    try:
        return raw.cast(pl.String)
    except pl.exceptions.PolarsError:
        found = [None if one is None else text_of(one) for one in raw]
        return pl.Series(raw.name, found, dtype=pl.String)


def text_of(raw: bytes) -> str | None:
    """Bytes as text, or None."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return None


def schema_of_fields(entries: Sequence[Fields]) -> pl.Schema:
    """The fields of a sample, in the order first seen, with the types that their text has."""
    raw_names = dict.fromkeys(name for fields in entries for name in fields[0::2])
    raw = columns_of(entries, [name for one in raw_names if (name := text_of(one))])
    cells = [as_text(one) for one in raw]
    pairs = zip(raw, cells, strict=True)
    binary = {one.name for one, cell in pairs if cell.null_count() > one.null_count()}
    found = schema_of_text(pl.DataFrame(cells))
    return pl.Schema({name: pl.Binary() if name in binary else of for name, of in found.items()})
