"""Stamps number the messages of our sink, so that who reads them can tell what was lost."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence

from pydatastream.parts.zeromq.frames import Message

LOG = logging.getLogger("pydatastream.zeromq")


def stamp(sender: str, epoch: int) -> bytes:
    """What stamps of an epoch begin with: the number of the message in it follows.

    >>> stamp("rooms/out", 3) + b"17"
    b'rooms/out 3 17'
    """
    return f"{sender} {epoch} ".encode()


class Gaps:
    """Counts what is missing between the stamps of each sender."""

    def __init__(self) -> None:
        self._seen: dict[bytes, tuple[int, int]] = {}
        self.lost = 0
        self.repeated = 0

    def look(self, messages: Sequence[Message]) -> None:
        """Look at the stamps that come next; what is missing is logged."""
        lost, repeated = self.lost, self.repeated
        self._look([one[2] for one in messages if len(one) > 2])
        if self.lost > lost:
            LOG.warning("%d messages were lost on the way", self.lost - lost)
        if self.repeated > repeated:
            LOG.warning("%d messages have come before", self.repeated - repeated)

    def _look(self, stamps: Sequence[bytes]) -> None:
        if stamps and not self._is_run(stamps):
            self._each(stamps)

    def _is_run(self, stamps: Sequence[bytes]) -> bool:
        """Whether they follow each other without a gap: then nothing is missing."""
        first, last = _parts(stamps[0]), _parts(stamps[-1])
        if not first or not last or first[:2] != last[:2]:
            return False
        sender, epoch, start = first
        if self._expected(sender, epoch) != start or last[2] - start + 1 != len(stamps):
            return False
        head = stamps[0].rpartition(b" ")[0] + b" "
        if any(one != b"%b%d" % (head, n) for n, one in enumerate(stamps, start)):
            return False
        self._seen[sender] = (epoch, last[2])
        return True

    def _each(self, stamps: Iterable[bytes]) -> None:
        for one in stamps:
            if not (found := _parts(one)):
                continue
            sender, epoch, n = found
            expected = self._expected(sender, epoch)
            if sender in self._seen and (epoch, n) <= self._seen[sender]:
                self.repeated += 1
                continue
            self.lost += n - (n if expected is None else expected)
            self._seen[sender] = (epoch, n)

    def _expected(self, sender: bytes, epoch: int) -> int | None:
        """The number that should come; None: whoever is new may begin in the middle."""
        if sender not in self._seen:
            return None
        known, n = self._seen[sender]
        return n + 1 if known == epoch else 0


def _parts(one: bytes) -> tuple[bytes, int, int] | None:
    sender, _, rest = one.partition(b" ")
    epoch, _, n = rest.partition(b" ")
    return (sender, int(epoch), int(n)) if epoch.isdigit() and n.isdigit() else None
