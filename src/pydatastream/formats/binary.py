"""Binary records: of one fixed layout, or each with its length before it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property, partial
from typing import ClassVar, Literal

import polars as pl
from pydantic import Field, model_validator

from pydatastream.core.errors import RowError, SchemaError, nearest
from pydatastream.core.format import Decoded, Decoder, Encoder, StreamFormat
from pydatastream.parts.decoding.packing import column, packed, pieces, refuse_null
from pydatastream.parts.decoding.sifting import examine, set_aside, typed
from pydatastream.parts.decoding.structs import Cell, by_layout, by_types, order_of, parts_of

PAYLOAD = "payload"


class BinaryFormat(StreamFormat):
    """Read and write binary records, fixed or with their length before them.

    `layout: "<qdI"` with `fields: [ts, value, n]` is a layout as Python's struct module writes
    it, without padding but for x; `fields: {ts: int64, value: float64, id: "bytes[8]"}` says the
    same by types: int8 to int64, uint8 to uint64, float32, float64, bool, timestamp (microseconds
    since 1970 in an int64), bytes[n]. With `framing: length` each record has its length before it;
    without fields it is one column, `payload`, of bytes. With neither, a record is a whole
    message, or a whole file.

    A record cannot carry null: a float is written as NaN, any other column refuses the row. Bytes
    shorter than their field are filled with zeros, longer ones refused.
    """

    extension: ClassVar[str] = "bin"
    resync: ClassVar[bytes | None] = None
    example: ClassVar[str] = "{type: binary, fields: {ts: timestamp, value: float64, n: uint32}}"

    layout: str | None = None
    """Struct codes, such as "<qdI"; a first sign of < or > says the order of bytes."""
    fields: list[str] | dict[str, str] = Field(default_factory=list)
    """The columns: names for the layout, or names with types."""
    endian: Literal["little", "big"] = "little"
    """The order of bytes, in fields and in lengths."""
    framing: Literal["none", "length"] = "none"
    """What stands before a record: nothing, or its length."""
    prefix: Literal[1, 2, 4, 8] = 4
    """Bytes of the length, with `framing: length`."""

    @model_validator(mode="after")
    def _whole(self) -> BinaryFormat:
        cells = self.cells
        if not cells and self.layout:
            raise ValueError("a layout needs `fields`: the names of its columns")
        if len({cell.name for cell in cells}) < len(cells):
            raise ValueError("a field comes twice")
        return self

    @cached_property
    def cells(self) -> list[Cell]:
        """The columns of a fixed record."""
        if isinstance(self.fields, dict):
            if self.layout is not None:
                raise ValueError("fields with types make `layout` superfluous: leave it out")
            return by_types(self.fields)
        return by_layout(self.layout, self.fields) if self.layout else self._no_layout()

    @cached_property
    def size(self) -> int:
        """Bytes of a fixed record, padding included; 0 if records have any length."""
        if self.layout:
            return sum(size for _, size in parts_of(self.layout))
        return sum(cell.size for cell in self.cells)

    @property
    def order(self) -> str:
        """The sign of struct for the order of bytes."""
        return order_of(self.layout, self.endian)

    def _no_layout(self) -> list[Cell]:
        if self.fields:
            raise ValueError("fields need types, {ts: int64}, or a `layout`")
        return []

    def infer(self, sample: bytes) -> pl.Schema:  # noqa: ARG002 - the description says it all
        """The columns as the description has them."""
        columns = {cell.name: cell.dtype for cell in self.cells}
        return pl.Schema(columns or {PAYLOAD: pl.Binary()})

    def decoder(self, schema: pl.Schema, header: bytes = b"") -> Decoder:  # noqa: ARG002 - has none
        """A decoder; `SchemaError` for a column that the records do not have."""
        known = self.infer(b"").names()
        for name in schema:
            if name not in known:
                raise SchemaError(f"binary records have no {name!r}", hint=nearest(name, known))
        return BinaryDecoder(self, schema)

    def encoder(self, schema: pl.Schema) -> Encoder:
        """An encoder; `SchemaError` if the columns are not those of the records."""
        for name, dtype in self.infer(b"").items():
            if schema.get(name) != dtype:
                found = schema.get(name, "no such column")
                raise SchemaError(f"binary needs {name!r} of type {dtype}, found {found}")
        return BinaryEncoder(self)


class BinaryDecoder:
    """Reads records column by column: no work per row where their size is fixed."""

    def __init__(self, options: BinaryFormat, schema: pl.Schema) -> None:
        self._options, self._schema = options, schema
        self._framed = options.framing == "length"

    def cut(self, buffer: bytes) -> int:
        if not self._framed:
            size = self._options.size
            return len(buffer) - len(buffer) % size if size else 0
        end = 0
        for _, end in _frames(buffer, self._options):  # noqa: B007 - the last end counts
            pass
        return end

    def decode(self, records: bytes) -> Decoded:
        if self._framed:
            spans = list(_frames(records, self._options))
            end = spans[-1][1] if spans else 0
            whole = self._payloads([records[start:stop] for start, stop in spans])
        elif size := self._options.size:
            end = len(records) - len(records) % size
            whole = self._fixed(records[:end])
        else:
            return self._payloads([records] if records else [])
        return whole if end == len(records) else _with_torn(whole, records[end:])

    def decode_messages(self, messages: Sequence[bytes]) -> Decoded:
        if not self._framed:
            return self._payloads(messages)
        return examine(messages, self._unframed, self._frame_fault)

    def _unframed(self, messages: Sequence[bytes]) -> Decoded:
        return self._payloads([one[self._options.prefix :] for one in messages])

    def _frame_fault(self, message: bytes) -> str | None:
        if list(_frames(message, self._options)) == [(self._options.prefix, len(message))]:
            return None
        return "the message is not one record with its length before it"

    def _payloads(self, payloads: Sequence[bytes]) -> Decoded:
        size = self._options.size
        if not size:
            rows = pl.DataFrame({PAYLOAD: payloads}, schema={PAYLOAD: pl.Binary})
            return typed(rows, self._schema, lambda: payloads)
        return examine(payloads, self._joined, partial(_size_fault, size))

    def _joined(self, payloads: Sequence[bytes]) -> Decoded:
        return self._fixed(b"".join(payloads))

    def _fixed(self, records: bytes) -> Decoded:
        options, size = self._options, self._options.size
        columns = [column(records, cell, size, options.order) for cell in options.cells]
        return typed(pl.DataFrame(columns), self._schema, lambda: pieces(records, size))


def _frames(buffer: bytes, options: BinaryFormat) -> Iterator[tuple[int, int]]:
    """Where each whole record starts, after its length, and ends."""
    at, prefix = 0, options.prefix
    order: Literal["little", "big"] = "little" if options.order == "<" else "big"
    while at + prefix <= len(buffer):
        start = at + prefix
        at = start + int.from_bytes(buffer[at:start], order)
        if at > len(buffer):
            return
        yield start, at


def _with_torn(whole: Decoded, torn: bytes) -> Decoded:
    dead = set_aside(
        [(torn, f"the stream ends within a record, {len(torn)} bytes after its start")]
    )
    return Decoded(whole.rows, pl.concat([whole.dead, dead]))


def _size_fault(size: int, record: bytes) -> str | None:
    return None if len(record) == size else f"{len(record)} bytes where a record has {size}"


class BinaryEncoder:
    """Writes records column by column."""

    def __init__(self, options: BinaryFormat) -> None:
        self._options = options

    def start(self) -> bytes:
        return b""

    def end(self) -> bytes:
        return b""

    def encode(self, rows: pl.DataFrame) -> bytes:
        if self._options.framing == "length":
            return b"".join(self._framed(rows))
        return self._fixed(rows) if self._options.size else b"".join(self._payloads(rows))

    def encode_messages(self, rows: pl.DataFrame) -> list[bytes]:
        if self._options.framing == "length":
            return self._framed(rows)
        return self._payloads(rows)

    def _payloads(self, rows: pl.DataFrame) -> list[bytes]:
        if self._options.size:
            return pieces(self._fixed(rows), self._options.size)
        payloads = rows[PAYLOAD]
        refuse_null(payloads)
        return payloads.to_list()

    def _framed(self, rows: pl.DataFrame) -> list[bytes]:
        order: Literal["little", "big"] = "little" if self._options.order == "<" else "big"
        width = self._options.prefix
        payloads = self._payloads(rows)
        if any(len(one) >= 1 << 8 * width for one in payloads):
            raise RowError(f"a payload is too long for a length of {width} bytes")
        return [len(one).to_bytes(width, order) + one for one in payloads]

    def _fixed(self, rows: pl.DataFrame) -> bytes:
        size = self._options.size
        target = bytearray(rows.height * size)
        for cell in self._options.cells:
            cells = packed(rows[cell.name], cell, self._options.order)
            for n in range(cell.size):
                target[cell.at + n :: size] = cells[n :: cell.size]
        return bytes(target)
