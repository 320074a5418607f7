"""Read rows from ZeroMQ messages."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import polars as pl
from pydantic import Field, PrivateAttr

from pydatastream.core.batch import Batch, Offset
from pydatastream.core.errors import RetryLater, SchemaError
from pydatastream.core.source import Read, Reader
from pydatastream.parts.messaging.inbox import Inbox
from pydatastream.parts.messaging.messages import MessageSource
from pydatastream.parts.zeromq.ear import Ear
from pydatastream.parts.zeromq.frames import Message, Topics
from pydatastream.parts.zeromq.place import ZeromqPlace, hang_up, heard, strangers
from pydatastream.parts.zeromq.stamps import Gaps

PATIENCE = 90
"""Milliseconds to wait for a message."""

FIRST, MOST = 1000, 1 << 16
"""Messages taken at once before their size is known, and at most."""

KNOCK = 2000
"""Milliseconds in which somebody must answer when connections are checked."""


@dataclass(slots=True)
class _Session:
    """What has listened already, to look at messages."""

    ear: Ear | None = None


class ZeromqSource(ZeromqPlace, MessageSource):
    """Read rows from ZeroMQ messages, published or pushed.

    The topic stands in a first frame of its own, or before the payload in one frame: "topic,
    payload" or "topic payload". With `socket: sub`, messages whose topic begins with `topic`
    come; without one, all. Without `schema:`, the columns are told from the first messages that
    are published, which are waited for; what is pushed is not looked at, since that would take it
    from whoever else pulls.

    Delivery: not replayable. ZeroMQ keeps nothing: what is sent before this source has connected
    is lost (a slow joiner), and so is what waits in the socket when the process dies; a
    publisher drops messages when more than its high-water mark wait for a slow reader. With a
    checkpoint, what was received is spooled, and not lost any more. Messages of our own sink
    carry a stamp (pipeline, epoch, number): what is missing between them is counted and logged.
    """

    replayable: ClassVar[bool] = False
    primary: ClassVar[str | None] = "address"
    example: ClassVar[str] = (
        '{type: zeromq, address: "tcp://localhost:5555", topic: "sensor:temperature", '
        "schema: {device_id: string, temperature: float}}"
    )

    socket_type: Literal["sub", "pull"] = Field("sub", alias="socket")
    """sub: hear what is published; pull: take what is pushed, each message once among many."""
    bind: bool = False
    """Wait for the others at the address, rather than connect to them."""
    topic: str = ""
    """What topics begin with."""
    topic_column: str | None = None
    """A column for the topic of each message; by default there is none."""

    _session: _Session = PrivateAttr(default_factory=_Session)

    def beside(self) -> pl.Schema:
        """The topic, if it is wanted."""
        return pl.Schema({self.topic_column: pl.String()} if self.topic_column else {})

    def check(self) -> None:
        """Bind, or connect and see whether somebody is there.

        Whoever pushes gives messages to whoever pulls: what knocks here is told to go instead.
        """
        answer = "HANDSHAKE_SUCCEEDED" if self.socket_type == "sub" else "DISCONNECTED"
        socket, monitor = self.socket("sub", binds=self.bind)
        try:
            events, end = set[str](), time.monotonic() + KNOCK / 1000
            while not self.bind and answer not in events:
                events |= heard(monitor, 100)
                if error := strangers(self.places, events):
                    raise error
                if time.monotonic() > end:
                    raise RetryLater(f"zeromq: nobody answers at {', '.join(self.places)}")
        finally:
            hang_up(socket, monitor)

    def sample(self) -> Sequence[bytes]:
        """The first messages that are published; whoever opens the source gets them too."""
        if self.socket_type == "pull":
            what = (
                "zeromq needs a `schema:` to pull: looking at a message would take it from others"
            )
            raise SchemaError(what, hint="schema: {id: int}")
        ear = self._session.ear = self._ear()  # it goes on listening when nothing has come yet
        return Topics(self.topic).payloads(ear.look())

    def partitions(self) -> Sequence[str]:
        """There is one."""
        return ["messages"]

    def open(self, partition: str, job: Read) -> Reader:  # noqa: ARG002 - there is but one
        """Start listening."""
        inbox = self.inbox(job.schema)
        return ZeromqReader(self._ear(), inbox, job, self.topic)

    def _ear(self) -> Ear:
        """What has looked at messages before, or a new one."""
        ear, self._session.ear = self._session.ear, None
        if ear is None or ear.closed:
            ear = Ear(self, self.socket_type, self.topic, binds=self.bind)
        return ear


class ZeromqReader:
    """Takes all that has come, at once."""

    def __init__(self, ear: Ear, inbox: Inbox, job: Read, topic: str) -> None:
        self._ear, self._inbox, self._job = ear, inbox, job
        self._topics, self._gaps, self._n = Topics(topic), Gaps(), 0
        self._most = min(FIRST, job.rows)

    def __iter__(self) -> Iterator[Batch | None]:
        while True:
            messages = self._taken()
            if not messages:
                if error := self._ear.refused():
                    raise error
                yield None
                continue
            self._gaps.look(messages)
            first = self._n
            decoded = self._inbox.read(
                self._topics.payloads(messages),
                lambda n, first=first: f"message {first + n}",  # type: ignore[misc]
                self._beside(messages),
            )
            self._n += len(messages)
            yield Batch(decoded.rows, {"n": self._n}, decoded.dead)

    def commit(self, offset: Offset) -> None:
        """Nothing to tell: ZeroMQ knows no acknowledgement."""

    def close(self) -> None:
        """Stop listening; it may be done twice."""
        self._ear.close()

    def _taken(self) -> list[Message]:
        found = self._ear.take(self._most, PATIENCE)
        if found:
            size = sum(len(one[-1]) + len(one[0]) for one in found[:100]) // min(len(found), 100)
            fits = self._job.bytes // max(size, 1)
            self._most = max(1, min(self._job.rows, MOST, fits))
        return found

    def _beside(self, messages: Sequence[Message]) -> dict[str, pl.Series]:
        if not self._inbox.beside:
            return {}
        names = pl.Series(self._topics.names(messages), dtype=pl.Binary)
        return dict.fromkeys(self._inbox.beside, names)
