"""Files, written and read by the standard library and by Arrow's own."""

from __future__ import annotations

import shutil

import polars as pl
import pyarrow.parquet as pq
from contract_json import JsonRows, read, written
from contract_truth import SinkTruth, SourceTruth

from pydatastream.connectors.file import FileSource
from pydatastream.connectors.file_sink import FileSink
from pydatastream.core.format import Format
from pydatastream.formats.json import JsonFormat
from pydatastream.formats.parquet import ParquetFormat


class Json(JsonRows, SourceTruth):
    """Two files of JSON lines."""

    def seed(self, rows: pl.DataFrame) -> pl.DataFrame:
        folder = self.place / "in"
        folder.mkdir()
        middle = rows.height // 2
        for number, part in enumerate([rows[:middle], rows[middle:]]):
            lines = b"".join(line + b"\n" for line in written(part))
            (folder / f"{number}.jsonl").write_bytes(lines)
        return rows

    def source(self) -> FileSource:
        path = str(self.place / "in")
        return FileSource(path=path, format=self.form(), max_record=4 << 20)

    def form(self) -> Format:
        return JsonFormat()


class Parquet(Json):
    """Two Parquet files."""

    def carries(self, dtype: pl.DataType) -> bool:
        return True

    def seed(self, rows: pl.DataFrame) -> pl.DataFrame:
        folder = self.place / "in"
        folder.mkdir()
        middle = rows.height // 2
        for number, part in enumerate([rows[:middle], rows[middle:]]):
            pq.write_table(part.to_arrow(), folder / f"{number}.parquet", row_group_size=7)
        return rows

    def form(self) -> Format:
        return ParquetFormat()


class JsonParts(JsonRows, SinkTruth):
    """A directory of JSON lines."""

    def sink(self) -> FileSink:
        return FileSink(path=f"{self.place}/out/", format=JsonFormat())

    def visible(self, schema: pl.Schema) -> pl.DataFrame:
        files = sorted(self.place.glob("out/part-*"))
        lines = [line for file in files for line in file.read_bytes().splitlines()]
        return read(lines, schema)

    def lose(self) -> None:
        shutil.rmtree(self.place / "out")


class ParquetParts(JsonParts):
    """A directory of Parquet files."""

    def sink(self) -> FileSink:
        return FileSink(path=f"{self.place}/out/", format=ParquetFormat())

    def carries(self, dtype: pl.DataType) -> bool:
        return True

    def visible(self, schema: pl.Schema) -> pl.DataFrame:
        files = sorted(self.place.glob("out/part-*"))
        frames = [pl.DataFrame(pq.ParquetFile(file).read()).cast(dict(schema)) for file in files]
        return pl.concat([pl.DataFrame(schema=schema), *frames])


SOURCES = [Json, Parquet]
SINKS = [JsonParts, ParquetParts]
