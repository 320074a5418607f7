"""Avro: messages of one record each, and files of blocks of records."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cached_property, partial
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, Literal

import polars as pl
from pydantic import Field, SecretStr, model_validator

from pydatastream.core.errors import ConfigError, RowError, SchemaError
from pydatastream.core.format import (
    Decoder,
    Encoder,
    FileEncoder,
    FileFormat,
    StreamFormat,
)
from pydatastream.parts.avro.blocks import AvroFile
from pydatastream.parts.avro.records import FAULTS, AvroDecoder
from pydatastream.parts.avro.registry import MAGIC, Registry, framed
from pydatastream.parts.avro.types import columns_of, record_of
from pydatastream.parts.avro.values import inward, library, outward, records_of
from pydatastream.parts.decoding.damage import reading
from pydatastream.parts.files.gathering import fitted

BLOCK_BYTES = 16 << 20
"""A block that is written ends at so many bytes, however few its rows."""


class AvroFormat(StreamFormat, FileFormat):
    """Read and write Avro: one record per message, or files of blocks of records.

    The schema of messages is that in `schema_file`, or in the Confluent schema registry that
    `registry` names, or else made of the columns, each nullable. With `registry`, a message
    begins with the byte 0 and the number of its schema: any other beginning, and a number that
    the registry does not know, makes a dead letter. Files say themselves which schema they have.
    Unions other than with null, maps and recursive types are refused.

    It is slow, as each record is handled by Python: 0.16 million rows are read, and 0.18 written,
    per second and core (three columns, measured); prefer parquet for files.
    """

    extension: ClassVar[str] = "avro"
    resync: ClassVar[bytes | None] = None
    example: ClassVar[str] = "{type: avro, compression: deflate}"

    schema_file: str | None = None
    """A file with the schema of the messages, .avsc."""
    registry: str | None = Field(None, pattern="^https?://")
    """The address of a Confluent schema registry."""
    subject: str | None = None
    """The subject in the registry whose newest schema is written: "readings-value"."""
    registry_token: SecretStr | None = None
    """Sent to the registry as `Authorization: Bearer <token>`."""
    compression: Literal["null", "deflate"] = "deflate"
    """How the blocks of a file are packed."""

    block_rows: int = Field(4096, gt=0)
    """The most rows in a block of a file that is written."""
    max_block_bytes: int = Field(256 << 20, gt=0)
    """A block of a file that unpacks to more bytes is not read."""

    @model_validator(mode="after")
    def _one_schema(self) -> AvroFormat:
        if self.schema_file and self.registry:
            raise ValueError("either `schema_file` or `registry`")
        if self.subject and not self.registry:
            raise ValueError("`subject` needs a `registry`")
        return self

    def infer(self, sample: bytes) -> pl.Schema:
        """The columns that the schema names; of a framed message, those of its own."""
        if self.schema_file:
            return columns_of(self.declared_schema)
        if self.registry and self.subject:
            return columns_of(self.newest[1])
        if self.registry and sample:
            return columns_of(self.schemas.schema(framed(sample)[0]))
        raise SchemaError("avro messages do not name their columns", hint="schema_file: x.avsc")

    def decoder(self, schema: pl.Schema, header: bytes = b"") -> Decoder:  # noqa: ARG002 - has none
        """A decoder; `SchemaError` for columns that Avro cannot hold."""
        if not (self.schema_file or self.registry):
            record_of(schema)
        return AvroDecoder(schema, partial(self._of, schema), numbered=self.registry is not None)

    def _of(self, schema: pl.Schema, number: int | None) -> Any:
        return self.written(schema)[1] if number is None else self.schemas.schema(number)

    def encoder(self, schema: pl.Schema) -> Encoder:
        """An encoder; `SchemaError` for columns that Avro cannot hold."""
        if self.registry and not self.subject:
            raise SchemaError("which schema is written?", hint="subject: readings-value")
        return AvroEncoder(self, schema)

    def infer_file(self, path: Path) -> pl.Schema:
        """The columns of a file; `ConfigError` if it is damaged."""
        with reading("the file", path, ConfigError):
            return columns_of(AvroFile.of(path).schema)

    def groups(self, path: Path, schema: pl.Schema, first: int) -> Iterator[pl.DataFrame]:
        """The blocks from number `first` on; `RowError` for one that is damaged."""
        with reading("the file", path, RowError):
            file = AvroFile.of(path)
            found = columns_of(file.schema)
        columns = fitted(schema, found)
        for number in range(first, len(file.blocks)):
            with reading(f"block {number}", path, RowError):
                rows = self._block(file, number, found).select(columns)
            yield rows

    def _block(self, file: AvroFile, number: int, found: pl.Schema) -> pl.DataFrame:
        data = file.read(number, self.max_block_bytes)
        records = records_of(data, file.schema, file.blocks[number].rows)
        return inward(records, found)

    def write_file(self, target: BinaryIO, schema: pl.Schema) -> FileEncoder:
        """An encoder that writes one file."""
        return AvroFileEncoder(self, target, schema)

    @cached_property
    def declared_schema(self) -> Any:
        """What is in `schema_file`; `ConfigError` if it cannot be read."""
        path = Path(self.schema_file or "").expanduser()
        try:
            return json.loads(path.read_bytes())
        except (OSError, ValueError) as error:
            raise ConfigError(f"schema_file: {error}", where=str(path)) from None

    @cached_property
    def schemas(self) -> Registry:
        """The registry."""
        token = self.registry_token
        told = {"Authorization": f"Bearer {token.get_secret_value()}"} if token else {}
        return Registry(self.registry or "", told)

    @cached_property
    def newest(self) -> tuple[int, Any]:
        """Number and schema of what is written."""
        try:
            return self.schemas.latest(self.subject or "")
        except LookupError:
            what = f"the registry has no subject {self.subject!r}"
            raise ConfigError(what, hint="check `subject`, or register its schema") from None

    def written(self, schema: pl.Schema) -> tuple[bytes, Any]:
        """What stands before a record that is written, and its schema."""
        if self.registry:
            number, found = self.newest
            return MAGIC + number.to_bytes(4, "big"), found
        return b"", self.declared_schema if self.schema_file else record_of(schema)


class AvroEncoder:
    """Writes records one by one."""

    def __init__(self, options: AvroFormat, schema: pl.Schema) -> None:
        if not (options.schema_file or options.registry):
            record_of(schema)
        self._options, self._schema = options, schema

    @cached_property
    def _known(self) -> tuple[bytes, Any]:
        before, found = self._options.written(self._schema)
        return before, library("schema").parse_schema(found)

    def start(self) -> bytes:
        return b""

    def end(self) -> bytes:
        return b""

    def encode(self, rows: pl.DataFrame) -> bytes:
        return b"".join(self.encode_messages(rows))

    def encode_messages(self, rows: pl.DataFrame) -> list[bytes]:
        (before, schema), write = self._known, library("write").schemaless_writer
        messages: list[bytes] = []
        for number, row in enumerate(outward(rows).iter_rows(named=True)):
            target = BytesIO()
            target.write(before)
            try:
                write(target, schema, row)
            except FAULTS as error:
                raise RowError(
                    f"the row does not fit the schema: {error}", rows=[number]
                ) from error
            messages.append(target.getvalue())
        return messages


class AvroFileEncoder:
    """Writes a file block by block."""

    def __init__(self, options: AvroFormat, target: BinaryIO, schema: pl.Schema) -> None:
        found = options.declared_schema if options.schema_file else record_of(schema)
        writer = library("write").Writer
        self._writer = writer(target, found, options.compression, sync_interval=BLOCK_BYTES)
        self._most, self._rows = options.block_rows, 0

    def write(self, rows: pl.DataFrame) -> None:
        for row in outward(rows).iter_rows(named=True):
            self._writer.write(row)
            self._rows += 1
            if self._rows % self._most == 0:
                self._writer.flush()

    def close(self) -> None:
        self._writer.flush()
