"""Writes an epoch to Redis: rows and marker in one transaction."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import polars as pl

from pydatastream.core.errors import Fenced, PdsError, StopError
from pydatastream.core.faults import fault_point
from pydatastream.core.sink import Write
from pydatastream.parts.redis.line import Line
from pydatastream.parts.redis.writes import PIECE, Writes


class Transaction:
    """Queues rows at the server and executes them together with the marker.

    The marker holds the last epoch and its owner. Opening a sink writes it anew: a transaction
    that began before, or that arrives late, then fails as a whole.
    """

    def __init__(
        self, line: Line, writes: Writes, marker: str, job: Write, expect: Callable[[], None]
    ) -> None:
        self._line, self._writes, self._marker = line, writes, marker
        self._expect, self._job = expect, job
        self._queued = 0
        self._begun = False
        self._last = self._take()

    def begin(self, epoch: int) -> None:  # noqa: ARG002 - publish names it
        self._abandon()
        self._expect()
        self._line.ask("WATCH", self._marker)
        if _parsed(self._line.ask("GET", self._marker)) != (self._last, self._job.owner):
            raise self._fenced()
        self._line.ask("MULTI")
        self._begun = True
        fault_point("redis.begun")

    def write(self, rows: pl.DataFrame) -> None:
        for piece in rows.iter_slices(PIECE):
            packed, count = self._writes.packed(piece)
            self._line.send(packed)
            self._settle()
            self._queued = count
        fault_point("redis.written")

    def publish(self, epoch: int) -> None:
        if self._last is not None and epoch <= self._last:
            return
        self._settle()
        self._line.ask("SET", self._marker, _value(epoch, self._job.owner))
        fault_point("redis.marked")
        before, replies = self._last, self._line.ask("EXEC")
        self._begun = False
        fault_point("redis.published")
        if replies is None:
            raise self._fenced()
        self._check(replies, before)
        self._last = epoch

    def published(self) -> int | None:
        return self._last

    def close(self) -> None:
        """Hanging up discards what is queued."""
        self._line.close()

    def _take(self) -> int | None:
        """Become the owner of the marker; the last epoch that it names."""
        self._line.ask("WATCH", self._marker)
        last, owner = _parsed(self._line.ask("GET", self._marker))
        if self._job.again and owner != self._job.owner:
            raise self._fenced()
        self._line.ask("MULTI")
        self._line.ask("SET", self._marker, _value(last, self._job.owner))
        if self._line.ask("EXEC") is None:
            raise self._fenced()
        return last

    def _abandon(self) -> None:
        if self._begun:
            self._settle()
            self._line.ask("DISCARD")
            self._begun = False

    def _settle(self) -> None:
        count, self._queued = self._queued, 0
        self._line.settle(count)

    def _check(self, replies: list[Any], before: int | None) -> None:
        """A command that failed when executed undoes none of the others: take the marker back."""
        try:
            self._line.executed(replies)
        except PdsError as error:
            self._line.ask("SET", self._marker, _value(before, self._job.owner))
            raise _stopping(error) from None

    def _fenced(self) -> Fenced:
        return Fenced(
            f"redis at {self._line.address}: another instance has taken over {self._marker!r}",
            hint="stop one of the two, or give each pipeline a name of its own",
        )


def _stopping(error: PdsError) -> PdsError:
    """In the middle of an epoch nothing heals by itself."""
    return error if isinstance(error, StopError) else StopError(error.what, hint=error.hint)


def _value(epoch: int | None, owner: str) -> str:
    return f"{'-' if epoch is None else epoch} {owner}"


def _parsed(value: bytes | None) -> tuple[int | None, str]:
    """Epoch and owner in a marker."""
    epoch, _, owner = (value or b"- ").decode().partition(" ")
    return (None if epoch == "-" else int(epoch)), owner
