"""Writes the part files of each epoch to a remote place, once."""

from __future__ import annotations

import polars as pl

from pydatastream.core.errors import ConfigError, StopError
from pydatastream.core.faults import fault_point
from pydatastream.core.sink import Write
from pydatastream.parts.files.naming import taken
from pydatastream.parts.files.staging import Layout
from pydatastream.parts.remote.depot import Depot, RemoteMarker, Staged, refuse_markers
from pydatastream.parts.remote.part import RemotePart


class RemoteParts:
    """Adds parts with each epoch; with a checkpoint, it goes on where a crash left it.

    Publishing stages every part, then replaces the marker, then reveals the parts: a crash
    before the marker shows nothing, one after it is completed by the next start.
    """

    def __init__(self, depot: Depot, layout: Layout, job: Write) -> None:
        self._depot, self._layout = depot, layout
        self._names, self._taken = layout.names, set[str]()
        self._marker = RemoteMarker(depot, job, layout.names)
        self._durable, self._tidy = job.durable, False
        self._epoch: int | None = None
        self._last: int | None = None
        self._part: RemotePart | None = None
        self._whole: list[Staged] = []
        self._staged: list[Staged] = []
        try:
            refuse_markers(depot, self._names, self._marker.name if job.durable else None)
            if job.durable:
                self._resume()
        except BaseException:
            depot.close()
            raise

    def begin(self, epoch: int) -> None:
        self._abandon()
        self._clean(epoch)
        self._epoch = epoch
        fault_point("remote.begun")

    def write(self, rows: pl.DataFrame) -> None:
        while rows.height and not self._has(self._epoch):
            part = self._part or self._next(rows)
            rows = part.write(rows)
            if part.full():
                self._settle()

    def publish(self, epoch: int) -> None:
        if not self._has(epoch):
            if epoch != self._epoch:
                raise StopError(f"epoch {epoch} was not begun")
            self._settle()
            fault_point("remote.staged")
            self._remember(epoch, self._whole)
        for part in self._staged:
            self._depot.reveal(part)
            fault_point("remote.revealed")
        self._tidy = True
        fault_point("remote.published")

    def published(self) -> int | None:
        return self._last

    def close(self) -> None:
        self._abandon()
        self._depot.close()

    def _has(self, epoch: int | None) -> bool:
        return self._last is not None and epoch is not None and epoch <= self._last

    def _resume(self) -> None:
        if not self._marker.load() and (found := self._shown()):
            what = f"{found[0]} is of another run, where this pipeline has no marker"
            hint = "write into a place of its own, or move the parts away"
            raise ConfigError(what, where=self._depot.place, hint=hint)
        self._last, self._staged = self._marker.epoch, self._marker.parts
        for part in self._staged:
            self._depot.reveal(part)
        self._marker.take()

    def _remember(self, epoch: int, staged: list[Staged]) -> None:
        # The marker may be there even if writing it fails: only the next start can tell, so from
        # here on nothing may remove what is staged.
        self._whole, self._tidy = [], False
        if self._durable:
            self._marker.advance(epoch, staged)
        self._last, self._staged = epoch, staged
        self._taken.update(part.name for part in staged)
        fault_point("remote.remembered")

    def _next(self, rows: pl.DataFrame) -> RemotePart:
        name = self._layout.name(self._epoch or 0, len(self._whole), rows)
        if name in self._taken or any(name == one.name for one in self._whole):
            raise taken(name).at(self._depot.place)
        self._part = RemotePart(self._depot, name, self._layout, self._marker.token)
        return self._part

    def _settle(self) -> None:
        part = self._part
        if part:
            self._whole.append(part.settle())
            self._part = None

    def _abandon(self) -> None:
        part, self._part = self._part, None
        self._tidy = self._tidy and not self._whole  # those are hidden still
        self._whole = []
        if part:
            part.abandon()

    def _clean(self, epoch: int) -> None:
        """Remove what an attempt has left; without a checkpoint, also the last run's parts."""
        if self._tidy:
            return
        left = self._depot.hidden(self._names)
        if self._durable:
            self._marker.check()  # so none of them is of who comes after us
        for one in left:
            self._depot.discard(one)
        shown = self._shown()
        old = [] if self._durable else [n for n in shown if not self._names.shows(n, epoch - 1)]
        for name in old:
            self._depot.remove(name)
        self._taken = set(shown) - set(old)
        self._tidy = True

    def _shown(self) -> list[str]:
        return [n for n in self._depot.names(self._names.beginning) if self._names.owns(n)]
