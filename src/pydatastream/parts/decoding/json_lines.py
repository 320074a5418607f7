"""JSON lines read by our own C code, where it was compiled: plain ones, which most are."""

from __future__ import annotations

import ctypes
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from ctypes import CFUNCTYPE, POINTER, byref, c_char_p, c_int64, c_void_p
from functools import cache, partial
from pathlib import Path
from typing import Any

import polars as pl

KINDS: dict[pl.DataType, int] = {pl.Int64(): 0, pl.Float64(): 1, pl.Boolean(): 2, pl.String(): 3}
"""Column types that it reads, and what it calls them."""

PART = 1 << 20
"""Bytes from which on a text is worth a thread more."""


class _Field(ctypes.Structure):
    _fields_ = (("name", c_char_p), ("length", c_int64), ("kind", c_int64))


class _Schema(ctypes.Structure):
    """`ArrowSchema` of the Arrow C data interface."""

    _fields_ = (
        ("texts", c_char_p * 3),
        ("numbers", c_int64 * 2),
        ("pointers", c_void_p * 2),
        ("release", CFUNCTYPE(None, c_void_p)),
        ("private", c_void_p),
    )


class _Array(ctypes.Structure):
    """`ArrowArray` of the Arrow C data interface."""

    _fields_ = (
        ("numbers", c_int64 * 5),
        ("pointers", c_void_p * 3),
        ("release", CFUNCTYPE(None, c_void_p)),
        ("private", c_void_p),
    )


class _Seen(ctypes.Structure):
    _fields_ = (("breaks", c_int64), ("high", c_int64))


_capsule = ctypes.pythonapi.PyCapsule_New
_capsule.restype = ctypes.py_object
_capsule.argtypes = (c_void_p, c_char_p, c_void_p)


class _Given:
    """Columns as the C code left them, until somebody takes them over."""

    def __init__(self) -> None:
        self.array, self.schema, self.seen = _Array(), _Schema(), _Seen()

    def __arrow_c_array__(self, _: object = None) -> tuple[Any, Any]:
        schema = _capsule(byref(self.schema), b"arrow_schema", None)
        return schema, _capsule(byref(self.array), b"arrow_array", None)

    def __del__(self) -> None:
        for one in (self.array, self.schema):
            if one.release:
                one.release(ctypes.addressof(one))


class PlainLines:
    """Reads lines of plain JSON objects into columns of the simple types."""

    def __init__(self, library: Any, schema: pl.Schema, max_depth: int) -> None:
        names = [name.encode() for name in schema]
        kinds = [KINDS[dtype] for dtype in schema.dtypes()]
        fields = map(_Field, names, map(len, names), kinds)
        self._fields = (_Field * len(names))(*fields)
        self._max_depth = max_depth
        self._read = library.pds_json_lines

    def rows(self, text: bytes, lines: int | None = None) -> pl.DataFrame | None:
        """The rows of some lines; None if there is anything that is not plain.

        `lines` is how many there must be, blank ones among them.
        """
        start = ctypes.cast(c_char_p(text), c_void_p).value or 0
        spans = list(_spans(text, min(pl.thread_pool_size(), len(text) // PART)))
        read = partial(self._given, start)
        given = list(_threads().map(read, spans)) if len(spans) > 1 else [read(spans[0])]
        found = [one for one in given if one is not None]
        if len(found) < len(given) or (any(one.seen.high for one in found) and not _is_utf8(text)):
            return None
        if lines not in {None, sum(one.seen.breaks for one in found) + 1}:
            return None
        frames = [pl.DataFrame(one) for one in found]
        return pl.concat(frames) if len(frames) > 1 else frames[0]

    def _given(self, start: int, span: tuple[int, int]) -> _Given | None:
        given, (first, end) = _Given(), span
        job = (start + first, end - first, self._max_depth, self._fields, len(self._fields))
        into = (byref(given.array), byref(given.schema), byref(given.seen))
        return given if self._read(*job, *into) >= 0 else None


def plain_lines(schema: pl.Schema, max_depth: int) -> PlainLines | None:
    """A reader of these columns; None where it is not there, or does not know their types."""
    library = _library()
    if library is None or not all(dtype in KINDS for dtype in schema.dtypes()):
        return None
    return PlainLines(library, schema, max_depth)


def _spans(text: bytes, count: int) -> Iterator[tuple[int, int]]:
    """The text as about so many equal parts, each but the last up to the end of a line."""
    first = 0
    for n in range(1, count):
        end = text.find(b"\n", max(first, n * len(text) // count)) + 1
        if end:
            yield first, end
            first = end
    yield first, len(text)


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(pl.thread_pool_size(), "read-json")


@cache
def _library() -> Any:
    source = Path(__file__).with_name("_json_lines.c")
    file = source.with_suffix(".so")
    if not file.exists():
        return None
    library = ctypes.CDLL(str(file))
    made_of = ctypes.c_uint32.in_dll(library, "pds_json_lines_source").value
    if made_of != zlib.crc32(source.read_bytes()):
        return None  # the package was changed and not installed again
    read = library.pds_json_lines
    read.restype = c_int64
    text, fields = (c_void_p, c_int64, c_int64), (POINTER(_Field), c_int64)
    read.argtypes = (*text, *fields, POINTER(_Array), POINTER(_Schema), POINTER(_Seen))
    return library


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True
