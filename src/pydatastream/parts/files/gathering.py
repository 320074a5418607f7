"""Rows of one whole file, gathered until it is closed: on disk once they outgrow memory."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl

from pydatastream.core.errors import SchemaError, nearest

IN_MEMORY = 64 << 20
"""Bytes of rows that are held before they are laid down."""

GROUP_BYTES = 64 << 20
"""Bytes that a group of rows in a file has at most, about; unpacked."""


class Gathered:
    """Rows that are written portion by portion, and read back in one pass."""

    def __init__(self, schema: pl.Schema) -> None:
        self._frames = [pl.DataFrame(schema=schema)]
        self._held = self._bytes = self._rows = 0
        self._files: list[Path] = []
        self._directory: TemporaryDirectory[str] | None = None

    def add(self, rows: pl.DataFrame) -> None:
        """Append rows."""
        self._frames.append(rows)
        size = int(rows.estimated_size())
        self._held, self._bytes = self._held + size, self._bytes + size
        self._rows += rows.height
        if self._held > IN_MEMORY:
            self._lay_down()

    def all(self) -> pl.LazyFrame:
        """All rows in their order."""
        laid = [pl.scan_ipc(path, glob=False) for path in self._files]
        return pl.concat([*laid, *(one.lazy() for one in self._frames)])

    def group_rows(self, most: int) -> int:
        """How many rows a group of the file has: `most`, or fewer of large ones."""
        return max(1, min(most, GROUP_BYTES * self._rows // max(self._bytes, 1)))

    def forget(self) -> None:
        """Remove what was laid down."""
        if self._directory:
            self._directory.cleanup()
        self._directory = None

    def _lay_down(self) -> None:
        self._directory = self._directory or TemporaryDirectory(prefix="pds-")
        path = Path(self._directory.name) / f"{len(self._files)}.arrow"
        pl.concat(self._frames).write_ipc(path)
        self._files.append(path)
        self._frames, self._held = [self._frames[0].clear()], 0


def fitted(schema: pl.Schema, found: pl.Schema) -> list[pl.Expr]:
    """The columns of `schema` from a file with the columns `found`; `SchemaError` for others."""
    for name in schema:
        if name not in found:
            raise SchemaError(f"the file has no column {name!r}", hint=nearest(name, found))
    return [pl.col(name).cast(dtype) for name, dtype in schema.items()]


def plain(schema: pl.Schema) -> pl.Schema:
    """A schema as steps know it: categories are strings.

    >>> dict(plain(pl.Schema({"a": pl.Categorical()})))
    {'a': String}
    """
    return pl.Schema({name: _plain(dtype) for name, dtype in schema.items()})


def _plain(dtype: pl.DataType) -> pl.DataType:
    return pl.String() if isinstance(dtype, (pl.Categorical, pl.Enum, pl.Null)) else dtype
