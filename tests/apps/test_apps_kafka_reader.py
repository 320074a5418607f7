"""KafkaReader: every record once, what was not gone past again, what is unreadable aside."""

import threading
import time
from itertools import islice

import polars as pl
import pytest

from pydatastream import KafkaReader
from pydatastream.core.errors import ConfigError, StopError
from services.server import free_port


def reader(topics, topic, **options):
    return KafkaReader(topics.brokers, topic, **options)


def told(topics, topic, group="pydatastream"):
    """What the group was told, by partition, asked for by the client library."""
    from confluent_kafka import Consumer, TopicPartition

    consumer = Consumer({"bootstrap.servers": topics.brokers, "group.id": group})
    found = consumer.committed([TopicPartition(topic, number) for number in (0, 1)], 20)
    consumer.close()
    return [max(one.offset, 0) for one in found]


def numbers(records):
    return [record["n"] for record in records]


@pytest.fixture
def topic(topics, folder):
    """Two partitions; records differ in their fields."""
    topic = topics.new(2)
    topics.put(topic, [b'{"n":%d,"a":{"b":[1]}}' % n for n in range(300)], 0)
    topics.put(topic, [b'{"n":%d}' % n for n in range(300, 600)], 1)
    return topic


def test_records_come_one_at_a_time_as_their_json_has_them(topics, topic):
    with reader(topics, topic) as one:
        records = list(one.get_stream(limit=600))
    assert sorted(numbers(records)) == list(range(600))
    assert records[numbers(records).index(7)] == {"n": 7, "a": {"b": [1]}}
    assert told(topics, topic) == [300, 300]


def test_only_what_the_loop_has_gone_past_is_committed(topics, topic):
    seen = []
    for record in reader(topics, topic).get_stream():
        seen.append(record["n"])
        if len(seen) == 350:
            break  # it was not asked for the next: the last one comes again
    assert sum(told(topics, topic)) == 349
    rest = numbers(reader(topics, topic).get_stream(limit=251))
    assert sorted(seen[:-1] + rest) == list(range(600))


def test_a_limit_is_exact(topics, topic):
    first = numbers(reader(topics, topic).get_stream(limit=100))
    second = pl.concat(reader(topics, topic).get_batches(limit=450))["n"].to_list()
    third = numbers(reader(topics, topic).get_stream(limit=50))
    assert list(map(len, (first, second, third))) == [100, 450, 50]
    assert sorted(first + second + third) == list(range(600))
    assert list(reader(topics, topic).get_stream(limit=0)) == []


def test_an_error_in_the_loop_leaves_the_record_for_the_next_run(topics, topic):
    records = reader(topics, topic).get_stream()
    first = next(records)
    with pytest.raises(RuntimeError):
        records.throw(RuntimeError("in the loop"))
    again = list(islice(reader(topics, topic).get_stream(), 600))
    assert first in again


def test_what_is_no_record_is_set_aside_and_the_loop_goes_on(topics, topic, folder):
    topics.put(topic, [b"no json", b'{"n":600}'], 0)
    with reader(topics, topic, dead_letters="dead") as one:
        assert len(list(one.get_stream(limit=601))) == 601
        one.set_aside({"n": 7}, ValueError("odd"))
        assert one.dead == 2
    letters = pl.read_ndjson(sorted((folder / "dead").glob("part-*")))
    assert letters["payload"].to_list() == ["no json", '{"n":7}']
    assert letters["error"][0].startswith("offset 300: not JSON")
    assert letters["error"][1] == "ValueError: odd"
    assert told(topics, topic) == [302, 300]


def test_unreadable_records_stop_it_where_that_is_asked_for(topics, topic):
    topics.put(topic, [b"no json"], 0)
    with pytest.raises(StopError, match="not JSON"):
        list(reader(topics, topic, on_error="fail").get_stream())
    skipping = reader(topics, topic, on_error="skip", group="other")
    assert len(list(skipping.get_stream(idle_timeout="2s"))) == 600
    assert skipping.dead == 1


def test_batches_have_the_columns_that_are_declared_or_found(topics, topic):
    frame = pl.concat(reader(topics, topic, schema={"n": "float"}).get_batches(limit=600))
    assert frame.schema == {"n": pl.Float64()}
    assert frame.height == 600
    assert told(topics, topic) == [300, 300]


def test_a_topic_that_is_empty_is_waited_for(topics, folder):
    topic = topics.new()
    batches = reader(topics, topic).get_batches(limit=2)
    late = threading.Timer(1, topics.put, (topic, [b'{"x":1.5}', b'{"x":2.5}']))
    late.start()
    assert pl.concat(batches)["x"].to_list() == [1.5, 2.5]
    late.join()


def test_other_formats_give_rows(topics, folder):
    topic = topics.new()
    topics.put(topic, [b"a line", b"another"])
    records = reader(topics, topic, format="text").get_stream(limit=2)
    assert list(records) == [{"line": "a line"}, {"line": "another"}]


def test_what_must_be_done_first_is_done_before_each_commit(topics, topic):
    one, done = reader(topics, topic), []
    one.before_commit = lambda: done.append(sum(told(topics, topic)))
    list(one.get_stream(limit=10))
    assert done == [0]
    assert sum(told(topics, topic)) == 10


def test_another_thread_can_end_the_loop(topics, folder):
    one = reader(topics, topics.new())
    threading.Timer(0.5, one.stop).start()
    before = set(threading.enumerate())
    assert list(one.get_stream()) == []
    assert not [thread for thread in set(threading.enumerate()) - before if thread.is_alive()]


@pytest.mark.parametrize(
    ("where", "topic", "said"),
    [
        (None, "no-such-topic", "topic no-such-topic.*\n  try: check `topic:`"),
        (None, "", "`topic:` needs the name of a topic"),
        (None, [], "`topic:` needs the name of a topic"),
        ("nowhere", None, "refused.*\n  try: is a broker running at"),
    ],
)
def test_what_is_wrong_is_said_once(topics, folder, where, topic, said):
    brokers = f"localhost:{free_port()}" if where else topics.brokers
    with pytest.raises(ConfigError, match=said):
        KafkaReader([brokers], topics.new() if topic is None else topic)


def test_a_slow_loop_commits_as_it_goes(topics, topic):
    records = reader(topics, topic).get_stream()
    for _ in range(5):
        next(records)
        time.sleep(0.3)
    deadline = time.monotonic() + 10
    while not sum(told(topics, topic)) and time.monotonic() < deadline:
        next(records)
        time.sleep(0.2)
    assert 0 < sum(told(topics, topic)) < 600
