"""SQL: tables written in one transaction with their marker, read in ranges that repeat."""

# ruff: noqa: S608 - statements of tests

from __future__ import annotations

import itertools
import json
import time
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import polars as pl
import pytest
from sql_places import Lite, Postgres, batches, job, published

from pydatastream.connectors.sql import SqlSource
from pydatastream.connectors.sql_sink import SqlSink
from pydatastream.core.errors import (
    ConfigError,
    Fenced,
    PdsError,
    RetryLater,
    RowError,
    SchemaError,
    StopError,
)
from pydatastream.core.source import Read
from pydatastream.pipeline import Pipeline

numbers = itertools.count()

MOMENT = datetime(2024, 2, 29, 23, 59, 59, 123456, tzinfo=UTC)
AWKWARD = pl.DataFrame(
    {
        "id": [1, 2, 3, 4],
        "text": ["", None, "x" * (1 << 20), "q\"u'o,te\n\\N \\. \t\U0001f600é"],
        "number": [0.1, float("inf"), None, -1.5e300],
        "small": pl.Series([-(2**31), 2**31 - 1, None, 0], dtype=pl.Int32),
        "big": [-(2**63), 2**63 - 1, None, 0],
        "flag": [True, None, False, True],
        "moment": pl.Series([MOMENT, None, datetime(1, 1, 1, tzinfo=UTC), MOMENT]).cast(
            pl.Datetime("us", "UTC")
        ),
        "day": [date(2024, 2, 29), None, date(1, 1, 1), date(9999, 12, 31)],
        "raw": [b"\x00\xff\\", b"", None, b'"'],
        "span": [timedelta(microseconds=1), None, timedelta(days=-2), timedelta(0)],
        "tags": [["a", 'b"'], [], None, [None]],
        "inner": [{"a": 1, "b": "x"}, None, {"a": None, "b": "y"}, {"a": 3, "b": None}],
    }
)


@pytest.fixture(params=["sqlite", "postgres", "sqlalchemy"])
def place(request, tmp_path):
    if request.param == "postgres":
        return Postgres(request.getfixturevalue("postgres_server"), f"t{next(numbers)}")
    return Lite(tmp_path, "sqlite" if request.param == "sqlite" else "sqlite+pysqlite")


def sink(place, **options) -> SqlSink:
    return SqlSink(**{"url": place.url, "table": "t", "create": True, **options})


def source(place, **options) -> SqlSource:
    return SqlSource(**{"url": place.url, "table": "t", "lag": "0s", "every": "0s", **options})


def ids(count: int, first: int = 0) -> pl.DataFrame:
    number = pl.int_range(first, first + count, eager=True).alias("id")
    return pl.DataFrame({"id": number, "word": "w" + number.cast(pl.String)})


def found(place, what: str = "id") -> list[int]:
    return [row[0] for row in place.run(f"select {what} from t order by id")]


def test_every_type_and_awkward_values_come_back(place):
    published(sink(place), AWKWARD)
    named = {
        "id": "int", "text": "string", "number": "float", "small": "int32", "big": "int",
        "flag": "bool", "moment": "timestamp", "day": "date", "raw": "binary",
        "span": "duration", "tags": "string", "inner": "string",
    }  # fmt: skip
    (batch,) = batches(source(place, schema=named, key="id"))
    texts = {"tags": ['["a","b\\""]', "[]", None, "[null]"]}
    assert not batch.dead.height
    plain = AWKWARD.drop("tags", "inner")
    assert batch.rows.drop("tags", "inner").equals(plain)
    assert [one and one.replace(" ", "") for one in batch.rows["tags"]] == texts["tags"]
    assert found(place, "length(text)") == [0, None, 1 << 20, len(AWKWARD["text"][3])]
    assert found(place, "big") == AWKWARD["big"].to_list()


def test_types_are_those_of_the_database(place):
    published(sink(place), AWKWARD.drop("tags", "inner", "span"))
    there = source(place).infer()
    assert there["text"] == pl.String
    assert there["number"] == pl.Float64
    assert there["big"] == pl.Int64
    if not place.url.startswith("sqlite+"):  # SQLAlchemy tells no types: values do
        assert there["moment"] == pl.Datetime("us", "UTC")
        assert (there["flag"], there["day"], there["raw"]) == (pl.Boolean, pl.Date, pl.Binary)


def test_nan_and_decimals(place):
    rows = pl.DataFrame(
        {"id": [1, 2], "v": [float("nan"), 1.0], "d": [Decimal("12345678901234567.89"), None]}
    )
    published(sink(place), rows)
    kept = found(place, "cast(v as varchar)")
    assert kept == (["NaN", "1"] if "postgres" in place.url else [None, "1.0"])
    if not place.url.startswith("sqlite+"):
        assert found(place, "cast(d as varchar)")[0] == "12345678901234567.89"


def test_publishing_twice_is_publishing_once(place):
    writer = sink(place).open(job(ids(3).schema))
    writer.begin(1)
    writer.write(ids(3))
    writer.publish(1)
    writer.publish(1)
    assert found(place) == [0, 1, 2]
    writer.begin(2)
    writer.write(ids(3, 3))
    writer.begin(2)
    writer.write(ids(2, 3))
    writer.publish(2)
    writer.close()
    writer.close()
    assert found(place) == [0, 1, 2, 3, 4]


def test_what_is_published_survives_and_what_is_not_is_gone(place):
    published(sink(place), ids(3), 7 - 6)
    writer = sink(place).open(job(ids(3).schema))
    assert writer.published() == 1
    writer.begin(2)
    writer.write(ids(5, 10))
    writer.close()
    assert found(place) == [0, 1, 2]
    assert place.run("select pipeline, output, epoch from pds_markers") == [["p", "out", 1]]
    assert sink(place).open(job(ids(1).schema, pipeline="other")).published() is None


def test_an_instance_that_was_taken_over_cannot_write(place):
    first = sink(place).open(job(ids(1).schema))
    second = sink(place).open(job(ids(1).schema))
    first.begin(1)
    first.write(ids(3))
    with pytest.raises(Fenced, match="another instance"):
        first.publish(1)
    first.close()
    second.begin(1)
    second.write(ids(2))
    second.publish(1)
    assert found(place) == [0, 1]


def test_opening_again_does_not_take_over_from_another(place):
    mine = job(ids(1).schema)
    sink(place).open(mine).close()
    again = job(ids(1).schema, owner=mine.owner, again=True)
    sink(place).open(again).close()
    sink(place).open(job(ids(1).schema)).close()
    with pytest.raises(Fenced):
        sink(place).open(again)


def test_upsert_replaces_by_key(place):
    upsert = sink(place, mode="upsert", key="id")
    rows = pl.DataFrame({"id": [1, 2, 1], "word": ["a", "b", "c"]})
    published(upsert, rows, 1)
    published(upsert, pl.DataFrame({"id": [2, 3], "word": ["d", "e"]}), 2)
    assert place.run("select id, word from t order by id") == [[1, "c"], [2, "d"], [3, "e"]]


def test_a_refused_row_leaves_what_was_written_before(place):
    place.run("create table t (id bigint primary key, word varchar(20) not null)")
    writer = sink(place).open(job(ids(1).schema))
    writer.begin(1)
    writer.write(ids(3))
    with pytest.raises(RowError):
        writer.write(ids(3, 2))
    with pytest.raises(RowError):
        writer.write(pl.DataFrame({"id": [9], "word": pl.Series([None], dtype=pl.String)}))
    writer.write(ids(1, 5))
    writer.publish(1)
    writer.close()
    assert found(place) == [0, 1, 2, 5]


def test_a_column_of_another_type_refuses_what_does_not_fit_in_it(place, tmp_path):
    place.run(f"create table t (id int, word int) {'strict' if isinstance(place, Lite) else ''}")
    rows = pl.DataFrame({"id": [1, 2, 3], "word": ["7", "seven", None]})
    pipeline = Pipeline("p").read("memory", rows).to(sink(place, create=False))
    dead = tmp_path / "dead"
    report = pipeline.on_error("dead_letter", "file", path=f"{dead}/", format="json").run()
    assert (report.rows_out, report.dead) == (2, 1)
    assert place.run("select id, word from t order by id") == [[1, 7], [3, None]]
    (letter,) = [json.loads(line) for one in dead.glob("part-*") for line in one.open()]
    assert json.loads(letter["payload"]) == {"id": 2, "word": "seven"}
    assert "int" in letter["error"].lower()


def test_whole_table_by_key_and_without(place):
    published(sink(place), ids(1000))
    for options in ({"key": "id"}, {}, {"table": None, "query": "select id, word from t"}):
        parts = batches(source(place, **options), rows=300)
        assert pl.concat([one.rows for one in parts]).sort("id").equals(ids(1000))
        middle = parts[1]
        again = batches(
            source(place, **options), rows=77, resume=parts[0].offset, until=parts[2].offset
        )
        assert again[-1].offset == parts[2].offset
        wanted = pl.concat([middle.rows, parts[2].rows])
        assert pl.concat([one.rows for one in again]).equals(wanted)
        rest = batches(source(place, **options), resume=parts[2].offset)
        assert sum(one.rows.height for one in rest) == 100


def test_what_changed_since_is_noticed_by_the_offset(place):
    published(sink(place), ids(100))
    (whole,) = batches(source(place, key="id"))
    place.run("delete from t where id = 50")
    (again,) = batches(source(place, key="id"), until=whole.offset)
    assert again.offset != whole.offset


def test_a_cursor_is_polled(place):
    published(sink(place), ids(10))
    polled = source(place, cursor="id")
    reader = polled.open("rows", Read(polled.infer(), rows=4))
    assert take(reader, 10) == list(range(10))
    published(sink(place), ids(5, 10), 2)
    assert take(reader, 5) == list(range(10, 15))
    reader.close()


def take(reader, count: int, seconds: float = 5.0) -> list[int]:
    got, end = [], time.monotonic() + seconds
    for batch in reader:
        got += batch.rows["id"].to_list() if batch else []
        if len(got) >= count or time.monotonic() > end:
            return got
    return got


def test_rows_with_the_same_cursor_stay_together(place):
    rows = pl.DataFrame({"id": range(100), "at": [n // 10 for n in range(100)]})
    published(sink(place), rows)
    polled = source(place, cursor="at", key="id")
    reader = polled.open("rows", Read(polled.infer(), rows=7))
    assert take(reader, 100) == list(range(100))
    reader.close()
    first = batches(polled, rows=7, until={"after": 2, "rows": 30})
    assert first[-1].offset == {"after": 2, "rows": 30}
    assert [row for one in first for row in one.rows["id"]] == list(range(30))


def test_a_row_that_is_committed_late_is_waited_for(postgres_server):
    import psycopg

    place = Postgres(postgres_server, f"t{next(numbers)}")
    place.run("create table t (id bigserial primary key, word text)")
    with psycopg.connect(place.url) as slow:
        slow.execute("insert into t (word) values ('slow')")
        place.run("insert into t (word) values ('fast')")
        polled = source(place, cursor="id")
        reader = polled.open("rows", Read(polled.infer()))
        assert take(reader, 1, 0.5) == []
        slow.commit()
        assert take(reader, 2) == [1, 2]
        reader.close()


def test_lag_holds_rows_back(tmp_path):
    place = Lite(tmp_path)
    published(sink(place), ids(3))
    polled = source(place, cursor="id", lag="1s")
    reader = polled.open("rows", Read(polled.infer()))
    assert take(reader, 3, 0.2) == []
    assert take(reader, 3) == [0, 1, 2]


def test_a_null_cursor_stops(place):
    published(sink(place), pl.DataFrame({"id": [1, None], "word": ["a", "b"]}))
    with pytest.raises(StopError, match="never be read"):
        batches(source(place, cursor="id"), until={"after": 1, "rows": 1})


def test_values_that_do_not_fit_are_dead_letters(tmp_path):
    place = Lite(tmp_path)
    place.run("create table t (id integer primary key, n int)")
    place.run("insert into t values (1, 10), (2, 'ten'), (3, 30)")
    (batch,) = batches(source(place))
    assert batch.rows["id"].to_list() == [1, 3]
    assert "ten" in batch.dead["payload"][0]
    assert "not an int" in batch.dead["error"][0]


def test_nul_characters_are_refused_by_postgres(postgres_server):
    place = Postgres(postgres_server, f"t{next(numbers)}")
    writer = sink(place).open(job(ids(1).schema))
    writer.begin(1)
    with pytest.raises(RowError, match="NUL") as refused:
        writer.write(pl.DataFrame({"id": [1, 2, 3], "word": ["a", "b\0", "c"]}))
    assert list(refused.value.rows) == [1]
    writer.close()


def test_what_is_missing_is_said_in_one_line(place):
    with pytest.raises(PdsError, match="t"):
        source(place, table="nowhere").check()
    with pytest.raises(ConfigError, match="nowhere"):
        sink(place, table="nowhere", create=False).open(job(ids(1).schema))
    place.run("create table t (id bigint)")
    with pytest.raises(ConfigError, match="no column 'word'"):
        sink(place).open(job(ids(1).schema))
    with pytest.raises(ConfigError, match="create table pds_markers"):
        sink(place, create=False).open(job(ids(1).select("id").schema))
    with pytest.raises(SchemaError, match="no column 'nope'"):
        source(place, cursor="nope").check()
    sink(place, create=False).check()


@pytest.mark.parametrize("name", ['t"; drop table t', "a b", "1t", "a.b.c", ""])
def test_names_are_of_a_kind(name):
    with pytest.raises(ValueError, match="cannot be the name"):
        SqlSink(url="sqlite:///x.db", table=name)
    with pytest.raises(ConfigError, match="cannot be the name"):
        SqlSink(url="sqlite:///x.db", table="t").accepts(pl.Schema({name: pl.Int64()}))


def test_the_password_is_never_shown():
    made = SqlSink(url="postgresql://me:secret@db/plant", table="t")
    assert "secret" not in f"{made!r} {made.options()} {made.model_dump_json()}"


def test_a_server_that_is_not_there_is_waited_for(postgres_server):
    gone = SqlSink(url="postgresql://postgres@127.0.0.1:1/postgres", table="t")
    with pytest.raises(RetryLater, match=r"127\.0\.0\.1:1"):
        gone.open(job(ids(1).schema))


def test_wrong_credentials_and_rights_are_told(postgres_server):
    server = postgres_server
    server.psql("drop role if exists limited")
    server.psql("create role limited login password 'right'")
    file = server.folder / "data" / "pg_hba.conf"
    kept = file.read_text()
    file.write_text(f"host all limited 127.0.0.1/32 scram-sha-256\n{kept}")
    server.psql("select pg_reload_conf()")
    url = f"postgresql://limited:%s@{server.address}/%s"
    time.sleep(0.2)
    try:
        with pytest.raises(ConfigError, match="password authentication failed"):
            SqlSource(url=url % ("wrong", "postgres"), table="t").check()
        with pytest.raises(ConfigError, match='"nodb" does not exist'):
            SqlSource(url=url % ("right", "nodb"), table="t").check()
        server.psql("create table if not exists closed (id bigint)")
        with pytest.raises(ConfigError, match="permission denied"):
            SqlSource(url=url % ("right", "postgres"), table="closed").check()
    finally:
        file.write_text(kept)
        server.psql("select pg_reload_conf()")
