"""What a function takes: the kinds of its arguments, checked before anything runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import polars as pl

from pydatastream.parts.sql import values as v
from pydatastream.parts.sql.values import Unfit, Value, combine, expect

Call = Callable[[str, list[Value]], Value]
"""A function by the name it was called by, and its arguments."""

KINDS = {
    "s": (v.STRING,),
    "n": (v.NUMBER,),
    "f": (v.NUMBER,),
    "i": (v.NUMBER,),
    "t": (v.TIMESTAMP, v.DATE),
    "d": (v.TIMESTAMP, v.DATE, v.DURATION),
    "l": (v.LIST,),
}


@dataclass(frozen=True, slots=True)
class Function:
    """A function given by the kinds of its arguments, its result and its expression.

    Kinds: s string, n number, f number taken as a float, i whole number, t timestamp or date,
    d these or a duration, l list; a capital letter must be written out; `?` makes optional.
    """

    kinds: str
    result: pl.DataType | None
    build: Callable[..., pl.Expr]
    """Gets expressions, and plain values for what is written out."""

    def __call__(self, name: str, args: list[Value]) -> Value:
        """The call as a value."""
        kinds = self.kinds.replace("?", "")
        least = len(self.kinds.split("?")[0]) - ("?" in self.kinds)
        check_count(name, args, least, len(kinds))
        taken = [_taken(arg, kind, name) for arg, kind in zip(args, kinds, strict=False)]
        return combine(self.build(*taken), self.result or args[0].dtype, *args)


def check_count(name: str, args: list[Value], least: int, most: int | None) -> None:
    """Raise `Unfit` unless there are so many arguments."""
    if len(args) < least or (most is not None and len(args) > most):
        wanted = (
            str(least) if least == most else f"{least} to {most}" if most else f"{least} or more"
        )
        raise Unfit(f"{name} takes {wanted} arguments, found {len(args)}")


def _taken(arg: Value, kind: str, name: str) -> Any:
    expect(arg, *KINDS[kind.lower()], what=name)
    if kind.lower() == "i" and not (arg.dtype.is_integer() or arg.family is v.NULL):
        raise Unfit(f"{name} needs a whole number, found {arg}")
    if kind.isupper():
        return written(arg, name)
    casts = {"s": v.TEXT, "f": v.FLOAT, "i": v.INT}
    return arg.expr.cast(casts[kind]) if kind in casts else v.moment(arg).expr


def written(arg: Value, name: str) -> Any:
    """The value of an argument that must be written out."""
    if arg.constant is None:
        raise Unfit(f"{name} needs a value written out here, found {arg}")
    return arg.constant


def pair(run: Callable[[Value, Value], Value]) -> Call:
    """A function of two values as a call."""

    def call(name: str, args: list[Value]) -> Value:
        check_count(name, args, 2, 2)
        return run(*args)

    return call
