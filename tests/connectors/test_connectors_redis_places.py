"""Redis in a cluster, behind sentinels and over TLS."""

import subprocess
import time

import polars as pl
import pytest
from redis_parts import ids, joined, numbers, opened, published, read

from pydatastream.connectors.redis import RedisSource
from pydatastream.connectors.redis_sink import RedisSink
from pydatastream.core.errors import ConfigError, RetryLater
from pydatastream.formats.json import JsonFormat
from services.redis import Redis
from services.server import LOOPBACK, Server, folder, free_port, wait_until

ID = {"id": "int"}


class Node(Redis):
    """One node of a cluster."""

    name = "redis_node"

    def command(self):
        more = ["--cluster-enabled", "yes", "--cluster-port", str(free_port())]
        return [*super().command(), *more]


class Sentinel(Server):
    """Watches one Redis."""

    name = "redis_sentinel"
    master: Redis

    @classmethod
    def ensure(cls):
        Redis.ensure()

    def prepare(self):
        text = f"port {self.port}\nbind {LOOPBACK}\nsentinel monitor mymaster {LOOPBACK} "
        quick = "sentinel down-after-milliseconds mymaster 500\n"
        quick += "sentinel failover-timeout mymaster 2000\n"
        (self.folder / "sentinel.conf").write_text(f"{text}{self.master.port} 1\n{quick}")

    def command(self):
        return ["redis-server", str(self.folder / "sentinel.conf"), "--sentinel"]

    def environment(self):
        return {}


class Encrypted(Redis):
    """Redis that speaks TLS on a second port."""

    name = "redis_tls"

    def prepare(self):
        self.secure = free_port()
        subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
        made = ["-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "key.pem", "-out", "cert.pem"]
        subprocess.run(
            ["openssl", "req", *made, *subject], cwd=self.folder, check=True, capture_output=True
        )

    def command(self):
        files = ["--tls-cert-file", "cert.pem", "--tls-key-file", "key.pem"]
        more = ["--tls-port", str(self.secure), "--tls-auth-clients", "no"]
        return [*super().command(), *files, "--tls-ca-cert-file", "cert.pem", *more]


@pytest.fixture(scope="module")
def cluster():
    Node.ensure()
    with folder() as at:
        nodes = [Node(at / str(n)) for n in range(3)]
        try:
            places = [node.start().address for node in nodes]
            made = ["redis-cli", "--cluster", "create", *places, "--cluster-yes"]
            subprocess.run(made, check=True, capture_output=True)
            ready = "cluster_state:ok"
            assert wait_until(lambda: all(ready in n.cli("CLUSTER", "INFO") for n in nodes), 20)
            yield nodes
        finally:
            for node in nodes:
                node.stop()


def url(nodes):
    return "redis+cluster://" + ",".join(node.address for node in nodes)


def through_cluster(nodes, *words):
    node = ["redis-cli", "-c", "-h", LOOPBACK, "-p", str(nodes[0].port), *words]
    return subprocess.run(node, check=True, capture_output=True, text=True).stdout


@pytest.mark.parametrize("key", ["a", "b", "c", "{tag}d"])
def test_streams_and_markers_stand_in_one_slot_of_a_cluster(cluster, key):
    published(RedisSink(url=url(cluster), stream=key), numbers(50))
    one = RedisSource(url=url(cluster[:1]), stream=key, schema=ID, stop="latest")
    assert joined(read(one, key))["id"].to_list() == list(range(50))
    assert through_cluster(cluster, "XLEN", key).strip() == "50"
    writer = opened(RedisSink(url=url(cluster), stream=key), numbers(0).schema)
    assert writer.published() == 1


def test_keys_of_a_cluster_need_a_tag(cluster):
    with pytest.raises(ConfigError, match="several nodes") as caught:
        opened(RedisSink(url=url(cluster), hash="sensor:{id}"), numbers(0).schema)
    assert "{{sensor}}" in caught.value.hint
    published(RedisSink(url=url(cluster), hash="{{sensor}}:{id}"), numbers(3))
    assert through_cluster(cluster, "HGET", "{sensor}:2", "id").strip() == "2"


def test_a_node_of_a_cluster_that_dies_is_waited_for(cluster):
    writer = opened(RedisSink(url=url(cluster), stream="a"), numbers(0).schema)
    writer.begin(9)
    node = next(node for node in cluster if "MOVED" not in node.cli("EXISTS", "a"))
    node.kill()
    try:
        with pytest.raises(RetryLater):
            writer.publish(9)
        with pytest.raises(RetryLater):
            opened(RedisSink(url=url(cluster), stream="a"), numbers(0).schema)
    finally:
        node.start()
        assert wait_until(lambda: "cluster_state:ok" in node.cli("CLUSTER", "INFO"), 20)


def test_the_master_is_found_through_sentinels_also_after_a_fail_over():
    Redis.ensure()
    with folder() as at:
        master, replica, sentinel = Redis(at / "m"), Redis(at / "r"), Sentinel(at / "s")
        sentinel.master = master
        try:
            master.start()
            replica.start().cli("REPLICAOF", LOOPBACK, str(master.port))
            sentinel.start()
            place = f"redis+sentinel://{sentinel.address}/mymaster/0"
            published(RedisSink(url=place, stream="s"), numbers(10), 1)
            known = ["redis-cli", "-p", str(sentinel.port), "SENTINEL", "replicas", "mymaster"]
            assert wait_until(
                lambda: (
                    str(replica.port)
                    in subprocess.run(known, capture_output=True, text=True).stdout
                    and replica.cli("XLEN", "s").strip() == "10"
                ),
                20,
            )
            master.kill()
            published(_reached(place), numbers(10, 10), 2)
            assert ids(replica, "s") == dict.fromkeys(range(20), 1)
        finally:
            for server in (sentinel, replica, master):
                server.stop()


def _reached(place):
    one, end = RedisSink(url=place, stream="s"), time.monotonic() + 30
    while True:
        try:
            writer = opened(one, numbers(0).schema)
        except RetryLater:
            assert time.monotonic() < end
            time.sleep(0.2)
        else:
            assert writer.published() == 1
            writer.close()
            return one


def test_a_connection_is_encrypted_and_the_server_proves_who_it_is():
    Encrypted.ensure()
    with folder() as at, Encrypted(at) as server:
        place = f"rediss://{LOOPBACK}:{server.secure}/0"
        trusted = {"url": place, "tls": {"ca": str(at / "cert.pem")}}
        rows = pl.DataFrame({"id": [1]})
        published(RedisSink(**trusted, stream="s", format=JsonFormat()), rows)
        assert server.cli("XLEN", "s").strip() == "1"
        with pytest.raises(ConfigError, match="CERTIFICATE_VERIFY_FAILED"):
            RedisSource(url=place, stream="s").check()
        RedisSource(url=place, tls={"insecure": True}, stream="s").check()
