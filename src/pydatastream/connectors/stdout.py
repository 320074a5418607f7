"""Write rows to standard output."""

from __future__ import annotations

from typing import ClassVar

import polars as pl
from pydantic import SerializeAsAny

from pydatastream.core.errors import ConfigError
from pydatastream.core.format import Encoder, Format, StreamFormat
from pydatastream.core.sink import Delivery, Sink, Write, Writer
from pydatastream.parts.streams.standard_output import put


class StdoutSink(Sink):
    """Write rows to standard output, for another program to read.

    Delivery: at least once. Rows are written and flushed as they come, not held back until their
    epoch is published, so that a reader sees them at once: an epoch that is replayed after a
    crash writes its rows again. What a closed pipe had not yet read is lost. When the reader has
    gone (`pds run ... | head`), the run ends quietly.
    """

    delivery: ClassVar[Delivery] = Delivery.AT_LEAST_ONCE
    primary: ClassVar[str | None] = "format"
    example: ClassVar[str] = "{type: stdout, format: json}"

    format: SerializeAsAny[Format] | None = None
    """How rows are written, one record after the other; by default json."""

    def format_hint(self) -> str:
        """The name of the format where none is given."""
        return "json"

    def accepts(self, schema: pl.Schema) -> None:
        """Raise `SchemaError` if the format cannot write a column."""
        self._encoder(schema)

    def open(self, job: Write) -> Writer:
        """Start writing."""
        return StdoutWriter(self._encoder(job.schema), job.bounded)

    def _encoder(self, schema: pl.Schema) -> Encoder:
        if not isinstance(self.format, StreamFormat):
            found = self.format.type_name() if self.format else "none"
            hint = "format: json, or csv"
            raise ConfigError(f"stdout needs a format of records, found {found}", hint=hint)
        return self.format.encoder(schema)


class StdoutWriter:
    """Writes at once; what surrounds the records comes before the first and after the last."""

    def __init__(self, encoder: Encoder, bounded: bool) -> None:
        self._encoder, self._bounded = encoder, bounded
        self._started = self._ended = False

    def begin(self, epoch: int) -> None:
        """Nothing to prepare: an epoch cannot be taken back."""

    def write(self, rows: pl.DataFrame) -> None:
        self._put(self._encoder.encode(rows))

    def publish(self, epoch: int) -> None:  # noqa: ARG002 - all epochs are alike
        if self._bounded:
            self._end()

    def published(self) -> int | None:
        return None

    def close(self) -> None:
        """Closing is all the end that a stream without end has; a broken run gets none."""
        if not self._bounded and self._started:
            self._end()

    def _put(self, data: bytes) -> None:
        start = b"" if self._started else self._encoder.start()
        self._started = True
        if start or data:
            put(start + data)

    def _end(self) -> None:
        if not self._ended:
            self._ended = True
            self._put(self._encoder.end())
