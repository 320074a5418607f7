"""Takes messages from a socket as fast as one can, in as many frames as each has."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from pydatastream.parts.zeromq.frames import Message, Topics

TOPICS = 10_000
"""So many topics are remembered."""

STARTS = (b"{", b"[")
"""How a payload in JSON begins; a topic never does."""


class Intake:
    """Asking whether a message has more frames costs four times as much as taking a frame.

    So it is asked once for each topic: as many frames are behind it as there were before. A
    frame that is JSON, or that begins like one with topic and payload, has none behind it. Once
    a frame comes alone where topics stand in frames of their own, each message is asked.
    """

    def __init__(self, socket: Any, topic: str) -> None:
        self._socket, self._topics = socket, Topics(topic)
        self._behind: dict[bytes, int] = {}
        self._alone: tuple[bytes, ...] = () if topic else STARTS
        self._mixed = False

    def take(self, most: int, wait: int) -> list[Message]:
        """All messages that are there, at most so many, after `wait` milliseconds at most."""
        import zmq

        found: list[Message] = []
        if self._socket.poll(wait):
            with suppress(zmq.Again):
                self._take(found, most, zmq.NOBLOCK)
        return found

    def _take(self, found: list[Message], most: int, at_once: int) -> None:
        receive, behind = self._socket.recv, self._behind
        while len(found) < most:
            frames = [receive(at_once)]
            found.append(frames)
            if frames[0].startswith(self._alone):
                continue
            for _ in range(behind.get(frames[0], 0)):
                frames.append(receive(at_once))  # noqa: PERF401 - kept if no more comes
            if len(frames) == 1:
                self._ask(frames, at_once)

    def _ask(self, frames: list[bytes], at_once: int) -> None:
        import zmq

        while self._socket.getsockopt(zmq.RCVMORE):
            frames.append(self._socket.recv(at_once))
        if len(frames) == 1:
            self._came_alone(frames[0])
        elif not self._mixed and len(self._behind) < TOPICS:
            self._behind[frames[0]] = len(frames) - 1

    def _came_alone(self, frame: bytes) -> None:
        if self._behind:
            self._behind.clear()
            self._alone, self._mixed = (), True
        elif not self._mixed and (head := self._topics.head(frame)):
            self._alone = (head,)
