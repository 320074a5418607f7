"""Records of a CSV file as entries of a stream: the whole record, and what is asked for by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from pydatastream.connectors.file import FileSource
from pydatastream.core.batch import Batch
from pydatastream.core.moments import moments
from pydatastream.core.source import Read
from pydatastream.core.times import Micros
from pydatastream.formats.csv import CsvFormat

CHUNK = 1_000
"""Records read at once."""
NAMES: Mapping[str, tuple[str, ...]] = {
    "timestamp": ("timestamp", "Timestamp", "time", "ts", "Start time"),
    "source_ip": ("source_ip", "src_ip", "Source IP", "Src IP", "sa", "id.orig_h"),
    "dest_ip": ("dest_ip", "dst_ip", "Destination IP", "Dst IP", "da", "id.resp_h"),
    "protocol": ("protocol", "Protocol", "proto", "pr"),
    "is_attack": ("is_attack", "label", "Label"),
}
"""What the fields of an entry are called in files of various origins."""
NUMBERS = ("source_port", "dest_port", "packets", "bytes")
"""Columns of whole numbers, whatever some bad record has there."""
SECONDS, MILLIS = 1e11, 1e14
"""A number below the first counts seconds since 1970, below the second milliseconds."""


def chunks(path: Path) -> Iterator[Batch]:
    """The records of a file, a thousand at once, and those that cannot be read."""
    source = FileSource(path=str(path), format=CsvFormat())
    schema = source.infer()
    numbers = {name: pl.Int64() for name in NUMBERS if name in schema}
    job = Read(pl.Schema({**schema, **numbers}), rows=CHUNK)
    for name in source.partitions():
        reader = source.open(name, job)
        try:
            yield from (batch for batch in reader if batch is not None)
        finally:
            reader.close()


def entries(rows: pl.DataFrame, now: datetime | None = None, shift: Micros = 0) -> pl.DataFrame:
    """What is sent: data (the record as JSON), timestamp, source_ip, dest_ip, protocol, is_attack.

    Times become ISO-8601 in UTC, later by `shift`, in the record too; where there is none, it is
    `now`.
    """
    found = {field: _named(rows, names) for field, names in NAMES.items()}
    moved = when(rows).dt.offset_by(f"{shift}us")
    none = (now or datetime.now(UTC)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    times = moved.dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ").fill_null(none).alias("timestamp")
    whole = rows.with_columns(times)
    lines = whole.write_ndjson().splitlines()
    others = [
        found[name].cast(pl.String).fill_null("0" if name == "is_attack" else "").alias(name)
        for name in ("source_ip", "dest_ip", "protocol", "is_attack")
    ]
    return pl.DataFrame([pl.Series("data", lines, dtype=pl.String), times, *others])


def _named(rows: pl.DataFrame, names: tuple[str, ...]) -> pl.Series:
    for name in names:
        if name in rows.columns:
            return rows[name].alias(names[0])
    return pl.Series(names[0], [None] * rows.height, dtype=pl.String)


def when(rows: pl.DataFrame) -> pl.Series:
    """The time of each record; null where there is none."""
    given = _named(rows, NAMES["timestamp"])
    if given.dtype == pl.String:
        numbers = given.cast(pl.Float64, strict=False)
        read = pl.DataFrame({"text": moments(given), "number": _counted(numbers)})
        return read.select(pl.coalesce("text", "number")).to_series()
    return _counted(given.cast(pl.Float64)) if given.dtype.is_numeric() else moments(given)


def _counted(numbers: pl.Series) -> pl.Series:
    """Event times from numbers, of whichever unit fits."""
    one = pl.col(numbers.name)
    micros = one * pl.when(one < SECONDS).then(1e6).when(one < MILLIS).then(1e3).otherwise(1.0)
    return moments(numbers.to_frame().select(micros).to_series(), "us")
