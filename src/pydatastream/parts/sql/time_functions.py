"""Functions of timestamps, dates and durations."""

from __future__ import annotations

from collections.abc import Callable

import polars as pl

from pydatastream.core.times import EVENT_TIME
from pydatastream.parts.sql import values as v
from pydatastream.parts.sql.operators import arithmetic
from pydatastream.parts.sql.signatures import KINDS, Call, Function, check_count
from pydatastream.parts.sql.values import Unfit, Value, expect

_TRUNCATE = {
    "microsecond": "1us", "millisecond": "1ms", "second": "1s", "minute": "1m", "hour": "1h",
    "day": "1d", "week": "1w", "month": "1mo", "quarter": "1q", "year": "1y",
}  # fmt: skip


def _date_trunc(unit: str, time: pl.Expr) -> pl.Expr:
    if unit.lower() not in _TRUNCATE:
        raise Unfit(f"date_trunc knows no {unit!r}", f"one of: {', '.join(_TRUNCATE)}")
    return time.cast(EVENT_TIME).dt.truncate(_TRUNCATE[unit.lower()])


PARTS: dict[str, Callable[[pl.Expr], pl.Expr]] = {
    "year": lambda t: t.dt.year(),
    "quarter": lambda t: t.dt.quarter(),
    "month": lambda t: t.dt.month(),
    "week": lambda t: t.dt.week(),
    "day": lambda t: t.dt.day(),
    "dayofweek": lambda t: t.dt.weekday() % 7,
    "dayofyear": lambda t: t.dt.ordinal_day(),
    "hour": lambda t: t.dt.hour(),
    "minute": lambda t: t.dt.minute(),
    "second": lambda t: t.dt.second(),
    "millisecond": lambda t: t.dt.second().cast(v.INT) * 1000 + t.dt.millisecond(),
    "microsecond": lambda t: t.dt.second().cast(v.INT) * 1_000_000 + t.dt.microsecond(),
}


def _part(take: Callable[[pl.Expr], pl.Expr]) -> Callable[[pl.Expr], pl.Expr]:
    return lambda time: take(time.cast(EVENT_TIME)).cast(v.INT)


def _epoch(arg: Value) -> Value:
    """Micros since 1970 of a time, or in a duration."""
    expect(arg, *KINDS["d"], what="epoch")
    kind = v.SPAN if arg.family is v.DURATION else EVENT_TIME
    return arg.like(v.moment(arg).expr.cast(kind).to_physical(), v.INT)


def _epoch_seconds(name: str, args: list[Value]) -> Value:
    check_count(name, args, 1, 1)
    return arithmetic("/", _epoch(args[0]), v.literal(1_000_000, v.INT))


def _epoch_ms(name: str, args: list[Value]) -> Value:
    """Both ways, as in DuckDB: milliseconds of a time, or the time of milliseconds."""
    check_count(name, args, 1, 1)
    if args[0].family is v.NUMBER:
        return _from_epoch(args[0], 1_000)
    micros = _epoch(args[0])
    return micros.like(micros.expr.floordiv(1_000), v.INT)


def _from_epoch(arg: Value, micros: int) -> Value:
    if arg.dtype.is_integer():
        return arg.like((arg.expr.cast(v.INT) * micros).cast(EVENT_TIME), EVENT_TIME)
    return arg.like((arg.expr * micros).round().cast(v.INT).cast(EVENT_TIME), EVENT_TIME)


def _to_timestamp(name: str, args: list[Value]) -> Value:
    check_count(name, args, 1, 1)
    return _from_epoch(expect(args[0], v.NUMBER, what=name), 1_000_000)


TIME_FUNCTIONS: dict[str, Call] = {
    "date_trunc": Function("St", EVENT_TIME, _date_trunc),
    "epoch": _epoch_seconds,
    "epoch_ms": _epoch_ms,
    "to_timestamp": _to_timestamp,
    **{name: Function("t", v.INT, _part(take)) for name, take in PARTS.items()},
}
