"""Reads a batch of a group once more, from what its offset says of it."""

from __future__ import annotations

from typing import Any

from pydatastream.core.batch import Batch, Offset
from pydatastream.parts.redis.entries import Entries
from pydatastream.parts.redis.pending import Group
from pydatastream.parts.redis.stream import gap

Part = dict[str, Any]
"""Which entries a batch holds: first and last of a range and their count, or their ids."""


def again(group: Group, entries: Entries, until: Offset) -> Batch:
    """The same entries: `SourceGap` if they are gone, `BeginAgain` if they are another worker's."""
    part: Part = until["part"]
    ids = part.get("ids") or [part["first"], part["last"]]
    spans = [(one, one) for one in ids] if "ids" in part else [tuple(ids)]
    asked = [("XRANGE", group.stream, *span) for span in spans]
    found = [entry for reply in group.line.ask_all(*asked) for entry in reply]
    lacking = part.get("count", len(ids)) - len(found)
    if lacking:
        raise gap(group.stream, f"lacks {lacking} entries up to {ids[-1]}")
    group.expect_owned(ids)
    decoded = entries.read(found)
    return Batch(decoded.rows, dict(until), decoded.dead)
