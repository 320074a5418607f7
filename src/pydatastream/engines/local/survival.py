"""A row that kills the process is found by letting child processes die in its place.

When a run was begun several times without an epoch getting done, the next one is cautious: each
batch is an epoch of its own, recorded before the steps see it. If that run dies too, the batch is
known, and in the one after it children try parts of it, half by half, until the deadly rows are
left. Those become dead letters; nothing else can be done about a segmentation fault.

So a deadly row costs about six deaths: one or two while epochs before it still get done, TRIES
without any, and a cautious one.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import polars as pl

from pydatastream.core.dead import dead_rows
from pydatastream.core.errors import StopError
from pydatastream.engines.local.events import Arrived, Slice, from_json, to_json

TRIES = 3
"""Starts without a committed epoch after which a run becomes cautious."""

CAUTIOUS_EPOCHS = 100
"""After so many a run that has not died is no longer cautious."""

PROBE = "PDS_PROBE"
"""Tells a child what to try, as JSON: a slice, and the rows of it."""

PATIENCE = 120.0
"""Seconds after which a child counts as hanging."""

DEADLY = "the process died each time this row was processed"

Survives = Callable[[int, int], bool]


@dataclass(frozen=True, slots=True)
class Asked:
    """What a child is to try: rows `first` to `end` of a slice."""

    slice: Slice
    first: int
    end: int


def asked_rows() -> Asked | None:
    """In a child: the rows to try."""
    text = os.environ.get(PROBE)
    if text is None:
        return None
    told = json.loads(text)
    piece = from_json(told["slice"])
    assert isinstance(piece, Slice)  # noqa: S101 - narrows the type
    return Asked(piece, told["first"], told["end"])


def child(command: Sequence[str], piece: Slice) -> Survives:
    """Tries rows in a child process; true if it survives them."""

    def survives(first: int, end: int) -> bool:
        return _tried(command, piece, first, end).returncode == 0

    ready = _tried(command, piece, 0, 0)
    if ready.returncode:
        told = ready.stderr.decode(errors="replace").strip()[-400:]
        raise StopError(
            f"a row may have killed this run, but no child can try rows: {told or 'it died'}",
            hint="declare `schema:` where columns are inferred, and look at what ran last",
        )
    return survives


def _tried(
    command: Sequence[str], piece: Slice, first: int, end: int
) -> subprocess.CompletedProcess[bytes]:
    told = json.dumps({"slice": to_json(piece), "first": first, "end": end})
    try:
        return subprocess.run(  # noqa: S603 - the program's own command line
            command,
            env={**os.environ, PROBE: told},
            stdin=subprocess.DEVNULL,  # what comes there is for this process
            capture_output=True,
            timeout=PATIENCE,
            check=False,
        )
    except subprocess.TimeoutExpired as late:
        return subprocess.CompletedProcess(command, 1, b"", late.stderr or b"it hangs")


def deadly_rows(survives: Survives, first: int, end: int) -> list[int]:
    """The numbers of the rows that no process survives, each found in log(n) tries.

    >>> deadly_rows(lambda first, end: not first <= 5 < end, 0, 100)
    [5]
    """
    if first >= end or survives(first, end):
        return []
    if end - first == 1:
        return [first]
    middle = (first + end) // 2
    return deadly_rows(survives, first, middle) + deadly_rows(survives, middle, end)


def without(arrived: Arrived, rows: Sequence[int]) -> Arrived:
    """The batch with the deadly rows made dead letters."""
    if not rows:
        return arrived
    deadly = pl.Series(range(arrived.rows.height)).is_in(list(rows))
    dead = dead_rows(arrived.rows.filter(deadly), DEADLY)
    return replace(arrived, rows=arrived.rows.filter(~deadly), dead=pl.concat([arrived.dead, dead]))
