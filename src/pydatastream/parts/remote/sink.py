"""What sinks of remote files have in common: their options."""

from __future__ import annotations

from typing import ClassVar, Literal

import polars as pl
from pydantic import Field

from pydatastream.core.errors import ConfigError
from pydatastream.core.format import FileFormat, StreamFormat
from pydatastream.core.sink import Sink
from pydatastream.core.types import need
from pydatastream.parts.files.naming import NamePattern, Names
from pydatastream.parts.files.staging import Layout
from pydatastream.parts.remote.format import Formatted


class RemoteSink(Formatted, Sink):
    """Writes part files of each epoch to a remote place."""

    remote: ClassVar[bool] = True
    replaces: ClassVar[bool] = True

    compression: Literal["gzip"] | None = None
    """Compress the files; parquet does so by itself."""
    roll_rows: int | None = Field(None, gt=0)
    """The most rows in one part; more start the next part of the epoch."""
    roll_bytes: int | None = Field(None, gt=0)
    """Once a part has so many bytes, further rows start the next one."""
    names: NamePattern | None = None
    """What parts are called, by the columns of their first row: `cdr_{ts:%Y%m%d_%H%M%S}`."""

    def format_hint(self) -> str:
        """The format where none is given."""
        return "json"

    def accepts(self, schema: pl.Schema) -> None:
        """Raise `SchemaError` if the format cannot write a column, or a name needs another."""
        need(schema, *Names(self.names).columns)
        if isinstance(self.format, StreamFormat):
            self.format.encoder(schema)

    def layout(self, schema: pl.Schema) -> Layout:
        """How rows become files."""
        form = self.form()
        if self.compression and isinstance(form, FileFormat):
            what = f"{form.type_name()} compresses by itself"
            raise ConfigError(what, hint="leave out `compression`")
        packed, names = self.compression == "gzip", Names(self.names)
        return Layout(form, schema, packed, self.roll_rows, self.roll_bytes, names)
