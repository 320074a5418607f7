"""Read rows from files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import polars as pl
from pydantic import Field, SerializeAsAny

from pydatastream.core.batch import Offset
from pydatastream.core.errors import ConfigError
from pydatastream.core.format import MAX_RECORD, SAMPLE_BYTES, FileFormat, Format, StreamFormat
from pydatastream.core.source import Read, Reader, Source
from pydatastream.parts.files.compressed import Compression
from pydatastream.parts.files.listing import Listing, format_of, listing
from pydatastream.parts.files.position import refuse_gaps
from pydatastream.parts.files.reading_groups import GroupReader
from pydatastream.parts.files.reading_records import RecordReader
from pydatastream.parts.files.tail import OpenFile, Tail, tails


class FileSource(Source):
    """Read rows from a file, the files of a directory, or those that match a glob.

    Each file is a partition, named by its path below the root: the directory, or the part of
    the path before the first wildcard. Names that begin with a dot are left out, and in a
    directory those that begin with an underscore. Only regular files inside the root are read.

    Delivery: replayable. An offset holds which file it is (inode and a hash of its first KiB)
    and a position at the end of a record; a compressed file is unpacked up to there again.
    A file that was replaced, shortened, or removed before its end was read stops the run. With
    `follow`, a renamed file is read to its end before the one that took its name, also when that
    happened while nothing was running; one that is removed and silent for ten seconds is let go,
    and what has its name later is another file; a file cut short starts again at 0, and what was
    not yet read of it is lost, which is logged. A file that is damaged, or a compressed one that
    swells without measure, gives one dead letter in place of the rest of it.
    """

    replayable: ClassVar[bool] = True
    headed: ClassVar[bool] = True
    primary: ClassVar[str | None] = "path"
    example: ClassVar[str] = '{type: file, path: "data/*.jsonl", format: json, time: ts}'

    path: str = Field(min_length=1)
    """A file, a directory, or a glob: "data/*.jsonl", "logs/**/*.csv.gz"."""
    format: SerializeAsAny[Format] | None = None
    """How rows are written in it; by default what the file's ending says."""
    follow: bool = False
    """Go on with what is added to the files, and with new files: the stream has no end."""
    compression: Compression = "auto"
    """How the files are compressed; auto: what their first bytes say."""
    max_record: int = Field(MAX_RECORD, gt=0)
    """The longest record in bytes; a longer one becomes a dead letter."""

    @property
    def bounded(self) -> bool:
        """Whether the files end: they do, unless they are followed."""
        return not self.follow

    def format_hint(self) -> str | None:
        """The name of the format that the path's ending, or the first file's, stands for."""
        if named := format_of(self.path):
            return named
        return next((hint for name in self._names() if (hint := format_of(name))), None)

    def partitions(self) -> Sequence[str]:
        """The files that are there; `ConfigError` if the path leads nowhere."""
        place, names = listing(self.path), self._names()
        if self.follow:
            return [place.pattern] if place.single else tails(names)
        return names

    def infer(self) -> pl.Schema:
        """The schema of the first file that is not empty."""
        form, place = self._format(), listing(self.path)
        for name in self._names():
            if isinstance(form, FileFormat):
                return form.infer_file(place.root / name)
            if sample := self._sample(place, name, form):
                return form.infer(sample)
        raise ConfigError(
            f"nothing to infer a schema from in {self.path}", hint="declare `schema:` at the source"
        )

    def check_gone(self, gone: Mapping[str, Offset]) -> None:
        """A file that is gone must have been read to its end."""
        refuse_gaps(self.path, gone)

    def open(self, partition: str, job: Read) -> Reader:
        """Start reading one file."""
        form, place = self._format(), listing(self.path)
        if isinstance(form, FileFormat):
            return GroupReader(place, partition, form, job, waits=self.follow)
        tail = Tail(place, partition, self.compression, grows=self.follow)
        path = str(place.root / partition)
        return RecordReader(path, tail, form, job, self.max_record, follows=self.follow)

    def _names(self) -> list[str]:
        place = listing(self.path)
        names = place.names()
        if not names and not place.may_be_empty(follow=self.follow):
            raise place.missing()
        return names

    def _format(self) -> StreamFormat | FileFormat:
        if isinstance(self.format, StreamFormat | FileFormat):
            return self.format
        raise ConfigError(
            f"the format of {self.path} is not known", hint="say `format:`, such as json or csv"
        )

    def _sample(self, place: Listing, name: str, form: StreamFormat) -> bytes:
        """The records at the start of a file, as far as they are whole."""
        file = OpenFile(place, name, self.compression, grows=False)
        try:
            sample = file.read(0, SAMPLE_BYTES)
        finally:
            file.close()
        end = form.separator or form.resync
        whole = sample.rfind(end) + 1 if end and not file.ended else 0
        return sample[: whole or len(sample)]
