"""Reads a Redis stream as a log: from an id on, in order, up to an id if one is given."""

from __future__ import annotations

import logging
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from pydatastream.core.batch import Batch, Offset
from pydatastream.core.source import Read
from pydatastream.parts.redis.entries import Entries, Entry
from pydatastream.parts.redis.line import Line
from pydatastream.parts.redis.stream import PATIENCE, ZERO, Facts, Place, Portions, gap, number

LOG = logging.getLogger("pydatastream.redis")

ACCEPT = "`accept_gap: true` goes on without them; a larger `maxlen` where it is written keeps more"


@dataclass
class LogReader:
    """Reads what is added to a stream, and notices when it was trimmed before it was read."""

    line: Line
    stream: str
    entries: Entries
    job: Read
    start: str
    """earliest, latest, or an id."""
    stops: bool
    """Whether to end where the stream ends now."""
    accepts_gap: bool
    """Whether to go on where entries are gone that were never read."""
    portions: Portions = field(init=False)

    def __iter__(self) -> Iterator[Batch | None]:
        self.portions = Portions(self.job)
        place, end = self._begin()
        while end is None or number(place.id) < number(end):
            place, found = self._next(place)
            if end is not None:
                found = found[: bisect_right(found, number(end), key=_number)]
            if found:
                place = place.after(found)
                decoded = self.entries.read(found)
                yield Batch(decoded.rows, place.offset(), decoded.dead)
            elif end is not None:
                return
            else:
                self._wait(place)
                yield None

    def commit(self, offset: Offset) -> None:
        """Nothing to do: entries stay in the stream."""

    def close(self) -> None:
        """Hang up."""
        self.line.close()

    def _begin(self) -> tuple[Place, str | None]:
        facts = self._facts()
        until = self.job.until
        if self.job.resume:
            place = self._checked(Place(**self.job.resume), facts)
        elif until:
            place = Place(until["begun"], 0, until["begun"], until["before"])
        else:
            place = self._start(facts)
        return place, until["id"] if until else facts.last if self.stops else None

    def _start(self, facts: Facts) -> Place:
        begun = {"earliest": ZERO, "latest": facts.last}.get(self.start, self.start)
        before = facts.gone if self.start == "earliest" else facts.added or 0
        return Place(begun, 0, begun, before)

    def _facts(self) -> Facts:
        (reply,) = self.line.ask_all(("XINFO", "STREAM", self.stream))
        return Facts.of(reply)

    def _next(self, place: Place) -> tuple[Place, Sequence[Entry]]:
        """The next entries, and what was known of the stream at the same moment."""
        read = ("XREAD", "COUNT", self.portions.count, "STREAMS", self.stream, place.id)
        told, found = self.line.ask_all(("XINFO", "STREAM", self.stream), read)
        if isinstance(found, Exception):
            raise self.line.meaning(found)
        place = self._checked(place, Facts.of(told))
        entries: Sequence[Entry] = found[0][1] if found else []
        if entries:
            self.portions.seen_entries(entries)
        return place, entries

    def _wait(self, place: Place) -> None:
        self.line.ask("XREAD", "COUNT", 1, "BLOCK", PATIENCE, "STREAMS", self.stream, place.id)

    def _checked(self, place: Place, facts: Facts) -> Place:
        """The place, with what is gone behind it counted; `SourceGap` unless that is accepted."""
        if not facts.there:
            if place.read:
                raise gap(self.stream, "is no longer there")
            return place
        if number(facts.last) < number(place.id) and place.read:
            raise gap(self.stream, f"ends at {facts.last}, and was read up to {place.id}")
        if facts.added is None or facts.thinned:
            return place
        lost = facts.gone - place.before - place.read
        if lost <= 0:
            return place
        error = gap(self.stream, f"was trimmed: {lost} entries behind {place.id} are gone", ACCEPT)
        if not self.accepts_gap:
            raise error
        LOG.warning("%s (accept_gap)", error.what)
        return replace(place, before=place.before + lost)


def _number(entry: Entry) -> tuple[int, int]:
    return number(entry[0].decode())
