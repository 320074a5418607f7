"""Records of cells, some between quotes: where one ends, and what is none."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property


@dataclass(frozen=True)
class Grammar:
    """Regular expressions of a record; none of them goes back, so that time is linear."""

    delimiter: bytes
    quote: bytes

    @cached_property
    def _cell(self) -> bytes:
        d, q = re.escape(self.delimiter), re.escape(self.quote)
        return rb"(?:[^%b%b\n]++|%b(?:[^%b]++|%b%b)*+%b|)" % (q, d, q, q, q, q, q)

    @cached_property
    def _record(self) -> bytes:
        return rb"%b(?:%b%b)*+\r?\n" % (self._cell, re.escape(self.delimiter), self._cell)

    @cached_property
    def record(self) -> re.Pattern[bytes]:
        """One record with its line end."""
        return re.compile(self._record)

    @cached_property
    def records(self) -> re.Pattern[bytes]:
        """As many whole records as there are."""
        return re.compile(rb"(?:%b)*+" % self._record)

    @cached_property
    def beginning(self) -> re.Pattern[bytes]:
        """The rest of a buffer, if more bytes may make it a record."""
        d, q = re.escape(self.delimiter), re.escape(self.quote)
        end = rb"(?:[^%b%b\n]*+|%b(?:[^%b]++|%b%b)*+%b?+\r?)\Z" % (q, d, q, q, q, q, q)
        return re.compile(rb"(?:%b%b)*+%b" % (self._cell, d, end))

    def one(self, cells: int) -> bytes:
        """A record with so many cells, without its line end."""
        return rb"(?:%b%b){%d}+%b" % (self._cell, re.escape(self.delimiter), cells - 1, self._cell)

    def walk(self, buffer: bytes, *, last: bool) -> Iterator[tuple[int, int, bool]]:
        """Spans of records, each with whether they are whole; without `last` more may come."""
        at = 0
        while at < len(buffer):
            found = self.records.match(buffer, at)
            end = found.end() if found else at
            if end > at:
                yield at, end, True
            else:
                end = buffer.find(b"\n", at) + 1
                if not last and (not end or self.beginning.match(buffer, at)):
                    return
                end = end or len(buffer)
                yield at, end, False
            at = end
