"""Write rows as ZeroMQ messages."""

from __future__ import annotations

from typing import ClassVar, Literal

import polars as pl
from pydantic import Field

from pydatastream.core.errors import RetryLater
from pydatastream.core.format import Encoder
from pydatastream.core.sink import Delivery, Write, Writer
from pydatastream.parts.messaging.messages import MessageSink
from pydatastream.parts.zeromq.place import ZeromqPlace, hang_up
from pydatastream.parts.zeromq.stamps import stamp

LINGER, HELD_UP = 5_000, 30_000
"""Milliseconds: for the last messages to leave at the end, and to wait for one who takes."""


class ZeromqSink(ZeromqPlace, MessageSink):
    """Write rows as ZeroMQ messages, published or pushed.

    A message has the frames topic, payload, stamp: "pipeline/output epoch number", where numbers
    begin at 0 in each epoch.

    Delivery: at most once. ZeroMQ keeps nothing for a reader that is not there: one that connects
    later, or is slower than its high-water mark allows, misses messages; so does everyone when
    the process dies with messages in the socket. An epoch that is replayed after a crash sends
    its messages again: by the stamp, a reader can drop what it has seen.
    """

    delivery: ClassVar[Delivery] = Delivery.AT_MOST_ONCE
    primary: ClassVar[str | None] = "address"
    example: ClassVar[str] = '{type: zeromq, address: "tcp://*:5556", topic: hot}'

    socket_type: Literal["pub", "push"] = Field("pub", alias="socket")
    """pub: whoever listens hears each message; push: each message goes to one who takes."""
    bind: bool = True
    """Wait for the others at the address, rather than connect to them."""
    topic: str = ""
    """The topic of every message, its first frame."""
    stamp: bool = True
    """Add the stamp as a third frame; without it, and without topic, there is one frame."""

    def check(self) -> None:
        """Make the socket, and bind it if it is to be bound."""
        hang_up(*self.socket(self.socket_type, binds=self.bind))

    def open(self, job: Write) -> Writer:
        """Start sending."""
        return ZeromqWriter(self, self.form().encoder(job.schema), f"{job.pipeline}/{job.sink}")


class ZeromqWriter:
    """Sends at once; an epoch cannot be taken back."""

    def __init__(self, sink: ZeromqSink, encoder: Encoder, sender: str) -> None:
        import zmq

        self._sink, self._encoder, self._sender = sink, encoder, sender.replace(" ", "_")
        self._socket, self._monitor = sink.socket(sink.socket_type, binds=sink.bind)
        self._socket.setsockopt(zmq.LINGER, LINGER)
        self._socket.setsockopt(zmq.SNDTIMEO, HELD_UP)
        self._n, self._stamp = 0, b""

    def begin(self, epoch: int) -> None:
        self._n, self._stamp = 0, stamp(self._sender, epoch)

    def write(self, rows: pl.DataFrame) -> None:
        import zmq

        try:
            self._send(self._encoder.encode_messages(rows))
        except zmq.Again:
            where = ", ".join(self._sink.places)
            raise RetryLater(f"zeromq: nobody takes what is pushed at {where}") from None

    def publish(self, epoch: int) -> None:
        """Nothing is confirmed."""

    def published(self) -> int | None:
        return None

    def close(self) -> None:
        """Let the last messages leave; it may be done twice."""
        hang_up(self._socket, self._monitor)

    def _send(self, payloads: list[bytes]) -> None:
        import zmq

        send, more = self._socket.send, zmq.SNDMORE
        topic, mark, framed = self._sink.topic.encode(), self._stamp, self._sink.stamp
        named = bool(topic) or framed
        for payload in payloads:
            if named:
                send(topic, more)
            send(payload, more if framed else 0)
            if framed:
                send(b"%b%d" % (mark, self._n))
                self._n += 1
