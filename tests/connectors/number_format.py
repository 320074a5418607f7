"""A format of plain numbers with a head and an end, for tests of what writes files."""

from __future__ import annotations

from typing import ClassVar

import polars as pl

from pydatastream.core.format import StreamFormat


class NumberEncoder:
    def start(self) -> bytes:
        return b"<\n"

    def encode(self, rows: pl.DataFrame) -> bytes:
        return "".join(f"{one}\n" for one in rows["id"]).encode()

    def end(self) -> bytes:
        return b">\n"

    def encode_messages(self, rows: pl.DataFrame) -> list[bytes]:
        return [b"%d" % one for one in rows["id"]]


class NumbersFormat(StreamFormat):
    extension: ClassVar[str] = "txt"

    def encoder(self, schema: pl.Schema) -> NumberEncoder:
        return NumberEncoder()
