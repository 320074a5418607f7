"""Readings published over ZeroMQ, those of 10 degrees and more shown as they come."""

from __future__ import annotations

import importlib.util
import time

from rich.console import Console
from rich.text import Text

from pydatastream.apps.data_processor import DataProcessor
from pydatastream.config.loading import loads
from pydatastream.core.errors import ConfigError
from pydatastream.pipeline import Pipeline

FULL = "between programs, over TCP, no server needed: examples/sensors"

PATIENCE = 10.0
"""Seconds in which what was published has been heard."""

DEVICE = """\
name: device
source:
  type: generate
  count: 150
  rate: 50
  columns: {device_id: "concat('device-', i % 5)", n: i, temperature: "round(15 + 8 * g, 2)"}
output: {type: zeromq, address: "inproc://sensors", topic: "sensor:temperature"}
"""

SHOWN = """\
name: hot-sensors
source:
  type: zeromq
  address: inproc://sensors            # in this process; elsewhere tcp://localhost:5555
  topic: "sensor:temperature"
  schema: {device_id: string, n: int, temperature: float}
processor:
  - name: filter_low
    function: filter_low_temperature
    args: {threshold: 10}              # TEMPERATURE_THRESHOLD=15 pds demo sensors
output: {type: console}
"""


def run(out: Console) -> None:
    """Publish readings in one thread, and process them in others."""
    if importlib.util.find_spec("zmq") is None:
        hint = "pip install 'pydatastreamprocessor[zeromq]'"
        raise ConfigError("this demo needs pyzmq", hint=hint)
    out.print(Text(SHOWN, style="dim"), soft_wrap=True)
    device = Pipeline(declaration=loads(DEVICE, "device.yaml"))
    with DataProcessor(Pipeline(declaration=loads(SHOWN, "sensors.yaml"))) as processor:
        processor.start()
        device.run()
        _wait(processor)
    report = processor.report()
    if report is not None:
        kept = report.rows_in - report.filtered
        told = f"\n{report.rows_in} readings came, {kept} are warm enough"
        out.print(Text(told), soft_wrap=True)


def _wait(processor: DataProcessor) -> None:
    """Wait until what was published has come; what was sent before anybody listened does not."""
    end, seen = time.monotonic() + PATIENCE, -1
    while time.monotonic() < end:
        report = processor.report()
        now = report.rows_in if report else 0
        if now and now == seen:
            return
        seen = now
        time.sleep(0.3)
