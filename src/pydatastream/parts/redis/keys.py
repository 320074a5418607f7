"""Keys: those of rows, from a template, and those of ours beside them."""

from __future__ import annotations

from string import Formatter

import polars as pl

from pydatastream.core.errors import RowError, SchemaError
from pydatastream.core.types import need
from pydatastream.parts.redis.wire import cell


def tag_of(key: str) -> str | None:
    """The part of a key that alone says where in a cluster it is, if there is one.

    >>> tag_of("{a}:b"), tag_of("a{}b")
    ('a', None)
    """
    start = key.find("{")
    end = key.find("}", start + 1)
    return key[start + 1 : end] if 0 <= start < end - 1 else None


def beside(key: str, *names: str) -> str:
    """A key of ours in the same slot of a cluster.

    >>> beside("jobs", "read"), beside("{a}jobs", "read")
    ('{jobs}:pds:read', '{a}:pds:read')
    """
    return ":".join([f"{{{tag_of(key) or key}}}", "pds", *names])


def key_of(template: str, schema: pl.Schema) -> pl.Expr:
    """Keys from a template such as "sensor:{device_id}", as bytes; null if a column is."""
    found = pl.lit(b"")
    for before, name, spec, conversion in Formatter().parse(template):
        found = found + pl.lit(before.encode())
        if name is not None:
            if not name or spec or conversion:
                raise SchemaError(f"a key holds {{column}} only, found {{{name}}}")
            need(schema, name)
            found = found + cell(schema, name)
    return found


def keys_of(template: str, rows: pl.DataFrame) -> pl.Series:
    """The key of each row; `RowError` if one has none."""
    keys = rows.select(key_of(template, rows.schema).alias("key")).to_series()
    if len(keys) != rows.height:  # a template without columns gives one key
        keys = pl.Series("key", [keys[0]] * rows.height, dtype=pl.Binary)
    if keys.null_count():
        raise RowError(f"no key {template!r}: a column in it is null")
    return keys
