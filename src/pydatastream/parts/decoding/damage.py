"""Damaged files: whatever a library raises or panics with while it reads one."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl

from pydatastream.core.errors import PdsError

_SIGNS = (
    pl.exceptions.PolarsError,
    pl.exceptions.PanicException,  # no Exception: it derives from BaseException
    struct.error,
    ArithmeticError,
    LookupError,
    TypeError,
    ValueError,
)


@contextmanager
def reading(what: str, path: Path, error: type[PdsError]) -> Iterator[None]:
    """Turn signs of damage into `error`; an error of the operating system stays one."""
    try:
        yield
    except _SIGNS as sign:
        raise _damaged(what, path, error, sign) from None
    except OSError as sign:
        if sign.errno is not None:  # Polars gives what a decompressor says without a number
            raise
        raise _damaged(what, path, error, sign) from None


def _damaged(what: str, path: Path, error: type[PdsError], sign: BaseException) -> PdsError:
    why = str(sign).split("\n", maxsplit=1)[0][:200] or type(sign).__name__
    hint = "copy the file again: it is damaged, or not complete yet"
    return error(f"{what} cannot be read: {why}", where=str(path), hint=hint)
