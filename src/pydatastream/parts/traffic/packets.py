"""Headers of captured packets as columns: Ethernet, IP, TCP, UDP, ICMP, many packets at once.

References: RFC 791, 8200, 9293, 768; IEEE 802.1Q; the link types of tcpdump.org.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address

import numpy as np
import numpy.typing as npt
import polars as pl

from pydatastream.core.times import EVENT_TIME

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

COLUMNS = pl.Schema(
    {
        "timestamp": EVENT_TIME,
        "source_ip": pl.String(),
        "dest_ip": pl.String(),
        "protocol": pl.String(),
        "source_port": pl.Int64(),
        "dest_port": pl.Int64(),
        "packets": pl.Int64(),
        "bytes": pl.Int64(),
        "tcp_flags": pl.Int64(),
    }
)
"""A packet as `flow_features` takes records of traffic; ports are null where there are none."""

ETHERNET, RAW, COOKED, COOKED_2 = 1, 101, 113, 276
TYPE_AT = {ETHERNET: 12, COOKED: 14, COOKED_2: 0}
NETWORK_AT = {ETHERNET: 14, RAW: 0, COOKED: 16, COOKED_2: 20}
"""By link type: where the type of the network layer stands, and where that begins."""
IPV4, IPV6, TAGS = 0x0800, 0x86DD, (0x8100, 0x88A8)
NAMES = {1: "icmp", 6: "tcp", 17: "udp", 58: "icmp"}
TCP, UDP = 6, 17
EXTENSIONS, FRAGMENT = (0, 43, 60), 44
DEPTH = 4
"""So many extension headers, or tags, are followed."""


@dataclass(slots=True)
class Bytes:
    """Some packets in one buffer; `end` is where each ends. What lies beyond reads as 0."""

    data: npt.NDArray[np.uint8]
    end: Ints

    def u8(self, at: Ints) -> Ints:
        """The byte at each place."""
        inside = at < self.end
        return np.where(inside, self.data[np.where(inside, at, 0)], 0).astype(np.int64)

    def u16(self, at: Ints) -> Ints:
        """Two bytes, the high one first."""
        return self.u8(at) << 8 | self.u8(at + 1)

    def block(self, at: Ints, size: int) -> npt.NDArray[np.uint8]:
        """The bytes from each place on, (k, size)."""
        found: npt.NDArray[np.uint8] = self.data[at[:, None] + np.arange(size)]
        return found


def packets(buffer: bytes, start: Ints, end: Ints, link: int) -> tuple[pl.DataFrame, Bools]:
    """Columns but times and sizes of packets, and which of them are whole packets of IP."""
    raw = Bytes(np.frombuffer(buffer or b"\0", np.uint8), end)
    kind, at = _network(raw, start, link)
    is_4 = (kind == IPV4) & (at + 20 <= end) & (raw.u8(at) >> 4 == 4)
    is_6 = (kind == IPV6) & (at + 40 <= end) & (raw.u8(at) >> 4 == 6)
    protocol, inner, is_first = _transport(raw, at, is_4, is_6)
    has_ports = is_first & np.isin(protocol, (TCP, UDP)) & (inner + 4 <= end)
    has_flags = is_first & (protocol == TCP) & (inner + 14 <= end)
    columns = {
        "source_ip": _addresses(raw, at, is_4, is_6, 12, 8),
        "dest_ip": _addresses(raw, at, is_4, is_6, 16, 24),
        "protocol": _names(protocol),
        "source_port": _where(has_ports, raw.u16(inner)),
        "dest_port": _where(has_ports, raw.u16(inner + 2)),
        "packets": pl.Series(np.ones(len(start), np.int64)),
        "tcp_flags": _where(has_flags, raw.u8(inner + 13)),
    }
    return pl.DataFrame(columns), is_4 | is_6


def _network(raw: Bytes, start: Ints, link: int) -> tuple[Ints, Ints]:
    """The type of the network layer, and where it begins."""
    at = start + NETWORK_AT[link]
    if link == RAW:
        version = raw.u8(at) >> 4
        return np.where(version == 4, IPV4, np.where(version == 6, IPV6, 0)), at
    kind = raw.u16(start + TYPE_AT[link])
    for _ in range(DEPTH):
        tagged = np.isin(kind, TAGS)
        if not tagged.any():
            break
        kind = np.where(tagged, raw.u16(at + 2), kind)
        at = np.where(tagged, at + 4, at)
    return kind, at


def _transport(raw: Bytes, at: Ints, is_4: Bools, is_6: Bools) -> tuple[Ints, Ints, Bools]:
    """The protocol above IP, where it begins, and whether it does in this fragment."""
    inner = np.where(is_4, at + (raw.u8(at) & 15) * 4, at + 40)
    protocol = np.where(is_4, raw.u8(at + 9), np.where(is_6, raw.u8(at + 6), -1))
    is_first = np.where(is_4, raw.u16(at + 6) & 0x1FFF == 0, True)
    for _ in range(DEPTH):
        long, cut = is_6 & np.isin(protocol, EXTENSIONS), is_6 & (protocol == FRAGMENT)
        if not (long | cut).any():
            break
        is_first &= ~cut | (raw.u16(inner + 2) & 0xFFF8 == 0)
        size = np.where(cut, 8, (raw.u8(inner + 1) + 1) * 8)
        protocol = np.where(long | cut, raw.u8(inner), protocol)
        inner = np.where(long | cut, inner + size, inner)
    return protocol, inner, is_first


def _addresses(raw: Bytes, at: Ints, is_4: Bools, is_6: Bools, v4: int, v6: int) -> pl.Series:
    found = pl.Series([None] * len(at), dtype=pl.String)
    for mask, offset, size in ((is_4, v4, 4), (is_6, v6, 16)):
        if mask.any():
            found = found.scatter(np.flatnonzero(mask), _texts(raw.block(at[mask] + offset, size)))
    return found


def _texts(addresses: npt.NDArray[np.uint8]) -> pl.Series:
    """Addresses as text; each one only once."""
    size = addresses.shape[1]
    whole = np.ascontiguousarray(addresses).view(np.dtype((np.void, size))).ravel()
    some, places = np.unique(whole, return_inverse=True)
    names = pl.Series([str(ip_address(one.tobytes())) for one in some], dtype=pl.String)
    return names.gather(places.ravel())


def _names(protocol: Ints) -> pl.Series:
    numbers = pl.Series(protocol)
    return numbers.replace_strict(NAMES, default=numbers.cast(pl.String), return_dtype=pl.String)


def _where(mask: Bools, values: Ints) -> pl.Series:
    return pl.select(pl.when(pl.Series(mask)).then(pl.Series(values))).to_series()
