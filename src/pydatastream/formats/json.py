"""JSON lines: one object per line."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from io import BytesIO
from typing import Any, ClassVar

import orjson
import polars as pl
from pydantic import Field

from pydatastream.core.errors import RowError, SchemaError
from pydatastream.core.format import Decoded, Decoder, Encoder, StreamFormat
from pydatastream.core.types import type_name
from pydatastream.parts.decoding.inference import schema_of
from pydatastream.parts.decoding.json_lines import plain_lines
from pydatastream.parts.decoding.nesting import is_deeper, may_be_deeper
from pydatastream.parts.decoding.sifting import REFUSALS, Fault, Parse, examine, search, typed
from pydatastream.parts.decoding.wire import carried, instance, written

Test = Callable[[Any], bool]

_BOM = b"\xef\xbb\xbf"
_BLANK = b" \t\r"
_SPACED = re.compile(rb'"\s+:')
_NOT_FINITE = re.compile(rb'"(?:[^"\\\n]|\\.)*+"|-?Infinity|NaN')
# Polars reads a lone surrogate as another character. A backslash before the backslash, or a half
# without its other half: then the line is looked at closely.
_SURROGATE = re.compile(
    rb"\\\\u[dD]|\\u[dD][89abAB]..(?!\\u[dD][c-fC-F])|(?<!\\u[dD][89abAB]..)\\u[dD][c-fC-F]"
)
_WHOLE = range(-(2**63), 2**63)
_RANGES: dict[pl.DataType, range] = {pl.UInt64(): range(2**64)}


class JsonFormat(StreamFormat):
    """Read and write JSON lines: one object per line.

    A missing field is null, a field that the schema does not name is ignored; of a key that
    comes twice the first counts. In a string column, numbers, booleans, objects and lists are
    kept as their JSON text; in any other column a value of another type makes the row a dead
    letter: 1.0 and "1" are no int. Whole numbers beyond 64 bits need a decimal or string column.

    Times are written as 2024-01-01T00:00:00.000000Z, bytes as base64, durations as whole
    microseconds, decimals as strings, NaN and infinities as null; each is read back from the
    same form, decimals from numbers too (exact up to 17 digits).
    """

    extension: ClassVar[str] = "jsonl"
    separator: ClassVar[bytes | None] = b"\n"
    example: ClassVar[str] = "{type: json, strict: true}"

    strict: bool = False
    """Refuse a row with a key twice; each row is then looked at, which halves the speed."""
    allow_nan: bool = False
    """Read NaN, Infinity and -Infinity, which are no JSON, as null."""
    max_depth: int = Field(128, ge=1, le=1000)
    """Refuse a row with deeper nesting."""

    def infer(self, sample: bytes) -> pl.Schema:
        """The schema of a sample: every field of any row, in the order first seen.

        int with float gives float, other mixtures give string; a field without a value, and whole
        numbers beyond 64 bits, too. Times stay strings: a column is time where `time:` says so.
        """
        lines = [line for line in _lines(sample.removeprefix(_BOM)) if line.strip(_BLANK)]
        values = [value for line in lines if (value := _loaded(self.readable(line))) is not None]
        if not values:
            found = "no row is a JSON object" if lines else "there is no row"
            raise SchemaError(f"no schema to infer: {found}", hint="declare `schema:`")
        return schema_of(values)

    def header_size(self, start: bytes) -> int:
        """A byte order mark is no record."""
        return len(_BOM) if start.startswith(_BOM) else 0

    def decoder(self, schema: pl.Schema, header: bytes = b"") -> Decoder:  # noqa: ARG002 - has none
        """A decoder; JSON has no header."""
        return JsonDecoder(self, schema)

    def encoder(self, schema: pl.Schema) -> Encoder:
        """An encoder; `SchemaError` for a column that JSON cannot carry."""
        for name, dtype in schema.items():
            if isinstance(dtype, pl.Object):
                raise SchemaError(f"json cannot carry column {name!r} of type {dtype}")
        return JsonEncoder(schema)

    def readable(self, line: bytes) -> bytes:
        """The line in plain JSON: with `allow_nan`, null for what is not finite."""
        if self.allow_nan and (b"NaN" in line or b"Infinity" in line):
            return _NOT_FINITE.sub(lambda m: m[0] if m[0][:1] == b'"' else b"null", line)
        return line


class JsonDecoder:
    """Reads lines: all at once, and one by one only where one cannot be read."""

    def __init__(self, options: JsonFormat, schema: pl.Schema) -> None:
        self._options, self._schema = options, schema
        self._carried = pl.Schema({name: carried(dtype) for name, dtype in schema.items()})
        self._tests = {name: _test(dtype) for name, dtype in self._carried.items()}
        self._plain = None if options.strict else plain_lines(self._carried, options.max_depth)

    def cut(self, buffer: bytes) -> int:
        return buffer.rfind(b"\n") + 1

    def decode(self, records: bytes) -> Decoded:
        with suppress(*REFUSALS):
            rows = self._at_once(records)
            if rows is not None:
                return typed(rows, self._schema, partial(_filled, records))
        return self._sifted(_filled(records), self._rows, self._fault)

    def decode_messages(self, messages: Sequence[bytes]) -> Decoded:
        with suppress(*REFUSALS):
            rows = self._at_once(b"\n".join(messages), len(messages))
            if rows is not None and rows.height == len(messages):
                return typed(rows, self._schema, lambda: messages)
        return self._sifted(messages, self._messages, self._message_fault)

    def _at_once(self, records: bytes, lines: int | None = None) -> pl.DataFrame | None:
        """The rows of so many lines; None where a line may be one that has to be looked at."""
        rows = self._plain.rows(records, lines) if self._plain else None
        if rows is None and (lines is None or lines == records.count(b"\n") + 1):
            rows = None if self._looks_odd(records) else self._parse(records)
        return rows

    def _sifted(self, records: Sequence[bytes], parse: Parse, fault: Fault) -> Decoded:
        if self._options.strict:
            return examine(records, parse, fault)
        return search(records, parse, fault, self._is_doubtful)

    def _is_doubtful(self, records: Sequence[bytes]) -> bool:
        joined = b"\n".join(records)
        return joined.count(b"\n") >= len(records) or self._looks_odd(joined)

    def _looks_odd(self, records: bytes) -> bool:
        """Whether a line may be one that Polars reads, and we do not."""
        if self._options.strict or (b"\\" in records and _SURROGATE.search(records)):
            return True
        return may_be_deeper(records, self._options.max_depth)

    def _parse(self, records: bytes) -> pl.DataFrame:
        return pl.read_ndjson(self._options.readable(records), schema=self._carried)

    def _rows(self, lines: Sequence[bytes]) -> Decoded:
        if not lines:
            return Decoded(pl.DataFrame(schema=self._schema))
        return typed(self._parse(b"\n".join(lines)), self._schema, lambda: lines)

    def _messages(self, messages: Sequence[bytes]) -> Decoded:
        # A line break within valid JSON stands between values: a space does as well.
        flat = b"\n".join(one.removeprefix(_BOM).replace(b"\n", b" ") for one in messages)
        if not messages:
            return self._rows([])
        rows = self._parse(flat)
        if rows.height != len(messages):
            raise RowError("a message is empty")
        return typed(rows, self._schema, lambda: messages)

    def _message_fault(self, message: bytes) -> str | None:
        bare = message.removeprefix(_BOM)
        return self._fault(bare) if bare.strip() else "the message is empty"

    def _fault(self, line: bytes) -> str | None:
        """Why a line cannot be read, or None."""
        if is_deeper(line, self._options.max_depth):
            return f"nested deeper than {self._options.max_depth} (max_depth)"
        plain = self._options.readable(line)
        try:
            value = orjson.loads(plain)
        except orjson.JSONDecodeError as error:
            return f"line is not JSON: {error.msg} at character {error.pos + 1}"
        if not isinstance(value, dict):
            return f"line is no JSON object: {_shown(value)}"
        if self._options.strict and (twice := _twice(plain, value)) is not None:
            return f"key {twice!r} comes twice (strict)"
        return self._unfit(plain, value)

    def _unfit(self, line: bytes, value: dict[str, Any]) -> str | None:
        for name, test in self._tests.items():
            if not test(value.get(name)):
                if _twice(line, value) is not None and self._reads(line):
                    return None
                word = type_name(self._schema[name])
                article = "an" if word[0] in "aeiou" else "a"
                return f"{name}: {_shown(value[name])} is not {article} {word}"
        return None

    def _reads(self, line: bytes) -> bool:
        """Whether Polars takes the line: it knows the first of two equal keys, orjson the last."""
        try:
            return self._parse(line.replace(b"\n", b" ")).height == 1
        except REFUSALS:
            return False


class JsonEncoder:
    """Writes lines."""

    def __init__(self, schema: pl.Schema) -> None:
        self._columns = [written(pl.col(name), dtype) for name, dtype in schema.items()]

    def start(self) -> bytes:
        return b""

    def end(self) -> bytes:
        return b""

    def encode(self, rows: pl.DataFrame) -> bytes:
        target = BytesIO()
        rows.select(self._columns).write_ndjson(target)
        return target.getvalue()

    def encode_messages(self, rows: pl.DataFrame) -> list[bytes]:
        """The same texts; not cut out of one, which takes longer, most so for a few rows."""
        if not rows.height:
            return []
        texts = pl.struct(self._columns).struct.json_encode().cast(pl.Binary)
        return rows.select(texts).to_series().to_list()


def _lines(records: bytes) -> list[bytes]:
    return records.split(b"\n")


def _filled(records: bytes) -> list[bytes]:
    """The lines that hold anything: Polars skips the others."""
    return [line for line in _lines(records) if line.strip(_BLANK)]


def _twice(line: bytes, value: Any) -> str | None:
    """A key that comes twice in one object."""
    if line.count(b'":') == _keys(value) and not _SPACED.search(line):
        return None  # every colon belongs to a key, and every key is there
    found: list[str] = []
    json.loads(line, object_pairs_hook=partial(_noted, found), parse_int=str, parse_float=str)
    return found[0] if found else None


def _noted(found: list[str], pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    found += [name for n, name in enumerate(names) if name in names[:n]]
    return dict(pairs)


def _keys(value: Any) -> int:
    if isinstance(value, dict):
        return len(value) + sum(map(_keys, value.values()))
    return sum(map(_keys, value)) if isinstance(value, list) else 0


def _test(dtype: pl.DataType) -> Test:
    """Whether Polars reads a value into a column of this type."""
    if isinstance(dtype, pl.List):
        inner = _test(instance(dtype.inner))
        return lambda value: value is None or (type(value) is list and all(map(inner, value)))
    if isinstance(dtype, pl.Struct):
        fields = {one.name: _test(instance(one.dtype)) for one in dtype.fields}
        return lambda value: (
            value is None
            or (type(value) is dict and all(test(value.get(name)) for name, test in fields.items()))
        )
    if dtype == pl.String:
        return lambda _: True
    if dtype.is_integer():
        whole = _RANGES.get(dtype, _WHOLE)
        return lambda value: value is None or (type(value) is int and value in whole)
    kinds = (bool, type(None)) if dtype == pl.Boolean else (int, float, type(None))
    return lambda value: type(value) in kinds


def _shown(value: Any) -> str:
    text = orjson.dumps(value).decode(errors="replace")
    return text if len(text) <= 80 else f"{text[:80]}..."


def _loaded(line: bytes) -> dict[str, Any] | None:
    try:
        value = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    return value if isinstance(value, dict) else None
