"""DataProcessor: started, stopped, and nothing left behind."""

import json
import threading

import polars as pl
import pytest
import zmq

from pydatastream import DataProcessor
from pydatastream.core.errors import ConfigError, StopError
from services.server import free_port, wait_until

WARM = [{"name": "low", "function": "filter_low_temperature", "args": {"threshold": " 10 "}}]


def config(source, **more):
    return {"source": source, "processor": WARM, "output": {"type": "file", "path": "out"}, **more}


@pytest.fixture
def publish(folder):
    """An address, and a thread that publishes a reading there again and again."""
    address, over = f"tcp://127.0.0.1:{free_port()}", threading.Event()

    def work():
        socket = zmq.Context.instance().socket(zmq.PUB)
        socket.bind(address)
        n = 0
        while not over.wait(0.01):
            reading = {"n": n, "temperature": 5.5 if n % 2 else 20.5}
            socket.send_multipart([b"sensor:temperature", json.dumps(reading).encode()])
            n += 1
        socket.close(linger=0)

    thread = threading.Thread(target=work)
    thread.start()
    yield {"type": "zeromq", "address": address, "topic": "sensor:temperature"}
    over.set()
    thread.join()


def test_it_runs_in_the_background_and_every_thread_ends(publish, folder):
    before = set(threading.enumerate())
    processor = DataProcessor(config(publish))
    assert processor.start() is None
    assert wait_until(lambda: (report := processor.report()) and report.rows_out > 5, 60)
    assert processor.running
    with pytest.raises(ConfigError, match="running already"):
        processor.start()
    processor.stop()
    processor.stop()
    assert not processor.running
    assert set(threading.enumerate()) == before
    found = pl.read_ndjson(sorted((folder / "out").glob("part-*")))
    assert found["temperature"].unique().to_list() == [20.5]
    numbers = found["n"].to_list()
    assert numbers == list(range(numbers[0], numbers[-1] + 2, 2))  # none was lost by looking


def test_it_can_be_started_again_and_is_a_context(publish):
    with DataProcessor(config(publish)) as processor:
        for _ in range(2):
            processor.start()
            assert wait_until(lambda: (one := processor.report()) and one.rows_out > 0, 60)
            processor.stop()
        processor.start()
    assert not processor.running


def test_it_stops_while_it_waits_for_a_first_message(folder):
    source = {"type": "zeromq", "address": f"tcp://127.0.0.1:{free_port()}"}
    with DataProcessor(config(source)) as processor:
        processor.start()
        assert processor.running
    assert not [one for one in threading.enumerate() if one.name == "data-processor"]


def test_it_runs_a_file_in_the_foreground(folder):
    (folder / "in.csv").write_text("n,temperature\n1,9.5\n2,10\n3,30\n")
    (folder / "config.yaml").write_text(
        "source: {type: file, path: in.csv}\nprocessor: [filter_low_temperature: 10]\n"
        "output: {type: file, path: out, format: csv}\n"
    )
    report = DataProcessor("config.yaml").process_stream()
    assert (report.rows_in, report.rows_out) == (3, 2)
    (part,) = (folder / "out").glob("part-*")
    assert part.read_text() == "n,temperature\n2,10.0\n3,30.0\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("source: {type: zeromq\n", "config.yaml:2:1: not readable as YAML"),
        ("output: console\n", "config.yaml.*no source"),
        ("source: {type: zeromq}\noutput: console\n", "config.yaml:1:9: .*address"),
        ("source: {type: zeromk}\noutput: console\n", "(?s)config.yaml:1:16: .*mean 'zeromq'"),
        (
            "output: console\nsource: {type: generate, columns: {n: i}}\n"
            "processor: [filter: x > 1]\n",
            "config.yaml:3:.*no column 'x'",
        ),
    ],
)
def test_a_malformed_file_is_refused_at_start(folder, text, said):
    (folder / "config.yaml").write_text(text)
    processor = DataProcessor("config.yaml")
    with pytest.raises(ConfigError, match=said):
        processor.start()
    assert not processor.running


def test_a_malformed_dict_is_refused_by_its_keys(folder):
    with pytest.raises(ConfigError, match=r"(?s)config\.source\.topik: .*mean 'topic'"):
        DataProcessor(config({"type": "zeromq", "address": "tcp://x:1", "topik": "y"})).start()
    with pytest.raises(ConfigError, match=r"config\.processor\[0\]"):
        DataProcessor({**config("stdin"), "processor": [{"nothing": 1}]}).start()


def test_what_fails_later_is_kept_in_the_background_and_raised_in_the_foreground(folder):
    (folder / "in.csv").write_text("n,temperature\n1,9.5\n2,cold\n")
    types = {"n": "int", "temperature": "float"}
    failing = config({"type": "file", "path": "in.csv", "schema": types}, on_error="fail")
    processor = DataProcessor(failing)
    processor.start()
    assert processor.wait(60)
    assert isinstance(processor.error, StopError)
    with pytest.raises(StopError, match="cold"):
        processor.process_stream()
