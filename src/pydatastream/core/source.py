"""Sources: where rows come from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol

import polars as pl
from pydantic import Field

from pydatastream.core.batch import Batch, Offset
from pydatastream.core.component import Component
from pydatastream.core.errors import SchemaError
from pydatastream.core.share import Share
from pydatastream.core.times import Duration
from pydatastream.core.types import Columns, type_of


@dataclass(frozen=True, slots=True)
class Read:
    """One job of reading: what, from where, up to where, in what portions."""

    schema: pl.Schema
    """The columns to read, as they stand at the source."""
    resume: Offset | None = None
    """Start just after this position; None: at the beginning."""
    until: Offset | None = None
    """End exactly at this position; None: at the end of the stream, if it has one."""
    rows: int = 1 << 20
    """At most so many rows in a batch."""
    bytes: int = 16 << 20
    """At most so many bytes in a batch, as far as the source can tell."""
    spooled: Sequence[Offset] = ()
    """For a source that cannot be read again: the ends of batches that a spool keeps. What comes
    again of these, because the server had not heard of it, must not be given twice."""


GONE = object()
"""The end of a partition that can never come back: what has its name later is another one."""


class Reader(Protocol):
    """One open partition; iterating is reading.

    Rules: a batch carries the position just after its last row; `None` means nothing has come
    yet (the engine will ask again, so wait at most a tenth of a second); the end of the
    iteration is the end of the stream; a generator that returns GONE says that nothing of it need
    be remembered. With `until`, the last batch ends exactly there and the
    same rows come again in the same order. Raise `RetryLater` for what may heal, `SourceGap`
    when the rows after `resume` are no longer there. `commit` says that everything before is
    durable: in a spool, or else in every sink. `close` may be called twice.
    """

    def __iter__(self) -> Iterator[Batch | None]: ...
    def commit(self, offset: Offset) -> None: ...
    def close(self) -> None: ...


class Source(Component):
    """Where rows come from; one or several partitions that are read on their own."""

    kind: ClassVar[str] = "source"

    replayable: ClassVar[bool]
    """Whether rows can be read again from an offset; if not, the engine keeps a spool."""

    headed: ClassVar[bool] = False
    """Whether a header can stand before its records, as in a file; messages have none."""

    columns: Columns | None = Field(None, alias="schema")
    """Columns and their types; without it they are inferred from a sample."""
    required: list[str] = Field(default_factory=list)
    """Columns that must not be missing or null: such a row becomes a dead letter."""
    time: str | None = None
    """The column of event time, or "processing" for the time of arrival."""
    time_unit: Literal["s", "ms", "us", "ns"] | None = None
    """The unit of a numeric time column."""
    max_skew: Duration | Literal["off"] = "1d"
    """A row further in the future than this becomes a dead letter."""
    idle_timeout: Duration = "10s"
    """A partition silent for so long no longer holds windows open."""
    after: str | None = None
    """A source, by its name, whose rows all come first: history, and then what is live."""

    @property
    def bounded(self) -> bool:
        """Whether the stream has an end."""
        return False

    @property
    def shared(self) -> bool:
        """Whether processes divide its partitions among them, and it keeps how far they are."""
        return False

    def declared(self) -> pl.Schema | None:
        """The schema that the description itself gives, without any I/O."""
        if self.columns is None:
            return None
        return pl.Schema({name: type_of(dtype) for name, dtype in self.columns.items()})

    def infer(self) -> pl.Schema:
        """The schema as it stands at the source, from a sample (I/O)."""
        raise SchemaError(f"{self.type_name()} needs a `schema:`: it has no sample to look at")

    def gauges(self) -> dict[str, float]:
        """What the system it reads from says of itself, such as length and lag (I/O)."""
        return {}

    def partitions(self) -> Sequence[str]:
        """The names of the partitions that exist now (I/O)."""
        raise NotImplementedError

    def share(self, let_go: Callable[[], None]) -> Share:
        """Join those who divide the partitions of a `shared` source (I/O)."""
        raise NotImplementedError

    def check_gone(self, gone: Mapping[str, Offset]) -> None:
        """Raise `SourceGap` if rows are missing of partitions that are no longer there.

        `gone` has how far each was read. No I/O; called once, when a run is resumed.
        """

    def open(self, partition: str, job: Read) -> Reader:
        """Start reading one partition."""
        raise NotImplementedError
