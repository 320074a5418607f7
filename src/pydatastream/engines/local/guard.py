"""One bad row costs log(n) tries and never its neighbours."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import polars as pl

from pydatastream.core.batch import Emitted, Refused
from pydatastream.core.errors import ConfigError, PdsError, RetryLater, StopError

Work = Callable[[pl.DataFrame], Iterable[Emitted]]
STOPS = (StopError, RetryLater, ConfigError, KeyboardInterrupt, MemoryError, GeneratorExit)
"""What no smaller batch can mend."""


def guarded(work: Work, rows: pl.DataFrame) -> list[Emitted]:
    """What `work` yields; the rows it fails on come back as `Refused`."""
    try:
        return list(work(rows))
    except STOPS:
        raise
    except BaseException as error:  # noqa: BLE001 - a Polars panic is no Exception
        if rows.height <= 1:
            return [Refused(rows, reason(error))]
    middle = rows.height // 2
    return guarded(work, rows[:middle]) + guarded(work, rows[middle:])


def reason(error: BaseException) -> str:
    """The error in one line."""
    if isinstance(error, PdsError):
        return error.what
    first = str(error).strip().splitlines()
    return f"{type(error).__name__}: {first[0] if first else 'no message'}"
