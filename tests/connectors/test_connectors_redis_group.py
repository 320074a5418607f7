"""Workers that share a stream: each entry is done by one of them, also when one dies."""

import itertools
import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from redis_parts import LONGEST, height, joined, numbers, published, sink, source

from pydatastream.checkpoints import Checkpoint
from pydatastream.core import faults
from pydatastream.core.errors import BeginAgain, SourceGap
from pydatastream.core.source import Read
from pydatastream.engines.local.run import Run
from pydatastream.engines.local.settings import Settings
from pydatastream.pipeline import Pipeline

PIPELINE = """
name: {name}
source: {{type: redis, url: "redis://{address}/0", stream: {key}, group: g, consumer: {name},
         claim_after: 1ms, schema: {{id: int}}}}
processor:
  - with: {{worker: "'{name}'"}}
output: {{type: sql, url: "sqlite:///{folder}/seen.db", table: seen, create: true}}
"""


@pytest.fixture
def key(redis_server, request):
    redis_server.cli("FLUSHALL")
    return request.node.name


def worker(server, key, name="w", **options):
    return source(server, stream=key, group="g", consumer=name, schema={"id": "int"}, **options)


def opened(one, **job):
    return one.open(one.stream, Read(one.declared(), **{"rows": 5, **job}))


def took(reader, count):
    """Batches with at least so many rows; fewer if nothing comes for a while."""
    found, silent = [], 0
    for batch in reader:
        silent = 0 if batch else silent + 1
        found += [batch] if batch else []
        if silent > 3 or sum(map(height, found)) >= count:
            break
    return found


def ids(batches):
    return joined(batches)["id"].to_list() if batches else []


def pending(server, key):
    return int(server.cli("XPENDING", key, "g").split()[0])


def test_what_is_not_acknowledged_comes_again(redis_server, key):
    published(sink(redis_server, stream=key), numbers(20))
    reader = opened(worker(redis_server, key))
    first, second, third, *_ = took(reader, 15)
    reader.commit(first.offset)
    assert pending(redis_server, key) == 10
    reader.close()
    again = opened(worker(redis_server, key), resume=first.offset)
    assert ids(took(again, 15)) == list(range(5, 20))


def test_what_was_committed_and_not_acknowledged_comes_not_again(redis_server, key):
    published(sink(redis_server, stream=key), numbers(20))
    reader = opened(worker(redis_server, key))
    first, second, *_ = took(reader, 15)
    reader.close()
    again = opened(worker(redis_server, key), resume=second.offset)
    batches = took(again, 10)
    assert ids(batches) == list(range(10, 20))
    again.commit(batches[-1].offset)
    assert pending(redis_server, key) == 0


def test_every_batch_can_be_read_again(redis_server, key):
    published(sink(redis_server, stream=key), numbers(20))
    reader = opened(worker(redis_server, key))
    batches = took(reader, 20)
    reader.close()
    again = opened(worker(redis_server, key))
    batches += took(again, 20)  # now by their ids, as they are pending
    for before, batch in itertools.pairwise([None, *batches]):
        resume = before.offset if before else None
        (same,) = list(opened(worker(redis_server, key), resume=resume, until=batch.offset))
        assert same.rows.equals(batch.rows)
        assert same.offset == batch.offset


def test_two_workers_share_a_stream_and_nothing_is_lost(redis_server, key):
    one, two = (opened(worker(redis_server, key, name)) for name in ("one", "two"))
    readers = [(one, iter(one)), (two, iter(two))]
    assert [next(each) for _, each in readers] == [None, None]
    published(sink(redis_server, stream=key), numbers(100))
    found = []
    for reader, each in itertools.islice(itertools.cycle(readers), 30):
        batch = next(each)
        if batch:
            found.append(batch)
            reader.commit(batch.offset)
    assert sorted(ids(found)) == list(range(100))
    assert pending(redis_server, key) == 0


def test_what_a_dead_worker_held_is_taken_over(redis_server, key):
    published(sink(redis_server, stream=key), numbers(10))
    dead = opened(worker(redis_server, key, "dead"))
    assert len(took(dead, 10)) == 2
    dead.close()
    live = opened(worker(redis_server, key, "live", claim_after="1ms"))
    batches = took(live, 10)
    assert ids(batches) == list(range(10))
    live.close()
    again = opened(worker(redis_server, key, "live", claim_after="1h"), resume=batches[-1].offset)
    assert took(again, 1) == []
    again.commit(batches[-1].offset)
    assert pending(redis_server, key) == 0


def test_what_was_taken_over_and_not_done_comes_again(redis_server, key):
    published(sink(redis_server, stream=key), numbers(10))
    took(opened(worker(redis_server, key, "dead")), 10)
    live = opened(worker(redis_server, key, "live", claim_after="1ms"))
    (batch,) = took(live, 10)
    live.close()
    again = opened(worker(redis_server, key, "live", claim_after="1h"))
    assert ids(took(again, 10)) == list(range(10))
    (same,) = list(opened(worker(redis_server, key, "live"), until=batch.offset))
    assert same.rows.equals(batch.rows)


def test_a_worker_does_not_take_over_from_itself(redis_server, key):
    published(sink(redis_server, stream=key), numbers(10))
    reader = opened(worker(redis_server, key, claim_after="1ms"))
    assert ids(took(reader, 30)) == list(range(10))


def test_what_another_has_taken_over_is_not_read_again(redis_server, key):
    published(sink(redis_server, stream=key), numbers(5))
    (batch,) = took(opened(worker(redis_server, key, "slow")), 5)
    took(opened(worker(redis_server, key, "live", claim_after="1ms")), 5)
    with pytest.raises(BeginAgain, match="another worker has taken over"):
        list(opened(worker(redis_server, key, "slow"), until=batch.offset))


@pytest.fixture
def works(redis_server, key, tmp_path):
    """Run a worker from the stream to a table, until nothing is left or `fault` stops it."""

    def work(name, fault=None):
        file, address = tmp_path / f"{name}.yaml", redis_server.address
        file.write_text(PIPELINE.format(name=name, address=address, key=key, folder=tmp_path))
        stop = threading.Event()
        running = Run(
            Pipeline.load(file).plan(), Settings(tmp_path / name, interval=500_000, stop=stop)
        )
        faults.arm(fault)
        with ThreadPoolExecutor(1) as thread:
            done = thread.submit(running.run)
            end = time.monotonic() + LONGEST
            while not (
                done.done() or (running.report().rows_in and not pending(redis_server, key))
            ):
                assert time.monotonic() < end
                time.sleep(0.05)
            faults.arm(None)
            stop.set()
            return done.result()

    def seen():
        with sqlite3.connect(tmp_path / "seen.db") as database:
            return sorted(database.execute("select id, worker from seen"))

    work.seen = seen
    return work


def test_a_worker_whose_entries_were_taken_over_goes_on_and_each_counts_once(
    redis_server, key, works, tmp_path
):
    published(sink(redis_server, stream=key), numbers(20))
    with pytest.raises(OSError, match="fault"):
        works("one", "epoch.intended:raise")
    assert "claimed" in str(Checkpoint.peek(tmp_path / "one").intent)  # the entries are on record
    works("two")
    published(sink(redis_server, stream=key), numbers(10, 20), epoch=2)
    works("one")
    assert works.seen() == [*((n, "two") for n in range(20)), *((n, "one") for n in range(20, 30))]


def test_what_was_shown_and_taken_over_is_shown_twice_and_the_worker_goes_on(
    redis_server, key, works
):
    published(sink(redis_server, stream=key), numbers(20))
    with pytest.raises(OSError, match="fault"):
        works("one", "epoch.published:raise")
    works("two")
    published(sink(redis_server, stream=key), numbers(10, 20), epoch=2)
    works("one")
    twice = [(n, name) for n in range(20) for name in ("one", "two")]
    assert works.seen() == [*twice, *((n, "one") for n in range(20, 30))]


def test_pending_entries_that_were_trimmed_stop_the_run(redis_server, key):
    published(sink(redis_server, stream=key), numbers(10))
    (batch, *_) = took(opened(worker(redis_server, key)), 10)
    redis_server.cli("XTRIM", key, "MAXLEN", "7")
    with pytest.raises(SourceGap, match="3 pending entries are no longer there"):
        took(opened(worker(redis_server, key)), 10)
    with pytest.raises(SourceGap, match="lacks 3 entries"):
        list(opened(worker(redis_server, key), until=batch.offset))


def test_entries_trimmed_before_anybody_read_them_stop_the_run(redis_server, key):
    published(sink(redis_server, stream=key), numbers(10))
    reader = opened(worker(redis_server, key))
    batch = took(reader, 5)[0]
    reader.commit(batch.offset)
    redis_server.cli("XTRIM", key, "MAXLEN", "2")
    with pytest.raises(SourceGap, match="3 entries behind") as caught:
        took(reader, 5)
    command = caught.value.hint.partition(": ")[2].split()
    redis_server.cli(*command)
    assert ids(took(opened(worker(redis_server, key), resume=batch.offset), 2)) == [8, 9]
