"""Writing Kafka, read back by its own console consumer: once, in order, or not at all."""

import dataclasses
import gc
import json
import time
from pathlib import Path

import polars as pl
import pytest
from kafka_topics import Topics

from pydatastream.connectors.kafka_sink import KafkaSink, NewTopic
from pydatastream.core.errors import ConfigError, Fenced, RetryLater, RowError, SchemaError
from pydatastream.core.sink import Write
from pydatastream.formats.json import JsonFormat
from pydatastream.parts.kafka.admin import KafkaAdmin
from pydatastream.parts.kafka.markers import TAIL, KafkaMarker, KafkaMarkers
from pydatastream.parts.kafka.sending import KafkaSending

SCHEMA = pl.Schema({"n": pl.Int64(), "k": pl.String()})
EPOCH = Write(SCHEMA, "pipe", "out", durable=True, transactional=True)
ATONCE = Write(SCHEMA, "pipe", "out")


@pytest.fixture(scope="module")
def topics(kafka_server):
    return Topics(kafka_server.address)


def some(first, last, key="a"):
    return pl.DataFrame({"n": range(first, last), "k": [key] * (last - first)}, schema=SCHEMA)


def sink(topics, topic, **options):
    options = {"markers": f"{topic}-markers", **options}
    return KafkaSink(brokers=topics.brokers, topic=topic, format=JsonFormat(), **options)


def read(kafka_server, topic, count, **shown):
    """So many committed messages as the console consumer shows them."""
    show = [
        word for key, value in shown.items() for word in ("--formatter-property", f"{key}={value}")
    ]
    limits = ["--from-beginning", "--timeout-ms", "20000", "--max-messages", str(count)]
    where = ["--topic", topic, "--isolation-level", "read_committed"]
    return kafka_server.tool("consumer.ConsoleConsumer", *where, *limits, *show).splitlines()


def seen(topics, topic):
    """The numbers that a reader of committed messages sees."""
    return [json.loads(value)["n"] for value in topics.committed(topic)]


def test_rows_go_out_at_once_with_key_and_headers(topics, kafka_server):
    topic = topics.new()
    writer = sink(topics, topic, key="k", headers={"trace": "k"}).open(ATONCE)
    writer.begin(1)
    writer.write(pl.DataFrame({"n": [1, 2], "k": ["ä", None]}, schema=SCHEMA))
    writer.publish(1)
    assert writer.published() is None
    writer.close()
    writer.close()
    told = read(kafka_server, topic, 2, **{"print.key": "true", "print.headers": "true"})
    assert told == ['trace:ä\tä\t{"n":1,"k":"ä"}', 'trace:null\tnull\t{"n":2,"k":null}']


def test_rows_of_one_key_stay_in_order(topics, kafka_server):
    topic = topics.new(3)
    writer = sink(topics, topic, key="k").open(ATONCE)
    keys = pl.Series(["a", "b", "c"] * 10_000)
    writer.write(pl.DataFrame({"n": range(30_000), "k": keys}, schema=SCHEMA))
    writer.publish(1)
    writer.close()
    found = [json.loads(value) for value in topics.committed(topic)]
    assert len(found) == 30_000
    for key in "abc":
        mine = [one["n"] for one in found if one["k"] == key]
        assert mine == sorted(mine)


def test_an_epoch_is_seen_when_it_is_published_and_once(topics, kafka_server):
    topic = topics.new()
    writer = sink(topics, topic).open(EPOCH)
    assert writer.published() is None
    for epoch in (1, 2):
        writer.begin(epoch)
        writer.write(some(epoch * 10, epoch * 10 + 3))
        writer.publish(epoch)
        writer.publish(epoch)
    writer.begin(3)
    writer.write(some(900, 905))
    writer.begin(3)  # afresh
    writer.write(some(30, 33))
    assert seen(topics, topic) == [10, 11, 12, 20, 21, 22]
    writer.publish(3)
    writer.begin(4)
    writer.write(some(990, 995))
    writer.close()
    again = sink(topics, topic).open(EPOCH)
    assert again.published() == 3
    again.close()
    assert seen(topics, topic) == [10, 11, 12, 20, 21, 22, 30, 31, 32]
    assert len(read(kafka_server, topic, 9)) == 9


def test_an_epoch_without_rows_is_remembered(topics):
    topic = topics.new()
    for epoch in (1, 2):
        writer = sink(topics, topic).open(EPOCH)
        writer.begin(epoch)
        writer.publish(epoch)
        writer.close()
    last = sink(topics, topic).open(EPOCH)
    assert last.published() == 2
    last.close()


def test_who_comes_later_fences_off_who_was_there(topics, kafka_server):
    topic = topics.new()
    old = sink(topics, topic).open(EPOCH)
    old.begin(1)
    old.write(some(900, 905))
    new_job = dataclasses.replace(EPOCH, owner="new")
    new = sink(topics, topic).open(new_job)
    with pytest.raises(RetryLater, match="fenced"):
        old.publish(1)
    old.close()
    with pytest.raises(Fenced, match="another instance writes here"):
        sink(topics, topic).open(dataclasses.replace(EPOCH, again=True))
    new.begin(1)  # nor has the old one disturbed it
    new.write(some(10, 12))
    new.publish(1)
    new.close()
    assert seen(topics, topic) == [10, 11]


def test_an_instance_whose_transaction_timed_out_goes_on(topics, kafka_server):
    topic = topics.new()
    slow = sink(topics, topic, transaction_timeout="1s")
    writer = slow.open(EPOCH)
    writer.begin(1)
    writer.write(some(900, 905))
    writer._transaction._sending.flush()
    time.sleep(3)  # the broker looks for those that took too long each second
    with pytest.raises(RetryLater):
        writer.publish(1)
    writer.close()
    again = slow.open(dataclasses.replace(EPOCH, again=True))
    assert again.published() is None
    again.begin(1)
    again.write(some(10, 12))
    again.publish(1)
    again.close()
    assert seen(topics, topic) == [10, 11]


def test_outputs_share_a_marker_topic(topics):
    markers = topics.new(cleanup_policy="compact")
    admin = KafkaAdmin(sink(topics, "x"))
    names = [f"p/{n}" for n in range(3)]
    every = [KafkaMarkers(sink(topics, "x"), admin, markers, name) for name in names]
    sending = KafkaSending(sink(topics, "x"))
    sending.send(markers, [every[0].record(KafkaMarker(7, "me"))])
    sending.send(markers, [every[1].record(KafkaMarker(n, "you")) for n in range(TAIL + 5)])
    sending.flush()
    sending.close()
    told = [one.last() for one in every]
    assert told == [KafkaMarker(7, "me"), KafkaMarker(TAIL + 4, "you"), KafkaMarker(None, None)]


def test_rows_that_are_too_long_are_named_and_nothing_is_taken(topics, kafka_server):
    topic = topics.new(max_message_bytes="2000")
    writer = sink(topics, topic).open(EPOCH)
    writer.begin(1)
    long = pl.DataFrame({"n": [1, 2, 3], "k": ["a", "x" * 3000, "x" * 2000]}, schema=SCHEMA)
    with pytest.raises(RowError, match="takes 2000") as told:
        writer.write(long)
    assert list(told.value.rows) == [1, 2]
    writer.write(long[:1])
    writer.write(some(10, 500))  # many that fit, in batches that must fit as well
    writer.publish(1)
    writer.close()
    assert seen(topics, topic) == [1, *range(10, 500)]


def test_a_megabyte_goes_where_the_topic_takes_it(topics, kafka_server):
    topic = topics.new(max_message_bytes=str(4 << 20))
    writer = sink(topics, topic).open(ATONCE)
    writer.write(some(1, 2, key="x" * (2 << 20)))
    writer.publish(1)
    writer.close()
    (line,) = topics.committed(topic)
    assert len(json.loads(line)["k"]) == 2 << 20


def test_deleted_rows_are_tombstones(topics, kafka_server):
    topic = topics.new(cleanup_policy="compact")
    schema = pl.Schema({**SCHEMA, "gone": pl.Boolean()})
    writer = sink(topics, topic, key="k", deleted="gone").open(Write(schema, "p", "o"))
    data = {"n": [1, 2, 3], "k": ["a", "b", "c"], "gone": [False, True, None]}
    writer.write(pl.DataFrame(data, schema=schema))
    writer.publish(1)
    writer.close()
    told = read(kafka_server, topic, 3, **{"print.key": "true"})
    assert told == ['a\t{"n":1,"k":"a"}', "b\tnull", 'c\t{"n":3,"k":"c"}']


@pytest.mark.parametrize("job", [EPOCH, ATONCE])
def test_a_compacted_topic_wants_keys(topics, job):
    topic = topics.new(cleanup_policy="compact")
    writer = sink(topics, topic).open(job)
    writer.begin(1)
    with pytest.raises(ConfigError, match=r"\n  try: a compacted topic needs `key:`"):
        writer.write(some(0, 1))
        writer.publish(1)
    writer.close()


def test_a_topic_is_made_only_when_asked(topics):
    with pytest.raises(ConfigError, match="topic missing: Broker: Unknown topic"):
        sink(topics, "missing").open(ATONCE)
    wanted = sink(topics, "made-here", create=NewTopic(partitions=3, replication=1))
    wanted.check()
    assert "made-here" not in topics.admin.list_topics(timeout=10).topics
    wanted.open(ATONCE).close()
    wanted.open(ATONCE).close()
    assert (
        len(topics.admin.list_topics("made-here", timeout=10).topics["made-here"].partitions) == 3
    )


def test_columns_that_are_named_must_be_there(topics):
    for wrong in ({"key": "x"}, {"headers": {"h": "x"}}, {"deleted": "x"}):
        with pytest.raises(SchemaError, match="no column 'x'"):
            sink(topics, "t", **wrong).accepts(SCHEMA)
    sink(topics, "t", deleted="o").accepts(pl.Schema({**SCHEMA, "o": pl.Boolean()}))


def test_a_broker_that_is_away_is_waited_for():
    away = KafkaSink(brokers="127.0.0.1:1", topic="t", format=JsonFormat())
    with pytest.raises(RetryLater, match=r"kafka at 127.0.0.1:1.*refused"):
        away.open(ATONCE)


def opened_again(topics, topic):
    """A new writer of the same run, as soon as the broker is well: what the engine does."""
    for _ in range(50):
        try:
            return sink(topics, topic).open(dataclasses.replace(EPOCH, again=True))
        except RetryLater:
            time.sleep(0.2)
    raise AssertionError("the broker does not come back")


def test_a_broker_that_dies_in_a_transaction_is_asked_again(topics, kafka_server):
    topic = topics.new()
    writer = sink(topics, topic).open(EPOCH)
    writer.begin(1)
    writer.write(some(0, 3))
    writer.publish(1)
    writer.begin(2)
    writer.write(some(3, 6))
    kafka_server.kill()
    with pytest.raises(RetryLater):
        writer.publish(2)
    writer.close()
    kafka_server.start()
    again = opened_again(topics, topic)
    assert again.published() in (1, 2)
    if again.published() == 1:
        again.begin(2)
        again.write(some(3, 6))
        again.publish(2)
    again.close()
    assert seen(topics, topic) == [0, 1, 2, 3, 4, 5]


def threads():
    return len(list(Path("/proc/self/task").iterdir()))


def test_a_client_ends_when_nobody_needs_it_though_no_garbage_is_looked_for(topics):
    output, counts = sink(topics, topics.new()), []
    gc.disable()
    try:
        for _ in range(4):
            output.open(EPOCH).close()
            with pytest.raises(ConfigError, match="Unknown topic"):
                KafkaAdmin(output).topics(["not-there"])
            counts.append(threads())
    finally:
        gc.enable()
    assert counts[1] == counts[3]
