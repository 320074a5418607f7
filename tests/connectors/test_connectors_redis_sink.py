"""The Redis sink against the real server, read back by redis-cli."""

import json

import polars as pl
import pytest
from redis_parts import SCHEMA, ids, numbers, opened, published, sink

from pydatastream.connectors.redis_sink import RedisSink
from pydatastream.core.errors import (
    ConfigError,
    Fenced,
    RetryLater,
    RowError,
    SchemaError,
    StopError,
)
from pydatastream.core.sink import Delivery
from pydatastream.formats.json import JsonFormat
from services.server import free_port

DEVICES = pl.DataFrame({"device": ["a", "b", "a"], "n": [1, 2, None]})


@pytest.fixture
def key(redis_server, request):
    redis_server.cli("FLUSHALL")
    return request.node.name


def hash_of(server, key):
    return json.loads(server.cli("--json", "-3", "HGETALL", key))


@pytest.mark.parametrize("once", [True, False])
def test_an_epoch_shows_when_it_is_published_and_once(redis_server, key, once):
    writer = opened(sink(redis_server, stream=key), once=once)
    writer.begin(1)
    empty = {name: pl.lit(None, dtype) for name, dtype in SCHEMA.items() if name != "id"}
    writer.write(numbers(3).with_columns(**empty))
    seen = redis_server.cli("EXISTS", key).strip()
    assert seen == "0" or not once
    writer.publish(1)
    writer.publish(1)
    writer.close()
    writer.close()
    assert ids(redis_server, key) == {0: 1, 1: 1, 2: 1}


def test_the_marker_survives_and_repeating_an_epoch_changes_nothing(redis_server, key):
    one = sink(redis_server, stream=key)
    published(one, numbers(5), 1)
    published(one, numbers(5, 5), 2)
    redis_server.kill()
    redis_server.start()
    again = opened(one, numbers(0).schema)
    assert again.published() == 2
    again.begin(2)
    again.write(numbers(5, 5))
    again.publish(2)
    again.close()
    assert redis_server.cli("XLEN", key).strip() == "10"
    assert redis_server.cli("GET", f"{{{key}}}:pds:p:out").split()[0] == "2"


def test_beginning_again_forgets_what_was_written(redis_server, key):
    writer = opened(sink(redis_server, stream=key), numbers(0).schema)
    for _ in range(2):
        writer.begin(1)
        writer.write(numbers(4))
    writer.publish(1)
    writer.close()
    assert redis_server.cli("XLEN", key).strip() == "4"


def test_a_lost_marker_is_nothing_remembered(redis_server, key):
    one = sink(redis_server, stream=key)
    published(one, numbers(1), 1)
    redis_server.cli("FLUSHALL")
    writer = opened(one, numbers(0).schema)
    assert writer.published() is None
    writer.close()


def test_the_owner_before_can_no_longer_write(redis_server, key):
    one = sink(redis_server, stream=key)
    old = opened(one, numbers(0).schema)
    old.begin(1)
    old.write(numbers(3))
    new = opened(one, numbers(0).schema)
    with pytest.raises(Fenced, match="taken over"):
        old.publish(1)
    with pytest.raises(Fenced):
        old.begin(1)
    assert redis_server.cli("EXISTS", key).strip() == "0"
    new.begin(1)
    new.write(numbers(2))
    new.publish(1)
    assert redis_server.cli("XLEN", key).strip() == "2"


def test_pipelines_do_not_share_a_marker(redis_server, key):
    one = sink(redis_server, stream=key)
    published(one, numbers(1), 7, name="one")
    writer = opened(one, numbers(0).schema, name="two")
    assert writer.published() is None


def test_a_key_that_changes_its_kind_stops_the_run_and_the_marker_stays(redis_server, key):
    one = sink(redis_server, stream=key)
    published(one, numbers(1), 1)
    writer = opened(one, numbers(0).schema)
    writer.begin(2)
    writer.write(numbers(2))
    redis_server.cli("SET", key, "text")
    with pytest.raises(StopError, match="WRONGTYPE"):
        writer.publish(2)
    writer.close()
    redis_server.cli("DEL", key)
    assert opened(one, numbers(0).schema).published() == 1


@pytest.mark.parametrize("options", [{"stream": "k"}, {"list": "k"}])
def test_a_key_of_another_kind_is_refused(redis_server, key, options):
    redis_server.cli("SET", "k", "x")
    one = sink(redis_server, **options)
    for act in (one.check, lambda: opened(one, numbers(0).schema)):
        with pytest.raises(ConfigError, match="'k' is a string"):
            act()


def test_a_stream_keeps_about_so_many(redis_server, key):
    published(sink(redis_server, stream=key, maxlen=1000), numbers(5000))
    assert 1000 <= int(redis_server.cli("XLEN", key)) < 1200


def test_a_list_keeps_so_many_and_for_so_long(redis_server, key):
    published(sink(redis_server, list=key, maxlen=3, ttl="1m"), numbers(2500))
    assert redis_server.cli("LRANGE", key, "0", "-1").split() == [
        '{"id":2497}', '{"id":2498}', '{"id":2499}'
    ]  # fmt: skip
    assert 0 < int(redis_server.cli("PTTL", key)) <= 60_000


def test_the_last_row_of_a_key_is_its_value(redis_server, key):
    published(sink(redis_server, key="at:{device}", ttl="1h"), DEVICES)
    assert redis_server.cli("GET", "at:a") == '{"device":"a","n":null}\n'
    assert redis_server.cli("GET", "at:b") == '{"device":"b","n":2}\n'
    assert int(redis_server.cli("PTTL", "at:a")) > 3_000_000


def test_the_last_row_of_a_key_is_its_hash_and_null_removes(redis_server, key):
    redis_server.cli("HSET", "at:a", "other", "stays", "n", "9")
    published(sink(redis_server, hash="at:{device}", ttl="1h"), DEVICES)
    assert hash_of(redis_server, "at:a") == {"other": "stays", "device": "a"}
    assert hash_of(redis_server, "at:b") == {"device": "b", "n": "2"}
    assert int(redis_server.cli("PTTL", "at:b")) > 3_000_000


def test_a_hash_holds_an_encoded_row_in_one_field(redis_server, key):
    published(sink(redis_server, hash="at:{device}", field="row", format=JsonFormat()), DEVICES)
    assert hash_of(redis_server, "at:b") == {"row": '{"device":"b","n":2}'}


def test_a_row_without_key_is_refused_before_anything_is_sent(redis_server, key):
    for options in ({"hash": "of:{n}"}, {"key": "at:{n}"}):
        writer = opened(sink(redis_server, **options), DEVICES.schema)
        writer.begin(1)
        with pytest.raises(RowError, match="no key"):
            writer.write(DEVICES)
        writer.write(DEVICES[:1])
        writer.publish(1)
        writer.close()
    assert redis_server.cli("TYPE", "at:1").strip() == "string"
    assert redis_server.cli("EXISTS", "at:2").strip() == "0"


def test_a_channel_promises_at_most_once(redis_server, key):
    assert RedisSink.delivery is Delivery.EXACTLY_ONCE
    one = sink(redis_server, channel="news")
    assert one.delivery is Delivery.AT_MOST_ONCE
    published(one, numbers(3))


def test_time_series_hold_samples_and_replace_those_of_one_time(redis_stack_server):
    redis_stack_server.cli("FLUSHALL")
    when = (
        pl.Series([1000, 2000, 1000, 3000]).cast(pl.Datetime("ms")).cast(pl.Datetime("us", "UTC"))
    )
    rows = pl.DataFrame({"d": ["a", "a", "a", "b"], "v": [1.5, 2.0, 9.25, None], "t": when})
    one = sink(redis_stack_server, timeseries="heat:{d}", value="v", at="t", ttl="30d")
    published(one, rows)
    published(one, rows, 2)
    told = redis_stack_server.cli("TS.RANGE", "heat:a", "-", "+").split()
    assert told == ["1000", "9.25", "2000", "2"]
    assert redis_stack_server.cli("EXISTS", "heat:b").strip() == "0"


def test_time_series_need_their_module(redis_server, key):
    rows = pl.DataFrame({"v": [1.0], "t": [0]}, schema_overrides={"t": pl.Datetime("us", "UTC")})
    writer = opened(sink(redis_server, timeseries="heat", value="v", at="t"), rows.schema)
    writer.begin(1)
    writer.write(rows)
    with pytest.raises(ConfigError, match="time series need the module"):
        writer.publish(1)


def test_an_absent_server_is_waited_for_and_named():
    port = free_port()
    with pytest.raises(RetryLater, match=f"127.0.0.1:{port}"):
        opened(RedisSink(url=f"redis://127.0.0.1:{port}", stream="s"))


def test_a_server_that_dies_in_an_epoch_has_none_of_it(redis_server, key):
    one = sink(redis_server, stream=key)
    writer = opened(one, numbers(0).schema)
    writer.begin(1)
    writer.write(numbers(100))
    redis_server.kill()
    with pytest.raises(RetryLater):
        writer.publish(1)
    redis_server.start()
    assert redis_server.cli("EXISTS", key).strip() == "0"
    assert opened(one, numbers(0).schema).published() is None


def test_a_server_out_of_memory_is_waited_for(redis_server, key):
    writer = opened(sink(redis_server, stream=key), numbers(0).schema)
    writer.begin(1)
    writer.write(numbers(10))
    redis_server.cli("CONFIG", "SET", "maxmemory", "1")
    try:
        with pytest.raises(RetryLater, match="cannot be used now"):
            writer.publish(1)
    finally:
        redis_server.cli("CONFIG", "SET", "maxmemory", "0")
    assert redis_server.cli("EXISTS", key).strip() == "0"


def test_columns_that_do_not_fit_are_refused_before_the_start(redis_server):
    nested = pl.Schema({"l": pl.List(pl.Int64), "v": pl.String, "t": pl.Int64})
    with pytest.raises(SchemaError, match="cannot hold column 'l'"):
        sink(redis_server, stream="s").accepts(nested)
    sink(redis_server, stream="s", format=JsonFormat()).accepts(nested)
    for options in ({"key": "{nope}"}, {"timeseries": "s", "value": "v", "at": "t"}):
        with pytest.raises(SchemaError):
            sink(redis_server, **options).accepts(nested)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({}, "one of"),
        ({"stream": "a", "key": "b"}, "one of"),
        ({"timeseries": "a"}, "`value` and `at`"),
        ({"key": "a", "maxlen": 3}, "for a stream or a list"),
        ({"stream": "a", "ttl": "1m"}, "a stream has `maxlen`"),
    ],
)
def test_options_that_do_not_fit_are_refused(options, error):
    with pytest.raises(ValueError, match=error):
        RedisSink(**options)
