"""Records of flows or packets, whatever their columns are called, as features need them."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import polars as pl

from pydatastream.parts.traffic import features as f
from pydatastream.parts.traffic.kinds import NOT_TOLD, UNTOLD, flags, kind, protocol

MOST = 1 << 40
"""No record counts more than this: sums of a thousand million records fit in 64 bits."""
FAULT = "__fault"
"""Why a record is refused; null: it is not."""
_ADDRESS = r"^(\d{1,3}(\.\d{1,3}){3}|[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*(%\w+)?)$"


class Columns(NamedTuple):
    """What the columns of records are called; all but the first two may be missing."""

    source: str
    dest: str
    protocol: str
    source_port: str
    dest_port: str
    packets: str
    bytes: str
    tcp_flags: str
    label: str


def records(rows: pl.DataFrame, names: Columns, window: pl.Expr, strict: bool) -> pl.DataFrame:
    """One record per row, with the start of its window, and FAULT."""

    def told(name: str, make: Callable[[str], pl.Expr], default: pl.Expr) -> pl.Expr:
        return make(name) if name in rows.columns else default

    made = rows.select(
        window.alias(f.WINDOW),
        pl.col(names.dest).alias(f.DEST),
        pl.col(names.source).alias(f.SOURCE),
        told(names.protocol, _protocol, _whole(UNTOLD, pl.UInt8)).alias(f.PROTO),
        told(names.source_port, _port, _whole(-1, pl.Int32)).alias(f.SPORT),
        told(names.dest_port, _port, _whole(-1, pl.Int32)).alias(f.DPORT),
        told(names.packets, _count, _whole(1, pl.Int64)).alias(f.PACKETS),
        told(names.bytes, _count, _whole(0, pl.Int64)).alias(f.BYTES),
        told(names.label, _label, pl.lit(False)).alias(f.ATTACK),
        told(names.tcp_flags, _flags, _whole(NOT_TOLD, pl.Int16)).alias(f.FLAGS),
        _fault(names, window, strict).alias(FAULT),
    )
    return made.with_columns(kind(f.PROTO, f.FLAGS, f.SPORT).alias(f.KIND))


def _fault(names: Columns, window: pl.Expr, strict: bool) -> pl.Expr:
    dest = pl.col(names.dest)
    wrong = pl.lit(False)
    if strict:
        wrong = ~dest.str.contains(_ADDRESS)
    return (
        pl.when(window.is_null()).then(pl.lit("the event time is null"))
        .when(dest.is_null()).then(pl.lit(f"{names.dest} is null"))
        .when(wrong).then(pl.lit(f"{names.dest} is no IP address"))
    )  # fmt: skip


def _whole(value: int, dtype: type[pl.DataType]) -> pl.Expr:
    return pl.lit(value, dtype)


def _number(name: str) -> pl.Expr:
    """Null for what is no number."""
    return pl.col(name).cast(pl.Float64, strict=False).fill_nan(None)


def _count(name: str) -> pl.Expr:
    return _number(name).clip(0, MOST).fill_null(0).cast(pl.Int64)


def _port(name: str) -> pl.Expr:
    number = _number(name)
    return pl.when(number.is_between(0, 65535)).then(number).otherwise(-1).cast(pl.Int32)


def _protocol(name: str) -> pl.Expr:
    return pl.col(name).map_batches(protocol, return_dtype=pl.UInt8)


def _flags(name: str) -> pl.Expr:
    return pl.col(name).map_batches(flags, return_dtype=pl.Int16)


_TRUE = ["1", "true", "yes", "attack", "1.0"]


def _label(name: str) -> pl.Expr:
    return pl.col(name).map_batches(_is_true, return_dtype=pl.Boolean)


def _is_true(values: pl.Series) -> pl.Series:
    if values.dtype.is_numeric():
        return (values == 1).fill_null(False)
    return values.cast(pl.String).str.to_lowercase().is_in(_TRUE).fill_null(False)
