"""Pipelines from, to and between Redis streams, killed: every row arrives, and once."""

import json
import random
import time
from collections import Counter

import pytest
from redis_parts import Pipeline, ids, numbers, published, sink

from pydatastream.formats.json import JsonFormat

ROWS = 400
ONCE = Counter(dict.fromkeys(range(ROWS), 1))
REST = "\ncheckpoint: {path: checkpoint, interval: 0s}\nbatch: {rows: 40}\n"
SCHEMA = "schema: {id: int}"

POINTS = {
    "to": ["redis.begun:kill:2", "redis.written:kill:5", "redis.marked:kill:3"],
    "from": ["epoch.intended:kill:2", "epoch.committed:kill:4", "file.remembered:kill:2"],
    "both": ["redis.published:kill:2", "epoch.published:kill:3", "checkpoint.after_commit:kill:4"],
    "group": ["redis.published:kill:3", "epoch.intended:kill:3", "epoch.committed:kill:2"],
}


class Case:
    def __init__(self, server, folder, way):
        self.server, self.way = server, way
        url = f"redis://{server.address}/0"
        files = f"{{type: file, path: in.jsonl, {SCHEMA}}}"
        stream = f'{{type: redis, url: "{url}", stream: in, stop: latest, {SCHEMA}}}'
        group = stream.replace("stop: latest", "group: g, consumer: w")
        source = {"to": files, "group": group}.get(way, stream)
        to_redis = f'{{type: redis, url: "{url}", stream: out, format: json}}'
        output = "{type: file, path: out/, format: json}" if way == "from" else to_redis
        self.text = f"name: {way}\nsource: {source}\noutput: {output}{REST}"
        self.pipeline = Pipeline(folder / way, self.text)
        self.pipeline.folder.joinpath("in.jsonl").write_text(
            "".join(json.dumps({"id": n}) + "\n" for n in range(ROWS))
        )
        server.cli("FLUSHALL")
        published(sink(server, stream="in"), numbers(ROWS), name="seed")

    def found(self):
        if self.way == "from":
            return self.pipeline.rows()
        text = self.server.cli("--json", "-3", "XRANGE", "out", "-", "+")
        return Counter(json.loads(fields[1])["id"] for _, fields in json.loads(text))

    def finish(self):
        if self.way != "group":
            self.pipeline.done()
            return
        process = self.pipeline.start()
        for _ in range(600):
            if sum(self.found().values()) >= ROWS:
                break
            assert process.poll() is None, (self.pipeline.folder / "log").read_text()[-2000:]
            time.sleep(0.05)
        process.terminate()
        assert process.wait(20) == 0


@pytest.mark.parametrize("way", POINTS)
def test_killed_at_fault_points_every_row_arrives_once(redis_server, tmp_path, way):
    case = Case(redis_server, tmp_path, way)
    for fault in POINTS[way]:
        case.pipeline.killed(fault)
    case.finish()
    assert case.found() == ONCE


def test_killed_at_random_times_every_row_arrives_once(redis_server, tmp_path, long):
    dice = random.Random(7)
    for way in POINTS if long else ("both",):
        for n in range(20 if long else 1):
            case = Case(redis_server, tmp_path / str(n), way)
            for _ in range(3):
                case.pipeline.killed_after(dice.uniform(0.8, 2.0))
            case.finish()
            assert case.found() == ONCE


def test_a_server_killed_in_the_middle_comes_back_and_nothing_is_lost(redis_server, tmp_path):
    case = Case(redis_server, tmp_path, "both")
    process = case.pipeline.start("redis.written:sleep:1.5:3")
    for _ in range(400):
        if redis_server.cli("XLEN", "out").strip() not in ("0", ""):
            break
    redis_server.kill()
    redis_server.start()
    assert process.wait(60) == 0, (case.pipeline.folder / "log").read_text()[-2000:]
    assert case.found() == ONCE


def test_two_runs_of_one_pipeline_cannot_both_write(redis_server, tmp_path):
    case = Case(redis_server, tmp_path, "both")
    case.pipeline.killed("redis.marked:kill:2")
    copy = Pipeline(tmp_path / "copy", case.text)
    assert copy.run() != 0
    assert "the checkpoint is an old copy" in (copy.folder / "log").read_text()
    case.finish()
    assert case.found() == ONCE
    assert ids(redis_server, "in") == ONCE


def test_an_empty_server_behind_a_checkpoint_is_refused(redis_server, tmp_path):
    case = Case(redis_server, tmp_path, "to")
    case.pipeline.killed("epoch.committed:kill:3")
    redis_server.cli("FLUSHALL")
    assert case.pipeline.run() != 0
    assert "the sink has lost data" in (case.pipeline.folder / "log").read_text()


def test_a_format_is_read_and_written(redis_server):
    published(sink(redis_server, stream="j", format=JsonFormat()), numbers(2))
    assert redis_server.cli("XRANGE", "j", "-", "+").split()[2] == '{"id":0}'
