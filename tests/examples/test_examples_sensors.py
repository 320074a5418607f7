"""Sensor streams from end to end: the promised programs, against each other and pyzmq."""

import signal
from pathlib import Path

import polars as pl
import pytest
import zmq

from services.server import free_port, wait_until

EXAMPLE = Path(__file__).parents[2] / "examples" / "sensors"
PROCESSOR, PUBLISHER = EXAMPLE / "data_stream_processor.py", EXAMPLE / "publisher_test.py"


@pytest.fixture
def port():
    return free_port()


@pytest.fixture
def run(programs, port):
    return programs(SOURCE_ADDRESS=f"tcp://localhost:{port}")


def ended(process):
    """What it had said when it was asked to end."""
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 0, out + err
    return out, err


def read(process, lines):
    """The first lines of its output."""
    return [process.stdout.readline() for _ in range(lines)]


def test_readings_are_filtered_onto_the_screen(run, port):
    publisher = run.start(PUBLISHER, "--port", port, "--rate", "100")
    processor = run.start(PROCESSOR, "--config", EXAMPLE / "config.yaml")
    head, *rows = read(processor, 10)
    assert head.split() == ["device_id", "ts", "temperature"]
    assert all(10 <= float(row.split()[2]) <= 30 for row in rows)
    ended(processor)
    ended(publisher)


def test_the_processor_may_be_first_and_variables_change_the_threshold(run, port):
    run.environment["TEMPERATURE_THRESH"] = "25"
    processor = run.start(PROCESSOR)
    publisher = run.start(PUBLISHER, "--port", port, "--rate", "100")
    rows = read(processor, 6)[1:]
    assert all(float(row.split()[2]) >= 25 for row in rows)
    explained = run.run("pds", "explain", EXAMPLE / "config.yaml")
    assert "filter_low.threshold from environment TEMPERATURE_THRESH\n" in explained
    assert "source.address from environment SOURCE_ADDRESS" in explained
    ended(processor)
    ended(publisher)


def test_the_promised_message_of_text(run, port):
    publisher = run.start(PUBLISHER, "--port", port, "--rate", "50", "--format", "text")
    raw = run.run(EXAMPLE / "consumer_demo.py", "--port", port, "--count", "1")
    assert raw.startswith("sensor:temperature, message:data-")
    reader = run.start("pds", "run", "-q", EXAMPLE / "text.yaml")
    head, *rows = read(reader, 4)
    assert (head.strip(), [int(row) % 2 for row in rows]) == ("number", [1, 1, 1])
    ended(reader)
    ended(publisher)


READINGS = "schema: {device_id: string, ts: timestamp, temperature: float}"
FIELDS = "fields: {device: uint32, ts: timestamp, temperature: float64}"
SPELLED = {
    "json": "format: json",
    "csv": f"format: csv, {READINGS}",
    "binary": f"format: {{type: binary, {FIELDS}}}",
}


@pytest.mark.parametrize(("form", "socket"), [("json", "pull"), ("csv", "sub"), ("binary", "sub")])
def test_formats_of_messages(run, port, form, socket):
    said = f"{SPELLED[form]}, {READINGS}" if socket == "pull" else SPELLED[form]
    (run.folder / "form.yaml").write_text(
        f"source: {{type: zeromq, address: 'tcp://x:1', socket: {socket}, {said}}}\n"
        "processor: [filter_low_temperature: 10]\noutput: console\n"
    )
    push = ["--push"] if socket == "pull" else []
    publisher = run.start(PUBLISHER, "--port", port, "--rate", "100", "--format", form, *push)
    processor = run.start(PROCESSOR, "--config", "form.yaml")
    rows = [line.split() for line in read(processor, 8)[1:]]
    assert all(10 <= float(row[-1]) <= 30 for row in rows)
    assert {row[0].removeprefix("device-") for row in rows} <= set("01234")
    ended(processor)
    ended(publisher)


def test_history_then_live_in_one_run(run, port):
    run.environment |= {"HISTORY": str(EXAMPLE / "data" / "history.csv")}
    run.environment["LIVE_ADDRESS"] = run.environment["SOURCE_ADDRESS"]
    publisher = run.start(PUBLISHER, "--port", port, "--rate", "100", "--seed", "1")
    running = run.start("pds", "run", "-q", EXAMPLE / "history.yaml")
    out = run.folder / "out" / "readings"

    def kept():
        parts = sorted(out.glob("part-*"))
        return pl.concat(map(pl.read_csv, parts)) if parts else pl.DataFrame({"ts": []})

    def both():
        years = kept()["ts"].cast(pl.String).str.head(7)
        return {"2026-01"} < set(years)

    history = pl.read_csv(EXAMPLE / "data" / "history.csv").filter(pl.col("temperature") >= 10)
    assert wait_until(both, 60)
    ended(running)
    ended(publisher)
    rows = kept()
    assert rows["ts"].is_sorted()  # history first, to its last row
    old = rows.filter(pl.col("ts").cast(pl.String).str.starts_with("2026-01-01T00:0"))
    assert sorted(old["temperature"]) == sorted(history["temperature"])
    expected = (rows["temperature"] * 1.8 + 32).round(1)
    assert rows["fahrenheit"].to_list() == expected.to_list()
    last = old.filter(pl.col("device_id") == "device-0").tail(3)
    assert last["rolling_sum"].to_list()[-1] == pytest.approx(last["temperature"].sum())


def test_readings_are_encrypted_with_curve_keys(run, port, tmp_path):
    public, secret = zmq.curve_keypair()
    ours, hidden = zmq.curve_keypair()
    (tmp_path / "keys.txt").write_bytes(public + b"\n" + secret)
    (tmp_path / "secret").write_bytes(hidden)
    keys = f'{{public: "{ours.decode()}", secret: "${{file:secret}}", server: "{public.decode()}"}}'
    (tmp_path / "curve.yaml").write_text(
        f"source: {{type: zeromq, address: 'tcp://localhost:{port}', curve: {keys}}}\n"
        "processor: [filter_low_temperature: 10]\noutput: console\n"
    )
    publisher = run.start(PUBLISHER, "--port", port, "--rate", "100", "--curve", "keys.txt")
    processor = run.start(PROCESSOR, "--config", "curve.yaml")
    assert len(read(processor, 5)[-1].split()) == 3
    ended(processor)
    ended(publisher)


def test_a_malformed_configuration_is_one_message(run, tmp_path):
    (tmp_path / "bad.yaml").write_text("source:\n  type: zeromq\n  adress: tcp://x:1\n")
    said = run.run(PROCESSOR, "--config", "bad.yaml", fails=True)
    assert said.startswith("error: bad.yaml:3:3: zeromq has no option 'adress'")
    assert "Traceback" not in said
