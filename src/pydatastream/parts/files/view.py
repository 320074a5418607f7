"""What a directory of part files holds, or one file: its newest rows."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from pydatastream.core.format import FileFormat, StreamFormat
from pydatastream.parts.files.staging import Layout


@dataclass(slots=True)
class FileView:
    """The newest rows of a file output. A part never changes, so it is read once."""

    place: Path
    layout: Layout
    rows: int
    _read: dict[tuple[str, int, int], pl.DataFrame] = field(default_factory=dict)

    def latest(self) -> pl.DataFrame:
        """At most `rows`, oldest first; parts are taken in the order in which they were written."""
        kept, left = dict[tuple[str, int, int], pl.DataFrame](), self.rows
        for path, key in self._parts():
            kept[key] = self._read[key] if key in self._read else self._content(path)
            left -= kept[key].height
            if left <= 0:
                break
        self._read = kept
        found = [*reversed(kept.values()), pl.DataFrame(schema=self.layout.schema)]
        return pl.concat(found).tail(self.rows)

    def close(self) -> None:
        """Forget what was read."""
        self._read = {}

    def _parts(self) -> Iterator[tuple[Path, tuple[str, int, int]]]:
        """The parts that can be seen, newest first."""
        if self.place.is_file():
            paths = [self.place]
        else:
            ending = self.layout.format.extension + (".gz" if self.layout.gzip else "")
            paths = [one for one in self.place.glob(f"*.{ending}") if one.name[0] != "."]
        told = [(path, path.stat()) for path in paths]
        for path, stat in sorted(told, key=lambda one: (one[1].st_mtime_ns, one[0].name))[::-1]:
            yield path, (path.name, stat.st_mtime_ns, stat.st_size)

    def _content(self, path: Path) -> pl.DataFrame:
        form, schema = self.layout.format, self.layout.schema
        if isinstance(form, FileFormat):
            return pl.concat([pl.DataFrame(schema=schema), *form.groups(path, schema, 0)])
        assert isinstance(form, StreamFormat)  # noqa: S101 - there is no third kind
        raw = gzip.decompress(path.read_bytes()) if self.layout.gzip else path.read_bytes()
        size = form.header_size(raw)
        return form.decoder(schema, raw[:size]).decode(raw[size:]).rows
