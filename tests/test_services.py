"""Every server starts, is reached by its own tools, and keeps what it promises over a kill."""

import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from subprocess import PIPE

import pytest

from services import SERVERS
from services.install import made
from services.server import EPHEMERAL, answers, wait_until


@pytest.mark.parametrize("name", [server.name for server in SERVERS])
def test_it_serves_on_loopback_and_says_how_to_reach_it(name, request):
    server = request.getfixturevalue(f"{name}_server")
    assert answers(server.port)
    assert any(str(server.port) in value for value in server.environment().values())


def test_kafka_keeps_messages_over_a_kill(kafka_server):
    kafka_server.create("kept", partitions=2)
    send = kafka_server.command_of("ConsoleProducer", "--topic", "kept")
    subprocess.run(send, input=b"one\ntwo\n", check=True, capture_output=True)
    kafka_server.kill()
    kafka_server.start()
    assert sorted(kafka_server.messages("kept", 2)) == ["one", "two"]


def test_redis_keeps_an_answered_write_over_a_kill(redis_server):
    redis_server.cli("SET", "kept", "yes")
    redis_server.kill()
    redis_server.start()
    assert redis_server.cli("GET", "kept") == "yes\n"


def test_redis_stack_has_time_series(redis_stack_server):
    redis_stack_server.cli("TS.ADD", "heat", "1000", "21.5")
    assert redis_stack_server.cli("TS.GET", "heat").split() == ["1000", "21.5"]


def test_postgres_keeps_a_commit_over_a_kill(postgres_server):
    postgres_server.psql("CREATE TABLE kept (n int); INSERT INTO kept VALUES (1), (2)")
    postgres_server.kill()
    postgres_server.start()
    assert postgres_server.psql("SELECT sum(n) FROM kept") == "3\n"


def test_sftp_serves_files_below_its_root(sftp_server, tmp_path):
    file = tmp_path / "rows.txt"
    file.write_text("row\n")
    sftp_server.sftp(f"put {file} kept.txt")
    assert (sftp_server.root / "kept.txt").read_text() == "row\n"
    assert "kept.txt" in sftp_server.sftp("ls")


def test_mongodb_keeps_a_write_over_a_kill(mongodb_server):
    mongodb_server.python("client.test.kept.insert_one({'n': 1})")
    mongodb_server.kill()
    mongodb_server.start()
    assert mongodb_server.python("print(client.test.kept.count_documents({'n': 1}))") == "1\n"


def test_mongodb_takes_a_transaction_back(mongodb_server):
    mongodb_server.python(
        "session = client.start_session(); session.start_transaction();"
        "client.test.undone.insert_one({'n': 1}, session=session); session.abort_transaction()"
    )
    assert mongodb_server.python("print(client.test.undone.count_documents({}))") == "0\n"


def test_mqtt_keeps_a_message_over_a_kill(mqtt_server):
    mqtt_server.publish("kept", "still here", retain=True)
    assert wait_until(lambda: mqtt_server.has_saved("still here"), 5)
    mqtt_server.kill()
    mqtt_server.start()
    assert mqtt_server.messages("kept", 1) == ["still here"]


def test_aws_has_queues_and_buckets(aws_server):
    made = "boto3.client('sqs').create_queue(QueueName='here')['QueueUrl']"
    url = aws_server.python(f"print({made})").strip()
    known = "boto3.client('sqs').list_queues(QueueNamePrefix='here')['QueueUrls']"
    assert url in json.loads(aws_server.python(f"print(json.dumps({known}))"))
    aws_server.python("boto3.client('s3', region_name='us-east-1').create_bucket(Bucket='here')")
    known = "[one['Name'] for one in boto3.client('s3').list_buckets()['Buckets']]"
    assert "here" in json.loads(aws_server.python(f"print(json.dumps({known}))"))


def test_a_paused_server_goes_on(redis_server):
    redis_server.pause()
    assert answers(redis_server.port)  # the kernel accepts, nobody answers
    redis_server.resume()
    assert redis_server.cli("PING") == "PONG\n"


def test_a_proxy_delays_cuts_and_mends(toxiproxy_server, redis_server):
    way = toxiproxy_server.before(redis_server)
    ping = ["redis-cli", "-h", "127.0.0.1", "-p", str(way.port), "PING"]
    way.latency(300)
    began = time.monotonic()
    assert subprocess.run(ping, capture_output=True, check=True).stdout == b"PONG\n"
    assert time.monotonic() - began >= 0.3
    way.heal()
    way.cut()
    assert b"refused" in subprocess.run(ping, capture_output=True, check=False).stderr
    way.mend()
    assert wait_until(lambda: answers(way.port), 5)
    assert subprocess.run(ping, capture_output=True, check=True).stdout == b"PONG\n"


def test_a_port_is_given_once_and_never_to_a_client():
    first = int(EPHEMERAL.read_text().split()[0])
    ask = "from services.server import free_port; print([free_port() for _ in range(200)]); input()"
    others = [
        subprocess.Popen([sys.executable, "-c", ask], stdin=PIPE, stdout=PIPE, text=True)
        for _ in range(3)
    ]
    ports = [port for one in others for port in json.loads(one.stdout.readline())]
    for one in others:
        one.communicate("\n")
    assert len(set(ports)) == 600
    assert max(ports) < first


def test_what_is_made_once_is_whole_when_others_see_it(monkeypatch, tmp_path):
    monkeypatch.setattr("services.install.CACHE", tmp_path)
    calls = []

    def make(folder):
        calls.append(folder)
        folder.mkdir()
        time.sleep(0.1)
        (folder / "last").touch()

    with ThreadPoolExecutor(4) as pool:
        folders = list(pool.map(lambda _: made("thing", make), range(4)))
        assert all((one / "last").exists() for one in folders)
    assert len(calls) == 1
