"""Sinks: where rows go."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import ClassVar, Protocol

import polars as pl

from pydatastream.core.component import Component
from pydatastream.core.errors import ConfigError
from pydatastream.core.share import Claim
from pydatastream.core.source import Source


class Delivery(StrEnum):
    """How often a row can appear in a sink when things fail."""

    EXACTLY_ONCE = "exactly_once"
    EFFECTIVELY_ONCE = "effectively_once"
    AT_LEAST_ONCE = "at_least_once"
    AT_MOST_ONCE = "at_most_once"


@dataclass(frozen=True, slots=True)
class Write:
    """One job of writing: what, for whom, and whether it goes on from before."""

    schema: pl.Schema
    pipeline: str
    sink: str
    """The output's name in the pipeline; with `pipeline` it names the sink's marker."""
    durable: bool = False
    """True: the engine keeps a checkpoint and will publish an epoch again after a crash.
    False: a run of its own, whose output replaces that of the last one."""
    bounded: bool = False
    """True: all rows come in one epoch, published when the run is complete."""
    transactional: bool = False
    """True: nothing of an epoch may show before `publish`, and the sink remembers the epoch.
    False: rows may go out at once; `publish` makes sure that they have arrived."""
    carries: bool = False
    """True: how far the sources were read is published with the rows, both or neither; the
    writer is a `Carrier`."""
    owner: str = field(default_factory=lambda: secrets.token_hex(8))
    """What tells this run from every other: who opens a sink takes its marker over with it."""
    again: bool = False
    """True: this run has had the sink open before, so another owner in its marker means that
    this one has been fenced off."""


class Writer(Protocol):
    """A sink at work.

    Rules: `publish` makes the epoch durable and visible, once per epoch however often it is
    called; until then a reader of the sink sees nothing of it (a sink that cannot hold rows back
    says so in its delivery). `begin` of an epoch that was begun before starts it afresh.
    A `write` that raises `RowError` has taken none of its rows, and lost none of those before.
    `published` is the last epoch the SINK itself remembers. Raise `RetryLater` for what may
    heal, `RowError` for rows the sink refuses, `Fenced` when another owner has taken over.
    `close` may be called twice and never publishes.
    """

    def begin(self, epoch: int) -> None: ...
    def write(self, rows: pl.DataFrame) -> None: ...
    def publish(self, epoch: int) -> None: ...
    def published(self) -> int | None: ...
    def close(self) -> None: ...


class Carrier(Writer, Protocol):
    """A writer that publishes how far the sources were read together with the rows.

    Rules: `carry` comes just before `publish`. What the claims say and the rows take effect
    both or neither; raise `BeginAgain` where they are void, or where nobody knows what came of it.
    """

    def carry(self, claims: Sequence[Claim]) -> None: ...


class View(Protocol):
    """What a sink holds, for people to look at while it is written.

    Rules: `latest` is a bounded snapshot, the newest published rows, oldest first; asking again
    costs little when little has come. Raise `RetryLater` for what may heal.
    """

    def latest(self) -> pl.DataFrame: ...
    def close(self) -> None: ...


class Sink(Component):
    """Where rows go."""

    kind: ClassVar[str] = "sink"

    delivery: ClassVar[Delivery]
    """The strongest that this sink can promise; printed in the docs and at start."""
    remote: ClassVar[bool] = False
    """Whether it may be out of reach for a while: then the engine keeps the rows of an epoch
    until it is published, and writes them again to a new writer after `RetryLater`."""
    locks: ClassVar[bool] = False
    """Whether an epoch that is begun keeps others waiting, perhaps other outputs of the same
    pipeline: then the engine keeps its rows, and begins it just before it is published."""

    replaces: ClassVar[bool] = False
    """Whether a run without a checkpoint replaces what the one before it has written."""

    def accepts(self, schema: pl.Schema) -> None:
        """Raise `SchemaError` if rows of this schema cannot be written; no I/O."""

    def carries(self, source: Source) -> bool:  # noqa: ARG002 - for those that can
        """Whether how far a `shared` source was read can be published with the rows; no I/O."""
        return False

    def open(self, job: Write) -> Writer:
        """Start writing."""
        raise NotImplementedError

    def view(self, schema: pl.Schema, rows: int, newest: str | None) -> View:  # noqa: ARG002 - for those that can
        """Look at its newest `rows`; `ConfigError` where what was written cannot be read back.

        `newest` is a column that grows, for those that keep no order of their own.
        """
        what = f"what {self.type_name()} was given cannot be looked at"
        raise ConfigError(what, hint="an output of type file, sql, or redis with `stream:`")
