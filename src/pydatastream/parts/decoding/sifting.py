"""Telling records that can be read from those that cannot, without losing their neighbours."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Sequence

import polars as pl

from pydatastream.core.batch import DEAD_SCHEMA
from pydatastream.core.errors import RowError
from pydatastream.core.format import Decoded
from pydatastream.parts.decoding.casting import converted

KEPT = 64 << 10
"""Bytes of a record that its dead letter keeps; of a longer one, the error has the hash."""

BLOCK = 4096
"""Records among which those at fault are looked for one by one: halving larger blocks costs
less than looking at each record, halving smaller ones more (a parse costs 0.3 ms at least)."""

REFUSALS = (
    pl.exceptions.PolarsError,
    pl.exceptions.PanicException,
    RowError,
    UnicodeDecodeError,
)
"""What a parse that fails may raise; a panic of Polars is no Exception."""

Parse = Callable[[Sequence[bytes]], Decoded]
Fault = Callable[[bytes], str | None]
Doubt = Callable[[Sequence[bytes]], bool]


def sift(
    records: Sequence[bytes], parse: Parse, fault: Fault, doubt: Doubt = lambda _: False
) -> Decoded:
    """Rows of the records that can be read, dead letters of the others.

    `parse` reads records all at once, or raises. `fault` says why a record cannot be read, or
    None. What `parse` would take and `fault` refuses must be in `doubt`: whether records must be
    looked at one by one; or else results would depend on neighbours.
    """
    try:
        if not doubt(records):
            return parse(records)
    except REFUSALS:
        pass
    return search(records, parse, fault, doubt)


def search(records: Sequence[bytes], parse: Parse, fault: Fault, doubt: Doubt) -> Decoded:
    """As `sift`, for records that are known not to be read all at once."""
    if len(records) <= BLOCK:
        return examine(records, parse, fault)
    half = len(records) // 2
    halves = (records[:half], records[half:])
    return _both(*(sift(some, parse, fault, doubt) for some in halves))


def examine(records: Sequence[bytes], parse: Parse, fault: Fault) -> Decoded:
    """As `sift`, but looks at every record."""
    faults = [fault(one) for one in records]
    good = [one for one, why in zip(records, faults, strict=True) if why is None]
    known = [(one, why) for one, why in zip(records, faults, strict=True) if why is not None]
    decoded = _halved(good, parse)
    return Decoded(decoded.rows, pl.concat([set_aside(known), decoded.dead]))


def _halved(records: Sequence[bytes], parse: Parse) -> Decoded:
    try:
        return parse(records)
    except REFUSALS as error:
        if len(records) == 1:
            dead = set_aside([(records[0], f"cannot be read: {_brief(error)}")])
            return Decoded(parse([]).rows, dead)
    half = len(records) // 2
    return _both(_halved(records[:half], parse), _halved(records[half:], parse))


def _both(one: Decoded, other: Decoded) -> Decoded:
    return Decoded(pl.concat([one.rows, other.rows]), pl.concat([one.dead, other.dead]))


def _brief(error: BaseException) -> str:
    return str(error).split("\n", maxsplit=1)[0][:200]


def typed(rows: pl.DataFrame, schema: pl.Schema, records: Callable[[], Sequence[bytes]]) -> Decoded:
    """Rows in the types of `schema`; those that do not fit are set aside.

    `records` gives the record of each row, and is asked only if one does not fit.
    """
    found, errors = converted(rows, schema)
    if errors is None:
        return Decoded(found)
    bad, of = errors.is_not_null(), records()
    refused = [(of[n], errors[n]) for n in bad.arg_true()]
    return Decoded(found.filter(~bad), set_aside(refused))


def set_aside(refused: Sequence[tuple[bytes, str]]) -> pl.DataFrame:
    """Dead letters of records and the reasons."""
    rows = [_letter(record, why) for record, why in refused]
    return pl.DataFrame(rows, schema=DEAD_SCHEMA, orient="row")


def _letter(record: bytes, why: str) -> tuple[str, str, str]:
    kept = record[:KEPT]
    if len(record) > KEPT:
        why = f"{why} ({len(record)} bytes, sha256 {hashlib.sha256(record).hexdigest()})"
    try:
        record.decode()
    except UnicodeDecodeError:
        return base64.b64encode(kept).decode(), "base64", why
    return kept.decode(errors="ignore"), "utf8", why
