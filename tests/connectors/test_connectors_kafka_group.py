"""A member of a group: what it is given, what it claims, and what is void when it has gone."""

import time
from contextlib import ExitStack, closing, suppress

import pytest
from kafka_topics import NUMBERS, Topics, numbers, rows

from pydatastream.core.errors import BeginAgain, RetryLater
from pydatastream.core.source import Read
from pydatastream.parts.kafka import sending


@pytest.fixture(scope="module")
def topics(kafka_server):
    return Topics(kafka_server.address)


def shared(topics, topic, **more):
    options = {"group": topic, "balance": True, "session_timeout": "2s"}
    return topics.source(topic, **options | more)


def until(members, *shares, seconds=60):
    """Ask all members, as runs do, until they have so many partitions each."""
    over = time.monotonic() + seconds
    while [len(one.partitions()) for one in members] != list(shares):
        assert time.monotonic() < over
        time.sleep(0.02)


def at(offset):
    return {"offset": offset, "topic_id": "any"}


def test_a_claim_holds_while_partitions_are_ours_and_no_longer(topics):
    topic, let_go = topics.new(2), []
    topics.put(topic, numbers(0, 10))
    source = shared(topics, topic)
    with ExitStack() as all_:
        first = all_.enter_context(closing(source.share(lambda: let_go.append("first"))))
        until([first], 2)
        first.claim({f"{topic}/0": at(3)}).commit()
        before = first.claim({f"{topic}/0": at(7)})
        second = all_.enter_context(closing(shared(topics, topic).share(lambda: None)))
        until([first, second], 1, 1)
        assert let_go == ["first"]
        with pytest.raises(BeginAgain, match="kafka at"):
            before.commit()
        assert told(source, topic) == 3
        (its,) = second.partitions()
        second.claim({its: at(9)}).commit()


def told(source, topic):
    """Where who has the first partition now begins."""
    reader = source.open(f"{topic}/0", Read(NUMBERS))
    try:
        return next(batch for batch in reader if batch is not None).offset["offset"]
    finally:
        reader.close()


def test_positions_of_the_group_win_over_start(topics):
    topic = topics.new(1)
    topics.put(topic, numbers(0, 10))
    for start, first in (("latest", 10), ("earliest", 10), ({0: 2}, 10)):
        source = shared(topics, topic, start=start)
        with closing(source.share(lambda: None)) as share:
            until([share], 1)
            assert told(source, topic) == first
            share.claim({f"{topic}/0": at(first)}).commit()


def test_the_lag_is_that_of_the_group(topics):
    topic = topics.new(2)
    topics.put(topic, numbers(0, 10))
    source = shared(topics, topic)
    assert topics.source(topic).gauges() == {"added": 10.0}
    with closing(source.share(lambda: None)) as share:
        until([share], 2)  # before the first group the broker has yet to look for groups
        assert source.gauges() == {"added": 10.0, "lag": 10.0}
        share.claim({f"{topic}/0": at(7)}).commit()
    assert source.gauges() == {"added": 10.0, "lag": 3.0}


def test_a_broker_that_comes_back_is_told_and_asked(topics, kafka_server, monkeypatch):
    """The client waits without end for the one that it has let go of; we do not."""
    monkeypatch.setattr(sending, "SILENCE", 2.0)
    topic = topics.new(1)
    topics.put(topic, numbers(0, 10))
    source = shared(topics, topic, session_timeout="1m")
    with closing(source.share(lambda: None)) as share:
        until([share], 1)
        share.claim({f"{topic}/0": at(7)}).commit()
        assert lag(source) == 3.0
        kafka_server.kill()
        kafka_server.start()
        assert lag(source) == 3.0
        with suppress(BeginAgain):
            share.claim({f"{topic}/0": at(9)}).commit()
    with closing(source.share(lambda: None)) as share:
        until([share], 1)
        share.claim({f"{topic}/0": at(10)}).commit()
    assert lag(source) == 0.0


def lag(source):
    """Once the broker knows its groups again."""
    over = time.monotonic() + 30
    while True:
        with suppress(RetryLater):
            return source.gauges()["lag"]
        assert time.monotonic() < over
        time.sleep(0.1)


def test_what_was_claimed_is_where_another_begins(topics):
    topic = topics.new(1)
    topics.put(topic, numbers(0, 10))
    for begin, end in ((0, 4), (4, 9), (9, 10)):
        source = shared(topics, topic)
        with closing(source.share(lambda: None)) as share:
            until([share], 1)
            reader = source.open(f"{topic}/0", Read(NUMBERS, rows=end - begin))
            found = []
            over = time.monotonic() + 20
            for batch in reader:
                found += [batch] if batch is not None else []
                if sum(one.rows.height for one in found) >= end - begin:
                    break
                assert time.monotonic() < over
            reader.close()
            assert rows(found)["n"].to_list() == list(range(begin, end))
            share.claim({f"{topic}/0": found[-1].offset}).commit()


def test_more_members_than_partitions_wait(topics):
    topic = topics.new(1)
    with ExitStack() as all_:
        members = [
            all_.enter_context(closing(shared(topics, topic).share(lambda: None))) for _ in "ab"
        ]
        over = time.monotonic() + 60
        while sorted(len(one.partitions()) for one in members) != [0, 1]:
            assert time.monotonic() < over
            time.sleep(0.02)
        idle, busy = sorted(members, key=lambda one: len(one.partitions()))
        busy.close()
        until([idle], 1)
