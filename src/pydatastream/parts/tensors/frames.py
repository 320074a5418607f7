"""Frames as named arrays, and back again, without loss."""

from __future__ import annotations

import base64
import io
import itertools
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

Array = npt.NDArray[Any]
KNOWN, LENGTHS, ITEMS = "known", "lengths", "items"
"""What is put after the name of a column for a part of it."""


def tensors_of(rows: pl.DataFrame) -> dict[str, Array]:
    """The columns as arrays: numbers as they are, texts as bytes and lengths, null aside."""
    return {name: part for column in rows for name, part in _parts(column.name, column)}


def frame_of(schema: pl.Schema, tensors: Mapping[str, Array]) -> pl.DataFrame:
    """The frame of that schema."""
    return pl.DataFrame([_column(name, dtype, tensors) for name, dtype in schema.items()])


def schema_text(schema: pl.Schema) -> str:
    """A schema as text."""
    buffer = io.BytesIO()
    schema.to_frame().write_ipc(buffer)
    return base64.b64encode(buffer.getvalue()).decode()


def schema_of(text: str) -> pl.Schema:
    """The schema that a text stands for."""
    return pl.read_ipc(io.BytesIO(base64.b64decode(text))).schema


def _parts(name: str, column: pl.Series) -> Iterator[tuple[str, Array]]:
    dtype, has_null = column.dtype, column.null_count() > 0
    if has_null:
        yield f"{name}.{KNOWN}", column.is_not_null().to_numpy()
    if isinstance(dtype, pl.Array) and not has_null:
        yield name, column.to_numpy()
    elif isinstance(dtype, pl.List | pl.Array):
        lists = column.cast(pl.List(dtype.inner)).drop_nulls()
        yield f"{name}.{LENGTHS}", lists.list.len().cast(pl.Int64).to_numpy()
        yield from _parts(f"{name}.{ITEMS}", lists.explode(empty_as_null=False))
    elif dtype in (pl.String, pl.Binary):
        binary = column.cast(pl.Binary).drop_nulls()
        yield f"{name}.{LENGTHS}", binary.bin.size().cast(pl.Int64).to_numpy()
        yield f"{name}.{ITEMS}", np.frombuffer(b"".join(binary), np.uint8)
    else:
        yield name, column.to_physical().drop_nulls().to_numpy()


def _column(name: str, dtype: Any, tensors: Mapping[str, Array]) -> pl.Series:
    known = tensors.get(f"{name}.{KNOWN}")
    column = pl.Series(name, _values(name, dtype, tensors), dtype)
    if known is None:
        return column
    place = np.cumsum(known) - 1
    return column.gather(pl.Series(place, dtype=pl.Int64).set(pl.Series(~known), None))


def _values(name: str, dtype: Any, tensors: Mapping[str, Array]) -> Any:
    """The values of a column that are there."""
    if name in tensors:
        array = tensors[name]
        return array if array.ndim > 1 else pl.Series(array).cast(dtype)
    edges = [0, *np.cumsum(tensors[f"{name}.{LENGTHS}"]).tolist()]
    pairs = list(itertools.pairwise(edges))
    if isinstance(dtype, pl.List | pl.Array):
        items = _column(f"{name}.{ITEMS}", dtype.inner, tensors)
        return [items[start:end] for start, end in pairs]
    content = tensors[f"{name}.{ITEMS}"].tobytes()
    found = [content[start:end] for start, end in pairs]
    return found if dtype == pl.Binary else [one.decode() for one in found]
