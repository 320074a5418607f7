"""The DDoS system: from a CSV file by Redis to alarms, as a person would run it."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from pydatastream.apps.ddos import generate, producer
from pydatastream.apps.ddos.records import entries

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "ddos"
LIMIT = 60
"""Seconds that anything may take on a busy machine."""

HEAD = (
    "timestamp,source_ip,dest_ip,protocol,source_port,dest_port,packets,bytes,tcp_flags,is_attack"
)
LINE = "2024-03-01T08:00:00Z,198.51.100.1,192.0.2.1,tcp,40000,443,3,180,24,0"


@pytest.fixture(scope="module")
def attacked(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "network_traffic.csv"
    generate.main([str(path), "--rate", "8", "--attacks", "syn_flood", "udp_amplification_ntp"])
    return path


def until(condition):
    """Wait for something to be so."""
    end = time.monotonic() + LIMIT
    while not (found := condition()):
        assert time.monotonic() < end, "it never came to be"
        time.sleep(0.1)
    return found


def send(server, *words, **environment):
    command = [sys.executable, EXAMPLE / "stream_producer.py", "--redis-port", str(server.port)]
    return subprocess.run(
        [*command, *map(str, words)], capture_output=True, text=True, timeout=LIMIT, check=False,
        env={**os.environ, **environment},
    )  # fmt: skip


class Worker:
    """One `pds run detect.yaml`."""

    def __init__(self, server, folder, name="one", **environment):
        self.folder = folder
        told = {"REDIS_URL": f"redis://{server.address}/0", "WORKER": name, **environment}
        self.log = (folder / f"{name}.log").open("w")
        command = [sys.executable, "-m", "pydatastream", "run", EXAMPLE / "detect.yaml"]
        self.process = subprocess.Popen(
            command, cwd=folder, env={**os.environ, **told}, stdout=self.log, stderr=self.log
        )

    def alarms(self, state):
        return self.ask(f"select victim, type, worker from alarms where state = '{state}'")  # noqa: S608

    def ask(self, query):
        try:
            with sqlite3.connect(self.folder / "ddos.db", timeout=30) as database:
                return database.execute(query).fetchall()
        except sqlite3.OperationalError:
            return []

    def end(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        self.process.wait(LIMIT)
        self.log.close()
        return self.process.returncode


def pending(server):
    reply = server.cli("XPENDING", "network_traffic", "ddos").split()
    return int(reply[0]) if reply and reply[0].isdecimal() else None


def length(server, stream="network_traffic"):
    return int(server.cli("XLEN", stream))


@pytest.fixture
def redis(redis_server):
    redis_server.cli("FLUSHALL")
    return redis_server


def test_from_a_file_by_redis_to_alarms(redis, attacked, tmp_path):
    worker = Worker(redis, tmp_path)
    try:
        ran = send(redis, "--records", "all", "--delay", 0, "--csv-path", attacked)
        assert ran.returncode == 0, ran.stdout + ran.stderr
        ended = until(lambda: (found := worker.alarms("ended")) and len(found) == 2 and found)
        until(lambda: pending(redis) == 0)
    finally:
        assert worker.end() == 0
    assert [kind for _, kind, _ in ended] == ["syn_flood", "udp_amplification_ntp"]
    stream = redis.cli("XRANGE", "ddos:alarms", "-", "+")
    raised = [json.loads(line) for line in stream.splitlines() if line.startswith("{")]
    assert [one["state"] for one in raised] == ["raised", "ended"] * 2
    assert raised[0]["nftables"].startswith("nft 'add rule inet filter input ip daddr 192.0.2.")
    seen = worker.ask("select sum(flows) from windows where dest_ip = '*'")[0][0]
    assert length(redis) - 100 < seen <= length(redis)  # the last windows are open
    labelled = worker.ask("select sum(labelled) from windows where dest_ip = '*'")[0][0]
    assert labelled == pl.read_csv(attacked)["is_attack"].sum()


@pytest.mark.parametrize("fault", ["epoch.intended:kill:2", "epoch.published_one:kill:7"])
def test_what_a_killed_worker_held_is_taken_over_and_with_what_it_knows_itself_all_count_once(
    redis, attacked, tmp_path, fault
):
    """It dies with an epoch on record, and comes back when another has taken that over. If its
    first output, the stream of alarms, has shown the epoch, the windows still count it once."""
    quick = {"SOURCE_CLAIM_AFTER": "2s", "SOURCE_IDLE_TIMEOUT": "4s"}
    two = Worker(redis, tmp_path, "two", **quick)
    one = Worker(redis, tmp_path, "one", **quick, PDS_FAULT=fault)
    try:
        until(lambda: redis.cli("XINFO", "CONSUMERS", "network_traffic", "ddos").count("name") >= 2)
        ran = send(redis, "--records", "all", "--delay", 0, "--csv-path", attacked)
        assert ran.returncode == 0
        assert one.process.wait(LIMIT) == -signal.SIGKILL
        assert pending(redis) > 0
        until(lambda: pending(redis) == 0)
        one = Worker(redis, tmp_path, "one", **quick)
        until(lambda: counted(one) >= length(redis))
    finally:
        assert [one.end(), two.end()] == [0, 0]
    assert counted(one) == length(redis)


def counted(worker):
    """Records in windows, and those that came when theirs was over."""
    late = worker.folder.glob("out/*/late/*.jsonl")
    seen = worker.ask("select sum(flows) from windows where dest_ip = '*'")
    flows = seen[0][0] or 0 if seen else 0
    return flows + sum(len(file.read_text().splitlines()) for file in late)


def test_a_killed_worker_that_comes_back_has_lost_nothing_and_counts_nothing_twice(
    redis, attacked, tmp_path
):
    later = tmp_path / "later.csv"  # a record of another day closes all windows before
    later.write_text(f"{HEAD}\n{LINE.replace('2024-03-01', '2024-03-09')}\n")
    worker = Worker(redis, tmp_path)
    try:
        ran = send(redis, "--records", "all", "--delay", 0, "--csv-path", attacked)
        assert ran.returncode == 0
        until(lambda: pending(redis) is not None)
        worker.end(signal.SIGKILL)
        sent = length(redis)
        assert send(redis, "--csv-path", later).returncode == 0
        worker = Worker(redis, tmp_path)
        counted = "select sum(flows) from windows where dest_ip = '*'"
        until(lambda: (worker.ask(counted) or [(None,)])[0][0] == sent)
        until(lambda: pending(redis) == 0)
    finally:
        assert worker.end() == 0
    assert worker.ask(counted) == [(sent,)]
    assert not list(tmp_path.glob("out/*/late/*.jsonl"))


def test_each_record_is_an_entry_with_its_fields(redis, tmp_path):
    path = tmp_path / "few.csv"
    path.write_text("\n".join([HEAD, LINE, LINE.replace("2024", "2023")]) + "\n")
    ran = send(redis, "--records", 1, "--delay", 0.01, "--csv-path", path)
    assert ran.returncode == 0
    _, *fields = redis.cli("XRANGE", "network_traffic", "-", "+").split("\n")
    told = dict(zip(fields[0::2], fields[1::2], strict=False))
    names = ["data", "timestamp", "source_ip", "dest_ip", "protocol", "is_attack"]
    assert list(told)[:6] == names
    whole = json.loads(told["data"])
    assert list(whole) == HEAD.split(",")
    assert (whole["packets"], whole["timestamp"]) == (3, "2024-03-01T08:00:00.000000Z")
    assert told["is_attack"] == "0"
    for words in (
        "Connected to Redis at",
        "Total records sent: 1",
        "Total time:",
        "records/second",
    ):
        assert words in ran.stdout


def test_progress_is_told_each_hundred(redis, tmp_path):
    path = tmp_path / "many.csv"
    path.write_text("\n".join([HEAD, *[LINE] * 350]) + "\n")
    told = send(redis, "--delay", 0.0001, "--records", "all", "--csv-path", path).stdout
    assert [n for n in range(1, 400) if f"Sent {n} records" in told] == [100, 200, 300]
    assert (
        send(redis, "--delay", 0, "--csv-path", path).stdout.count("Total records sent: 100") == 1
    )


def test_a_bad_record_is_reported_and_passed_over(redis, tmp_path):
    path = tmp_path / "bad.csv"
    broken = LINE.replace(",3,180", ",many,180")
    path.write_text("\n".join([HEAD, *[LINE] * 20, broken, "too,few", LINE]) + "\n")
    ran = send(redis, "--records", "all", "--delay", 0, "--csv-path", path)
    assert ran.returncode == 0
    assert ran.stdout.count("Bad record passed over") == 2
    assert "Bad records passed over: 2" in ran.stdout
    assert length(redis) == 21


def test_a_missing_file_says_where_to_look(redis, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ran = send(redis, "--csv-path", "nowhere/network_traffic.csv")
    assert ran.returncode == 2
    assert "no CSV file at nowhere/network_traffic.csv" in ran.stdout
    assert "pydatastream.apps.ddos.generate" in ran.stdout
    (tmp_path / "dataset").mkdir()
    (tmp_path / "dataset/network_traffic.csv").write_text(HEAD)
    assert "--csv-path dataset/network_traffic.csv" in send(redis).stdout


def test_a_redis_that_is_down_is_tried_again_and_then_given_up(tmp_path):
    path = tmp_path / "one.csv"
    path.write_text(f"{HEAD}\n{LINE}\n")

    class Down:
        port = 1

    ran = send(Down, "--csv-path", path, "--retries", 2)
    assert ran.returncode == 3
    assert ran.stdout.count("attempt") == 2
    assert (
        "Cannot reach Redis at localhost:1. Is it running? redis-cli -h localhost -p 1 PING"
        in ran.stdout
    )


def test_a_redis_that_comes_back_gets_the_rest():
    calls = []

    class Flaky:
        address = "here"

        def open(self, job):
            return self

        def write(self, rows):
            calls.append(rows.height)
            if len(calls) < 3:
                raise producer.RetryLater("gone")

        def publish(self, epoch):
            pass

        def close(self):
            pass

    waits = []
    producer.Sender(Flaky(), 4, waits.append).send(pl.DataFrame({"a": [1, 2]}))
    assert calls == [2, 2, 2]
    assert waits == [0.5, 1.0]


def test_password_and_tls_come_from_the_environment():
    given = producer.options({"REDIS_HOST": "there"}).parse_args(["--redis-port", "7000"])
    sink = producer.sink_of(given, {"REDIS_PASSWORD": "pw", "REDIS_TLS": "true"})
    assert sink.password.get_secret_value() == "pw"
    assert (sink.address, sink.tls) == ("there:7000", True)
    assert producer.sink_of(given, {"REDIS_TLS_CA": "ca.pem"}).tls.ca == "ca.pem"


@pytest.mark.parametrize("words", [["--records", "0"], ["--records", "-1"], ["--delay", "soon"]])
def test_an_option_that_is_wrong_is_refused(words, capsys):
    with pytest.raises(SystemExit) as ended:
        producer.main(words)
    assert ended.value.code == 2


def test_a_port_in_the_environment_that_is_none_is_refused(monkeypatch, capsys):
    monkeypatch.setenv("REDIS_PORT", "redis")
    with pytest.raises(SystemExit) as ended:
        producer.main([])
    assert ended.value.code == 2
    assert "--redis-port: invalid int value: 'redis'" in capsys.readouterr().err


def test_times_of_any_origin_are_read_and_missing_ones_are_now():
    now = datetime(2024, 5, 1, tzinfo=UTC)
    given = ["2024-03-01 08:00:00", "1709280000.5", "1709280000500", "", None, "yesterday"]
    rows = pl.DataFrame({"timestamp": given, "src_ip": ["a"] * 6})
    made = entries(rows, now)
    first, half = "2024-03-01T08:00:00.000000Z", "2024-03-01T08:00:00.500000Z"
    none = "2024-05-01T00:00:00.000000Z"
    assert made["timestamp"].to_list() == [first, half, half, none, none, none]
    assert made["source_ip"].to_list() == ["a"] * 6
    assert json.loads(made["data"][0])["timestamp"] == first
    assert entries(rows[:1], now, shift=500_000)["timestamp"].to_list() == [half]


def test_the_same_seed_makes_the_same_traffic(tmp_path):
    for name in ("a", "b"):
        generate.main([str(tmp_path / name), "--rate", "2", "--attacks", "icmp_flood"])
    generate.main([str(tmp_path / "c"), "--rate", "2", "--attacks", "icmp_flood", "--seed", "1"])
    a, b, c = ((tmp_path / name).read_bytes() for name in "abc")
    assert a == b
    assert a != c


def test_kafka_takes_the_place_of_redis_by_four_lines(tmp_path):
    """Nothing below the source changes; the plan is the same."""
    lines = (EXAMPLE / "detect.yaml").read_text().splitlines()
    at = next(n for n, line in enumerate(lines) if "type: redis" in line)
    kafka = ["  {type: kafka,", '   brokers: "localhost:9092",', "   topic: network_traffic,", ""]
    lines[at : at + 4] = kafka
    path = tmp_path / "detect.yaml"
    path.write_text("\n".join(lines))
    command = [sys.executable, "-m", "pydatastream", "check", "--offline", str(path)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
