"""What a view shows is what its sink has published, read back however it was written."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from pydatastream.connectors.file_sink import FileSink
from pydatastream.connectors.null import NullSink
from pydatastream.connectors.redis import RedisSource
from pydatastream.connectors.redis_sink import RedisSink
from pydatastream.connectors.sql_sink import SqlSink
from pydatastream.core.errors import ConfigError
from pydatastream.core.sink import Write
from pydatastream.formats.csv import CsvFormat
from pydatastream.formats.json import JsonFormat
from pydatastream.formats.parquet import ParquetFormat

START = datetime(2026, 1, 1, tzinfo=UTC)
SCHEMA = pl.Schema({"t": pl.Datetime("us", "UTC"), "k": pl.String, "v": pl.Float64})


def url_of(server):
    return server.environment()["REDIS_URL"]


def rows(first, count):
    return pl.DataFrame(
        {
            "t": [START + timedelta(seconds=n) for n in range(first, first + count)],
            "k": [f"k{n % 3}" for n in range(first, first + count)],
            "v": [n * 0.5 for n in range(first, first + count)],
        },
        schema=SCHEMA,
    )


def publish(sink, epoch, frame):
    writer = sink.open(Write(SCHEMA, "p", "out", durable=True, transactional=True, owner="me"))
    writer.begin(epoch)
    writer.write(frame)
    writer.publish(epoch)
    writer.close()


def holds(sink):
    """Epochs come one after the other; the newest rows are seen, and nothing else."""
    view = sink.view(SCHEMA, 25, "t")
    publish(sink, 1, rows(0, 10))
    assert view.latest().equals(rows(0, 10))
    publish(sink, 2, rows(10, 10))
    assert view.latest().equals(rows(0, 20))
    assert view.latest().equals(rows(0, 20))
    publish(sink, 3, rows(20, 40))
    assert view.latest().equals(rows(35, 25))
    late = sink.view(SCHEMA, 15, "t")
    assert late.latest().equals(rows(45, 15))
    for one in (view, late):
        one.close()


@pytest.mark.parametrize("form", [JsonFormat(), CsvFormat(), ParquetFormat()])
def test_files(tmp_path, form):
    holds(FileSink(path=f"{tmp_path}/out/", format=form))


def test_packed_files(tmp_path):
    holds(FileSink(path=f"{tmp_path}/out/", format=JsonFormat(), compression="gzip"))


def test_a_directory_that_is_not_there_yet_shows_no_rows(tmp_path):
    view = FileSink(path=f"{tmp_path}/none/", format=JsonFormat()).view(SCHEMA, 5, "t")
    assert view.latest().schema == SCHEMA


def test_sqlite(tmp_path):
    sink = SqlSink(url=f"sqlite:///{tmp_path}/a.db", table="seen", create=True)
    publish(sink, 0, rows(0, 0))
    holds(sink)


@pytest.fixture(params=["sqlite", "postgres"])
def database(request, tmp_path):
    """The URL of a database, and a table that nobody else has."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/a.db", "seen"
    server = request.getfixturevalue("postgres_server")
    return server.environment()["POSTGRES_URL"], f"seen_{secrets.token_hex(4)}"


def test_lists_are_read_back_as_lists(database):
    url, table = database
    frame = rows(0, 3).with_columns(pl.Series("l", [["a", "b"], [], None]))
    sink = SqlSink(url=url, table=table, create=True)
    writer = sink.open(Write(frame.schema, "p", table))
    writer.begin(1)
    writer.write(frame)
    writer.publish(1)
    writer.close()
    view = sink.view(frame.schema, 10, "t")
    assert view.latest().equals(frame)
    view.close()


@pytest.mark.parametrize("key", [[], ["t"]])  # a table with a key is ordered by time
def test_much_that_came_at_once_and_what_came_behind_it(tmp_path, key):
    sink = SqlSink(url=f"sqlite:///{tmp_path}/a.db", table="seen", create=True, key=key)
    publish(sink, 0, rows(0, 1))
    view = sink.view(SCHEMA, 20_000, "t")
    assert view.latest().height == 1
    publish(sink, 1, rows(10, 9_000))
    assert view.latest().height == 9_001
    behind = rows(8_900, 1).with_columns(pl.col("t") + timedelta(milliseconds=1), k=pl.lit("other"))
    publish(sink, 2, behind)
    assert view.latest().filter(k="other").equals(behind)
    assert view.latest().height == 9_002


def test_a_look_at_a_table_of_a_day_does_not_sort_it(tmp_path, monkeypatch):
    sink = SqlSink(url=f"sqlite:///{tmp_path}/a.db", table="seen", create=True)
    publish(sink, 0, rows(0, 10))
    view, asked = sink.view(SCHEMA, 5, "t"), []
    select = view.database.select
    monkeypatch.setattr(
        view.database, "select", lambda *words: (asked.append(words), select(*words))[1]
    )
    assert view.latest().equals(rows(5, 5))
    plan = select(f"explain query plan {asked[-1][0]}")
    assert "SCAN seen" in str(plan)
    assert "B-TREE" not in str(plan)


@pytest.mark.parametrize("form", [None, JsonFormat()])
def test_redis(redis_server, form):
    name = f"view-{secrets.token_hex(4)}"
    holds(RedisSink(url=url_of(redis_server), stream=name, format=form))
    publish(RedisSink(url=url_of(redis_server), stream=name, format=form), 4, rows(60, 5))
    gauges = RedisSource(url=url_of(redis_server), stream=name).gauges()
    assert gauges == {"length": 65.0, "added": 65.0}


def test_a_group_tells_how_far_behind_it_is(redis_server):
    name = f"view-{secrets.token_hex(4)}"
    publish(RedisSink(url=url_of(redis_server), stream=name), 1, rows(0, 30))
    redis_server.cli("XGROUP", "CREATE", name, "workers", "0")
    redis_server.cli("XREADGROUP", "GROUP", "workers", "a", "COUNT", "10", "STREAMS", name, ">")
    source = RedisSource(url=url_of(redis_server), stream=name, group="workers", consumer="a")
    assert source.gauges() == {"length": 30.0, "added": 30.0, "lag": 20.0, "pending": 10.0}


def test_what_keeps_nothing_cannot_be_looked_at():
    with pytest.raises(ConfigError, match="cannot be looked at"):
        NullSink().view(SCHEMA, 5, None)
