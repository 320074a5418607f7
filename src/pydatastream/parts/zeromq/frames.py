"""From frames to payloads: the topic stands in a frame of its own, or before the payload."""

from __future__ import annotations

import re
from collections.abc import Sequence

Message = list[bytes]
"""The frames of one message: payload; topic and payload; topic, payload and stamp."""


class Topics:
    """Takes messages apart.

    A single frame begins with the topic, if one is asked for, then comes ", ", "," or a space.

    >>> topics = Topics("sensor:")
    >>> topics.payloads([[b"sensor:temperature, message:data-7"], [b"sensor:heat", b"7"]])
    [b'message:data-7', b'7']
    >>> topics.names([[b"sensor:temperature, message:data-7"]])
    [b'sensor:temperature']
    """

    def __init__(self, topic: str) -> None:
        self._topic = topic.encode()
        self._before = re.compile(b'(%b[^\\s,{\\["]*)(?:,\\s?|\\s)?' % re.escape(self._topic))

    def payloads(self, messages: Sequence[Message]) -> list[bytes]:
        """The payload of each message."""
        head = self.head(messages[0][0]) if messages and len(messages[0]) == 1 else b""
        if head and all(one[0].startswith(head) for one in messages):
            return [one[1] if len(one) > 1 else one[0][len(head) :] for one in messages]
        return [one[1] if len(one) > 1 else self._bare(one[0]) for one in messages]

    def names(self, messages: Sequence[Message]) -> list[bytes]:
        """The topic of each message."""
        return [one[0] if len(one) > 1 else self._name(one[0]) for one in messages]

    def head(self, frame: bytes) -> bytes:
        """What comes before the payload, if whatever begins so has its payload behind it."""
        found = self._before.match(frame) if self._topic else None
        return found[0] if found and found[0][-1:].isspace() else b""

    def _bare(self, frame: bytes) -> bytes:
        found = self._before.match(frame) if self._topic else None
        return frame[found.end() :] if found else frame

    def _name(self, frame: bytes) -> bytes:
        found = self._before.match(frame) if self._topic else None
        return found[1] if found else b""
