"""Formats turn bytes into rows and rows into bytes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, ClassVar, Protocol

import polars as pl

from pydatastream.core.batch import no_dead
from pydatastream.core.component import Component

SAMPLE_BYTES = 1 << 20
"""How much of a stream is looked at to infer a schema."""

MAX_RECORD = 1 << 20
"""The longest record that is read, in bytes; a longer one becomes a dead letter."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """Rows that could be read, and what could not be, with the reason."""

    rows: pl.DataFrame
    dead: pl.DataFrame = field(default_factory=no_dead)


class Decoder(Protocol):
    """Reads one stream of records: it may remember a header, nothing else.

    Rules: `cut` finds the position just after the last whole record in the buffer, 0 if there
    is none; `decode` gets whole records only, except at the end of a stream, where the last one
    may lack its terminator. A record that cannot be read becomes a dead letter, never an
    exception. The result does not depend on how a stream was cut into calls.
    """

    def cut(self, buffer: bytes) -> int: ...
    def decode(self, records: bytes) -> Decoded: ...
    def decode_messages(self, messages: Sequence[bytes]) -> Decoded: ...


class Encoder(Protocol):
    """Writes rows as bytes; `start` and `end` surround a file."""

    def start(self) -> bytes: ...
    def encode(self, rows: pl.DataFrame) -> bytes: ...
    def end(self) -> bytes: ...
    def encode_messages(self, rows: pl.DataFrame) -> list[bytes]: ...


class Format(Component):
    """A way to write rows as bytes."""

    kind: ClassVar[str] = "format"
    extension: ClassVar[str]
    """The ending of a file in this format, without the dot."""


class StreamFormat(Format):
    """A format of records one after the other: it can be tailed, and sent as messages."""

    separator: ClassVar[bytes | None] = None
    """The one byte that ends every record and stands nowhere within one, if there is such:
    then readers look for it themselves, which is faster than `cut`."""
    resync: ClassVar[bytes | None] = b"\n"
    """The byte after which reading goes on when a record never ends; None: nowhere."""

    def by_position(self, *, headed: bool) -> bool:  # noqa: ARG002 - for formats with a header
        """Whether columns are told by their place: then all of them must be asked for.

        `headed` says whether a header can stand before the records.
        """
        return False

    def infer(self, sample: bytes) -> pl.Schema:
        """The schema of the start of a stream: whole records, and the header before them."""
        raise NotImplementedError

    def decoder(self, schema: pl.Schema, header: bytes = b"") -> Decoder:
        """A decoder of the columns in `schema`; `header` is what `header_size` counts."""
        raise NotImplementedError

    def encoder(self, schema: pl.Schema) -> Encoder:
        """An encoder of rows with this schema."""
        raise NotImplementedError

    def header_size(self, start: bytes) -> int:  # noqa: ARG002 - without a header there is none
        """How many bytes at the start of a file are no records.

        `start` holds the whole header, or the whole file.
        """
        return 0


class FileFormat(Format):
    """A format of whole files, read in groups of rows."""

    def infer_file(self, path: Path) -> pl.Schema:
        """The schema of a file; raises `ConfigError` for one that is damaged."""
        raise NotImplementedError

    def groups(self, path: Path, schema: pl.Schema, first: int) -> Iterator[pl.DataFrame]:
        """The groups of rows from number `first` on; raises `RowError` for a damaged file."""
        raise NotImplementedError

    def write_file(self, target: BinaryIO, schema: pl.Schema) -> FileEncoder:
        """An encoder that writes one whole file."""
        raise NotImplementedError


class FileEncoder(Protocol):
    """Writes one file, group by group."""

    def write(self, rows: pl.DataFrame) -> None: ...
    def close(self) -> None: ...
