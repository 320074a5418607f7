"""Make rows from expressions."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import ClassVar

import polars as pl
from pydantic import Field, field_validator

from pydatastream.core.batch import Batch, Offset
from pydatastream.core.errors import ConfigError
from pydatastream.core.source import Read, Reader, Source
from pydatastream.core.times import EVENT_TIME, Duration, Micros, micros, utc
from pydatastream.parts.sql.expressions import Sql, Typed, expression
from pydatastream.parts.streams.randomness import normal, uniform

TICK = 0.002
"""Seconds between two portions at a given rate: rows wait half of it on average."""

PORTION = 1 << 16
"""At most so many rows at once: their columns fit a processor's cache."""

AHEAD = 0.1
"""Seconds of rows that are made at once at a given rate; giving them is then cheap."""

PATIENCE = 0.1
"""The longest wait for a row that is not due, in seconds."""

EPOCH = "2020-01-01T00:00:00Z"
"""Where `t` starts when nothing else is said and rows come as fast as possible."""

BASE: dict[str, pl.DataType] = {
    "i": pl.Int64(),
    "t": EVENT_TIME,
    "u": pl.Float64(),
    "g": pl.Float64(),
}
"""What expressions may read, beside the columns before theirs."""


class GenerateSource(Source):
    """Make rows from one SQL expression per column.

    Expressions may read `i`, the number of the row from 0; `t`, the time `start` + i * `step`;
    `u`, uniform in [0, 1), and `g`, standard normal, both with values of their own in each
    column; and the columns before theirs. A row depends on `seed` and its number alone.

    Delivery: replayable. An offset is the number of rows before it, and the time of row 0.
    """

    replayable: ClassVar[bool] = True
    primary: ClassVar[str | None] = "columns"
    example: ClassVar[str] = (
        "{type: generate, count: 1000, time: ts, columns: {device_id: \"concat('d', i % 10)\", "
        'ts: t, temperature: "20 + 5 * g"}}'
    )

    columns: dict[str, Sql] = Field(min_length=1)  # type: ignore[assignment]
    """An expression for each column: {device: "concat('d', i % 10)", ts: t, value: 20 + g}."""
    seed: int = 0
    """Another seed gives other random numbers."""
    rate: float | None = Field(None, gt=0)
    """Rows per second; by default as fast as they are taken."""
    count: int | None = Field(None, ge=0)
    """How many rows there are; by default they never end."""
    start: str | None = None
    """The time `t` of row 0: ISO-8601, or "now"; by default now if there is a rate, else 2020."""
    step: Duration | None = None
    """The time from one row's `t` to the next; by default 1 / rate, or 1s without a rate."""

    @field_validator("start")
    @classmethod
    def _is_time(cls, start: str | None) -> str | None:
        if start not in (None, "now"):
            datetime.fromisoformat(start)
        return start

    @property
    def bounded(self) -> bool:
        """Whether the rows end."""
        return self.count is not None

    def declared(self) -> pl.Schema:
        """What the expressions give."""
        schema = {name: typed.dtype for name, typed in self._typed().items()}
        return pl.Schema(schema)

    def infer(self) -> pl.Schema:
        """What the expressions give."""
        return self.declared()

    def partitions(self) -> Sequence[str]:
        """There is one."""
        return ["rows"]

    def open(self, partition: str, job: Read) -> Reader:  # noqa: ARG002 - there is but one
        """Start making rows."""
        return GenerateReader(self, self._typed(), job)

    def origin(self) -> Micros:
        """The time of row 0, in microseconds."""
        start = self.start or ("now" if self.rate else EPOCH)
        if start == "now":
            return time.time_ns() // 1000
        moment = datetime.fromisoformat(start)
        return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1e6)

    def spacing(self) -> float:
        """The time between two rows, in microseconds."""
        return micros(self.step) if self.step else 1e6 / (self.rate or 1.0)

    def _typed(self) -> Mapping[str, Typed]:
        schema: dict[str, pl.DataType] = dict(BASE)
        found: dict[str, Typed] = {}
        for name, text in self.columns.items():
            if name in BASE:
                raise ConfigError(f"a column cannot be named {name!r}: expressions read it")
            found[name] = expression(text, pl.Schema(schema))
            schema[name] = found[name].dtype
        return found


class GenerateReader:
    """Makes the rows from one number to another: in blocks ahead of time, given when due."""

    def __init__(self, source: GenerateSource, typed: Mapping[str, Typed], job: Read) -> None:
        known = job.resume or job.until
        self._source, self._typed, self._job = source, typed, job
        self._origin: Micros = known["start"] if known else source.origin()
        self._at: int = job.resume["i"] if job.resume else 0
        self._end: int | None = job.until["i"] if job.until else source.count
        self._rate = None if job.until else source.rate
        self._block, self._first = pl.DataFrame(), self._at
        ahead = PORTION if self._rate is None else int(self._rate * AHEAD) + 1
        self._size = min(ahead, PORTION)

    def __iter__(self) -> Iterator[Batch | None]:
        began, first = time.monotonic(), self._at
        while self._end is None or self._at < self._end:
            if self._rate is None:
                yield self._batch(self._at + self._job.rows)
                continue
            due = first + int((time.monotonic() - began) * self._rate)
            yield self._batch(due) if due > self._at else None
            following = began + (self._at + 1 - first) / self._rate - time.monotonic()
            time.sleep(min(max(following, TICK), PATIENCE))

    def commit(self, offset: Offset) -> None:
        """Nothing to do: rows can be made again."""

    def close(self) -> None:
        """Nothing is open."""

    def _batch(self, due: int) -> Batch:
        if self._at >= self._first + self._block.height:
            self._block, self._first = self._made(), self._at
        ends = (due, self._at + self._job.rows, self._first + self._block.height)
        end = min(ends if self._end is None else (*ends, self._end))
        rows = self._block.slice(self._at - self._first, end - self._at)
        self._at = end
        return Batch(rows, {"i": end, "start": self._origin})

    def _made(self) -> pl.DataFrame:
        """The next block of rows, each column from the base and those before it."""
        end = self._at + self._size if self._end is None else min(self._at + self._size, self._end)
        number = pl.int_range(self._at, end, dtype=pl.Int64, eager=True).alias("i")
        moment = utc(self._origin) + pl.duration(microseconds=self._passed())
        rows = pl.LazyFrame({"i": number}).with_columns(t=moment.cast(EVENT_TIME))
        for name, typed in self._typed.items():
            drawn = self._drawn(name, typed)
            rows = rows.with_columns(drawn) if drawn else rows
            rows = rows.with_columns(typed.expr.cast(typed.dtype).alias(name))
        wanted = [pl.col(name).cast(dtype) for name, dtype in self._job.schema.items()]
        return rows.select(wanted).collect()

    def _passed(self) -> pl.Expr:
        return (pl.col("i") * self._source.spacing()).round().cast(pl.Int64)

    def _drawn(self, name: str, typed: Typed) -> list[pl.Expr]:
        row, seed = pl.col("i").cast(pl.UInt64), self._source.seed
        drawn = {"u": uniform(row, seed, name), "g": normal(row, seed, name, "normal")}
        return [drawn[one].alias(one) for one in drawn if one in typed.columns]
