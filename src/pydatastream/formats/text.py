"""Plain text: one line is one row, whole or taken apart by a pattern."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property, partial
from string import Formatter
from typing import ClassVar

import polars as pl
from pydantic import field_validator

from pydatastream.core.errors import RowError, SchemaError, nearest
from pydatastream.core.format import Decoded, Decoder, Encoder, StreamFormat
from pydatastream.core.types import need
from pydatastream.parts.decoding.sifting import REFUSALS, examine, set_aside, sift, typed
from pydatastream.parts.decoding.wire import written

LINE = "line"

Records = Callable[[], Sequence[bytes]]


class TextFormat(StreamFormat):
    r"""Read and write lines of text, whole or by a pattern.

    Without a pattern a row has one column, `line`; an empty line is a row too. With a pattern,
    each named group is a column, and a line that the pattern does not match is a dead letter.
    Lines end with \n or \r\n, and are UTF-8.

    Written is a template, or else the only column. A value with a line break cannot be written;
    null is written as nothing.
    """

    extension: ClassVar[str] = "txt"
    separator: ClassVar[bytes | None] = b"\n"
    primary: ClassVar[str | None] = "pattern"
    example: ClassVar[str] = r"{type: text, pattern: '(?P<level>\w+): (?P<message>.*)'}"

    pattern: str | None = None
    """A regular expression with named groups, (?P<name>...), in the syntax of Rust's regex."""
    template: str | None = None
    """How a row is written, such as "{device_id} {n}"."""

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, pattern: str | None) -> str | None:
        if pattern is not None and not _groups(pattern):
            raise ValueError("the pattern has no named group: (?P<name>...)")
        return pattern

    @field_validator("template")
    @classmethod
    def _names_columns(cls, template: str | None) -> str | None:
        for _, name, spec, conversion in Formatter().parse(template or ""):
            if name is not None and (not name or spec or conversion or set(name) & set(".[")):
                raise ValueError(f"a template holds {{column}} only, found {{{name}}}")
        return template

    @cached_property
    def groups(self) -> list[str]:
        """The columns that the pattern gives."""
        return _groups(self.pattern) if self.pattern else []

    def infer(self, sample: bytes) -> pl.Schema:  # noqa: ARG002 - the description says it all
        """The column `line`, or the pattern's groups, as strings."""
        return pl.Schema(dict.fromkeys(self.groups or [LINE], pl.String()))

    def decoder(self, schema: pl.Schema, header: bytes = b"") -> Decoder:  # noqa: ARG002 - has none
        """A decoder; `SchemaError` for a column that is neither a group nor `line`."""
        for name in schema:
            if name not in (known := [*self.groups, LINE]):
                what = f"the text has no column {name!r}"
                raise SchemaError(what, hint=nearest(name, known))
        return TextDecoder(schema, self.pattern)

    def encoder(self, schema: pl.Schema) -> Encoder:
        """An encoder; `SchemaError` if it is not clear which columns are to be written."""
        return TextEncoder(_line(schema, self.template))


def _groups(pattern: str) -> list[str]:
    try:
        found = pl.Series([""]).str.extract_groups(pattern).struct.fields
    except REFUSALS as error:
        raise ValueError(f"the pattern is no regular expression: {error}") from None
    return [name for name in found if not name.isdigit()]


class TextDecoder:
    """Reads lines into columns."""

    def __init__(self, schema: pl.Schema, pattern: str | None) -> None:
        self._schema, self._pattern = schema, pattern

    def cut(self, buffer: bytes) -> int:
        return buffer.rfind(b"\n") + 1

    def decode(self, records: bytes) -> Decoded:
        try:
            lines = _split(records.decode())
        except UnicodeDecodeError:
            return sift(_lines(records), self._rows, _fault)
        return self._columns(lines, partial(_lines, records))

    def decode_messages(self, messages: Sequence[bytes]) -> Decoded:
        bare = [one.removesuffix(b"\n").removesuffix(b"\r") for one in messages]
        return examine(bare, self._rows, _message_fault)

    def _rows(self, lines: Sequence[bytes]) -> Decoded:
        texts = pl.Series(LINE, [line.decode() for line in lines], dtype=pl.String)
        return self._columns(texts.str.strip_suffix("\r"), lambda: lines)

    def _columns(self, lines: pl.Series, records: Records) -> Decoded:
        if self._pattern is None:
            return typed(lines.to_frame(), self._schema, records)
        matched = lines.str.contains(self._pattern)
        if matched.all():
            return self._taken_apart(lines, self._pattern, records)
        every = records()
        kept = [every[n] for n in matched.arg_true()]
        dead = set_aside([(every[n], _UNMATCHED) for n in (~matched).arg_true()])
        decoded = self._taken_apart(lines.filter(matched), self._pattern, lambda: kept)
        return Decoded(decoded.rows, pl.concat([dead, decoded.dead]))

    def _taken_apart(self, lines: pl.Series, pattern: str, records: Records) -> Decoded:
        groups = lines.str.extract_groups(pattern).struct.unnest()
        whole = [] if LINE in groups.columns else [lines]
        return typed(groups.with_columns(whole), self._schema, records)


_UNMATCHED = "line does not match the pattern"


def _split(text: str) -> pl.Series:
    lines = [text.removesuffix("\n")] if text else []
    found = pl.Series(LINE, lines, dtype=pl.String).str.split("\n").explode()
    return found.str.strip_suffix("\r")


def _lines(records: bytes) -> list[bytes]:
    return records.removesuffix(b"\n").split(b"\n") if records else []


def _fault(line: bytes) -> str | None:
    try:
        line.decode()
    except UnicodeDecodeError:
        return "line is not UTF-8"
    return None


def _message_fault(message: bytes) -> str | None:
    return _fault(message) if message else "the message is empty"


def _line(schema: pl.Schema, template: str | None) -> pl.Expr:
    """A row as one string."""
    if template is not None:
        parts = [_part(schema, before, name) for before, name, _, _ in Formatter().parse(template)]
        return pl.concat_str([one for part in parts for one in part], ignore_nulls=True)
    if len(schema) > 1 and LINE not in schema:
        raise SchemaError(
            f"text writes one column, found {len(schema)}", hint='template: "{a} {b}", or `select:`'
        )
    return _text(schema, LINE if LINE in schema else next(iter(schema)))


def _part(schema: pl.Schema, before: str, name: str | None) -> list[pl.Expr]:
    return [pl.lit(before), *([] if name is None else [_text(schema, name)])]


def _text(schema: pl.Schema, name: str) -> pl.Expr:
    need(schema, name)
    if schema[name].is_nested() or schema[name] == pl.Object:
        raise SchemaError(f"text cannot carry column {name!r} of type {schema[name]}")
    return written(pl.col(name), schema[name]).cast(pl.String)


class TextEncoder:
    """Writes lines."""

    def __init__(self, line: pl.Expr) -> None:
        self._line = line.fill_null("").alias(LINE)

    def start(self) -> bytes:
        return b""

    def end(self) -> bytes:
        return b""

    def encode(self, rows: pl.DataFrame) -> bytes:
        joined = (self._lines(rows) + "\n").str.join("").item()
        return str(joined).encode()

    def encode_messages(self, rows: pl.DataFrame) -> list[bytes]:
        return [line.encode() for line in self._lines(rows)]

    def _lines(self, rows: pl.DataFrame) -> pl.Series:
        lines = rows.select(self._line).to_series()
        if lines.str.contains(r"[\r\n]").any():
            raise RowError("a line of text cannot hold a line break", hint="format: json, or csv")
        return lines
