"""Messages of Avro as rows: each is read on its own, and those with one schema are joined."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from io import BytesIO
from itertools import pairwise
from typing import Any

import polars as pl

from pydatastream.core.batch import no_dead
from pydatastream.core.errors import RowError, SchemaError
from pydatastream.core.format import Decoded
from pydatastream.parts.avro.registry import framed
from pydatastream.parts.avro.types import columns_of
from pydatastream.parts.avro.values import inward, library
from pydatastream.parts.decoding.sifting import set_aside, typed

FAULTS = (ValueError, TypeError, LookupError, EOFError, OverflowError, ArithmeticError, OSError)
"""What fastavro raises for bytes that are no record of the schema."""

Run = list[tuple[int | None, bytes, Any]]
"""Schema's number, message and record."""


class AvroDecoder:
    """Reads records one by one; `schema_of` gives the schema with a number, or the only one."""

    def __init__(
        self, schema: pl.Schema, schema_of: Callable[[int | None], Any], *, numbered: bool
    ) -> None:
        self._schema, self._schema_of, self._numbered = schema, schema_of, numbered
        self._parsed: dict[int | None, tuple[Any, pl.Schema]] = {}
        self._read = library("read").schemaless_reader

    def cut(self, buffer: bytes) -> int:
        """Where the last whole record ends, as far as they can be read."""
        return self._spans(buffer)[-1]

    def decode(self, records: bytes) -> Decoded:
        ends = self._spans(records)
        whole = [records[start:end] for start, end in pairwise(ends)]
        rest = [records[ends[-1] :]] if ends[-1] < len(records) else []
        return self.decode_messages([*whole, *rest])

    def decode_messages(self, messages: Sequence[bytes]) -> Decoded:
        good: Run = []
        bad: list[tuple[bytes, str]] = []
        for message in messages:
            try:
                number, record, end = self._one(message)
                if end != len(message):
                    raise RowError(f"{len(message) - end} bytes follow the record")
                good.append((number, message, record))
            except RowError as error:
                bad.append((message, error.what))
            except FAULTS as error:
                bad.append((message, f"no record of the schema: {error or type(error).__name__}"))
        parts = [Decoded(pl.DataFrame(schema=self._schema), set_aside(bad) if bad else no_dead())]
        parts += [self._frame(run) for run in _runs(good)]
        return Decoded(pl.concat([one.rows for one in parts]), pl.concat([o.dead for o in parts]))

    def _spans(self, buffer: bytes) -> list[int]:
        ends = [0]
        while ends[-1] < len(buffer):
            try:
                _, _, end = self._one(buffer[ends[-1] :])
            except (RowError, *FAULTS):
                break
            if end == 0:
                break
            ends.append(ends[-1] + end)
        return ends

    def _one(self, message: bytes) -> tuple[int | None, Any, int]:
        """Its schema's number, the record, and where it ends."""
        number, body = framed(message) if self._numbered else (None, message)
        source = BytesIO(body)
        record = self._read(source, self._of(number)[0])
        return number, record, source.tell() + len(message) - len(body)

    def _frame(self, run: Run) -> Decoded:
        messages = [message for _, message, _ in run]
        found = self._of(run[0][0])[1]
        rows = inward([record for _, _, record in run], found)
        missing = [name for name in self._schema if name not in found]
        rows = rows.with_columns(pl.lit(None, self._schema[name]).alias(name) for name in missing)
        try:
            return typed(rows, self._schema, lambda: messages)
        except SchemaError as error:  # their schema is of other types than the columns
            none = pl.DataFrame(schema=self._schema)
            return Decoded(none, set_aside([(one, error.what) for one in messages]))

    def _of(self, number: int | None) -> tuple[Any, pl.Schema]:
        """A schema as fastavro wants it, and its columns."""
        if number not in self._parsed:
            found = self._schema_of(number)
            try:
                columns = columns_of(found)
            except SchemaError as error:
                raise RowError(error.what) from None
            self._parsed[number] = (library("schema").parse_schema(found), columns)
        return self._parsed[number]


def _runs(
    good: Run,
) -> Iterator[Run]:
    """Neighbours that have the same schema."""
    start = 0
    for at in range(1, len(good) + 1):
        if at == len(good) or good[at][0] != good[start][0]:
            yield good[start:at]
            start = at
