"""Letters that a source could not read, read again by the format that it has now."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import polars as pl
from pydantic import Field

from pydatastream.catalog import catalog
from pydatastream.core.batch import Batch, Offset
from pydatastream.core.errors import PdsError
from pydatastream.core.format import SAMPLE_BYTES, Decoded, Decoder, StreamFormat
from pydatastream.core.moments import moments
from pydatastream.core.plan import SourceNode
from pydatastream.core.source import Read, Reader, Source
from pydatastream.parts.files.listing import listing
from pydatastream.parts.files.tail import OpenFile


class Replayed(Source):
    """Rows that were dead letters, and those that are so still, by the partition they were of."""

    replayable: ClassVar[bool] = True

    parts: Any = Field(exclude=True)
    """A mapping of names to `Decoded`."""

    @property
    def bounded(self) -> bool:
        """Letters end."""
        return True

    def partitions(self) -> Sequence[str]:
        """Where the letters came from."""
        return list(self.parts)

    def open(self, partition: str, job: Read) -> Reader:
        """Start reading."""
        part = self.parts[partition]
        total = part.rows.height + part.dead.height
        over = total == (job.resume["at"] if job.resume else 0)
        return _Once([] if over else [Batch(part.rows, {"at": total}, part.dead)])


class _Once:
    """All rows in one batch."""

    def __init__(self, batches: list[Batch]) -> None:
        self._batches = batches

    def __iter__(self) -> Iterator[Batch | None]:
        return iter(self._batches)

    def commit(self, offset: Offset) -> None: ...

    def close(self) -> None: ...


def decoded(node: SourceNode, letters: pl.DataFrame) -> dict[str, Decoded]:
    """The rows of letters that a source gave, by partition, in the order of their event time."""
    found: dict[str, list[Decoded]] = {}
    for letter, group in letters.group_by("encoding", "position", maintain_order=True):
        encoding, partition = str(letter[0]), _partition(str(letter[1]))
        decoder = _decoder(node, encoding, partition)
        messages = [_bytes(payload, encoding) for payload in group["payload"]]
        found.setdefault(partition, []).append(decoder.decode_messages(messages))
    return {partition: _joined(node, parts) for partition, parts in found.items()}


def _joined(node: SourceNode, parts: list[Decoded]) -> Decoded:
    columns = node.reads.names()
    rows = pl.concat([one.rows.select(columns).cast(node.reads) for one in parts])
    time = node.source.time if node.source.time in columns else None
    dead = pl.concat([one.dead for one in parts])
    return Decoded(sorted_in_time(rows, time, node.source.time_unit), dead)


def _partition(position: str) -> str:
    return str(json.loads(position).get("partition"))


def sorted_in_time(rows: pl.DataFrame, column: str | None, unit: str | None = None) -> pl.DataFrame:
    """The rows by event time, so that none comes late."""
    if column is None:
        return rows
    return rows[moments(rows[column], unit).arg_sort()]


def _bytes(payload: str, encoding: str) -> bytes:
    return base64.b64decode(payload) if encoding == "base64" else payload.encode()


def _decoder(node: SourceNode, encoding: str, partition: str) -> Decoder:
    form = getattr(node.source, "format", None)
    if encoding == "row" or not isinstance(form, StreamFormat):
        json_form: StreamFormat = catalog().find("format", "json")()  # type: ignore[assignment]
        return json_form.decoder(node.reads)
    header = _header(node.source, form, partition)
    return form.decoder(node.reads if header else _all(node), header)


def _header(source: Source, form: StreamFormat, partition: str) -> bytes:
    """What stands before the first record of the file that a letter came from, if it is there."""
    if not isinstance(source, catalog().find("source", "file")):
        return b""
    try:
        file = OpenFile(listing(source.path), partition, source.compression, grows=False)  # type: ignore[attr-defined]
    except (PdsError, OSError):
        return b""
    try:
        start = file.read(0, SAMPLE_BYTES)
    finally:
        file.close()
    return start[: form.header_size(start)]


def _all(node: SourceNode) -> pl.Schema:
    """Every column of the source: without a header, records are told apart by them."""
    try:
        return node.source.declared() or node.source.infer()
    except PdsError:
        return node.reads
