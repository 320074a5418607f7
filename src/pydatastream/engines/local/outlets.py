"""An outlet is a sink's writer that outlives the sink's absences."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import cast

import polars as pl

from pydatastream.core.batch import Refused
from pydatastream.core.errors import RetryLater, RowError, StopError
from pydatastream.core.share import Claim
from pydatastream.core.sink import Carrier, Delivery, Sink, Write, Writer
from pydatastream.engines.local.retry import Backoff

Act = Callable[[Writer], None]


class Outlet:
    """Writes to one sink; after `RetryLater` it opens the sink again and repeats the epoch.

    A sink that refuses rows is asked for half of them, and so on, until those are found. One that
    is away for longer than `patience`, in seconds, is given up. To `waits` is added what says what
    is waited for, before the sink is opened.
    """

    def __init__(
        self,
        sink: Sink,
        job: Write,
        stop: threading.Event,
        patience: float | None = None,
        waits: list[Backoff] | None = None,
    ) -> None:
        self._sink, self._job = sink, job
        self.remembers = sink.delivery is Delivery.EXACTLY_ONCE
        self._backoff = Backoff(stop, patience)
        if waits is not None:
            waits.append(self._backoff)
        self._epoch = 0
        self._rows: list[pl.DataFrame] = []
        self._waiting: list[pl.DataFrame] = []
        self._writer = self._opened()
        self._job = dataclasses.replace(job, again=True)
        self.published = self._writer.published()

    def begin(self, epoch: int) -> None:
        """Begin an epoch."""
        self._epoch, self._rows, self._waiting = epoch, [], []
        if not self._sink.locks:
            self._begin()

    def write(self, rows: pl.DataFrame) -> list[Refused]:
        """Write rows of the epoch; those that the sink refuses come back."""
        if self._sink.locks:
            self._waiting.append(rows)
            return []
        return list(self._put(rows))

    def settle(self) -> list[Refused]:
        """Write what had to wait for the end of the epoch; refused rows come back."""
        if self._sink.locks:
            self._begin()
        waiting, self._waiting = self._waiting, []
        return [refused for rows in waiting for refused in self._put(rows)]

    def publish(self, epoch: int, claims: Sequence[Claim] = ()) -> None:
        """Publish the epoch and what it claims, unless the sink remembers that it is published."""

        def publish(writer: Writer) -> None:
            if claims:
                cast("Carrier", writer).carry(claims)
            writer.publish(epoch)

        self._last(publish, repeated=False)
        self._rows = []

    def put(self, rows: pl.DataFrame) -> list[Refused]:
        """Write rows as an epoch of their own; those that the sink refuses come back."""
        epoch = max(self.published or 0, self._epoch) + 1
        self.begin(epoch)
        refused = [*self.write(rows), *self.settle()]
        self.publish(epoch)
        return refused

    def close(self) -> None:
        """Close the writer; it may be closed twice."""
        self._writer.close()

    @property
    def done(self) -> bool:
        """Whether the sink itself remembers the epoch at work."""
        return self.published is not None and self.published >= self._epoch

    def _begin(self) -> None:
        self._last(lambda writer: writer.begin(self._epoch), repeated=True)

    def _put(self, rows: pl.DataFrame) -> Iterator[Refused]:
        try:
            self._last(lambda writer: writer.write(rows), repeated=False)
        except RowError as error:
            yield from self._sifted(rows, error)
        else:
            self._rows += [rows] if self._sink.remote else []

    def _sifted(self, rows: pl.DataFrame, error: RowError) -> Iterator[Refused]:
        """Write the rows that are not at fault; the others come back."""
        bad = set(error.rows) or ({0} if rows.height == 1 else set())
        if bad:
            yield Refused(rows[sorted(bad)], error.what)
            good = [n for n in range(rows.height) if n not in bad]
            yield from self._put(rows[good]) if good else ()
        else:
            middle = rows.height // 2
            yield from self._put(rows[:middle])
            yield from self._put(rows[middle:])

    def _last(self, act: Act, *, repeated: bool) -> None:
        """Do it, however often the sink must be opened again.

        `repeated` says that opening again, which repeats the epoch so far, has done it too.
        """
        lost = False
        while True:
            try:
                if lost:
                    self._open_again()
                if not self.done and not (lost and repeated):
                    act(self._writer)
                return self._backoff.reset()
            except RetryLater as error:
                lost = True
                self._writer.close()
                self._wait(error)

    def _open_again(self) -> None:
        """A new writer that has what the last one had."""
        self._writer = self._opened()
        self.published = self._writer.published()
        if not self.done:
            self._writer.begin(self._epoch)
            for rows in self._rows:
                self._repeat(rows)

    def _repeat(self, rows: pl.DataFrame) -> None:
        try:
            self._writer.write(rows)
        except RowError as error:
            what = f"the sink refuses rows that it took before: {error.what}"
            hint = "start again: the epoch is then written anew, without such rows"
            raise StopError(what, hint=hint) from error

    def _opened(self) -> Writer:
        while True:
            try:
                return self._sink.open(self._job)
            except RetryLater as error:
                self._wait(error)

    def _wait(self, error: RetryLater) -> None:
        if not self._sink.remote or not self._backoff.wait(error):
            raise error
