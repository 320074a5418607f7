"""Rows from and to the memory of this process: for tests and notebooks."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar

import orjson
import polars as pl
from polars.exceptions import PolarsError
from pydantic import Field, PlainSerializer, PlainValidator, WithJsonSchema

from pydatastream.core.batch import Batch, Offset
from pydatastream.core.errors import SchemaError, SourceGap
from pydatastream.core.sink import Delivery, Sink, Write, Writer
from pydatastream.core.source import Read, Reader, Source
from pydatastream.core.types import type_name
from pydatastream.parts.decoding.casting import converted
from pydatastream.parts.decoding.wire import written

SHOWN = 1000
"""So many rows are still written out when the pipeline is printed as YAML."""

_numbers = itertools.count()


def _frames(rows: Any) -> dict[str, pl.DataFrame]:
    if isinstance(rows, Mapping):
        return {str(name): _frame(part) for name, part in rows.items()}
    return {"memory": _frame(rows)}


def _frame(rows: Any) -> pl.DataFrame:
    if isinstance(rows, pl.DataFrame):
        return rows
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ValueError("rows are a list of mappings, or a Polars DataFrame")
    try:
        return pl.from_dicts(rows, infer_schema_length=None) if rows else pl.DataFrame()
    except (PolarsError, TypeError) as error:
        raise ValueError(f"the rows do not fit together: {error}") from None


def _plain(frames: Mapping[str, pl.DataFrame]) -> Any:
    count = sum(frame.height for frame in frames.values())
    if count > SHOWN:
        return f"{count} rows"
    parts = {name: orjson.loads(_written(frame).write_json()) for name, frame in frames.items()}
    return parts["memory"] if list(parts) == ["memory"] else parts


def _written(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.with_columns(written(pl.col(name), dtype) for name, dtype in rows.schema.items())


_ROWS = {"type": "array", "items": {"type": "object"}}
Frames = Annotated[
    Mapping[str, pl.DataFrame],
    PlainValidator(_frames),
    PlainSerializer(_plain),
    WithJsonSchema({"anyOf": [_ROWS, {"type": "object", "additionalProperties": _ROWS}]}),
]
"""Rows by partition: from a DataFrame, a list of mappings, or a mapping of names to such."""


class MemorySource(Source):
    """Read rows that are given with the pipeline.

    Delivery: replayable. An offset is the number of rows before it.
    """

    replayable: ClassVar[bool] = True
    primary: ClassVar[str | None] = "rows"
    example: ClassVar[str] = "{type: memory, rows: [{device_id: a, temperature: 21.5}]}"

    rows: Frames
    """A list of mappings, a DataFrame, or a mapping of partitions to such."""

    @property
    def bounded(self) -> bool:
        """The rows end."""
        return True

    def declared(self) -> pl.Schema:
        """The types of the rows, unless `schema:` says others."""
        empty = [frame.clear() for frame in self.rows.values()]
        try:
            found = pl.concat(empty, how="diagonal_relaxed").schema if empty else pl.Schema()
        except PolarsError as error:
            raise SchemaError(f"the partitions do not fit together: {error}") from None
        return super().declared() or found

    def options(self) -> dict[str, Any]:
        """The rows as plain data, with their types where plain data would have others."""
        plain, own = super().options(), self.declared()
        if self.columns is None and (rows := plain["rows"]) and not isinstance(rows, str):
            again = type(self)(rows=rows).declared()
            named = {name: type_name(dtype) for name, dtype in own.items()}
            return plain if again == own else {"schema": named, **plain}
        return plain

    def infer(self) -> pl.Schema:
        """The types of the rows."""
        return self.declared()

    def partitions(self) -> Sequence[str]:
        """The names that were given; "memory" if none were."""
        return list(self.rows)

    def open(self, partition: str, job: Read) -> Reader:
        """Start reading."""
        return MemoryReader(_fitted(self.rows[partition], job.schema), job)


def _fitted(rows: pl.DataFrame, schema: pl.Schema) -> pl.DataFrame:
    missing = {name: pl.lit(None) for name in schema if name not in rows.columns}
    found, errors = converted(rows.with_columns(**missing), schema)
    if errors is not None:
        raise SchemaError(f"the rows do not fit the schema: {errors.drop_nulls()[0]}")
    return found


class MemoryReader:
    """Reads the rows of a frame."""

    def __init__(self, rows: pl.DataFrame, job: Read) -> None:
        self._rows, self._most = rows, job.rows
        self._at: int = job.resume["at"] if job.resume else 0
        self._end: int = job.until["at"] if job.until else rows.height
        if max(self._at, self._end) > rows.height:
            raise SourceGap(f"there are {rows.height} rows, fewer than were read before")

    def __iter__(self) -> Iterator[Batch | None]:
        while self._at < self._end:
            part = self._rows.slice(self._at, min(self._most, self._end - self._at))
            self._at += part.height
            yield Batch(part, {"at": self._at})

    def commit(self, offset: Offset) -> None:
        """Nothing to do: the rows stay."""

    def close(self) -> None:
        """Nothing is open."""


@dataclass(slots=True)
class Kept:
    """What a memory sink has published: frames by epoch, and the last epoch."""

    schema: pl.Schema
    frames: dict[int, list[pl.DataFrame]] = field(default_factory=dict)
    epoch: int | None = None


class MemorySink(Sink):
    """Keep rows in this process; `.frame()` gives them.

    Delivery: exactly once while the process lives: a writer that is opened again knows what was
    published under its `key`. When the process ends, the rows are gone.
    """

    delivery: ClassVar[Delivery] = Delivery.EXACTLY_ONCE
    replaces: ClassVar[bool] = True
    primary: ClassVar[str | None] = "key"
    example: ClassVar[str] = "{type: memory}"
    stores: ClassVar[dict[str, Kept]] = {}

    key: str = Field(default_factory=lambda: f"memory-{next(_numbers)}")
    """The name under which the rows are kept; by default each sink has its own."""

    def open(self, job: Write) -> Writer:
        """Start keeping rows; a run of its own forgets those of the last."""
        if not job.durable or self.key not in self.stores:
            self.stores[self.key] = Kept(job.schema)
        return MemoryWriter(self.stores[self.key])

    def frame(self) -> pl.DataFrame:
        """All rows that were published, in the order of epochs."""
        kept = self.stores.get(self.key)
        if kept is None:
            return pl.DataFrame()
        frames = [frame for epoch in sorted(kept.frames) for frame in kept.frames[epoch]]
        return pl.concat(frames) if frames else pl.DataFrame(schema=kept.schema)

    def forget(self) -> None:
        """Drop what is kept."""
        self.stores.pop(self.key, None)


class MemoryWriter:
    """Collects the frames of an epoch, and keeps them when it is published."""

    def __init__(self, kept: Kept) -> None:
        self._kept = kept
        self._staged: list[pl.DataFrame] = []

    def begin(self, epoch: int) -> None:  # noqa: ARG002 - publish names it
        self._staged = []

    def write(self, rows: pl.DataFrame) -> None:
        self._staged.append(rows)

    def publish(self, epoch: int) -> None:
        if self._kept.epoch is None or epoch > self._kept.epoch:
            self._kept.frames[epoch], self._kept.epoch = self._staged, epoch
        self._staged = []

    def published(self) -> int | None:
        return self._kept.epoch

    def close(self) -> None:
        self._staged = []
