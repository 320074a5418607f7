"""A socket that listens, perhaps before anybody asks for what it hears."""

from __future__ import annotations

import time

from pydatastream.core.errors import ConfigError, RetryLater
from pydatastream.parts.zeromq.frames import Message
from pydatastream.parts.zeromq.intake import Intake
from pydatastream.parts.zeromq.place import ZeromqPlace, hang_up, heard, strangers

WAIT, MORE = 2.0, 0.5
"""Seconds to wait for a first message to look at, and for those that follow it."""

ENOUGH = 100
"""Messages to look at."""

TURN = 50
"""Milliseconds of one wait."""


class Ear:
    """Takes messages; those that were only looked at come first."""

    def __init__(self, place: ZeromqPlace, kind: str, topic: str, *, binds: bool) -> None:
        import zmq

        self._place, self._binds = place, binds
        self._socket, self._monitor = place.socket(kind, binds=binds)
        if kind == "sub":
            self._socket.setsockopt(zmq.SUBSCRIBE, topic.encode())
        self._intake = Intake(self._socket, topic)
        self._seen: list[Message] = []

    @property
    def closed(self) -> bool:
        """Whether it listens no more."""
        return bool(self._socket.closed)

    def take(self, most: int, wait: int) -> list[Message]:
        """At most so many messages, after `wait` milliseconds at most."""
        if self._seen:
            found, self._seen = self._seen[:most], self._seen[most:]
            return found
        return self._intake.take(most, wait)

    def look(self) -> list[Message]:
        """Some messages, which are still to be taken; `RetryLater` if none comes."""
        end = time.monotonic() + WAIT
        while time.monotonic() < end and len(self._seen) < ENOUGH:
            found = self._intake.take(ENOUGH, TURN)
            if found and not self._seen:
                end = time.monotonic() + MORE
            self._seen += found
            if not found and (error := self.refused()):
                self.close()
                raise error
        if not self._seen:
            what = f"zeromq: no message has come yet from {', '.join(self._place.places)}"
            raise RetryLater(what, hint="start who sends them, or declare `schema:` at the source")
        return self._seen

    def refused(self) -> ConfigError | None:
        """The error if the other side and we do not know each other's keys."""
        error = strangers(self._place.places, heard(self._monitor))
        return None if self._binds else error

    def close(self) -> None:
        """Stop listening; it may be done twice."""
        hang_up(self._socket, self._monitor)
