"""Windows one after the other."""

from __future__ import annotations

from typing import ClassVar

from pydatastream.parts.windows.successive import Successive


class Tumbling(Successive):
    """Aggregate rows by key in windows that follow each other without gap.

    A window is [start, end) of event time; starts are multiples of `size` since 1970 UTC, moved
    by `offset`. Gives the columns `by`, `window_start`, `window_end`, then the aggregates, once
    the watermark has passed end + lateness. A row that comes after that goes to `late`.
    State: one partial row per open window and key.
    """

    example: ClassVar[str] = (
        "- tumbling: {size: 1m, by: [device_id], lateness: 5s, "
        "aggregate: {n: count(*), mean: avg(temperature)}}"
    )
