"""SQS against moto, which keeps all in memory; what arrived is read back by boto3 on its own.

A stale receipt handle is accepted by moto and refused by others: both are played here.
"""

from __future__ import annotations

import json
import time
from collections import Counter

import boto3
import polars as pl
import pytest
from remote_runs import each_once, finished, ids, pipeline, ran, write_rows

from pydatastream.connectors.sqs import SqsSource
from pydatastream.connectors.sqs_sink import SqsSink
from pydatastream.core.errors import ConfigError, RetryLater, RowError, SchemaError
from pydatastream.core.sink import Delivery, Write
from pydatastream.core.source import Read
from pydatastream.formats.json import JsonFormat
from pydatastream.parts.aws.queue_messages import SqsMessages

SCHEMA = pl.Schema({"id": pl.Int64, "text": pl.String})
KEYS = {"access_key_id": "test", "secret_access_key": "test", "region": "eu-central-1"}


@pytest.fixture(scope="module")
def client(aws_server):
    """An independent reader of the truth."""
    return boto3.client(
        "sqs",
        endpoint_url=f"http://{aws_server.address}",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        region_name="eu-central-1",
    )


def made(client, aws_server, ending="", **attributes):
    name = f"queue-{time.monotonic_ns()}{ending}"
    url = client.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
    return url, {**KEYS, "endpoint_url": f"http://{aws_server.address}", "queue": name}


@pytest.fixture
def standard(client, aws_server):
    return made(client, aws_server)


@pytest.fixture
def fifo(client, aws_server):
    return made(client, aws_server, ".fifo", FifoQueue="true")


def sent(client, url, count, start=0):
    for at in range(start, start + count, 10):
        entries = [
            {"Id": str(n), "MessageBody": json.dumps({"id": n, "text": f"é{n}"})}
            for n in range(at, min(at + 10, start + count))
        ]
        client.send_message_batch(QueueUrl=url, Entries=entries)


def bodies(client, url):
    """All messages of a queue, by another client."""
    found = []
    while messages := client.receive_message(
        QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"], AttributeNames=["All"]
    ).get("Messages"):
        found += messages
        for one in messages:
            client.delete_message(QueueUrl=url, ReceiptHandle=one["ReceiptHandle"])
    return found


def left(client, url):
    """Messages in the queue, visible or not."""
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    found = client.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    return [int(found[name]) for name in names]


def batches(reader, rows):
    """Batches until so many rows have come."""
    found, count, end = [], 0, time.monotonic() + 20
    for batch in reader:
        if batch is not None:
            found.append(batch)
            count += batch.rows.height + batch.dead.height
        if count >= rows or time.monotonic() > end:
            return found
    return found


def writer(reach, **how):
    given = {"pipeline": "p", "sink": "out", "durable": True, "transactional": True} | how
    return SqsSink(**reach, format=JsonFormat()).open(Write(SCHEMA, **given))


def rows_of(count):
    texts = [None if n % 3 else f"é\U0001f600{n}" for n in range(count)]
    return pl.DataFrame({"id": range(count), "text": texts}, schema=SCHEMA)


def test_what_is_written_is_read_back(client, standard):
    url, reach = standard
    one = writer(reach)
    one.begin(1)
    one.write(rows_of(25))
    assert left(client, url) == [0, 0]
    one.publish(1)
    one.publish(1)
    one.close()
    source = SqsSource(**reach, format=JsonFormat(), message_id="mid")
    reader = source.open("queue", Read(pl.Schema({**SCHEMA, "mid": pl.String})))
    found = batches(reader, 25)
    rows = pl.concat([batch.rows for batch in found])
    assert rows.sort("id").drop("mid").equals(rows_of(25))
    assert rows["mid"].n_unique() == 25
    reader.commit(found[-1].offset)
    assert left(client, url) == [0, 0]
    reader.close()
    reader.close()


def test_a_fifo_queue_drops_what_is_sent_again(client, fifo):
    url, reach = fifo
    for _ in range(2):  # as after a crash between publishing and committing
        one = writer(reach)
        assert one.published() is None
        one.begin(4)
        one.write(rows_of(12))
        one.publish(4)
    found = bodies(client, url)
    assert [json.loads(one["Body"])["id"] for one in found] == list(range(12))
    names = [one["MessageAttributes"]["pds"]["StringValue"] for one in found]
    assert names == [f"p-out-4-{n}" for n in range(12)]


def test_the_group_is_a_column(client, fifo):
    url, reach = fifo
    sink = SqsSink(**reach, format=JsonFormat(), group="id")
    one = sink.open(Write(SCHEMA, "p", "out", durable=True, transactional=True))
    one.begin(1)
    one.write(rows_of(3))
    one.publish(1)
    groups = {one["Attributes"]["MessageGroupId"] for one in bodies(client, url)}
    assert groups == {"0", "1", "2"}
    with pytest.raises(SchemaError, match="nothing"):
        SqsSink(**reach, group="nothing").accepts(SCHEMA)


def test_what_each_kind_promises(standard, fifo):
    assert SqsSink(**standard[1]).delivery is Delivery.AT_LEAST_ONCE
    assert SqsSink(**fifo[1]).delivery is Delivery.EFFECTIVELY_ONCE


def test_large_rows_share_calls_and_too_large_ones_are_refused(client, aws_server):
    url, reach = made(client, aws_server, MaximumMessageSize="262144")
    one = writer(reach)
    one.begin(1)
    large = pl.DataFrame({"id": range(4), "text": ["x" * 100_000] * 4}, schema=SCHEMA)
    one.write(large)
    with pytest.raises(RowError, match="a message of 3"):
        one.write(pl.DataFrame({"id": [9], "text": ["x" * 300_000]}, schema=SCHEMA))
    one.publish(1)
    assert len(bodies(client, url)) == 4


def test_an_unreadable_message_is_a_dead_letter(client, standard):
    url, reach = standard
    client.send_message(QueueUrl=url, MessageBody="{oops")
    client.send_message(QueueUrl=url, MessageBody='{"id": 7}')
    reader = SqsSource(**reach, format=JsonFormat()).open("queue", Read(SCHEMA))
    found = batches(reader, 2)
    assert [n for batch in found for n in batch.rows["id"]] == [7]
    (error,) = [error for batch in found for error in batch.dead["error"]]
    assert error.startswith("message ")
    reader.commit(found[-1].offset)
    assert left(client, url) == [0, 0]
    reader.close()


def test_a_message_that_comes_again_is_deleted_and_not_given(client, standard):
    url, reach = standard
    sent(client, url, 5)
    source = SqsSource(**reach, format=JsonFormat())
    first = source.open("queue", Read(SCHEMA))
    found = batches(first, 5)
    first.close()  # spooled, but the queue was never told
    again = source.open("queue", Read(SCHEMA, spooled=[batch.offset for batch in found]))
    sent(client, url, 3, start=5)
    more = batches(again, 3)
    assert sorted(n for batch in more for n in batch.rows["id"]) == [5, 6, 7]
    again.commit(more[-1].offset)
    end = time.monotonic() + 10
    while left(client, url) != [0, 0] and time.monotonic() < end:
        assert batches(iter([next(iter(again))]), 1) == []
    assert left(client, url) == [0, 0]
    again.close()


def test_messages_in_hand_stay_invisible(client, aws_server):
    url, reach = made(client, aws_server, VisibilityTimeout="2")
    sent(client, url, 3)
    reader = SqsSource(**reach, format=JsonFormat()).open("queue", Read(SCHEMA))
    batches(reader, 3)
    for _ in range(30):
        assert next(iter(reader)) is None
        assert left(client, url) == [0, 3]
    reader.close()
    assert left(client, url) == [3, 0]


class Door:
    """A queue that gives one message twice, and refuses a stale handle, as ElasticMQ does."""

    name = "a queue"

    def __init__(self):
        self.deleted, self.calls = [], []

    def number(self, attribute, usual):
        return usual

    def batches(self, call, entries):
        handles = [one["ReceiptHandle"] for one in entries]
        self.calls += [(call, one) for one in handles]
        stale = [one for one in handles if one == "first"]
        self.deleted += [one for one in handles if one != "first"]
        return [{"Id": "0", "Message": "stale", "SenderFault": True} for _ in stale]


def test_a_stale_handle_is_lived_with():
    door = Door()
    messages = SqsMessages(door, 0, ["safe"])
    first = {"MessageId": "a", "ReceiptHandle": "first"}
    assert messages._new([first]) == [first]
    assert messages._new([{"MessageId": "a", "ReceiptHandle": "second"}]) == []
    messages.safe(["a"])
    assert ("delete_message_batch", "second") in door.calls
    assert messages._new([{"MessageId": "a", "ReceiptHandle": "first"}]) == []
    assert messages._new([{"MessageId": "safe", "ReceiptHandle": "third"}]) == []
    assert "third" in door.deleted
    messages.close()


def test_wrong_places_say_what_to_check(standard):
    _, reach = standard
    for one in (SqsSink(**reach | {"queue": "none"}), SqsSource(**reach | {"queue": "none"})):
        with pytest.raises(ConfigError, match=r"sqs queue none (.|\n)*`queue`"):
            one.check()
    with pytest.raises(RetryLater, match=r"127\.0\.0\.1:1"):
        SqsSink(**reach | {"endpoint_url": "http://127.0.0.1:1"}).check()
    with pytest.raises(SchemaError, match="schema"):
        SqsSource(**reach, format=JsonFormat()).infer()


def told(reach, **more):
    options = {**reach, **more}
    return "{type: sqs, " + ", ".join(f"{key}: {value}" for key, value in options.items()) + "}"


def test_to_fifo_killed_nothing_is_lost_or_doubled(client, fifo, tmp_path):
    url, reach = fifo
    write_rows(tmp_path / "in.jsonl", 120)
    path = pipeline(
        tmp_path, "{type: file, path: in.jsonl, format: json}", told(reach, format="json"), rows=50
    )
    for fault in ("sqs.sent:kill:3", "sqs.published:kill:1"):
        assert ran(path, fault) == -9
    finished(path)
    found = Counter(json.loads(one["Body"])["id"] for one in bodies(client, url))
    assert found == each_once(120)


def test_from_a_queue_killed_nothing_is_lost_or_doubled(client, aws_server, tmp_path):
    url, reach = made(client, aws_server, VisibilityTimeout="1")
    source = told(reach, format="json", stop="empty", schema="{id: int, text: string}")
    path = pipeline(tmp_path, source, "{type: file, path: out/, format: json}", rows=20)
    faults = ("spool.synced:kill:2", "epoch.published:kill:2")
    for number, fault in enumerate(faults):
        sent(client, url, 60, number * 60)
        assert ran(path, fault) == -9
        time.sleep(1.1)  # until what was in hand shows again
    finished(path)
    found = [file.read_text() for file in (tmp_path / "out").glob("part-*")]
    assert ids(found) == each_once(120)
    assert left(client, url) == [0, 0]
