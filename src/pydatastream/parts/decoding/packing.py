"""Columns from the bytes of many records at once, and back."""

from __future__ import annotations

import struct

import polars as pl

from pydatastream.core.errors import RowError
from pydatastream.core.times import EVENT_TIME
from pydatastream.parts.decoding.structs import CODES, Cell


def pieces(records: bytes, size: int) -> list[bytes]:
    """Records of one size, each on its own."""
    return [records[at : at + size] for at in range(0, len(records), size)]


def column(records: bytes, cell: Cell, size: int, order: str) -> pl.Series:
    """One column of many records: its bytes brought together, then read at once."""
    count, width = len(records) // size, cell.size
    gathered = bytearray(count * width)
    for n in range(width):
        gathered[n::width] = records[cell.at + n :: size]
    if cell.dtype == pl.Binary:
        return pl.Series(cell.name, pieces(bytes(gathered), width), dtype=pl.Binary)
    if cell.dtype == pl.Boolean:
        return _numbers(cell.name, gathered, pl.UInt8(), order).cast(pl.Boolean)
    physical = pl.Int64() if cell.dtype == EVENT_TIME else cell.dtype
    return _numbers(cell.name, gathered, physical, order).cast(cell.dtype)


def _numbers(name: str, gathered: bytearray, dtype: pl.DataType, order: str) -> pl.Series:
    width = struct.calcsize(f"<{_code_of(dtype)}")
    if order == ">":
        gathered = _swapped(gathered, width)
    count = len(gathered) // width
    if not count:
        return pl.Series(name, [], dtype=dtype)
    whole = pl.Series(name, [bytes(gathered)], dtype=pl.Binary)
    return whole.bin.reinterpret(dtype=pl.Array(dtype, count)).explode()


def _code_of(dtype: pl.DataType) -> str:
    return next(code for code, of in CODES.values() if of == dtype)


def _swapped(numbers: bytearray, width: int) -> bytearray:
    swapped = bytearray(len(numbers))
    for n in range(width):
        swapped[n::width] = numbers[width - 1 - n :: width]
    return swapped


def packed(values: pl.Series, cell: Cell, order: str) -> bytes:
    """A column's values one after the other."""
    if cell.dtype.is_float():
        values = values.fill_null(float("nan"))
    refuse_null(values)
    if cell.dtype == pl.Binary:
        return b"".join(_filled(value, cell) for value in values)
    return struct.pack(f"{order}{len(values)}{cell.code}", *values.to_physical())


def _filled(value: bytes, cell: Cell) -> bytes:
    if len(value) > cell.size:
        raise RowError(f"{cell.name} has {len(value)} bytes, its field {cell.size}")
    return value.ljust(cell.size, b"\0")


def refuse_null(values: pl.Series) -> None:
    """Raise `RowError` if a value is null."""
    if values.null_count():
        raise RowError(f"{values.name} is null, which a binary record cannot carry")
