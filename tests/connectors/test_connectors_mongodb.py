"""MongoDB: documents and marker in one transaction; collections and changes read again.

The server speaks MongoDB's protocol with transactions and change streams, on one node: what
elections do to a transaction is not tested here.
"""

from __future__ import annotations

import itertools
import json
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import polars as pl
import pytest
from sql_places import job

from pydatastream.connectors import mongodb_sink
from pydatastream.connectors.mongodb import MongodbSource
from pydatastream.connectors.mongodb_sink import MongodbSink
from pydatastream.core.errors import ConfigError, Fenced, RetryLater, RowError, SchemaError
from pydatastream.core.source import Read

numbers = itertools.count()
MOMENT = datetime(2024, 2, 29, 23, 59, 59, 123000, tzinfo=UTC)


class Place:
    def __init__(self, server) -> None:
        self.server, self.name = server, f"t{next(numbers)}"
        self.at = {
            "uri": server.environment()["MONGODB_URI"],
            "database": self.name,
            "collection": "rows",
        }

    def sink(self, **options) -> MongodbSink:
        return MongodbSink(**self.at, **options)

    def source(self, **options) -> MongodbSource:
        return MongodbSource(**self.at, lag="0s", every="0s", **options)

    def run(self, statement: str) -> str:
        """What a Python of its own prints that has pymongo and `rows`."""
        return self.server.python(f"db = client[{self.name!r}]; rows = db.rows; {statement}")

    def ids(self) -> list[int]:
        told = self.run("print([one['id'] for one in rows.find().sort('id', 1)])")
        return json.loads(told)


@pytest.fixture
def place(mongodb_server) -> Place:
    return Place(mongodb_server)


@pytest.fixture
def standalone(place, monkeypatch) -> Place:
    """The same server, taken for one without transactions."""
    monkeypatch.setattr(mongodb_sink, "has_transactions", lambda client: False)
    return place


def ids(count: int, first: int = 0) -> pl.DataFrame:
    number = pl.int_range(first, first + count, eager=True).alias("id")
    return pl.DataFrame({"id": number, "word": "w" + number.cast(pl.String)})


def published(sink, rows, epoch: int = 1, **how) -> None:
    writer = sink.open(job(rows.schema, **how))
    writer.begin(epoch)
    writer.write(rows)
    writer.publish(epoch)
    writer.publish(epoch)
    writer.close()


def batches(source, **how):
    reader = source.open("documents", Read(source.declared() or source.infer(), **how))
    try:
        return [one for one in reader if one is not None]
    finally:
        reader.close()


def test_every_type_and_awkward_values_come_back(place):
    rows = pl.DataFrame(
        {
            "id": [1, 2, 3],
            "text": ["", None, "x" * (1 << 20) + "\0\U0001f600"],
            "number": [float("nan"), float("-inf"), None],
            "big": [-(2**63), 2**63 - 1, None],
            "flag": [True, None, False],
            "moment": pl.Series([MOMENT, None, MOMENT]).cast(pl.Datetime("us", "UTC")),
            "raw": [b"\x00\xff", b"", None],
            "span": [timedelta(microseconds=1), None, timedelta(days=-2)],
            "price": [Decimal("1.50"), None, Decimal("-2.25")],
            "tags": [["a", 'b"'], [], None],
            "inner": [{"a": 1, "b": "x"}, None, {"a": None, "b": "y"}],
        }
    )
    published(place.sink(), rows)
    words = {
        "id": "int", "text": "string", "number": "float", "big": "int", "flag": "bool",
        "moment": "timestamp", "raw": "binary", "span": "duration", "price": "decimal",
        "tags": "list[string]", "inner": "string",
    }  # fmt: skip
    (batch,) = batches(place.source(schema=words))
    plain = batch.rows.drop("inner", "price")
    assert plain.equals(rows.drop("inner", "price"))
    assert batch.rows["price"].to_list() == rows["price"].to_list()
    assert json.loads(batch.rows["inner"][0]) == {"a": 1, "b": "x"}
    told = place.run("print([type(one).__name__ for one in rows.find_one({'id': 1}).values()])")
    assert "datetime" in told
    assert "Decimal128" in told


def test_microseconds_are_cut_to_milliseconds(place):
    moment = MOMENT + timedelta(microseconds=456)
    published(place.sink(), pl.DataFrame({"id": [1], "at": [moment]}))
    (batch,) = batches(place.source())
    assert batch.rows["at"][0] == MOMENT


def test_an_epoch_is_there_once_with_its_marker(place):
    published(place.sink(), ids(3))
    writer = place.sink().open(job(ids(1).schema))
    assert writer.published() == 1
    writer.begin(2)
    writer.write(ids(5, 10))
    writer.close()
    assert place.ids() == [0, 1, 2]
    assert place.run("print(db.pds_markers.find_one()['epoch'])") == "1\n"
    published(place.sink(), ids(2, 3), 2)
    assert place.ids() == [0, 1, 2, 3, 4]


def test_nothing_shows_before_it_is_published(place):
    writer = place.sink().open(job(ids(1).schema))
    writer.begin(1)
    writer.write(ids(3))
    assert place.ids() == []
    writer.begin(1)
    writer.write(ids(2))
    writer.publish(1)
    writer.close()
    writer.close()
    assert place.ids() == [0, 1]


def test_without_transactions_documents_replace_themselves(standalone):
    writer = standalone.sink().open(job(ids(1).schema))
    writer.begin(1)
    writer.write(ids(3))
    writer.write(ids(2, 3))
    writer.close()
    published(standalone.sink(), ids(5))
    assert standalone.ids() == [0, 1, 2, 3, 4]
    assert standalone.sink().open(job(ids(1).schema)).published() == 1


def test_an_instance_that_was_taken_over_cannot_write(place):
    mine = job(ids(1).schema)
    first, second = place.sink().open(mine), place.sink().open(job(ids(1).schema))
    first.begin(1)
    first.write(ids(3))
    with pytest.raises(Fenced, match="another instance"):
        first.publish(1)
    first.close()
    with pytest.raises(Fenced):
        place.sink().open(job(ids(1).schema, owner=mine.owner, again=True))
    second.begin(1)
    second.write(ids(2))
    second.publish(1)
    assert place.ids() == [0, 1]


def test_a_killed_instance_does_not_keep_the_next_one_waiting(place):
    """Its transaction is ended: the server would keep it for a minute."""
    first = place.sink(timeout="5s").open(job(ids(1).schema))
    first.begin(1)
    first.write(ids(3))
    first._advance(1)
    began = time.monotonic()
    published(place.sink(timeout="5s"), ids(2))
    assert time.monotonic() - began < 30
    assert place.ids() == [0, 1]
    first.close()


@pytest.mark.parametrize("kind", ["place", "standalone"])
def test_upsert_sets_the_fields_of_the_same_key(kind, request):
    place = request.getfixturevalue(kind)
    upsert = place.sink(mode="upsert", key="id")
    published(upsert, pl.DataFrame({"id": [1, 2, 1], "word": ["a", "b", "c"]}), 1)
    published(upsert, pl.DataFrame({"id": [2, 3], "word": ["d", "e"]}), 2)
    told = place.run("print([one['word'] for one in rows.find().sort('id', 1)])")
    assert told == "['c', 'd', 'e']\n"


def test_all_refused_documents_are_named_and_the_others_stay(place):
    place.run("rows.create_index('id', unique=True); rows.insert_many([{'id': 5}, {'id': 8}])")
    writer = place.sink().open(job(ids(1).schema))
    writer.begin(1)
    writer.write(ids(2))
    with pytest.raises(RowError, match="duplicate key") as refused:
        writer.write(ids(8, 2))
    assert list(refused.value.rows) == [3, 6]
    writer.write(ids(3, 2))
    writer.publish(1)
    writer.close()
    assert place.ids() == [0, 1, 2, 3, 4, 5, 8]


def test_numbers_that_bson_does_not_have_are_refused(place):
    writer = place.sink().open(job(ids(1).schema))
    writer.begin(1)
    writer.write(ids(1))
    with pytest.raises(RowError, match="8 bytes"):
        writer.write(pl.DataFrame({"id": pl.Series([2**63], dtype=pl.UInt64)}))
    writer.publish(1)
    writer.close()
    assert place.ids() == [0]


def test_a_collection_is_read_in_portions_that_repeat(place):
    place.run(
        "rows.insert_many([{'_id': n, 'id': n} for n in range(100)] + [{'_id': 'x', 'id': 100}])"
    )
    parts = batches(place.source(), rows=30)
    assert [row for one in parts for row in one.rows["id"]] == list(range(101))
    again = batches(place.source(), rows=7, resume=parts[0].offset, until=parts[2].offset)
    assert [row for one in again for row in one.rows["id"]] == list(range(30, 90))
    assert again[-1].offset == parts[2].offset


def test_a_cursor_is_polled(place):
    place.run("rows.insert_many([{'id': n} for n in range(10)])")
    polled = place.source(cursor="id")
    reader = polled.open("documents", Read(polled.infer(), rows=4))
    assert take(reader, 10)[0] == list(range(10))
    place.run("rows.insert_one({'id': 10})")
    assert take(reader, 1)[0] == [10]
    reader.close()


def take(reader, count: int, seconds: float = 5.0):
    got, offsets, end = [], [], time.monotonic() + seconds
    for batch in reader:
        if batch:
            got += batch.rows["id"].to_list()
            offsets.append(batch.offset)
        if len(got) >= count or time.monotonic() > end:
            break
    return got, offsets


def test_changes_resume_behind_their_token(place):
    changes = place.source(changes=True, schema={"id": "int"})
    read = Read(pl.Schema({"id": pl.Int64()}))
    reader = changes.open("documents", read)
    first = next(iter(reader))
    assert not first.rows.height
    reader.close()
    place.run(
        "rows.insert_many([{'id': n} for n in range(5)]); rows.update_one({}, {'$set': {'x': 1}})"
    )
    resumed = changes.open("documents", Read(read.schema, resume=first.offset))
    got, offsets = take(resumed, 5)
    assert got == list(range(5))
    resumed.close()
    again = batches(changes, resume=first.offset, until=offsets[-1])
    assert [row for one in again for row in one.rows["id"]] == got
    assert again[-1].offset == offsets[-1]
    (nothing,) = batches(changes, until=first.offset)
    assert (nothing.rows.height, nothing.offset) == (0, first.offset)


def test_values_that_do_not_fit_are_dead_letters(place):
    place.run("rows.insert_many([{'_id': 1, 'n': 1}, {'_id': 2, 'n': 'two'}, {'_id': 3}])")
    (batch,) = batches(place.source(schema={"_id": "int", "n": "int"}))
    assert batch.rows.rows() == [(1, 1), (3, None)]
    assert "two" in batch.dead["payload"][0]


def test_what_is_wrong_is_said_in_one_line(place):
    with pytest.raises(SchemaError, match="no documents"):
        place.source().infer()
    with pytest.raises(RetryLater, match=r"127\.0\.0\.1:1"):
        MongodbSink(
            uri="mongodb://127.0.0.1:1/", database="a", collection="b", timeout="1s"
        ).check()
    with pytest.raises(ConfigError, match="uri"):
        MongodbSink(uri="nonsense://x", database="a", collection="b").check()
    with pytest.raises(ValueError, match="needs `key:`"):
        place.sink(mode="upsert")
    place.sink().check()
    assert "secret" not in repr(
        MongodbSink(uri="mongodb://me:secret@x/", database="a", collection="b")
    )


def test_changes_need_a_replica_set(place, monkeypatch):
    from pydatastream.connectors import mongodb

    monkeypatch.setattr(mongodb, "has_transactions", lambda client: False)
    with pytest.raises(ConfigError, match="no changes to read"):
        place.source(changes=True).check()
