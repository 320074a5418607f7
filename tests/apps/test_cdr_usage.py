"""`examples/cdr/usage.yaml`: what the records in the topics say, counted again by DuckDB."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from pathlib import Path

import duckdb
import pytest
from cdr_runs import KINDS, Cdr, records, whole
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

FILE = Path(__file__).parents[2] / "examples" / "cdr" / "usage.yaml"

MINUTES = """
with records as (
  select tower_id, event_datetime as moment, up_bytes, down_bytes from '{data}'
  union all by name
  select tower_id, start_time as moment, call_duration_sec from '{voice}'
)
select tower_id, time_bucket(interval 1 minute, moment) as window_start,
  count(up_bytes), coalesce(sum(up_bytes), 0)::bigint, coalesce(sum(down_bytes), 0)::bigint,
  count(call_duration_sec), coalesce(sum(call_duration_sec), 0)::bigint
from records group by all order by all
"""
TALKERS = """
select msisdn, sum(call_duration_sec)::bigint from '{voice}'
where start_time >= '{hour}' and start_time < '{hour}'::timestamptz + interval 1 hour group by 1
"""


@pytest.fixture
def topics(kafka_server, tmp_path) -> dict[str, str]:
    """Topics of this test alone, with the records of two simulated hours; and their files."""
    job = Cdr(tmp_path, options=["--total-seconds", "7200", "--lines-per-second", "1"])
    job.options += ["--line-count", "1000"]
    found = {kind: f"{kind}-{uuid.uuid4().hex[:6]}" for kind in KINDS}
    admin = AdminClient({"bootstrap.servers": kafka_server.address, "log_level": 0})
    for made in admin.create_topics([NewTopic(one, 4, 1) for one in found.values()]).values():
        made.result(20)
    producer = Producer({"bootstrap.servers": kafka_server.address, "log_level": 0})
    files = whole(job)
    for kind, topic in found.items():
        for value in records(files, kind):
            producer.produce(topic, value, key=json.loads(value)["msisdn"])
    assert not producer.flush(60)
    return found


def test_usage_per_tower_and_minute_and_top_talkers(kafka_server, topics, tmp_path):
    env = {"CDR_BROKERS": kafka_server.address, "DATA_STOP": "latest", "VOICE_STOP": "latest"}
    env |= {"DATA_TOPIC": topics["cdr_data"], "VOICE_TOPIC": topics["cdr_voice"]}
    command = [sys.executable, "-m", "pydatastream", "run", str(FILE), "--json"]
    done = subprocess.run(
        command, cwd=tmp_path, env=os.environ | env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    counts = json.loads(done.stdout)
    assert (counts["rows_in"], counts["late"], counts["dead"]) == (14_400, 0, 0)
    places = {kind[4:]: tmp_path / "whole" / f"{kind}_*.csv" for kind in KINDS}
    db = duckdb.connect()
    db.execute("set timezone = 'UTC'")
    minutes = db.read_csv(f"{tmp_path}/usage/tower_minutes/*.csv")
    found = minutes.project("* exclude (window_end)").order("all").fetchall()
    assert found == db.execute(MINUTES.format(**places)).fetchall()
    lines = [one.read_text() for one in sorted(tmp_path.glob("usage/top_talkers/*.jsonl"))]
    hours = [json.loads(line) for text in lines for line in text.splitlines()]
    assert len(hours) == 2
    for hour in hours:
        of = TALKERS.format(hour=hour["window_start"], **places)
        seconds = dict(db.execute(of).fetchall())
        assert hour["seconds"] == sorted(seconds.values(), reverse=True)[:10]
        assert [seconds[one] for one in hour["talkers"]] == hour["seconds"]
