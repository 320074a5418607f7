"""From bytes to rows: portions of whole records, none too long, few enough for a batch."""

from __future__ import annotations

import base64
import hashlib
from codecs import getincrementaldecoder
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass

import polars as pl

from pydatastream.core.batch import DEAD_SCHEMA
from pydatastream.core.format import Decoded, Decoder, StreamFormat
from pydatastream.parts.files.compressed import Content

_SHOWN = 1024
"""Bytes of an overlong record that its dead letter keeps."""

_STEP = 1 << 20
"""Bytes of an overlong record that are looked at in one step."""

_SPARE = 0.95
"""A portion aims at so much of the most rows, so that it seldom has too many."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much may be in one portion, and in one record."""

    rows: int
    bytes: int
    record: int


class Records:
    """The records of one stream of bytes.

    What comes out does not depend on how the bytes come in: a record longer than
    `limits.record` bytes, its terminator included, becomes a dead letter, and is never held in
    memory as a whole.
    """

    def __init__(
        self,
        content: Content,
        decoder: Decoder,
        form: StreamFormat,
        schema: pl.Schema,
        limits: Limits,
    ) -> None:
        self._content, self._decoder, self._limits = content, decoder, limits
        self._separator, self._resync = form.separator, form.separator or form.resync
        self._none = pl.DataFrame(schema=schema)
        self._size = min(limits.rows * 64, limits.bytes)

    def portions(
        self, at: int, until: int | None, over: Callable[[], bool]
    ) -> Iterator[tuple[Decoded, int] | None]:
        """What stands from `at` up to `until`, each portion with its end; None: wait.

        Ends at `until`, or where the content ends if it is `over` and no more will come.
        """
        asked = max(self._limits.bytes, self._limits.record + 1)
        while until is None or at < until:
            room = asked if until is None else min(asked, until - at)
            if self._separator:
                room = self._content.span(at, room, self._separator)
            buffer = self._content.read(at, room)
            last = at + len(buffer) == until or self._ends(over)
            start = 0
            for decoded, start in self._whole(buffer, last=last):
                yield decoded, at + start
            at += start
            if last and start == len(buffer):
                return
            if start == 0 and self._is_overlong(buffer):
                dead, at = yield from self._overlong(at, until, over)
                yield dead, at
            elif start == 0 and self._content.damage:
                return
            elif start == 0:
                yield None

    def _whole(self, buffer: bytes, *, last: bool) -> Iterator[tuple[Decoded, int]]:
        start = 0
        while start < len(buffer):
            taken = self._take(buffer, start, last=last)
            if taken is None:
                return
            yield taken
            start = taken[1]

    def _take(self, buffer: bytes, start: int, *, last: bool) -> tuple[Decoded, int] | None:
        end = self._some(buffer, start, self._size, len(buffer), last=last)
        return None if end == start else self._decode(buffer, start, end)

    def _some(self, buffer: bytes, start: int, size: int, stop: int, *, last: bool) -> int:
        """Where records of about `size` bytes end, at least one; `start` if none does by `stop`."""
        end = self._end(buffer, start, min(start + size, stop), last=last)
        while end == start and start + size < stop and size <= self._limits.record:
            size *= 2
            end = self._end(buffer, start, min(start + size, stop), last=last)
        return end

    def _decode(self, buffer: bytes, start: int, end: int) -> tuple[Decoded, int]:
        whole = start == 0 and end == len(buffer)
        decoded = self._decoder.decode(buffer if whole else buffer[start:end])
        count = decoded.rows.height + decoded.dead.height
        fitting = int((end - start) * self._limits.rows / max(count, 1) * _SPARE) + 1
        if count > self._limits.rows:
            less = self._some(buffer, start, fitting, end - 1, last=False)
            if less > start:
                return self._decode(buffer, start, less)
        self._size = min(fitting, self._limits.bytes)
        return decoded, end

    def _end(self, buffer: bytes, start: int, stop: int, *, last: bool) -> int:
        """Where the whole records before `stop` end; an overlong one ends the search."""
        longest = self._limits.record
        while stop - start > longest:
            end = self._boundary(buffer, start, start + longest)
            if end == start:
                return start
            start = end
        return stop if last and stop == len(buffer) else self._boundary(buffer, start, stop)

    def _boundary(self, buffer: bytes, start: int, stop: int) -> int:
        """The last end of a record in the buffer from `start` to `stop`; `start` if none."""
        if self._separator is None:
            return start + self._decoder.cut(buffer[start:stop])
        found = buffer.rfind(self._separator, start, stop)
        return start if found < 0 else found + len(self._separator)

    def _is_overlong(self, buffer: bytes) -> bool:
        longest = self._limits.record
        return len(buffer) > longest and self._boundary(buffer, 0, longest) == 0

    def _overlong(
        self, at: int, until: int | None, over: Callable[[], bool]
    ) -> Generator[None, None, tuple[Decoded, int]]:
        """Pass over a record without holding it; up to the next line if it never ends."""
        digest, shown, start = hashlib.sha256(), b"", at
        while True:
            data, found = self._up_to_end(at, until)
            shown = shown or data[:_SHOWN]
            digest.update(data)
            at += len(data)
            if found or at == until or self._content.damage or self._ends(over):
                error = (
                    f"a record of more than {self._limits.record} bytes (max_record); "
                    f"{at - start} bytes set aside, sha256 {digest.hexdigest()}"
                )
                return Decoded(self._none, dead_letter(shown, error)), at
            if not data:
                yield None

    def _ends(self, over: Callable[[], bool]) -> bool:
        return self._content.ended and over()

    def _up_to_end(self, at: int, until: int | None) -> tuple[bytes, bool]:
        data = self._content.read(at, _STEP if until is None else min(_STEP, until - at))
        found = data.find(self._resync) if self._resync else -1
        return (data, False) if found < 0 else (data[: found + 1], True)


def dead_letter(payload: bytes, error: str) -> pl.DataFrame:
    r"""One dead letter; the payload may end within a character.

    >>> dead_letter(b"caf\xc3", "cut short")["payload"].item()
    'caf'
    """
    try:
        text, encoding = getincrementaldecoder("utf-8")().decode(payload), "utf8"
    except UnicodeDecodeError:
        text, encoding = base64.b64encode(payload).decode(), "base64"
    return pl.DataFrame([(text, encoding, error)], schema=DEAD_SCHEMA, orient="row")
