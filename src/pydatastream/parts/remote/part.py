"""One hidden file of a remote place, at work."""

from __future__ import annotations

from contextlib import suppress
from typing import BinaryIO, cast

import polars as pl

from pydatastream.core.errors import PdsError
from pydatastream.core.faults import fault_point
from pydatastream.parts.files.staging import Layout, packed
from pydatastream.parts.remote.depot import Depot, Staged


class RemotePart:
    """Rows on their way into one file."""

    def __init__(self, depot: Depot, name: str, layout: Layout, token: str) -> None:
        self.rows, self._layout = 0, layout
        self._upload = depot.create(name, token)
        target = cast("BinaryIO", self._upload)
        self._packed = packed(target) if layout.gzip else None
        self._encoder = layout.encoder(self._packed or target)

    def write(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Append rows; what is left of them when the part has its most."""
        most = self._layout.roll_rows
        taken = rows if most is None else rows.head(most - self.rows)
        self._encoder.write(taken)
        self.rows += taken.height
        fault_point("remote.written")
        return rows.slice(taken.height)

    def full(self) -> bool:
        """Whether the next rows belong in another file."""
        most, size = self._layout.roll_rows, self._layout.roll_bytes
        return self.rows == most or (size is not None and self._upload.size >= size)

    def settle(self) -> Staged:
        """Complete the file; all of it is at the server then."""
        self._encoder.close()
        if self._packed:
            self._packed.close()
        return self._upload.settle()

    def abandon(self) -> None:
        """Remove what there is of it, if the server can be reached."""
        with suppress(PdsError):
            self._upload.abandon()
