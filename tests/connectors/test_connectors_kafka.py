"""Reading Kafka: every message once, in order, from any offset; what is gone stops the run."""

import itertools
import time

import polars as pl
import pytest
from kafka_topics import NUMBERS, Topics, batches, dead, numbers, rows

from pydatastream.connectors.kafka import KafkaSource
from pydatastream.core.errors import ConfigError, RetryLater, SourceGap
from pydatastream.core.source import Read
from pydatastream.core.times import EVENT_TIME
from pydatastream.formats.json import JsonFormat


@pytest.fixture(scope="module")
def topics(kafka_server):
    return Topics(kafka_server.address)


def values(found):
    return rows(found)["n"].to_list()


def test_each_partition_is_read_in_order_in_batches_of_any_size(topics):
    topic = topics.new(2)
    topics.put(topic, numbers(0, 500), partition=0)
    topics.put(topic, numbers(500, 1000), partition=1)
    source = topics.source(topic, stop="latest")
    names = source.partitions()
    assert names == [f"{topic}/0", f"{topic}/1"]
    assert values(batches(source, names[0], rows=70)) == list(range(500))
    few = batches(source, names[1], bytes=100)
    assert values(few) == list(range(500, 1000))
    assert max(batch.rows.height for batch in few) <= 100 // len(b'{"n":500}')


def test_partitions_share_one_consumer_and_lose_nothing(topics):
    topic = topics.new(3)
    for partition in range(3):
        topics.put(topic, numbers(partition * 1000, partition * 1000 + 900), partition)
    source = topics.source(topic, stop="latest")
    readers = {name: source.open(name, Read(NUMBERS, rows=50)) for name in source.partitions()}
    assert len({id(reader._feed) for reader in readers.values()}) == 1
    live, found = {name: iter(one) for name, one in readers.items()}, {name: [] for name in readers}
    while live:
        for name in list(live):
            batch = next(live[name], "over")
            if batch == "over":
                del live[name]
                readers[name].close()
            elif batch is not None:
                found[name] += batch.rows["n"].to_list()
    for partition, name in enumerate(found):
        assert found[name] == list(range(partition * 1000, partition * 1000 + 900))
    assert source._session.feed.closed


def test_resumed_at_every_offset_with_gaps_of_transactions(topics):
    topic = topics.new()
    topics.put(topic, numbers(0, 3))
    topics.transact(topic, numbers(3, 6))
    topics.transact(topic, numbers(900, 902), commit=False)
    topics.put(topic, numbers(6, 9))
    topics.transact(topic, numbers(9, 10))  # its marker is the last of the log
    source = topics.source(topic, stop="latest")
    source.partitions()
    every = batches(source, f"{topic}/0", rows=1)
    assert values(every) == list(range(10))
    ends = [batch.offset for batch in every]
    for end in ends:
        before = sum(
            batch.rows.height for batch in every if batch.offset["offset"] <= end["offset"]
        )
        later = batches(source, f"{topic}/0", resume=end)
        assert [n for batch in later for n in batch.rows["n"]] == list(range(before, 10))
    for start, end in itertools.combinations(ends[::2], 2):
        again = batches(source, f"{topic}/0", resume=start, until=end)
        whole = [one for one in every if start["offset"] < one.offset["offset"] <= end["offset"]]
        assert values(again) == values(whole)
        assert again[-1].offset == end


def test_where_it_begins_is_settled_before_any_row(topics):
    topic = topics.new()
    topics.put(topic, numbers(0, 3))
    source = topics.source(topic, start="latest")
    source.partitions()
    reader = source.open(f"{topic}/0", Read(NUMBERS))
    first = next(iter(reader))
    reader.close()
    assert (first.rows.height, first.offset["offset"]) == (0, 3)
    topics.put(topic, numbers(3, 5))
    again = batches(source, f"{topic}/0", until=first.offset)
    assert [(one.rows.height, one.offset) for one in again] == [(0, first.offset)]
    assert values(batches(source, f"{topic}/0", resume=first.offset)) == [3, 4]


def test_starts(topics):
    topic = topics.new(2)
    topics.put(topic, numbers(0, 5), timestamp=1_000_000)
    topics.put(topic, numbers(5, 10), timestamp=2_000_000)
    topics.put(topic, numbers(10, 12), partition=1)

    def read(start, partition=0, **more):
        source = topics.source(topic, start=start, stop="latest", **more)
        source.partitions()
        return values(batches(source, f"{topic}/{partition}"))

    assert read("earliest") == list(range(10))
    assert read("latest") == []
    assert read("1970-01-01T00:20:00Z") == [5, 6, 7, 8, 9]
    assert read("2999-01-01T00:00:00Z") == []
    assert read({0: 7}) == [7, 8, 9]
    assert read({f"{topic}/0": 8}) == [8, 9]
    assert read({0: 7}, partition=1) == [10, 11]
    with pytest.raises(SourceGap, match="offset 99 is beyond the end 10"):
        read({0: 99})
    with pytest.raises(ValueError, match="group"):
        read("committed")


def test_a_group_is_told_and_read_only_when_asked(topics, kafka_server):
    topic = topics.new()
    topics.put(topic, numbers(0, 5))
    source = topics.source(topic, group=f"g-{topic}", stop="latest")
    source.partitions()
    reader = source.open(f"{topic}/0", Read(NUMBERS))
    list(reader)
    reader.commit({"offset": 3})
    reader.close()
    told = kafka_server.tool(
        "consumer.group.ConsumerGroupCommand", "--describe", "--group", f"g-{topic}"
    )
    assert [line.split()[3:6] for line in told.splitlines() if topic in line] == [["3", "5", "2"]]
    assert values(batches(source, f"{topic}/0")) == list(range(5))
    again = topics.source(topic, group=f"g-{topic}", start="committed", stop="latest")
    again.partitions()
    assert values(batches(again, f"{topic}/0")) == [3, 4]


def test_two_processes_share_a_topic_by_its_partitions(topics):
    topic = topics.new(3)
    one, other = (topics.source(topic, partitions=some) for some in ([0, 2], [1]))
    assert one.partitions() == [f"{topic}/0", f"{topic}/2"]
    assert other.partitions() == [f"{topic}/1"]


def test_several_topics_are_one_source(topics):
    one, other = topics.new(), topics.new()
    topics.put(one, numbers(0, 2))
    topics.put(other, numbers(2, 4))
    source = topics.source([one, other], stop="latest")
    found = [batches(source, name) for name in source.partitions()]
    assert sorted(n for some in found for n in values(some)) == [0, 1, 2, 3]


def test_what_comes_beside_the_value(topics):
    topic = topics.new()
    headers = [("trace", b"old"), ("trace", b"a"), ("none", None)]
    topics.put(topic, [b'{"n":1,"k":9}'], key="k1", headers=headers, timestamp=1_700_000_000_123)
    topics.put(topic, [b'{"n":2}'], timestamp=0)
    topics.put(topic, [b'{"n":3}'], key=b"\xff")
    beside = {"key": "k", "headers": {"trace": "trace", "none": "no"}, "timestamp": "at"}
    source = topics.source(topic, stop="latest", **beside)
    schema = source.infer()
    text = pl.String()
    assert schema == {"n": pl.Int64(), "k": text, "trace": text, "no": text, "at": EVENT_TIME}
    source.partitions()
    found = batches(source, f"{topic}/0", schema=schema)
    assert rows(found).drop("at").rows() == [(1, "k1", "a", None), (2, None, None, None)]
    assert rows(found)["at"].dt.epoch("ms")[0] == 1_700_000_000_123
    assert dead(found)["error"].to_list() == ["offset 2: k: a value is not a string"]
    types = {"n": "int", "k": "binary"}
    raw = topics.source(topic, stop="latest", key="k", offset="place", schema=types)
    raw.partitions()
    kept = batches(raw, f"{topic}/0", schema=raw.declared())
    assert rows(kept)["k"].to_list() == [b"k1", None, b"\xff"]
    assert rows(kept)["place"].to_list() == [0, 1, 2]


AWKWARD = [b'{"n":1}', None, b"", b"\xff{", b'{"n":', b'{"n":2}']


@pytest.mark.parametrize("tombstones", ["skip", "dead_letter", "delete"])
def test_messages_that_are_no_rows(topics, tombstones):
    topic = topics.new()
    topics.put(topic, AWKWARD, key="key")
    source = topics.source(topic, stop="latest", tombstones=tombstones, key="k")
    schema = pl.Schema({"n": pl.Int64(), **source.beside()})
    source.partitions()
    found = batches(source, f"{topic}/0", schema=schema)
    letters = dead(found).select("payload", "encoding", pl.col("error").str.head(8)).rows()
    expected = [
        ("", "utf8", "offset 2"),
        ("/3s=", "base64", "offset 3"),
        ('{"n":', "utf8", "offset 4"),
    ]
    expected += [("key", "utf8", "offset 1")] if tombstones == "dead_letter" else []
    assert letters == expected
    gone = [(None, "key", True)] if tombstones == "delete" else []
    plain = [(1, "key"), (2, "key")]
    full = [(*one, False) for one in plain] if tombstones == "delete" else plain
    assert rows(found).rows() == [full[0], *gone, full[1]]
    assert found[-1].offset["offset"] == len(AWKWARD)


def test_only_tombstones_move_the_offset_on(topics):
    topic = topics.new()
    topics.put(topic, [None, None], key="k")
    source = topics.source(topic, stop="latest")
    source.partitions()
    found = batches(source, f"{topic}/0")
    assert (rows(found).height, found[-1].offset["offset"]) == (0, 2)


def test_messages_that_are_gone_stop_the_run(topics, caplog):
    topic = topics.new()
    topics.put(topic, numbers(0, 10))
    source = topics.source(topic, stop="latest")
    source.partitions()
    at = batches(source, f"{topic}/0", rows=2)[1].offset
    topics.trim(topic, 7)
    with pytest.raises(SourceGap, match="offsets 2 to 6 are gone; the first there is: 7") as told:
        source.open(f"{topic}/0", Read(NUMBERS, resume=at))
    assert "accept_gap: true" in str(told.value)
    lenient = topics.source(topic, stop="latest", accept_gap=True)
    lenient.partitions()
    assert values(batches(lenient, f"{topic}/0", resume=at)) == [7, 8, 9]
    assert "offsets 2 to 6 are gone" in caplog.text


def test_messages_that_go_while_they_are_read_stop_the_run(topics):
    topic = topics.new()
    topics.put(topic, numbers(0, 10))
    source = topics.source(topic)
    reader = source.open(f"{topic}/0", Read(NUMBERS))
    reader._feed.move((topic, 0), 3)  # the client has not asked for them yet
    topics.trim(topic, 8)
    reader._feed.move((topic, 0), 3)
    reader._at = 3
    with pytest.raises(SourceGap, match="offsets 3 to 7 are gone"):
        list(itertools.islice(reader, 200))
    reader.close()


def test_a_topic_made_anew_stops_the_run(topics):
    topic = topics.new()
    topics.put(topic, numbers(0, 5))
    source = topics.source(topic, stop="latest")
    source.partitions()
    at = batches(source, f"{topic}/0", rows=3)[1].offset
    topics.drop(topic)
    topics.make(topic)
    topics.put(topic, numbers(0, 9))
    with pytest.raises(SourceGap, match=f"topic {topic} was made anew"):
        topics.source(topic).open(f"{topic}/0", Read(NUMBERS, resume=at))


def test_a_new_partition_is_found_and_read_from_its_beginning(topics):
    topic = topics.new()
    source = topics.source(topic, start="latest")
    assert source.partitions() == [f"{topic}/0"]
    topics.grow(topic, 2)
    topics.put(topic, numbers(0, 3), partition=1)
    over = time.monotonic() + 10
    while len(source.partitions()) < 2 and time.monotonic() < over:
        time.sleep(0.05)
    assert source.partitions() == [f"{topic}/0", f"{topic}/1"]
    assert values(batches(source, f"{topic}/1")) == [0, 1, 2]


def test_what_comes_is_given_at_once(topics):
    topic = topics.new()
    source = topics.source(topic)
    reader = source.open(f"{topic}/0", Read(NUMBERS))
    batches_ = iter(reader)
    for _ in range(20):
        next(batches_)
    waits = []
    for n in range(20):
        topics.put(topic, [b'{"n":%d}' % n])
        began = time.monotonic()
        while next(batches_) is None:
            pass
        waits.append(time.monotonic() - began)
    reader.close()
    assert sorted(waits)[10] < 0.1


def test_a_sample_tells_the_columns(topics):
    topic = topics.new(2)
    with pytest.raises(ConfigError, match="no message to infer"):
        topics.source(topic).infer()
    topics.put(topic, [None, b'{"a":1}'], key="k")
    topics.put(topic, [b'{"b":\n"x"}'], partition=1)
    assert topics.source(topic).infer() == {"a": pl.Int64(), "b": pl.String()}


def test_wrong_places_are_told_in_one_line(topics):
    topic = topics.new()
    with pytest.raises(ConfigError, match="topic nowhere: Broker: Unknown topic"):
        topics.source("nowhere").check()
    with pytest.raises(ConfigError, match=r"not all of partitions \[0, 4\]"):
        topics.source(topic, partitions=[0, 4]).check()
    with pytest.raises(ConfigError, match=r"SASL.*\n.*check `sasl:`"):
        topics.source(topic, sasl={"user": "me", "password": "x"}).check()
    topics.source(topic).check()


def test_a_broker_that_is_away_is_waited_for():
    source = KafkaSource(brokers="127.0.0.1:1", topic="t", format=JsonFormat())
    with pytest.raises(RetryLater, match=r"kafka at 127.0.0.1:1.*refused"):
        source.partitions()


def test_secrets_are_not_shown(topics):
    source = topics.source("t", sasl={"user": "me", "password": "hidden"})
    assert "hidden" not in repr(source)
    assert "hidden" not in str(source.options())


def test_closed_twice(topics):
    topic = topics.new()
    reader = topics.source(topic).open(f"{topic}/0", Read(NUMBERS))
    reader.close()
    reader.close()
