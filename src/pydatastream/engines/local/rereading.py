"""Rows of an epoch that was begun, read once more: the same rows in the same order."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import polars as pl

from pydatastream.core.batch import Batch
from pydatastream.core.errors import RetryLater, SourceGap
from pydatastream.core.plan import SourceNode
from pydatastream.core.source import Read
from pydatastream.engines.local.events import Arrived, Slice
from pydatastream.engines.local.ingest import Ingest
from pydatastream.engines.local.partitions import Partition
from pydatastream.engines.local.spool import Opener


def read_again(
    node: SourceNode, piece: Slice, job: Read, open_: Opener, stop: threading.Event
) -> Arrived:
    """The rows of one slice, read once more: the same rows in the same order."""
    again = Read(job.schema, piece.start, piece.end, job.rows, job.bytes)
    ingest = Ingest(node)
    partition = Partition(
        piece.partition, again, lambda read: open_(node, piece.partition, read), stop
    )
    try:
        batches = list(_until_end(partition, stop))
    finally:
        partition.close()
    if not batches or dict(batches[-1].offset) != dict(piece.end):
        raise SourceGap(
            f"{piece.partition}: the rows up to {dict(piece.end)} are no longer there as they were",
            where=f"source {node.name}",
            hint="restore the source, or start afresh with a new checkpoint",
        )
    taken = [ingest.take(batch, piece.now) for batch in batches]
    times = [one.greatest for one in taken if one.greatest is not None]
    rows = pl.concat([one.rows for one in taken])
    dead = pl.concat([one.dead for one in taken])
    return Arrived(piece, rows, dead, max(times, default=None))


def _until_end(partition: Partition, stop: threading.Event) -> Iterator[Batch]:
    """The batches of a partition to its end, however often it must be opened again."""
    while True:
        try:
            batch = partition.next()
        except StopIteration:
            return
        if batch is not None:
            partition.offset = batch.offset
            yield batch
        elif stop.is_set():
            what = partition.backoff.waiting_for or f"{partition.name} is not read to its end"
            hint = "start again: the epoch that was begun is then completed first"
            raise RetryLater(what, hint=hint)
        else:
            time.sleep(0.001)
