"""CSV: cells between delimiters, one record per line, quotes where needed."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from functools import cached_property, partial
from io import BytesIO, StringIO
from typing import Annotated, ClassVar

import polars as pl
from pydantic import Field, StringConstraints, model_validator

from pydatastream.core.errors import ConfigError, RowError, SchemaError, nearest
from pydatastream.core.format import Decoded, Decoder, Encoder, StreamFormat
from pydatastream.parts.decoding.inference import schema_of_text
from pydatastream.parts.decoding.quoted import Grammar
from pydatastream.parts.decoding.sifting import REFUSALS, examine, set_aside, sift, typed
from pydatastream.parts.decoding.wire import written

_BOM = b"\xef\xbb\xbf"
_NO_TEXT = (pl.List, pl.Struct, pl.Array, pl.Object)
_FORMULA = r"^[=+\-@\t\r]"
"""How a cell starts that a spreadsheet may take for a formula.

References: OWASP, CSV Injection."""

Sign = Annotated[str, StringConstraints(pattern=r"^[\x09\x20-\x7e]$")]


class CsvFormat(StreamFormat):
    r"""Read and write CSV, as RFC 4180 has it.

    The first record names the columns; columns that the schema does not name are ignored, one
    that it names must be there. An empty cell is null; a quoted empty cell is an empty string,
    in a string column. Line breaks and delimiters stand between quotes. A record with too many or
    too few cells, a stray quote, or a cell that is not of the column's type is a dead letter.
    After a quote that is never closed, reading goes on at the next line. Lines end with \n or
    \r\n; empty lines are skipped, unless there is only one column.

    Times are written as 2024-01-01T00:00:00.000000Z, bytes as base64, durations as whole
    microseconds. Lists and structs cannot be carried.
    """

    extension: ClassVar[str] = "csv"
    example: ClassVar[str] = '{type: csv, delimiter: ";", null_values: [NA]}'

    delimiter: Sign = ","
    """The character between cells."""
    quote: Sign = '"'
    """The character around cells that hold a delimiter, a quote or a line break."""
    header: bool = True
    """The first record names the columns; false: the cells are the columns of the schema."""
    null_values: list[str] = Field(default_factory=list)
    """Cells that are null, such as NA; empty ones always are."""
    guard: bool = True
    """Write ' before text that starts with = + - @, a tab or \\r: spreadsheets would run it."""

    @model_validator(mode="after")
    def _distinct(self) -> CsvFormat:
        if self.delimiter == self.quote:
            raise ValueError("delimiter and quote are the same character")
        return self

    @cached_property
    def grammar(self) -> Grammar:
        """What a record looks like."""
        return Grammar(self.delimiter.encode(), self.quote.encode())

    def by_position(self, *, headed: bool) -> bool:
        """Without a header, as in messages, a column is told by its place."""
        return not (self.header and headed)

    def header_size(self, start: bytes) -> int:
        """The byte order mark and the record that names the columns.

        Give it the start of a file up to its end, or as much as one record may have.
        """
        mark = len(_BOM) if start.startswith(_BOM) else 0
        if not self.header:
            return mark
        record = self.grammar.record.match(start, mark)
        line = start.find(b"\n", mark) + 1 or len(start)
        return record.end() if record and record.end() > mark else line

    def infer(self, sample: bytes) -> pl.Schema:
        """The schema of the start of a file, header included; see `schema_of_text`."""
        size = self.header_size(sample)
        names = self.names(sample[:size]) if self.header else self._numbered(sample[size:])
        if not names:
            raise SchemaError("no schema to infer: the file is empty", hint="declare `schema:`")
        text = pl.Schema(dict.fromkeys(names, pl.String()))
        return schema_of_text(self.decoder(text, sample[:size]).decode(sample[size:]).rows)

    def decoder(self, schema: pl.Schema, header: bytes = b"") -> Decoder:
        """A decoder; `ConfigError` if the header lacks a column or has one twice."""
        names = self.names(header) if self.header else []
        for column in schema if names else ():
            if column not in names:
                raise ConfigError(f"the CSV header has no {column!r}", hint=nearest(column, names))
        return CsvDecoder(self, schema, names or schema.names())

    def encoder(self, schema: pl.Schema) -> Encoder:
        """An encoder; `SchemaError` for a column that CSV cannot carry."""
        for name, dtype in schema.items():
            if isinstance(dtype, _NO_TEXT):
                hint = f"`drop: {name}` before, or format: json"
                raise SchemaError(f"csv cannot carry column {name!r} of type {dtype}", hint=hint)
        return CsvEncoder(self, schema)

    def names(self, header: bytes) -> list[str]:
        """The columns that a header names."""
        line = header.removeprefix(_BOM).removesuffix(b"\n").removesuffix(b"\r")
        if b"\r" in line and b"\n" not in line:
            raise ConfigError(
                "lines of the CSV end with CR alone",
                hint="convert them, for instance with `tr '\\r' '\\n'`",
            )
        cells = self.cells(line)
        for name in cells:
            if cells.count(name) > 1:
                raise ConfigError(f"the CSV header has {name!r} twice", hint="rename one of them")
        return cells

    def cells(self, record: bytes) -> list[str]:
        """The cells of one record, as text."""
        text = record.decode(errors="replace")
        reader = csv.reader(StringIO(text), delimiter=self.delimiter, quotechar=self.quote)
        return next(reader, [])

    def _numbered(self, records: bytes) -> list[str]:
        first = self.grammar.record.match(records + b"\n")
        cells = self.cells(first[0]) if first and records else []
        return [f"column_{n}" for n, _ in enumerate(cells, 1)]


class CsvDecoder:
    """Reads cells as text, then columns in their types."""

    def __init__(self, options: CsvFormat, schema: pl.Schema, names: Sequence[str]) -> None:
        self._options, self._grammar = options, options.grammar
        self._schema, self._names = schema, names
        self._quote, self._delimiter = options.quote.encode(), options.delimiter.encode()
        one = self._grammar.one(len(names))
        self._one = re.compile(one)
        self._many = re.compile(rb"(?:%b\r?\n)*+(?:%b\r?)?+" % (one, one))

    def cut(self, buffer: bytes) -> int:
        if self._quote not in buffer:
            return buffer.rfind(b"\n") + 1
        end = 0
        for _, end, _ in self._grammar.walk(buffer, last=False):  # noqa: B007 - the last end counts
            pass
        return end

    def decode(self, records: bytes) -> Decoded:
        if self._quote not in records or self._is_regular(records):
            try:
                return typed(self._read(records), self._schema, partial(self._split, records))
            except REFUSALS:
                pass
        return self._sifted(records)

    def decode_messages(self, messages: Sequence[bytes]) -> Decoded:
        bare = [one.removesuffix(b"\n").removesuffix(b"\r") for one in messages]
        joined = b"\n".join(bare)
        flat = self._quote not in joined and joined.count(b"\n") == len(bare) - 1
        if flat and all(bare):
            try:
                return self._parse(bare)
            except REFUSALS:
                pass
        return examine(
            bare, self._parse, lambda one: self._fault(one) if one else "message is empty"
        )

    def _is_regular(self, records: bytes) -> bool:
        found = self._many.match(records)
        return found is not None and found.end() == len(records)

    def _read(self, records: bytes) -> pl.DataFrame:
        """Cells as text; raises if a record has not the right number of them."""
        mark = records.startswith(_BOM)  # Polars would drop it, wherever a batch begins
        dummy = self._delimiter * (len(self._names) - 1) + b"\n" if mark else b""
        rows = pl.read_csv(
            dummy + records,
            has_header=False,
            schema=dict.fromkeys(self._names, pl.String),
            separator=self._options.delimiter,
            quote_char=self._options.quote,
            null_values=self._options.null_values or None,
        ).slice(int(mark))
        quoted = self._quote in records
        if not quoted and rows.height * (len(self._names) - 1) != records.count(self._delimiter):
            raise RowError("a record has too few cells")  # Polars reads nulls for them
        return rows.with_columns(self._unquoted()) if quoted else rows

    def _unquoted(self) -> list[pl.Expr]:
        """An empty cell in quotes is no number: null, where text is not meant."""
        text = (pl.String, pl.Binary)
        names = (name for name, dtype in self._schema.items() if not isinstance(dtype, text))
        return [pl.when(pl.col(name) != "").then(pl.col(name)).alias(name) for name in names]

    def _split(self, records: bytes) -> list[bytes]:
        whole = records if records.endswith(b"\n") else records + b"\n"
        found = (one[0][:-1] for one in self._grammar.record.finditer(whole))
        return [one for one in found if one.strip(b"\r") or len(self._names) == 1]

    def _sifted(self, records: bytes) -> Decoded:
        whole = records if records.endswith(b"\n") else records + b"\n"
        good: list[bytes] = []
        bad: list[tuple[bytes, str]] = []
        for start, end, regular in self._grammar.walk(whole, last=True):
            span = whole[start:end]
            good += self._split(span) if regular else []
            bad += [] if regular else [(span.rstrip(b"\r\n"), _STRAY)]
        decoded = sift(good, self._parse, self._fault)
        return Decoded(decoded.rows, pl.concat([set_aside(bad), decoded.dead]))

    def _parse(self, records: Sequence[bytes]) -> Decoded:
        joined = b"\n".join(records) + b"\n" if records else b""
        if self._quote in joined and not self._is_regular(joined):
            raise RowError("a record has not the right number of cells")
        rows = self._read(joined)
        if rows.height != len(records):
            raise RowError("records and rows differ")
        return typed(rows, self._schema, lambda: records)

    def _message_fault(self, message: bytes) -> str | None:
        return self._fault(message) if message else "the message is empty"

    def _fault(self, record: bytes) -> str | None:
        try:
            record.decode()
        except UnicodeDecodeError:
            return "line is not UTF-8"
        if self._one.fullmatch(record.removesuffix(b"\r")):
            return None
        if not self._grammar.record.fullmatch(record + b"\n"):
            return _STRAY
        return f"{len(self._options.cells(record))} cells where {len(self._names)} are expected"


_STRAY = "a quote that is not closed, or stands within a cell"


class CsvEncoder:
    """Writes a header, then records."""

    def __init__(self, options: CsvFormat, schema: pl.Schema) -> None:
        self._options, self._schema = options, schema
        self._columns = [self._column(name, dtype) for name, dtype in schema.items()]

    def start(self) -> bytes:
        none = pl.DataFrame(schema=dict.fromkeys(self._schema, pl.String))
        return self._written(none, header=True) if self._options.header else b""

    def end(self) -> bytes:
        return b""

    def encode(self, rows: pl.DataFrame) -> bytes:
        return self._written(rows.select(self._columns), header=False)

    def encode_messages(self, rows: pl.DataFrame) -> list[bytes]:
        found = self._options.grammar.record.finditer(self.encode(rows))
        return [one[0][:-1] for one in found]

    def _written(self, rows: pl.DataFrame, *, header: bool) -> bytes:
        target = BytesIO()
        options = self._options
        rows.write_csv(
            target, include_header=header, separator=options.delimiter, quote_char=options.quote
        )
        return target.getvalue()

    def _column(self, name: str, dtype: pl.DataType) -> pl.Expr:
        column = written(pl.col(name), dtype)
        if dtype != pl.String or not self._options.guard:
            return column
        guarded = pl.when(column.str.contains(_FORMULA)).then("'" + column).otherwise(column)
        return guarded.alias(name)
