"""S3 against moto, which keeps all in memory: what arrived is read back by boto3 on its own.

That the data survive the server's own death cannot be shown here; it is paused instead.
"""

from __future__ import annotations

import threading
import time

import boto3
import polars as pl
import pytest
from botocore.exceptions import ClientError
from pydantic import ValidationError
from remote_runs import (
    FAULTS,
    ROWS,
    ROWS_OF,
    SCHEMA,
    delays,
    each_once,
    finished,
    ids,
    killed_at_times,
    pipeline,
    ran,
    started,
    write_rows,
)

from pydatastream.connectors import s3
from pydatastream.connectors.s3 import S3Sink, S3Source
from pydatastream.core.errors import ConfigError, Fenced, RetryLater, SourceGap, StopError
from pydatastream.core.sink import Write
from pydatastream.core.source import Read
from pydatastream.formats.csv import CsvFormat
from pydatastream.formats.json import JsonFormat
from pydatastream.formats.parquet import ParquetFormat

KEYS = {"access_key_id": "test", "secret_access_key": "test", "region": "eu-central-1"}


@pytest.fixture(scope="module")
def client(aws_server):
    """An independent reader of the truth."""
    return boto3.client(
        "s3",
        endpoint_url=f"http://{aws_server.address}",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        region_name="eu-central-1",
    )


@pytest.fixture
def reach(aws_server, client):
    """A bucket of its own, as options."""
    bucket = f"bucket-{time.monotonic_ns()}"
    client.create_bucket(
        Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
    )
    return {**KEYS, "endpoint_url": f"http://{aws_server.address}", "bucket": bucket}


def told(reach, prefix, **more):
    options = {**reach, "prefix": prefix, **more}
    return "{type: s3, " + ", ".join(f"{key}: {value}" for key, value in options.items()) + "}"


def writer(reach, form=None, sink=None, **how):
    given = {"pipeline": "p", "sink": "out", "durable": True, "transactional": True} | how
    options = {**reach, "prefix": "out/", "format": form or JsonFormat(), **(sink or {})}
    return S3Sink(**options).open(Write(SCHEMA, **given))


def written(one, epoch, rows=ROWS_OF):
    one.begin(epoch)
    one.write(rows)
    one.publish(epoch)


def keys(client, reach, prefix="out/part-"):
    found = client.list_objects_v2(Bucket=reach["bucket"], Prefix=prefix).get("Contents", [])
    return [one["Key"] for one in found]


def texts(client, reach):
    """The visible objects."""
    pages = client.get_paginator("list_objects_v2").paginate(
        Bucket=reach["bucket"], Prefix="out/part-"
    )
    found = [one["Key"] for page in pages for one in page.get("Contents", [])]
    return [
        client.get_object(Bucket=reach["bucket"], Key=key)["Body"].read().decode() for key in found
    ]


def uploads(client, reach):
    return client.list_multipart_uploads(Bucket=reach["bucket"]).get("Uploads", [])


def put(client, reach, key, content):
    client.put_object(Bucket=reach["bucket"], Key=key, Body=content)


@pytest.mark.parametrize("form", [JsonFormat(), CsvFormat(), ParquetFormat()])
def test_what_is_written_is_read_back(reach, form):
    one = writer(reach, form)
    written(one, 1)
    written(one, 2, ROWS_OF.reverse())
    one.close()
    one.close()
    source = S3Source(**reach, prefix="out/", format=form)
    found = [
        batch.rows
        for name in source.partitions()
        for batch in source.open(name, Read(SCHEMA))
        if batch is not None
    ]
    assert pl.concat(found).equals(pl.concat([ROWS_OF, ROWS_OF.reverse()]))
    assert source.infer().names() == ["id", "text"]


def test_a_large_object_goes_up_in_pieces(reach, client, monkeypatch):
    monkeypatch.setattr(s3, "PIECE", 5 << 20)
    rows = pl.DataFrame({"id": range(12), "text": ["x" * (1 << 20)] * 12}, schema=SCHEMA)
    one = writer(reach)
    one.begin(1)
    for n in range(12):
        one.write(rows[n : n + 1])
    assert len(uploads(client, reach)) == 1
    one.publish(1)
    assert ids(texts(client, reach)) == each_once(12)
    (key,) = keys(client, reach)
    head = client.head_object(Bucket=reach["bucket"], Key=key)
    assert head["ETag"].strip('"').endswith("-3")


def test_nothing_shows_before_publish_and_publishing_twice_is_publishing_once(reach, client):
    one = writer(reach)
    one.begin(1)
    one.write(ROWS_OF)
    assert not keys(client, reach)
    one.publish(1)
    one.publish(1)
    again = writer(reach)
    assert again.published() == 1
    again.publish(1)
    assert ids(texts(client, reach)) == each_once(5)
    assert not uploads(client, reach)


def test_what_a_crash_leaves_is_completed_or_removed(reach, client):
    lost = writer(reach)
    lost.begin(1)
    lost.write(ROWS_OF)  # neither published nor closed
    assert len(uploads(client, reach)) == 0 or not keys(client, reach)
    again = writer(reach)
    written(again, 1)
    assert ids(texts(client, reach)) == each_once(5)
    assert not uploads(client, reach)


def test_an_instance_that_was_replaced_cannot_publish(reach, client):
    old = writer(reach)
    written(old, 1)
    old.begin(2)
    old.write(ROWS_OF)
    new = writer(reach)
    with pytest.raises(Fenced, match="another instance"):
        old.publish(2)
    written(new, 2)
    assert len(keys(client, reach)) == 2


def test_an_answer_that_was_lost_is_no_fence(reach, client, monkeypatch):
    one = writer(reach)
    api = one._depot._s3.client
    put_object = api.put_object

    def twice(**how):
        put_object(**how)
        return put_object(**how)

    monkeypatch.setattr(api, "put_object", twice)
    written(one, 1)
    assert ids(texts(client, reach)) == each_once(5)


def refusing(**how):
    """What S3 says of an upload that is completed or gone; moto answers otherwise."""
    raise ClientError({"Error": {"Code": "NoSuchUpload"}}, "CompleteMultipartUpload")


def test_an_upload_that_is_gone_is_done_or_stops(reach, client, monkeypatch):
    one = writer(reach)
    written(one, 1)
    monkeypatch.setattr(one._depot._s3.client, "complete_multipart_upload", refusing)
    one.publish(1)  # the object has the name and the size
    (key,) = keys(client, reach)
    client.delete_object(Bucket=reach["bucket"], Key=key)
    with pytest.raises(StopError, match="neither the upload"):
        one.publish(1)


def test_without_a_checkpoint_a_run_replaces_the_last_one(reach, client):
    for count in (5, 3):
        one = writer(reach, durable=False)
        for epoch in range(1, count + 1):
            written(one, epoch, pl.DataFrame({"id": [epoch - 1], "text": ["x"]}))
        one.close()
    assert ids(texts(client, reach)) == each_once(3)


def test_a_place_of_another_run_is_refused(reach):
    written(writer(reach, durable=False), 1)
    with pytest.raises(ConfigError, match="of another run"):
        writer(reach)
    written(writer(reach, sink={"prefix": "b/"}), 1)
    with pytest.raises(ConfigError, match="another pipeline"):
        writer(reach, sink={"prefix": "b/"}, pipeline="q")


def test_reading_goes_on_after_an_offset_and_ends_at_one(reach, client):
    put(client, reach, "in/a.jsonl", b"".join(b'{"id": %d}\n' % n for n in range(100)))
    source = S3Source(**reach, prefix="in/", format=JsonFormat())
    read = [one for one in source.open("in/a.jsonl", Read(SCHEMA, rows=10)) if one]
    middle, end = read[2].offset, read[5].offset
    again = [one for one in source.open("in/a.jsonl", Read(SCHEMA, middle, end, rows=7)) if one]
    assert dict(again[-1].offset) == dict(end)
    expected = pl.concat([one.rows for one in read[3:6]])
    assert pl.concat([one.rows for one in again]).equals(expected)
    assert not list(source.open("in/a.jsonl", Read(SCHEMA, read[-1].offset)))


def test_groups_are_resumed_within(reach, client):
    one = writer(reach, ParquetFormat(group_rows=10))
    rows = pl.DataFrame({"id": range(35), "text": ["x"] * 35}, schema=SCHEMA)
    written(one, 1, rows)
    source = S3Source(**reach, prefix="out/", format=ParquetFormat())
    (name,) = source.partitions()
    read = list(source.open(name, Read(SCHEMA, rows=4)))
    for n in range(len(read) - 1):
        for m in range(n + 1, len(read)):
            job = Read(SCHEMA, read[n].offset, read[m].offset, rows=3)
            again = list(source.open(name, job))
            assert dict(again[-1].offset) == dict(read[m].offset)
            expected = pl.concat([one.rows for one in read[n + 1 : m + 1]])
            assert pl.concat([one.rows for one in again]).equals(expected)


@pytest.mark.parametrize("change", ["removed", "replaced"])
def test_an_object_that_vanishes_while_it_is_read_stops(reach, client, change):
    put(client, reach, "in/a.jsonl", b"".join(b'{"id": %d}\n' % n for n in range(5000)))
    source = S3Source(**reach, prefix="in/", format=JsonFormat(), max_record=2000)
    reader = iter(source.open("in/a.jsonl", Read(SCHEMA, rows=10, bytes=1000)))
    assert next(reader)
    client.delete_object(Bucket=reach["bucket"], Key="in/a.jsonl")
    if change == "replaced":
        put(client, reach, "in/a.jsonl", b'{"id": 1}\n')
    with pytest.raises(SourceGap, match=r"in/a\.jsonl"):
        list(reader)
    if change == "removed":
        with pytest.raises(SourceGap, match="no longer there"):
            list(source.open("in/a.jsonl", Read(SCHEMA)))


def test_a_damaged_object_is_a_dead_letter(reach, client):
    put(client, reach, "in/a.parquet", b"PAR1 this is none PAR1")
    source = S3Source(**reach, prefix="in/", format=ParquetFormat())
    (batch,) = list(source.open("in/a.parquet", Read(SCHEMA)))
    assert batch.rows.is_empty()
    assert batch.dead.height == 1
    assert dict(batch.offset)["broken"]


def test_hidden_keys_are_left_out(reach, client):
    for key in ("in/a.jsonl", "in/.b", "in/_tmp/c", "in/d/", "other"):
        put(client, reach, key, b'{"id": 1}\n')
    assert S3Source(**reach, prefix="in/", format=JsonFormat()).partitions() == ["in/a.jsonl"]


def test_wrong_places_say_what_to_check(reach):
    for one in (S3Sink, S3Source):
        with pytest.raises(ConfigError, match=r"s3://not-there .*is not there(.|\n)*`bucket`"):
            one(**reach | {"bucket": "not-there"}).check()
    with pytest.raises(ValidationError):
        S3Sink(**reach | {"bucket": "Not a bucket"})


def test_a_server_that_is_not_there_is_waited_for(reach):
    with pytest.raises(RetryLater, match=r"s3://.* 127\.0\.0\.1:1|127.0.0.1:1/"):
        S3Sink(**reach | {"endpoint_url": "http://127.0.0.1:1"}).check()


def test_killed_at_each_step_nothing_is_lost_or_doubled(reach, client, tmp_path):
    write_rows(tmp_path / "in.jsonl")
    path = pipeline(
        tmp_path, "{type: file, path: in.jsonl, format: json}", told(reach, "out/", format="json")
    )
    assert [ran(path, fault) for fault in FAULTS] == [-9] * len(FAULTS)
    finished(path)
    assert ids(texts(client, reach)) == each_once()
    assert not uploads(client, reach)


def test_killed_at_random_nothing_is_lost_or_doubled(reach, client, tmp_path, long):
    write_rows(tmp_path / "in.jsonl", ROWS * 2)
    path = pipeline(
        tmp_path,
        "{type: file, path: in.jsonl, format: json}",
        told(reach, "out/", format="json"),
        rows=100,
    )
    killed_at_times(path, delays(40 if long else 2))
    finished(path)
    assert ids(texts(client, reach)) == each_once(ROWS * 2)


def test_a_server_that_is_paused_is_waited_for(reach, client, aws_server, tmp_path):
    write_rows(tmp_path / "in.jsonl")
    path = pipeline(
        tmp_path, told(reach, "in/", format="json"), told(reach, "out/", format="json"), rows=100
    )
    put(client, reach, "in/a.jsonl", (tmp_path / "in.jsonl").read_bytes())
    process = started(path)
    while not keys(client, reach):
        time.sleep(0.02)
    aws_server.pause()
    threading.Event().wait(1.0)
    aws_server.resume()
    text, _ = process.communicate(timeout=60)
    assert process.returncode == 0, text
    assert ids(texts(client, reach)) == each_once()
