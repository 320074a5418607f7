"""Read documents of a MongoDB collection as rows."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import polars as pl
from pydantic import Field, model_validator

from pydatastream.core.batch import Batch, Offset
from pydatastream.core.errors import ConfigError, SchemaError, SourceGap
from pydatastream.core.format import Decoded
from pydatastream.core.source import Read, Reader, Source
from pydatastream.core.times import Duration, micros
from pydatastream.parts.mongo.access import connected, has_transactions, place, translated
from pydatastream.parts.mongo.documents import Document, rows_of, schema_of
from pydatastream.parts.network.tls import Tls
from pydatastream.parts.network.urls import SecretUrl
from pydatastream.parts.remote.ranges import PORTION, RangeReader

if TYPE_CHECKING:
    from pymongo.change_stream import CollectionChangeStream
    from pymongo.collection import Collection

    from pydatastream.parts.mongo.access import Client

SAMPLE = 1000
"""Documents that are looked at to infer a schema."""

PATIENCE_MS = 50
"""How long the server waits for a change before it says that there is none."""

HISTORY_LOST = (286, 280)
"""The server no longer has the changes behind a token, or does not know it."""


class MongodbSource(Source):
    """Read a collection once, or go on with what is new, by changes or a field.

    Without `cursor:` and `changes:` the documents come in the order of `_id`, and end. With
    `changes: true` those that are inserted or replaced from now on come as the server writes
    them; updates of single fields do not. A server without a replica set has no changes: name a
    `cursor:` there, a field that grows and has an index. Object ids are text, and so are arrays
    and documents, as JSON, unless `schema:` says `list[...]`. A field that is not there is null,
    and a value that does not fit its column makes its row a dead letter.

    Delivery: replayable. An offset is the last value of the field and how many documents came
    before, or the token of the last change. Documents removed since stop a replay. Changes are
    kept as long as the server's oplog; when those behind an offset are gone, the run stops. With
    `cursor:` a document that is committed later than `lag` after a greater one is not seen, nor
    is one without the field once reading has begun.
    """

    replayable: ClassVar[bool] = True
    primary: ClassVar[str | None] = "uri"
    example: ClassVar[str] = (
        '{type: mongodb, uri: "mongodb://me:${DB_PASSWORD}@db/", database: plant, '
        "collection: readings, changes: true}"
    )

    uri: SecretUrl = Field(repr=False)
    """Which servers: "mongodb://user:${PASSWORD}@host:27017/?replicaSet=rs0"."""
    database: str = Field(min_length=1)
    """The database."""
    collection: str = Field(min_length=1)
    """The collection."""
    cursor: str | None = None
    """A field that grows from document to document: the stream has no end."""
    changes: bool = False
    """Read what is inserted or replaced from now on: the stream has no end."""
    lag: Duration = "5s"
    """How long a document may take from its value of the cursor to its commit."""
    every: Duration = "1s"
    """How often to look for documents behind the cursor."""
    timeout: Duration = "60s"
    """How long the server may take to answer before it counts as gone."""
    tls: Tls | None = None
    """Encrypt the connection; certificate and key stand in one file, `key`."""

    @model_validator(mode="after")
    def _fits(self) -> MongodbSource:
        if self.changes and self.cursor:
            raise ValueError("either `cursor:` or `changes:`, not both")
        return self

    @property
    def bounded(self) -> bool:
        """Whether the documents end: they do, without `cursor:` and `changes:`."""
        return not self.changes and self.cursor is None

    def partitions(self) -> Sequence[str]:
        """There is one."""
        return ["documents"]

    def infer(self) -> pl.Schema:
        """The fields of the first documents."""
        client = self._connected()
        with client, translated(place(client)):
            found = list(self._collection(client).find().sort("_id", 1).limit(SAMPLE))
        if not found:
            what = f"collection {self.database}.{self.collection} has no documents to look at"
            raise SchemaError(what, hint="declare `schema:`, or check the name")
        return schema_of(found)

    def check(self) -> None:
        """Connect, and look at the collection."""
        client = self._connected()
        with client, translated(place(client)):
            self._collection(client).find_one({}, {"_id": 1})
            self._need_changes(client)

    def open(self, partition: str, job: Read) -> Reader:  # noqa: ARG002 - there is but one
        """Connect and start reading."""
        client = self._connected()
        try:
            with translated(place(client)):
                self._need_changes(client)
            rows = self._collection(client)
            if self.changes:
                return ChangeReader(client, rows, job)
            pace = None if self.bounded else (micros(self.lag) / 1e6, micros(self.every) / 1e6)
            return RangeReader(Documents(client, rows, self.cursor or "_id", job.schema), job, pace)
        except BaseException:
            client.close()
            raise

    def _connected(self) -> Client:
        return connected(self.uri, micros(self.timeout) / 1e6, self.tls)

    def _collection(self, client: Client) -> Collection[Document]:
        return client[self.database][self.collection]

    def _need_changes(self, client: Client) -> None:
        if self.changes and not has_transactions(client):
            hint = "cursor: <a field that grows>, or make the server a replica set"
            raise ConfigError("this server has no changes to read", where=place(client), hint=hint)


class Documents:
    """The documents of a collection in the order of a field."""

    def __init__(
        self, client: Client, rows: Collection[Document], field: str, schema: pl.Schema
    ) -> None:
        self._client, self._rows, self._field, self._schema = client, rows, field, schema
        self._place = place(client)

    def between(self, after: Any, upto: Any) -> Decoded:
        """The documents in a range."""
        with translated(self._place):
            order = [(self._field, 1), ("_id", 1)]
            found = list(self._rows.find(self._range(after, upto)).sort(order))
        return rows_of(found, self._schema)

    def greatest(self, after: Any = None, upto: Any = None) -> Any:
        """The greatest value in a range; None: there is none."""
        return self._value(after, upto, -1, 0)

    def portion(self, after: Any, upto: Any, rows: int) -> Any:
        """Up to which value there are about so many documents; None: there are none."""
        found = self._value(after, upto, 1, rows - 1)
        return self.greatest(after, upto) if found is None else found

    def pack(self, value: Any) -> Any:
        """Any value that BSON has, as text."""
        import bson.json_util

        return bson.json_util.dumps(
            {"v": value}, json_options=bson.json_util.CANONICAL_JSON_OPTIONS
        )

    def unpack(self, value: Any) -> Any:
        """A value as the server has it."""
        import bson.json_util

        return None if value is None else bson.json_util.loads(value)["v"]

    def horizon(self) -> int | None:
        """Nothing is known of transactions: `lag` alone counts."""
        return None

    def passed(self, horizon: int | None) -> bool:  # noqa: ARG002 - there is none
        """Nothing to wait for."""
        return True

    def close(self) -> None:
        """Let go of the connections."""
        self._client.close()

    def _value(self, after: Any, upto: Any, direction: int, skipped: int) -> Any:
        with translated(self._place):
            which = self._rows.find(self._range(after, upto), {self._field: 1})
            found = list(which.sort(self._field, direction).skip(skipped).limit(1))
        return found[0].get(self._field) if found else None

    def _range(self, after: Any, upto: Any) -> Document:
        """By expressions: plain comparisons leave out values of other types than the limit's."""
        name = f"${self._field}"
        limits = [] if after is None else [{"$gt": [name, after]}]
        limits += [] if upto is None else [{"$lte": [name, upto]}]
        return {"$expr": {"$and": limits}} if limits else {}


class ChangeReader:
    """Reads inserted and replaced documents behind a token."""

    def __init__(self, client: Client, rows: Collection[Document], job: Read) -> None:
        self._client, self._rows, self._job = client, rows, job
        self._place = place(client)
        self._offset: Offset | None = job.resume
        self._stream: CollectionChangeStream[Document] | None = None

    def __iter__(self) -> Iterator[Batch | None]:
        until = self._job.until
        if until and until["rows"] == (self._offset or {"rows": 0})["rows"]:
            yield self._batch([], until["token"])
            return
        with translated(self._place):
            self._stream = self._opened()
        if self._offset is None:
            yield self._batch([], self._stream.resume_token)
        while not self._ended():
            found = self._next()
            yield (
                self._batch([one["fullDocument"] for one in found], found[-1]["_id"])
                if found
                else None
            )

    def commit(self, offset: Offset) -> None:
        """Nothing to do: the server keeps changes as long as it has room."""

    def close(self) -> None:
        if self._stream:
            self._stream.close()
        self._client.close()

    def _ended(self) -> bool:
        return self._job.until is not None and self._offset == self._job.until

    def _opened(self) -> CollectionChangeStream[Document]:
        from pymongo.errors import OperationFailure

        kinds = {"operationType": {"$in": ["insert", "replace"]}}
        token = self._offset["token"] if self._offset else None
        try:
            return self._rows.watch(
                [{"$match": kinds}], resume_after=token, max_await_time_ms=PATIENCE_MS
            )
        except OperationFailure as error:
            if error.code in HISTORY_LOST:
                hint = "start afresh with a new checkpoint; a larger oplog keeps changes longer"
                what = f"changes behind the offset are gone: {error.details}"
                raise SourceGap(what, where=self._place, hint=hint) from error
            raise

    def _next(self) -> list[Document]:
        """The changes that have come, at most those that are asked for."""
        most = min(self._job.rows, PORTION)
        until = self._job.until
        if until:
            most = min(most, until["rows"] - (self._offset or {"rows": 0})["rows"])
        found: list[Document] = []
        end = time.monotonic() + 0.1
        with translated(self._place):
            while self._stream and len(found) < most and time.monotonic() < end:
                change = self._stream.try_next()
                if change is None:
                    break
                found.append(change)
        return found

    def _batch(self, found: list[Document], token: Any) -> Batch:
        count = (self._offset or {"rows": 0})["rows"] + len(found)
        self._offset = {"token": dict(token), "rows": count}
        decoded = rows_of(found, self._job.schema)
        return Batch(decoded.rows, self._offset, decoded.dead)
