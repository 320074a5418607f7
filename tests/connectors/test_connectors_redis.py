"""The Redis source against the real server, written to by redis-cli or the sink."""

import json

import polars as pl
import pytest
from polars.testing import assert_frame_equal
from redis_parts import AWKWARD, TYPES, joined, numbers, published, read, sink, source

from pydatastream.connectors.redis import RedisSource
from pydatastream.core.errors import ConfigError, RetryLater, SourceGap
from pydatastream.core.source import Read
from pydatastream.formats.json import JsonFormat
from services.server import free_port

ID = {"id": "int"}


@pytest.fixture
def key(redis_server, request):
    redis_server.cli("FLUSHALL")
    return request.node.name


def test_columns_and_awkward_values_go_through_fields(redis_server, key):
    published(sink(redis_server, stream=key), AWKWARD)
    (batch,) = read(source(redis_server, stream=key, stop="latest", schema=TYPES), key)
    assert_frame_equal(batch.rows, AWKWARD)
    assert not batch.dead.height


def test_a_row_of_nulls_is_an_entry_too(redis_server, key):
    rows = pl.DataFrame({"id": [None, 1]}, schema={"id": pl.Int64})
    published(sink(redis_server, stream=key), rows)
    (batch,) = read(source(redis_server, stream=key, stop="latest", schema=ID), key)
    assert_frame_equal(batch.rows, rows)


def test_a_format_stands_in_one_field(redis_server, key):
    redis_server.cli("XADD", key, "*", "other", "1", "row", '{"id": 7}')
    one = source(redis_server, stream=key, stop="latest", field="row", format=JsonFormat())
    assert one.infer() == pl.Schema({"id": pl.Int64})
    one = one.model_copy(update={"columns": ID})
    assert joined(read(one, key))["id"].to_list() == [7]


def test_fields_are_inferred(redis_server, key):
    redis_server.cli("XADD", key, "*", "n", "1", "f", "1.5", "s", "x")
    redis_server.cli("XADD", key, "*", "n", "2", "more", "y")
    found = source(redis_server, stream=key).infer()
    assert found == {"n": pl.Int64(), "f": pl.Float64(), "s": pl.String(), "more": pl.String()}


def test_what_cannot_be_read_is_a_dead_letter(redis_server, key):
    for value in ("1", "x", "", "4"):
        redis_server.cli("XADD", key, "*", "id", value, "text", "t")
    redis_server.cli("XADD", key, "*", "id", "5", "text", "\udcff")
    types = {**ID, "text": "string"}
    (batch,) = read(source(redis_server, stream=key, stop="latest", schema=types), key)
    assert batch.rows["id"].to_list() == [1, 4]
    errors = batch.dead["error"].to_list()
    assert ['"x" is not an int' in errors[0], "not UTF-8" in errors[2]] == [True, True]
    assert json.loads(batch.dead["payload"][2])["text"] == "\\xff"


def test_an_encoded_row_that_cannot_be_read_is_a_dead_letter(redis_server, key):
    redis_server.cli("XADD", key, "*", "data", '{"id": 1}')
    redis_server.cli("XADD", key, "*", "data", "no json")
    redis_server.cli("XADD", key, "*", "else", '{"id": 3}')
    one = source(redis_server, stream=key, stop="latest", format=JsonFormat(), schema=ID)
    (batch,) = read(one, key)
    assert batch.rows["id"].to_list() == [1]
    first, second = sorted(error.split(": ", 1)[1] for error in batch.dead["error"])
    assert first.startswith("line is not JSON")
    assert second == "there is no field 'data'"


def test_reading_resumes_at_every_offset_and_ends_at_every_one(redis_server, key):
    published(sink(redis_server, stream=key), numbers(40))
    one = source(redis_server, stream=key, stop="latest", schema=ID)
    batches = read(one, key, rows=3)
    whole = joined(batches)
    assert whole["id"].to_list() == list(range(40))
    at = 0
    for batch in batches:
        at += batch.rows.height
        assert_frame_equal(joined(read(one, key, resume=batch.offset) or [batch])[-1:], whole[-1:])
        again = read(one, key, until=batch.offset)
        assert again[-1].offset == batch.offset
        assert_frame_equal(joined(again), whole[:at])


@pytest.mark.parametrize("start", ["latest", "behind"])
def test_it_starts_where_it_is_told_and_replays_from_there(redis_server, key, start):
    first = redis_server.cli("XADD", key, "*", "id", "0").strip()
    one = source(redis_server, stream=key, schema=ID, start=first if start == "behind" else start)
    reader = one.open(key, Read(one.declared()))
    batches = iter(reader)
    assert next(batches) is None
    redis_server.cli("XADD", key, "*", "id", "1")
    batch = next(one for one in batches if one)
    reader.close()
    assert batch.rows["id"].to_list() == [1]
    (again,) = read(one, key, until=batch.offset)
    assert again.rows["id"].to_list() == [1]
    assert again.offset == batch.offset


def test_trimmed_entries_are_counted_and_stop_the_run(redis_server, key):
    published(sink(redis_server, stream=key), numbers(20))
    one = source(redis_server, stream=key, stop="latest", schema=ID)
    batch = read(one, key, 5, rows=5)[0]
    redis_server.cli("XTRIM", key, "MAXLEN", "15")
    assert joined(read(one, key, resume=batch.offset))["id"].to_list() == list(range(5, 20))
    redis_server.cli("XTRIM", key, "MAXLEN", "8")
    with pytest.raises(SourceGap, match=r"7 entries(.|\n)*`accept_gap: true`"):
        read(one, key, resume=batch.offset)
    redis_server.cli("DEL", key)
    with pytest.raises(SourceGap, match="no longer there"):
        read(one, key, resume=batch.offset)
    redis_server.cli("XADD", key, "1-1", "id", "0")
    with pytest.raises(SourceGap, match="ends at 1-1"):
        read(one, key, resume=batch.offset)


def test_entries_trimmed_while_reading_are_noticed(redis_server, key):
    published(sink(redis_server, stream=key), numbers(30))
    one = source(redis_server, stream=key, schema=ID)
    batches = iter(one.open(key, Read(one.declared(), rows=10)))
    assert next(batches).rows.height == 10
    redis_server.cli("XTRIM", key, "MAXLEN", "5")
    with pytest.raises(SourceGap, match="15 entries"):
        next(batches)


def test_a_gap_may_be_accepted(redis_server, key, caplog):
    published(sink(redis_server, stream=key), numbers(20))
    one = source(redis_server, stream=key, stop="latest", schema=ID, accept_gap=True)
    first = read(one, key, 5, rows=5)[0]
    redis_server.cli("XTRIM", key, "MAXLEN", "8")
    batches = read(one, key, resume=first.offset, rows=3)
    assert joined(batches)["id"].to_list() == list(range(12, 20))
    assert "7 entries" in caplog.text
    assert "accept_gap" in caplog.text
    end = {"resume": first.offset, "until": batches[1].offset}
    again = read(one, key, **end, rows=2)
    assert joined(again)["id"].to_list() == list(range(12, 18))
    assert again[-1].offset == batches[1].offset
    redis_server.cli("XTRIM", key, "MAXLEN", "4")
    lost = read(one, key, **end)
    assert not lost or lost[-1].offset != batches[1].offset  # so that the engine knows


def test_deleting_single_entries_is_no_gap(redis_server, key):
    published(sink(redis_server, stream=key), numbers(6))
    one = source(redis_server, stream=key, stop="latest", schema=ID)
    batch = read(one, key, 2, rows=2)[0]
    redis_server.cli("XDEL", key, batch.offset["id"])
    assert joined(read(one, key, resume=batch.offset))["id"].to_list() == [2, 3, 4, 5]


def test_large_entries_come_in_small_portions(redis_server, key):
    rows = pl.DataFrame({"id": range(80), "text": ["x" * 200_000] * 80})
    published(sink(redis_server, stream=key), rows)
    one = source(redis_server, stream=key, stop="latest", schema={**ID, "text": "string"})
    batches = read(one, key, bytes=1 << 20)
    assert max(batch.rows.height for batch in batches[1:]) <= 6
    assert joined(batches)["id"].to_list() == list(range(80))


def test_a_list_is_read_from_its_head_and_removed_when_done(redis_server, key):
    published(sink(redis_server, list=key), numbers(10))
    one = source(redis_server, list=key, stop="latest", schema=ID)
    assert one.infer() == pl.Schema({"id": pl.Int64})
    first, second = read(one, key, rows=5)
    again = read(one, key, until=first.offset)
    assert_frame_equal(joined(again), first.rows)
    reader = one.open(key, Read(one.declared(), resume=first.offset))
    reader.commit(first.offset)
    assert redis_server.cli("LLEN", key).strip() == "5"
    assert joined(list(reader))["id"].to_list() == [5, 6, 7, 8, 9]
    reader.commit(second.offset)
    reader.commit(second.offset)
    assert redis_server.cli("LLEN", key).strip() == "0"
    redis_server.cli("RPUSH", key, '{"id": 10}')
    assert joined(list(one.open(key, Read(one.declared()))))["id"].to_list() == [10]


def test_a_list_that_others_take_from_is_a_gap(redis_server, key):
    published(sink(redis_server, list=key), numbers(10))
    one = source(redis_server, list=key, schema=ID)
    batch = read(one, key, 5, rows=5)[0]
    redis_server.cli("LPOP", key, "8")
    with pytest.raises(SourceGap, match="holds values 0 to 2, not 5"):
        read(one, key, 1, resume=batch.offset)


@pytest.mark.parametrize("channel", ["news", "ne?s*"])
def test_a_channel_is_heard_while_it_is_open(redis_server, key, channel):
    one = source(redis_server, channel=channel, schema=ID)
    assert not one.replayable
    reader = one.open(channel, Read(one.declared()))
    batches = iter(reader)
    assert next(batches) is None
    for n in range(3):
        redis_server.cli("PUBLISH", "news", f'{{"id": {n}}}')
    found = []
    while sum(batch.rows.height for batch in found) < 3:
        batch = next(batches)
        found += [batch] if batch else []
    reader.close()
    assert joined(found)["id"].to_list() == [0, 1, 2]


def test_an_absent_server_is_waited_for_and_named(redis_server, key):
    port = free_port()
    one = RedisSource(host="127.0.0.1", port=port, stream=key, schema=ID)
    with pytest.raises(RetryLater, match=f"redis at 127.0.0.1:{port}"):
        one.open(key, Read(one.declared()))
    with pytest.raises(RetryLater, match=str(port)):
        one.check()


def test_a_server_that_comes_back_goes_on(redis_server, key):
    published(sink(redis_server, stream=key), numbers(10))
    one = source(redis_server, stream=key, schema=ID)
    reader = one.open(key, Read(one.declared(), rows=5))
    batch = next(iter(reader))
    redis_server.kill()
    with pytest.raises(RetryLater, match="cannot be used now"):
        list(reader)
    redis_server.start()
    assert joined(read(one, key, 5, resume=batch.offset))["id"].to_list() == [5, 6, 7, 8, 9]


@pytest.mark.parametrize("login", [{"user": "ann", "password": "wrong"}, {"user": "bob"}])
def test_a_wrong_password_says_what_to_check(redis_server, key, login):
    redis_server.cli("ACL", "SETUSER", "ann", "on", ">right", "~*", "+@all")
    one = source(redis_server, stream=key, schema=ID, **{"password": "x", **login})
    with pytest.raises(ConfigError) as caught:
        one.check()
    assert "refuses the login" in caught.value.what
    assert "check user and password" in str(caught.value)
    assert "wrong" not in str(caught.value)
    right = source(redis_server, stream=key, schema=ID, user="ann", password="right")
    right.check()


def test_a_missing_permission_is_named(redis_server, key):
    redis_server.cli("ACL", "SETUSER", "eve", "on", ">pw", "~*", "+@all", "-xread", "-type")
    one = source(redis_server, stream=key, schema=ID, user="eve", password="pw")
    with pytest.raises(ConfigError, match="no permissions"):
        one.check()


def test_a_key_of_another_kind_is_refused(redis_server, key):
    redis_server.cli("SET", key, "x")
    for kind in ("stream", "list"):
        one = source(redis_server, **{kind: key}, schema=ID)
        for act in (one.check, lambda one=one: one.open(key, Read(one.declared()))):
            with pytest.raises(ConfigError, match="is a string, not a"):
                act()


def test_secrets_are_masked():
    one = RedisSource(url="redis://me:hidden@db/0", password="hidden", stream="s")
    for shown in (str(one.options()), repr(one), str(one), one.model_dump_json()):
        assert "hidden" not in shown
    assert one.options()["url"] == "redis://me:***@db/0"


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({}, "one of"),
        ({"stream": "a", "list": "b"}, "one of"),
        ({"stream": "a", "group": "g"}, "go together"),
        ({"list": "a", "group": "g", "consumer": "c"}, "only a stream"),
        ({"stream": "a", "start": "soon"}, "no place in a stream"),
        ({"stream": "a", "url": "http://x"}, "redis://"),
        ({"stream": "a", "url": "redis://x/0?socket_timeout=1"}, "takes no options"),
    ],
)
def test_options_that_do_not_fit_are_refused(options, error):
    with pytest.raises(ValueError, match=error):
        RedisSource(**options)
