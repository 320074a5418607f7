"""ZeroMQ, sent to by a socket of pyzmq."""

from __future__ import annotations

import json
from typing import Any

import polars as pl
import zmq
from contract_truth import SinkTruth, SourceTruth

from pydatastream.connectors.zeromq import ZeromqSource
from pydatastream.connectors.zeromq_sink import ZeromqSink
from pydatastream.core.types import type_name
from pydatastream.formats.json import JsonFormat
from services.server import free_port


def json_carries(dtype: pl.DataType) -> bool:
    known = pl.String | pl.Boolean | pl.List | pl.Datetime
    return isinstance(dtype, known) or dtype.is_integer()


class Pushed(SourceTruth):
    """Rows as JSON, each behind its topic, waiting in a socket that pushes."""

    killed = False

    def __init__(self, place: Any, fixture: Any) -> None:
        super().__init__(place, fixture)
        self.address = f"tcp://127.0.0.1:{free_port()}"
        self.socket = zmq.Context.instance().socket(zmq.PUSH)
        self.socket.set_hwm(0)
        self.socket.linger = 0
        self.socket.connect(self.address)

    def carries(self, dtype: pl.DataType) -> bool:
        return json_carries(dtype)

    def seed(self, rows: pl.DataFrame) -> pl.DataFrame:
        self.types = {name: type_name(dtype) for name, dtype in rows.schema.items()}
        for row in rows.to_dicts():
            self.socket.send_multipart([b"topic", json.dumps(row, default=str).encode()])
        return rows

    def source(self) -> ZeromqSource:
        how = {"socket": "pull", "bind": True, "format": JsonFormat()}
        return ZeromqSource(address=self.address, schema=self.types, **how)

    def close(self) -> None:
        self.socket.close()


class Published(SinkTruth):
    """Whoever listens hears it, and nobody can see it again."""

    killed = False

    keeps = False

    def sink(self) -> ZeromqSink:
        return ZeromqSink(address=f"tcp://127.0.0.1:{free_port()}", format=JsonFormat())

    def carries(self, dtype: pl.DataType) -> bool:
        return json_carries(dtype)

    def visible(self, schema: pl.Schema) -> pl.DataFrame:
        return pl.DataFrame(schema=schema)


SOURCES = [Pushed]
SINKS = [Published]
