"""How many rows come per window."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from pydatastream.core.times import Duration
from pydatastream.parts.windows.successive import Successive


class WindowedCount(Successive):
    """Count rows by key in windows that follow each other without gap.

    It is `tumbling` with one aggregate, `count`, and a size: it gives the columns `by`,
    `window_start`, `window_end`, `count`, once the watermark has passed end + lateness.
    State: one number per open window and key.
    """

    example: ClassVar[str] = "- windowed_count: {size: 1m, by: [device_id]}"

    size: Duration = "1m"
    """Length of a window."""
    aggregate: dict[str, str] = Field({"count": "count(*)"}, min_length=1)
    """What to compute, if not only the count."""
