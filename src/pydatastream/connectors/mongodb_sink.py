"""Write rows as documents of a MongoDB collection."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import polars as pl
from pydantic import Field, model_validator

from pydatastream.core.errors import Fenced, RowError
from pydatastream.core.faults import fault_point
from pydatastream.core.operator import Names
from pydatastream.core.sink import Delivery, Sink, Write, Writer
from pydatastream.core.times import Duration, micros
from pydatastream.core.types import need
from pydatastream.parts.mongo.access import connected, has_transactions, meaning, place, translated
from pydatastream.parts.mongo.documents import Document, documents, encoded
from pydatastream.parts.network.tls import Tls
from pydatastream.parts.network.urls import SecretUrl

if TYPE_CHECKING:
    from pymongo.client_session import ClientSession

    from pydatastream.parts.mongo.access import Client

MARKERS = "pds_markers"
"""The collection that remembers, for each output, the last epoch and who writes."""

LONGEST = 40
"""Seconds that a transaction may take: the server ends it after 60."""


class MongodbSink(Sink):
    """Write each row as a document.

    Lists and structs are arrays and documents; times have milliseconds there, finer ones are
    cut; dates are times at midnight, durations microseconds, decimals Decimal128. A document
    that the server refuses (a key that is there already, a validator, 16 MiB) becomes a dead
    letter.

    Delivery: exactly once with a checkpoint, on a replica set or a sharded cluster: the
    documents of an epoch and its number, in the collection `pds_markers`, are one transaction.
    A server of its own has none: there a document's `_id` is made of pipeline, output, epoch and
    row, unless the rows have one, and a document that is written again replaces itself, so each
    is there once but shows before its epoch is complete. Writes wait for a majority and for the
    journal. Without a checkpoint documents are added to those of the last run. Tests run against
    a server of one node that speaks MongoDB's protocol: elections are not among them.
    """

    delivery: ClassVar[Delivery] = Delivery.EXACTLY_ONCE
    remote: ClassVar[bool] = True
    locks: ClassVar[bool] = True
    primary: ClassVar[str | None] = "uri"
    example: ClassVar[str] = (
        '{type: mongodb, uri: "mongodb://me:${DB_PASSWORD}@db/", database: plant, '
        "collection: readings}"
    )

    uri: SecretUrl = Field(repr=False)
    """Which servers: "mongodb://user:${PASSWORD}@host:27017/?replicaSet=rs0"."""
    database: str = Field(min_length=1)
    """The database."""
    collection: str = Field(min_length=1)
    """The collection; it is made where it is missing."""
    key: Names = Field(default_factory=list)
    """The fields that tell documents apart, for `mode: upsert`."""
    mode: Literal["insert", "upsert"] = "insert"
    """Add each row, or set its fields in the document with the same key."""
    timeout: Duration = "60s"
    """How long the server may take to answer before it counts as gone."""
    tls: Tls | None = None
    """Encrypt the connection; certificate and key stand in one file, `key`."""

    @model_validator(mode="after")
    def _fits(self) -> MongodbSink:
        if self.mode == "upsert" and not self.key:
            raise ValueError("mode: upsert needs `key:`, the fields that tell documents apart")
        return self

    def accepts(self, schema: pl.Schema) -> None:
        """Raise `SchemaError` if a key is missing."""
        need(schema, *self.key)

    def check(self) -> None:
        """Connect, and look at the collection."""
        client = self._connected()
        with client, translated(place(client)):
            client[self.database][self.collection].find_one({}, {"_id": 1})

    def open(self, job: Write) -> Writer:
        """Connect and take the marker over."""
        client = self._connected()
        try:
            with translated(place(client)):
                return MongodbWriter(client, self, job)
        except BaseException:
            client.close()
            raise

    def _connected(self) -> Client:
        return connected(self.uri, micros(self.timeout) / 1e6, self.tls)


class MongodbWriter:
    """Writes each epoch in one transaction where there are such, else over itself."""

    def __init__(self, client: Client, sink: MongodbSink, job: Write) -> None:
        import bson.codec_options as codecs

        self._client, self._sink, self._job = client, sink, job
        self._place = place(client)
        database = client[sink.database]
        registry = codecs.TypeRegistry(fallback_encoder=encoded)
        options: codecs.CodecOptions[Document] = codecs.CodecOptions(type_registry=registry)
        if sink.collection not in database.list_collection_names():
            database.create_collection(sink.collection)  # not within a transaction
        self._rows = database.get_collection(sink.collection, codec_options=options)
        self._markers = database[MARKERS]
        atomic = has_transactions(client)
        self._session: ClientSession | None = client.start_session() if atomic else None
        self._which = f"{job.pipeline}/{job.sink}"
        self._epoch, self._begun, self._count = 0, 0, 0
        self._taken: list[list[Document]] = []
        if job.transactional:
            self._take()

    def begin(self, epoch: int) -> None:
        self._begun, self._count, self._taken = epoch, 0, []
        with translated(self._place):
            self._start()

    def write(self, rows: pl.DataFrame) -> None:
        given = documents(rows)
        if not self._session and self._job.durable:
            given = [self._numbered(one, n) for n, one in enumerate(given, self._count)]
        try:
            with translated(self._place):
                self._put(given)
        except RowError as error:
            raise self._refused(given, error) from error
        self._count += len(given)
        self._taken.append(given)
        fault_point("mongodb.written")

    def publish(self, epoch: int) -> None:
        if epoch != self._begun:
            return
        with translated(self._place):
            if self._job.transactional:
                self._advance(epoch)
            fault_point("mongodb.marked")
            if self._session:
                self._session.commit_transaction()
        fault_point("mongodb.committed")
        self._epoch, self._begun, self._taken = epoch, 0, []

    def published(self) -> int | None:
        return self._epoch or None

    def close(self) -> None:
        self._client.close()

    def _start(self) -> None:
        """A transaction of its own, in place of one that was not committed."""
        if self._session and self._session.in_transaction:
            self._session.abort_transaction()
        if self._session:
            self._session.start_transaction(max_commit_time_ms=LONGEST * 1000)

    def _put(self, given: Sequence[Document]) -> None:
        """Write documents; `RowError` names those that were refused, or the first."""
        from bson.errors import BSONError
        from pymongo.errors import BulkWriteError, DocumentTooLarge

        try:
            if self._sink.mode == "insert" and self._session:
                self._rows.insert_many(given, session=self._session)
            else:
                writes = [self._upserted(one) for one in given]
                self._rows.bulk_write(writes, ordered=bool(self._session), session=self._session)
        except BulkWriteError as error:
            found = error.details.get("writeErrors", [])
            if not found or error.has_error_label("TransientTransactionError"):
                raise meaning(error, self._place) from error
            at = [int(one["index"]) for one in found]
            raise RowError(str(found[0]["errmsg"]), rows=at) from error
        except (BSONError, DocumentTooLarge, OverflowError) as error:
            raise RowError(str(error)) from error

    def _refused(self, given: Sequence[Document], error: RowError) -> RowError:
        """All that the server refuses, with the transaction as it was before them.

        An error ends a transaction, and names the first document at fault; the others are looked
        for in transactions that are thrown away, each from where the last one failed.
        """
        if not self._session:
            return error
        bad = list(error.rows)
        with translated(self._place):
            while bad and bad[-1] + 1 < len(given):
                first = bad[-1] + 1
                self._start()
                try:
                    self._put(given[first:])
                    break
                except RowError as another:
                    bad += [first + n for n in another.rows]
                    if not another.rows:
                        break
            self._start()
            for before in self._taken:
                self._put(before)
        return RowError(error.what, rows=bad)

    def _upserted(self, document: Document) -> Any:
        from pymongo import InsertOne, ReplaceOne, UpdateOne

        if self._sink.mode == "upsert":
            which = {name: document[name] for name in self._sink.key}
            fields = {name: one for name, one in document.items() if name != "_id"}
            return UpdateOne(which, {"$set": fields}, upsert=True)
        if "_id" not in document:
            return InsertOne(document)
        return ReplaceOne({"_id": document["_id"]}, document, upsert=True)

    def _numbered(self, document: Document, number: int) -> Document:
        """With an `_id` that is the same when the epoch is written again."""
        place = f"{self._which}/{self._begun}/{number}"
        return {"_id": hashlib.sha256(place.encode()).hexdigest()[:32], **document}

    def _take(self) -> None:
        """Take the output over; an instance that was there before is fenced off."""
        session = self._session.session_id["id"] if self._session else None
        mine = {"owner": self._job.owner, "session": session}
        which = {"_id": self._which}
        own = {**which, "owner": self._job.owner} if self._job.again else which
        found = self._markers.find_one(own)
        if self._job.again and found is None:
            raise self._fenced()
        self._end_transaction(found.get("session") if found else None)
        self._markers.update_one(own, {"$set": mine, "$setOnInsert": {"epoch": 0}}, upsert=True)
        found = self._markers.find_one(which)
        self._epoch = int(found["epoch"]) if found else 0

    def _end_transaction(self, session: Any) -> None:
        """End that of an instance which was killed, or the server keeps it for a minute."""
        from pymongo.errors import OperationFailure

        if session is not None:
            with suppress(OperationFailure):  # without the right to, it is waited for
                self._client.admin.command("killSessions", [{"id": session}])

    def _advance(self, epoch: int) -> None:
        which = {"_id": self._which, "epoch": self._epoch, "owner": self._job.owner}
        done = self._markers.update_one(which, {"$set": {"epoch": epoch}}, session=self._session)
        if done.matched_count != 1:
            raise self._fenced()

    def _fenced(self) -> Fenced:
        what = "the marker has changed: another instance writes here"
        return Fenced(what, where=f"{MARKERS}: {self._which}", hint="stop one of the two")
