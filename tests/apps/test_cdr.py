"""The call records of `examples/cdr`, against real servers; sftp and Kafka's tools look after."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from cdr_runs import COUNT, KINDS, MAIN, PAIRS, TIMES, Cdr, each_once, records, whole

from pydatastream.apps.cdr.options import DEV, PROD
from services.kafka import Kafka

POINTS = ["cdr.progressed:kill:2", "file.remembered:kill:3", "remote.remembered:kill:1"]
POINTS += ["remote.revealed:kill:7", "kafka.marked:kill:5", "epoch.published_one:kill:5"]
POINTS += ["checkpoint.after_commit:kill:1", "parts.written:kill:20", "epoch.intended:kill:2"]


@pytest.fixture
def alone(tmp_path: Path) -> Cdr:
    """A job that needs no server."""
    return Cdr(tmp_path)


@pytest.fixture
def job(tmp_path: Path, kafka_server, sftp_server) -> Cdr:
    return Cdr(tmp_path, kafka_server, sftp_server)


def test_the_files_are_as_promised(alone):
    said = alone.finish()
    assert said.count("Generated 2 cdr files...\n") == PAIRS
    told = f"Completed data generation. cdr_data [{COUNT}], cdr_voice [{COUNT}], files [{PAIRS}]\n"
    assert said.endswith(told)
    files = alone.files()
    start = f"{alone.year}0101"
    moments = [f"{start}_00{at // 60:02d}{at % 60:02d}" for at in range(0, 250, 10)]
    assert list(files) == [f"{kind}_{one}.csv" for kind in KINDS for one in moments]
    assert {len(text.splitlines()) for text in files.values()} == {41}
    assert alone.index() == COUNT
    assert alone.finish().splitlines()[-1].endswith(told.strip())
    assert alone.files() == files


def test_every_number_may_come_from_the_environment(alone):
    alone.options = []
    env = {"TOTAL_SECONDS": "50", "LINES_PER_SECOND": "2", "LINE_COUNT": "30", "SEED": "5"}
    ended = alone.run(**{f"CDR_{name}": value for name, value in env.items()})
    assert "cdr_data [100], cdr_voice [100], files [4]" in ended.said
    assert [text.count("\n") for text in alone.files().values()] == [31, 31, 31, 11] * 2
    alone.options = ["--total-seconds", "50", "--lines-per-second", "2", "--line-count", "30"]
    other_seed = whole(alone)
    assert other_seed.keys() == alone.files().keys()
    assert other_seed != alone.files()
    ended = alone.run()
    assert ended.code == 1
    assert "belongs to pipeline" in ended.said


def test_stopped_it_says_how_to_go_on(alone):
    process = alone.start("--pace", "50")
    while alone.index() < 40 and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert f"Stopped at record {alone.index()} of {COUNT}: start again to go on" in said
    assert 0 < alone.index() < COUNT
    assert alone.index() % 40 == 0
    alone.finish()
    each_once(alone, whole(alone))


def test_files_server_and_topics_hold_each_record_once(job):
    said = job.finish()
    assert f"cdr_data [{COUNT}], cdr_voice [{COUNT}], files [{PAIRS}]" in said
    expected = whole(job)
    each_once(job, expected)
    pairs = [line.split("\t") for line in console(job.kafka) if "\t" in line]
    assert all(f'"msisdn":"{key}"' in value for key, value in pairs)
    for kind in KINDS:
        values = [value for _, value in pairs if TIMES[kind] in value]
        assert job.mine(kind, values) == records(expected, kind)


def console(kafka: Kafka) -> list[str]:
    """Keys and messages of both topics, by Kafka's console consumer."""
    words = ["--include", "cdr_data|cdr_voice", "--from-beginning", "--timeout-ms", "8000"]
    words += ["--isolation-level", "read_committed", "--formatter-property", "print.key=true"]
    return kafka.tool("consumer.ConsoleConsumer", *words).splitlines()


def test_the_index_goes_with_the_epochs(job):
    """Killed between two steps of an epoch, it counts only what is everywhere."""
    expected = whole(job)
    seen = [0]
    for point in ("cdr.progressed", "epoch.published_one"):
        assert job.run("--pace", "100", fault=f"{point}:kill:1").code == -9
        seen.append(job.index())
        assert 2 * seen[-1] // 40 <= len(
            job.files().keys() & job.uploaded().keys() & expected.keys()
        )
        found = job.messages()
        assert all(found[kind].total() >= seen[-1] for kind in KINDS)
    assert 0 < seen[1] <= seen[2] < COUNT
    job.finish()
    each_once(job, expected)


def test_killed_at_its_steps_and_at_random(job, long):
    expected = whole(job)
    dice = random.Random(3)
    for point in POINTS * 5 if long else dice.sample(POINTS, 2):
        assert job.run("--pace", "50" if long else "500", fault=point).code in (-9, 0)
    for _ in range(40 if long else 1):
        job.killed_after(dice.uniform(0.8, 2.0))
    job.finish()
    each_once(job, expected)
    assert job.kills


def test_the_script_makes_records_where_servers_are(job, tmp_path):
    script = MAIN.with_name("cdr_to_redpanda_script.sh")
    env = os.environ | job.kafka.environment() | job.sftp.environment() | {"PYTHON": sys.executable}
    env |= {"CDR_BROKERS": job.kafka.address, "CDR_OUTPUT": str(job.output)}
    options = [*job.options, "--start", f"{job.year}-01-01", "--sftp-path", job.name]
    done = subprocess.run([script, *options], env=env, capture_output=True, text=True, check=False)
    assert f"Completed data generation. cdr_data [{COUNT}]" in done.stderr, done.stderr
    each_once(job, whole(job))


def test_the_compose_file_has_what_the_defaults_name():
    services = yaml.safe_load(MAIN.with_name("compose.yaml").read_text())["services"]
    assert services["redpanda"]["ports"] == ["127.0.0.1:19092:19092"]
    assert services["sftp"]["ports"] == [f"127.0.0.1:{DEV.sftp_port}:{PROD.sftp_port}"]
    assert PROD.sftp_host in services
    assert "USER" not in services["cdr"]["environment"]


@pytest.mark.slow
def test_killed_again_and_again(job):
    """The production numbers for an hour; killed at random until it is done."""
    job.options = ["--total-seconds", "36000", "--lines-per-second", "5", "--line-count", "1000"]
    expected = whole(job)
    dice = random.Random(7)
    while job.index() < 180_000 and job.kills < 60:
        job.killed_after(dice.uniform(1.0, 4.0))
    job.finish()
    each_once(job, expected)
    print(f"{job.kills} kills")
    assert job.kills > 5


def test_a_wrong_host_key_stops_it_and_the_right_one_completes_it(job, tmp_path):
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "other"], check=True
    )
    wrong = (tmp_path / "other.pub").read_text().strip()
    ended = job.run("--sftp-host-key", wrong)
    assert ended.code == 2
    assert "shows another host key than the one that is known" in ended.said
    nothing_is_there(job)
    job.finish()
    each_once(job, whole(job))


def test_an_unknown_host_key_stops_it(job, tmp_path):
    (tmp_path / "empty").touch()
    ended = job.run(SFTP_KNOWN_HOSTS=str(tmp_path / "empty"))
    assert ended.code == 2
    assert "is not known" in ended.said
    assert "ssh-keyscan" in ended.said
    nothing_is_there(job)


def test_a_directory_that_cannot_be_written_stops_it(job):
    name, job.name = job.name, "/proc/cdr"
    ended = job.run()
    assert ended.code in (1, 2)
    assert "/proc/cdr" in ended.said
    assert "try: " in ended.said
    job.name = name
    nothing_is_there(job)
    job.finish()
    each_once(job, whole(job))


def nothing_is_there(job: Cdr) -> None:
    assert not job.files()
    assert not job.hidden()
    assert job.index() == 0


def test_a_full_disk_stops_it_and_space_completes_it(job):
    job.output.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=200k", "none", job.output],
        capture_output=True, check=False,
    )  # fmt: skip
    if mounted.returncode:
        pytest.skip(f"no small disk can be mounted here: {mounted.stderr.decode().strip()}")
    try:
        expected = whole(job)
        ended = job.run("--pace", "250")
        assert ended.code == 1
        assert "No space left" in ended.said or "is full" in ended.said
        assert job.files().items() <= expected.items()
        subprocess.run(["mount", "-o", "remount,size=64m", job.output], check=True)
        job.finish()
        each_once(job, expected)
    finally:
        subprocess.run(["umount", "-l", job.output], check=True)


def test_a_server_that_is_not_there_is_waited_for(job):
    job.options += ["--sftp-port", "1"]
    process = job.start()
    line = ""
    while "Waiting: " not in line:
        line = process.stdout.readline()
        assert line, "it ended"
    process.terminate()
    said, _ = process.communicate(timeout=60)
    assert "sftp://127.0.0.1:1 cannot be reached" in line
    assert process.returncode == 1
    assert said.startswith("error: sftp://127.0.0.1:1 cannot be reached")
