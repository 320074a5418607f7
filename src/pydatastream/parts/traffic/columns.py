"""What traffic is told by: the columns of records, of windows, and of alarms."""

from __future__ import annotations

import polars as pl

from pydatastream.core.times import EVENT_TIME
from pydatastream.parts.traffic.kinds import KINDS

NETWORK = "*"
"""Stands for the whole network where a victim is named."""

START, END = "window_start", "window_end"

COUNTS = (
    "flows",
    "packets",
    "bytes",
    "sources",
    *KINDS,
    "ecn",
    "acks",
    "web",
    "tunnels",
    "labelled",
)
"""Whole numbers. ecn: SYN packets with ECE and CWR. acks: packets with ACK. web: TCP packets to
a web server. tunnels: records of neither TCP nor ICMP. labelled: those that the data call an
attack."""

SHARES = ("source_entropy", "syn_share", "syn_ratio", "udp_share", "top_port_share", "new_share")
"""Between 0 and 1. source_entropy: 1 if all sources send alike. syn_ratio: SYN / (SYN + ACK).
new_share: of the sources, those not seen before for a while."""

FEATURES = pl.Schema(
    {
        START: EVENT_TIME,
        END: EVENT_TIME,
        **dict.fromkeys(COUNTS, pl.Int64()),
        **dict.fromkeys(SHARES, pl.Float64()),
        "top_port": pl.Int32(),
        "top_sources": pl.List(pl.String()),
    }
)
"""The columns of a window beside its key."""

TOP = 10
"""So many of the sources with the most packets are named."""

WEB_PORTS = (80, 443, 8000, 8080, 8443)
