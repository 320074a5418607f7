"""Records of a Kafka topic in a loop of Python."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Self

import orjson
import polars as pl

from pydatastream.apps.letters import Loop
from pydatastream.apps.passage import Passage
from pydatastream.apps.reaching import described, own, reached
from pydatastream.core.batch import DEAD_SCHEMA
from pydatastream.core.errors import RetryLater
from pydatastream.core.source import Read
from pydatastream.core.times import micros
from pydatastream.engines.local import Pull, Pulled
from pydatastream.engines.local.events import Slice
from pydatastream.parts.decoding.sifting import set_aside
from pydatastream.parts.messaging.messages import MessageSource
from pydatastream.planning.ingest import source_node

OFFSET, PAYLOAD = "__offset", "payload"
USUAL = {"group": "pydatastream", "format": "json", "schema": None, "start": "committed"}
"""What is meant where nothing is said."""

WHOLE = {"format": "binary", "schema": {PAYLOAD: "binary"}}
"""How messages are read that are decoded one by one: whole."""

PORTION = 500
"""So many records are decoded before the first of them is given: fewer than Python begins to look
for garbage at."""

PAUSE = 0.2
"""Seconds between two looks at a topic that is empty."""

Seconds = float | str
OVER = object()


class KafkaReader:
    """The records of a Kafka topic, one at a time, or as DataFrames.

    What the loop has gone past is committed to `group` once a second and at the end, never more:
    a program that dies is given the rest again, and nothing is lost. A message that cannot be
    read becomes a dead letter, and the loop goes on. Brokers that are away are waited for.

        reader = KafkaReader("localhost:9092", "sensors")
        for record in reader.get_stream():
            print(record)
    """

    def __init__(
        self,
        brokers: str | Sequence[str],
        topic: str | list[str],
        settings: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> None:
        """Connect, and see that the topic is there; `ConfigError` says what to check if not.

        `brokers` is "host:port", or several; `options` are those of the source `kafka`: `group`,
        `format`, `schema`, `start`, `sasl`, `tls`, `key`, ... Without `schema`, records are as
        their JSON has them. `on_error` is dead_letter (kept in the folder `dead_letters`), fail or
        skip. `settings` has options too; where `load_config` has read them, errors name the place.
        """
        given = {**USUAL, **(settings or {}), **options}
        loop = own(Loop, "kafka", given, settings)
        where = ",".join(brokers) if isinstance(brokers, list | tuple) else brokers
        self._given = {"brokers": where, "topic": topic, **given, "offset": OFFSET}
        self.before_commit: Callable[[], object] = lambda: None
        """Called before each commit: `reader.before_commit = writer.flush`."""
        self._stop, self._piece = threading.Event(), Slice("", "", None, {}, 0)
        self._source: MessageSource = described("source", "kafka", self._given, settings)
        name = topic if isinstance(topic, str) else "-".join(topic)
        self._letters = loop.letters(name)
        reached(self._source, f"is a broker running at {where}? check the list of brokers")

    def get_stream(
        self, limit: int | None = None, idle_timeout: Seconds | None = None
    ) -> Iterator[Any]:
        """One decoded record at a time: for ever, or until `limit` of them have come.

        With `idle_timeout`, in seconds or as "10s", it also ends when nothing has come for so
        long. A record counts as dealt with when the next one is asked for.
        """
        whole = self._given["schema"] is None and self._given["format"] == "json"
        source = described("source", "kafka", self._given | WHOLE) if whole else self._source
        records = self._objects if whole else _dicts
        with self._reading(source, limit) as (pull, passage):
            for pulled in self._pulled(pull, passage, idle_timeout):
                yield from passage.through(pulled, records(pulled))

    def get_batches(
        self, limit: int | None = None, idle_timeout: Seconds | None = None
    ) -> Iterator[pl.DataFrame]:
        """Records as DataFrames, as they come; for ever, or until `limit` rows have come.

        Without `schema`, the columns are those of the newest messages, which are waited for. A
        DataFrame counts as dealt with when the next one is asked for.
        """
        with self._reading(self._source, limit) as (pull, passage):
            for pulled in self._pulled(pull, passage, idle_timeout):
                rows = pulled.rows
                yield from passage.at_once(pulled, rows[OFFSET], rows.drop(OFFSET))

    def set_aside(self, record: Any, error: object) -> None:
        """Keep a record that the loop could not deal with as a dead letter."""
        payload = orjson.dumps(record, default=str).decode()
        told = error if isinstance(error, str) else f"{type(error).__name__}: {error}"
        row = {"payload": [payload], "encoding": ["utf8"], "error": [told]}
        self._letters.bury(pl.DataFrame(row, schema=DEAD_SCHEMA), "loop", self._piece)

    @property
    def dead(self) -> int:
        """How many records were set aside, or skipped."""
        return self._letters.count

    def stop(self) -> None:
        """Let the loop end, also from another thread."""
        self._stop.set()

    def close(self) -> None:
        """End the loop, and close the dead letters; it may be done twice."""
        self.stop()
        self._letters.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def _reading(self, source: MessageSource, limit: int | None) -> Iterator[tuple[Pull, Passage]]:
        schema = self._columns(source)
        pull = Pull(source_node("kafka", source, schema), Read(schema), self._stop)
        passage = Passage(pull, lambda: self.before_commit(), limit)
        try:
            yield pull, passage
        finally:
            try:
                passage.commit()
            finally:
                pull.close()

    def _columns(self, source: MessageSource) -> pl.Schema:
        """The columns; those that are not declared are told from messages, which are waited for."""
        schema = source.declared()
        while schema is None and not self._stop.is_set():
            with suppress(RetryLater):  # it may be away, as at any other time
                if sample := source.sample():
                    return source.schema_of(sample)
            self._stop.wait(PAUSE)
        return schema or pl.Schema(source.beside())

    def _pulled(
        self, pull: Pull, passage: Passage, idle_timeout: Seconds | None
    ) -> Iterator[Pulled]:
        """What comes and holds rows; what could not be read is set aside."""
        patience, since = _seconds(idle_timeout), time.monotonic()
        pulls = iter(pull)
        while passage.left != 0 and time.monotonic() - since < patience:
            if (pulled := next(pulls, OVER)) is OVER:
                return
            passage.commit_if_due()
            since = time.monotonic() if pull.waiting_for else since
            if isinstance(pulled, Pulled):
                self._piece = pulled.piece
                self._letters.bury(pulled.dead, "kafka", pulled.piece)
                if pulled.rows.height:
                    yield pulled
                    since = time.monotonic()

    def _objects(self, pulled: Pulled) -> Iterator[tuple[int, Any]]:
        """JSON, message by message, with its offset; what is none is set aside."""
        for rows in pulled.rows.iter_slices(PORTION):
            offsets, payloads = rows[OFFSET].to_list(), rows[PAYLOAD].to_list()
            try:
                records = [orjson.loads(one) for one in payloads]
            except orjson.JSONDecodeError:
                yield from self._sifted(pulled, offsets, payloads)
            else:
                yield from zip(offsets, records, strict=True)

    def _sifted(
        self, pulled: Pulled, offsets: list[int], payloads: list[bytes]
    ) -> list[tuple[int, Any]]:
        records, dead = list[tuple[int, Any]](), list[tuple[bytes, str]]()
        for at, payload in zip(offsets, payloads, strict=True):
            try:
                records.append((at, orjson.loads(payload)))
            except orjson.JSONDecodeError as error:
                dead.append((payload, f"offset {at}: not JSON: {error}"))
        self._letters.bury(set_aside(dead), "kafka", pulled.piece)
        return records


def _dicts(pulled: Pulled) -> Iterator[tuple[int, Any]]:
    for rows in pulled.rows.iter_slices(PORTION):
        yield from zip(rows[OFFSET].to_list(), rows.drop(OFFSET).to_dicts(), strict=True)


def _seconds(given: Seconds | None) -> float:
    if given is None:
        return float("inf")
    return micros(given) / 1e6 if isinstance(given, str) else float(given)
