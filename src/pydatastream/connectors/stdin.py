"""Read rows from standard input."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from functools import cache
from typing import ClassVar, TextIO

import polars as pl
from pydantic import Field, SerializeAsAny

from pydatastream.core.batch import Batch, Offset
from pydatastream.core.errors import ConfigError
from pydatastream.core.format import MAX_RECORD, SAMPLE_BYTES, Format, StreamFormat
from pydatastream.core.source import Read, Reader, Source
from pydatastream.parts.files.records import Limits, Records
from pydatastream.parts.streams.pipe import Pipe


@cache
def _pipe(stream: TextIO) -> Pipe:
    """The bytes of standard input: one for the sample and for the rows."""
    try:
        return Pipe(stream.fileno())
    except (OSError, ValueError):
        raise ConfigError(
            "there is no standard input", hint="pds run pipeline.yaml < file"
        ) from None


class StdinSource(Source):
    """Read rows from standard input, as they come, until it ends.

    Without a `schema:` it is inferred from what has come by then, which waits for the first
    record.

    Delivery: not replayable. An offset counts the bytes read by this process; with a checkpoint
    the engine keeps what it has read in a spool until it is published. What was in the pipe
    when the process died is lost.
    """

    replayable: ClassVar[bool] = False
    headed: ClassVar[bool] = True
    primary: ClassVar[str | None] = "format"
    example: ClassVar[str] = "{type: stdin, format: json, time: ts}"

    format: SerializeAsAny[Format] | None = None
    """How rows are written in it."""
    max_record: int = Field(MAX_RECORD, gt=0)
    """The longest record in bytes; a longer one becomes a dead letter."""

    @property
    def bounded(self) -> bool:
        """It ends when its writer does."""
        return True

    def infer(self) -> pl.Schema:
        """The schema of what has come by now, at least one record; the rows stay to be read."""
        form, pipe = self._format(), _pipe(sys.stdin)
        end = form.separator or form.resync or b""
        while end not in (sample := pipe.read(pipe.at, SAMPLE_BYTES)):
            if pipe.ended or len(sample) == SAMPLE_BYTES:
                break
        whole = sample.rfind(end) + 1 if end and not pipe.ended else 0
        return form.infer(sample[: whole or len(sample)])

    def partitions(self) -> Sequence[str]:
        """There is one."""
        return ["stdin"]

    def open(self, partition: str, job: Read) -> Reader:  # noqa: ARG002 - there is but one
        """Start reading."""
        limits = Limits(job.rows, job.bytes, self.max_record)
        return StdinReader(_pipe(sys.stdin), self._format(), job, limits)

    def _format(self) -> StreamFormat:
        if isinstance(self.format, StreamFormat):
            return self.format
        raise ConfigError(
            "standard input needs the format of a stream", hint="format: json, csv, text or binary"
        )


class StdinReader:
    """Reads what comes through the pipe."""

    def __init__(self, pipe: Pipe, form: StreamFormat, job: Read, limits: Limits) -> None:
        self._pipe, self._format, self._job, self._limits = pipe, form, job, limits
        self._before: int = job.resume["at"] if job.resume else 0

    def __iter__(self) -> Iterator[Batch | None]:
        begin = self._pipe.at
        while not self._has_header(start := self._pipe.read(begin, self._limits.record)):
            yield None
        size = self._format.header_size(start)
        decoder = self._format.decoder(self._job.schema, start[:size])
        records = Records(self._pipe, decoder, self._format, self._job.schema, self._limits)
        for portion in records.portions(begin + size, None, lambda: True):
            if portion is None:
                yield None
            else:
                decoded, at = portion
                yield Batch(decoded.rows, {"at": self._before + at - begin}, decoded.dead)

    def commit(self, offset: Offset) -> None:
        """Nothing to tell: a pipe forgets what was read."""

    def close(self) -> None:
        """Standard input stays open: it is not ours."""

    def _has_header(self, start: bytes) -> bool:
        end = self._format.resync
        whole = end is None or end in start or len(start) == self._limits.record
        return whole or self._pipe.ended
