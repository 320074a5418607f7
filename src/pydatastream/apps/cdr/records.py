"""The columns of call records, drawn by the number of the record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import polars as pl

from pydatastream.apps.cdr.pools import Pools
from pydatastream.core.times import EVENT_TIME
from pydatastream.parts.streams.randomness import uniform

TOWERS = (1, 2000)
BYTES = (100_000, 1_000_000)
"""100 KB to 1 MB."""
SECONDS = (1, 1800)
DATA_TYPES = ("video", "audio", "image", "text", "application")
CALL_TYPES = ("voice", "video")

INDEX = "index"
"""The number of a record from 0: the first of each kind, the second of each kind, ..."""

DATA: Mapping[str, pl.DataType] = {
    "msisdn": pl.String(),
    "tower_id": pl.Int64(),
    "up_bytes": pl.Int64(),
    "down_bytes": pl.Int64(),
    "data_type": pl.String(),
    "ip_address": pl.String(),
    "website_url": pl.String(),
    "event_datetime": EVENT_TIME,
}
VOICE: Mapping[str, pl.DataType] = {
    "msisdn": pl.String(),
    "tower_id": pl.Int64(),
    "call_type": pl.String(),
    "dest_nr": pl.String(),
    "call_duration_sec": pl.Int64(),
    "start_time": EVENT_TIME,
}

KINDS = {"cdr_data": DATA, "cdr_voice": VOICE}
"""The fields of each kind, as they are in files and topics."""

TIMES = {"cdr_data": "event_datetime", "cdr_voice": "start_time"}
"""The field that says when it was."""


def column(kind: str, field: str) -> str:
    """What a field of a kind is called where both kinds of a number stand in one row.

    >>> column("cdr_voice", "msisdn")
    'cdr_voice_msisdn'
    """
    return f"{kind}_{field}"


SCHEMA = pl.Schema(
    {INDEX: pl.Int64()}
    | {column(kind, name): of for kind, fields in KINDS.items() for name, of in fields.items()}
)


def drawn(
    start: int, stop: int, seed: int, pools: Pools, origin: datetime, rate: int
) -> pl.LazyFrame:
    """The records from one number to another, `rate` of them in a second since `origin`."""
    numbers = pl.LazyFrame({INDEX: pl.int_range(start, stop, dtype=pl.Int64, eager=True)})
    passed = pl.duration(microseconds=pl.col(INDEX) * 1_000_000 // rate)
    fields = _fields(_Draw(seed), pools, (pl.lit(origin) + passed).cast(EVENT_TIME))
    return numbers.select(
        INDEX,
        **{column(kind, name): one for kind, of in fields.items() for name, one in of.items()},
    )


def _fields(draw: _Draw, pools: Pools, moment: pl.Expr) -> dict[str, dict[str, pl.Expr]]:
    caller = draw.below(len(pools.phones))
    called = (caller + 1 + draw.below(len(pools.phones) - 1)) % len(pools.phones)
    return {
        "cdr_data": {
            "msisdn": draw.one_of(pools.phones),
            "tower_id": draw.between(*TOWERS),
            "up_bytes": draw.between(*BYTES),
            "down_bytes": draw.between(*BYTES),
            "data_type": draw.one_of(DATA_TYPES),
            "ip_address": draw.one_of(pools.addresses),
            "website_url": draw.one_of(pools.sites),
            "event_datetime": moment,
        },
        "cdr_voice": {
            "msisdn": _at(pools.phones, caller),
            "tower_id": draw.between(*TOWERS),
            "call_type": draw.one_of(CALL_TYPES),
            "dest_nr": _at(pools.phones, called),
            "call_duration_sec": draw.between(*SECONDS),
            "start_time": moment,
        },
    }


class _Draw:
    """Draws columns, each with random numbers of its own."""

    def __init__(self, seed: int) -> None:
        self._seed, self._count = seed, 0

    def below(self, count: int) -> pl.Expr:
        """Whole numbers from 0 to count - 1."""
        self._count += 1
        row = pl.col(INDEX).cast(pl.UInt64)
        return (uniform(row, self._seed, "cdr", self._count) * count).cast(pl.Int64)

    def between(self, least: int, most: int) -> pl.Expr:
        """Whole numbers from `least` to `most`, both included."""
        return self.below(most - least + 1) + least

    def one_of(self, values: pl.Series | Sequence[str]) -> pl.Expr:
        """Values of a pool."""
        return _at(pl.Series(values), self.below(len(values)))


def _at(values: pl.Series, places: pl.Expr) -> pl.Expr:
    return pl.lit(values).gather(places)
