"""Fixed layouts of bytes: which column stands where, and columns from bytes at once."""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from pydatastream.core.errors import nearest
from pydatastream.core.times import EVENT_TIME

CODES: dict[str, tuple[str, pl.DataType]] = {
    "int8": ("b", pl.Int8()),
    "uint8": ("B", pl.UInt8()),
    "int16": ("h", pl.Int16()),
    "uint16": ("H", pl.UInt16()),
    "int32": ("i", pl.Int32()),
    "uint32": ("I", pl.UInt32()),
    "int64": ("q", pl.Int64()),
    "uint64": ("Q", pl.UInt64()),
    "float32": ("f", pl.Float32()),
    "float64": ("d", pl.Float64()),
    "bool": ("?", pl.Boolean()),
    "timestamp": ("q", EVENT_TIME),
    "int": ("q", pl.Int64()),
    "float": ("d", pl.Float64()),
}
_TYPES: dict[str, pl.DataType] = dict(reversed(CODES.values())) | {
    "l": pl.Int32(),
    "L": pl.UInt32(),
}
_BYTES = re.compile(r"bytes\[([1-9]\d{0,6})\]")
_LAYOUT = re.compile(r"([<>=!]?)((?:\d*[bBhHiIlLqQfd?sx]\s*)+)")
_PART = re.compile(r"(\d*)([bBhHiIlLqQfd?sx])")


@dataclass(frozen=True, slots=True)
class Cell:
    """One column within a record: where it stands, and how it is read."""

    name: str
    at: int
    code: str
    dtype: pl.DataType

    @property
    def size(self) -> int:
        """In bytes."""
        return struct.calcsize(f"<{self.code}")


def _code(kind: str) -> tuple[str, pl.DataType]:
    of_bytes = _BYTES.fullmatch(kind)
    if of_bytes:
        return f"{of_bytes[1]}s", pl.Binary()
    if kind not in CODES:
        raise ValueError(f"{kind!r} is no type of field: {nearest(kind, [*CODES, 'bytes[n]'])}")
    return CODES[kind]


def by_types(fields: Mapping[str, str]) -> list[Cell]:
    """Columns one after the other; `ValueError` for a type that is not known."""
    cells: list[Cell] = []
    at = 0
    for name, kind in fields.items():
        cells.append(Cell(name, at, *_code(kind)))
        at += cells[-1].size
    return cells


def by_layout(layout: str, names: Sequence[str]) -> list[Cell]:
    """The columns of a struct layout; `ValueError` if the names are too many or too few."""
    parts, cells, at = parts_of(layout), list[Cell](), 0
    values = sum(not code.endswith("x") for code, _ in parts)
    if values != len(names):
        raise ValueError(f"the layout has {values} values, and there are {len(names)} names")
    for code, size in parts:
        if not code.endswith("x"):
            cells.append(Cell(names[len(cells)], at, code, _TYPES.get(code, pl.Binary())))
        at += size
    return cells


def parts_of(layout: str) -> list[tuple[str, int]]:
    """The codes of a layout, one per value, with their sizes in bytes."""
    found = _LAYOUT.fullmatch(layout.strip())
    if not found:
        raise ValueError(
            f'{layout!r} is no layout: codes of Python\'s struct module, such as "<qdI"'
        )
    parts: list[tuple[str, int]] = []
    for count, code in _PART.findall(found[2]):
        whole = [f"{count or 1}{code}"] if code in "sx" else [code] * int(count or 1)
        parts += [(one, struct.calcsize(f"<{one}")) for one in whole]
    return parts


def order_of(layout: str | None, endian: str) -> str:
    """The sign of struct for the order of bytes."""
    found = _LAYOUT.fullmatch(layout.strip()) if layout else None
    usual = "<" if endian == "little" else ">"
    return {"<": "<", ">": ">", "!": ">"}.get(found[1] if found else "", usual)
