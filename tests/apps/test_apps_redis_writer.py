"""RedisWriter: whatever it is given is in Redis, as redis-cli sees it."""

import json
import threading
import time

import polars as pl
import pytest

from pydatastream import RedisWriter
from pydatastream.core.errors import ConfigError, RetryLater
from services.server import free_port


@pytest.fixture
def url(redis_server, folder):
    redis_server.cli("FLUSHALL")
    return redis_server.environment()["REDIS_URL"]


def entries(redis_server, stream):
    """The field `data` of each entry."""
    lines = redis_server.cli("XRANGE", stream, "-", "+").splitlines()
    return [lines[n + 1] for n, line in enumerate(lines) if line == "data"]


def test_every_kind_of_record_is_an_entry_of_a_stream(redis_server, url):
    with RedisWriter(url, stream="all") as writer:
        writer.publish_data({"id": 1, "deep": [{"x": None}]})
        writer.publish_data('{"id": 2}')
        writer.publish_data(b"any bytes")
        writer.publish_data(pl.DataFrame({"id": [4, 5], "t": ["x", None]}))
        writer.publish_data([{"id": 6}, {"other": 7}])
        writer.publish_data(None)
        found = entries(redis_server, "all")
    assert found[0] == '{"id":1,"deep":[{"x":null}]}'
    assert found[1:3] == ['{"id": 2}', "any bytes"]
    more = [{"id": 4, "t": "x"}, {"id": 5, "t": None}, {"id": 6}, {"other": 7}]
    assert list(map(json.loads, found[3:])) == more


def test_the_stream_has_a_name_where_none_is_given(redis_server, url):
    RedisWriter(url).publish_data({"id": 1})
    assert entries(redis_server, "pydatastream") == ['{"id":1}']


def test_other_places(redis_server, url):
    row = {"id": "a", "v": 1.5, "at": 1000}
    for place in ({"list": "l"}, {"key": "k:{id}", "ttl": "1h"}, {"hash": "h:{id}"}):
        with RedisWriter({"url": url, **place}) as writer:
            writer.publish_data(row)
    with RedisWriter(url, stream="fields", format=None) as writer:
        writer.publish_data(row)
        writer.publish_data(pl.DataFrame([row]))
    assert json.loads(redis_server.cli("LRANGE", "l", "0", "-1")) == row
    assert json.loads(redis_server.cli("GET", "k:a")) == row
    assert 0 < int(redis_server.cli("PTTL", "k:a")) <= 3_600_000
    assert json.loads(redis_server.cli("HGET", "h:a", "data")) == row
    assert redis_server.cli("XRANGE", "fields", "-", "+").split().count("1.5") == 2


def test_records_wait_for_others_as_long_as_they_may(redis_server, url):
    with RedisWriter(url, stream="batch", batch_size=3, linger="1h") as writer:
        writer.publish_data({"id": 1})
        writer.publish_data({"id": 2})
        assert entries(redis_server, "batch") == []
        writer.publish_data({"id": 3})
        assert len(entries(redis_server, "batch")) == 3
        writer.publish_data({"id": 4})
    assert len(entries(redis_server, "batch")) == 4


def test_a_redis_that_was_away_gets_everything(redis_server, url):
    with RedisWriter(url, stream="away") as writer:
        writer.publish_data({"id": 1})
        redis_server.kill()
        rest = [{"id": n} for n in range(2, 5)]
        work = threading.Thread(target=lambda: list(map(writer.publish_data, rest)), daemon=True)
        work.start()
        time.sleep(0.5)
        redis_server.start()
        work.join(60)
    assert {json.loads(one)["id"] for one in entries(redis_server, "away")} == {1, 2, 3, 4}


def test_patience_has_an_end_where_one_is_set(redis_server, url):
    with RedisWriter(url, stream="patience", patience="200ms") as writer:
        writer.publish_data({"id": 1})
        redis_server.kill()
        began = time.monotonic()
        try:
            with pytest.raises(RetryLater, match="cannot be used now"):
                writer.publish_data({"id": 2})
        finally:
            redis_server.start()
        assert time.monotonic() - began < 30
        writer.flush()
    assert json.loads(entries(redis_server, "patience")[-1]) == {"id": 2}


def test_what_is_wrong_is_said_once(url):
    with pytest.raises(ConfigError, match="refused.\n  try: is Redis running at"):
        RedisWriter(f"localhost:{free_port()}")
    with pytest.raises(ConfigError, match="refuses the login.*\n  try: check user and password"):
        RedisWriter(url, password="wrong")
    with pytest.raises(ConfigError, match="no option 'strem'\n  try: did you mean 'stream'"):
        RedisWriter(url, strem="x")
    with pytest.raises(ConfigError, match="key 'taken' is a list, not a stream"):
        RedisWriter(url, list="taken").publish_data({"id": 1})
        RedisWriter(url, stream="taken")
