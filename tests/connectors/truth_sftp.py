"""Files of an SFTP server, put and looked at in the server's own folder."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import polars as pl
from contract_json import JsonRows, read, written
from contract_truth import Fixture, SinkTruth, SourceTruth

from pydatastream.connectors.sftp import SftpSink, SftpSource
from pydatastream.core.component import Component
from pydatastream.formats.json import JsonFormat


class Folder(JsonRows):
    server = "sftp_server"

    def __init__(self, place: Path, fixture: Fixture) -> None:
        super().__init__(place, fixture)
        reach = fixture(self.server).environment()
        host_key = (fixture(self.server).folder / "host_key.pub").read_text()
        self.folder = fixture(self.server).root / self.name
        self.folder.mkdir()
        self.options: dict[str, Any] = {
            "host": reach["SFTP_HOST"],
            "port": int(reach["SFTP_PORT"]),
            "user": reach["SFTP_USER"],
            "key_file": reach["SFTP_KEY_FILE"],
            "host_key": " ".join(host_key.split()[:2]),
            "path": self.name,
            "format": JsonFormat(),
        }

    def wrong(self) -> dict[str, Component]:
        one = self.source() if isinstance(self, SourceTruth) else self.sink()
        host_key = str(Path(self.options["key_file"]).with_name("host_key"))
        found = {
            r"127\.0\.0\.1:1 ": {"port": 1},
            "refuses user": {"key_file": host_key},
            "no such file": {"path": "not-there/deeper"},
        }
        return {words: one.model_copy(update=given) for words, given in found.items()}


class Files(Folder, SourceTruth):
    def seed(self, rows: pl.DataFrame) -> pl.DataFrame:
        middle = rows.height // 2
        for number, part in enumerate([rows[:middle], rows[middle:]]):
            lines = b"".join(line + b"\n" for line in written(part))
            (self.folder / f"{number}.jsonl").write_bytes(lines)
            (self.folder / f"{number}.jsonl.done").touch()
        return rows

    def source(self) -> SftpSource:
        return SftpSource.model_validate({**self.options, "ready": "done", "max_record": 4 << 20})


class Parts(Folder, SinkTruth):
    def sink(self) -> SftpSink:
        return SftpSink.model_validate(self.options)

    def visible(self, schema: pl.Schema) -> pl.DataFrame:
        files = sorted(self.folder.glob("part-*"))
        return read([line for file in files for line in file.read_bytes().splitlines()], schema)

    def lose(self) -> None:
        shutil.rmtree(self.folder)


SOURCES = [Files]
SINKS = [Parts]
