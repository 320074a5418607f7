"""Kinds of traffic: every record is of one, told by protocol, TCP flags and source port."""

from __future__ import annotations

import polars as pl

SERVICES = {
    17: "qotd", 19: "chargen", 53: "dns", 69: "tftp", 111: "portmap", 123: "ntp", 137: "netbios",
    138: "netbios", 161: "snmp", 162: "snmp", 177: "xdmcp", 389: "cldap", 427: "slp",
    500: "isakmp", 520: "rip", 623: "ipmi", 1194: "openvpn", 1434: "mssql", 1604: "citrix",
    1701: "l2tp", 1900: "ssdp", 2302: "arma", 3283: "ard", 3389: "rdp", 3478: "stun",
    3702: "ws_discovery", 4500: "isakmp", 5060: "sip", 5093: "sentinel", 5351: "nat_pmp",
    5353: "mdns", 5683: "coap", 6881: "bittorrent", 8767: "teamspeak", 10001: "ubiquiti",
    10074: "tp240", 11211: "memcached", 17185: "vxworks", 20811: "powerhouse", 26000: "quake",
    27015: "steam", 27960: "quake", 30120: "fivem", 32414: "plex", 33848: "jenkins",
    37810: "dvr", 47808: "bacnet",
}  # fmt: skip
"""UDP services that answer strangers, by port.

References: Rossow (2014), Amplification Hell, NDSS, table 2; US-CERT alert TA14-017A and the
services reported since.
"""

KINDS = ("syn", "synack", "rst", "odd", "tcp", "reflected", "udp", "icmp", "other")
"""syn: connections asked for. synack, rst: answers to such, and nothing after. odd: flags that no
connection has. tcp: all other TCP. reflected: UDP that comes from the port of a service. other:
neither TCP, UDP nor ICMP."""

FIN, SYN, RST, PSH, ACK, URG, ECE, CWR = (1 << bit for bit in range(8))
LETTERS = {"F": FIN, "S": SYN, "R": RST, "P": PSH, "A": ACK, "U": URG, "E": ECE, "C": CWR}

TCP, UDP, ICMP, ELSE, UNTOLD = 6, 17, 1, 255, 0
PROTOCOLS = {
    "tcp": TCP, "6": TCP, "udp": UDP, "17": UDP, "icmp": ICMP, "1": ICMP, "icmp6": ICMP,
    "icmpv6": ICMP, "ipv6-icmp": ICMP, "58": ICMP, "udplite": UDP, "136": UDP,
}  # fmt: skip

QUIC = 443
"""Web traffic over UDP, of which there is much, and which does not amplify."""

NOT_TOLD = -1
"""The flags of a record that does not tell them."""


def protocol(values: pl.Series) -> pl.Series:
    """The number of TCP, UDP or ICMP; ELSE for any other, UNTOLD for null.

    >>> protocol(pl.Series(["TCP", " 17", "gre", None])).to_list()
    [6, 17, 255, 0]
    """
    words = values.cast(pl.String)
    told = words.unique().drop_nulls()
    numbers = [PROTOCOLS.get(one.strip().lower(), ELSE) for one in told]
    return words.replace_strict(
        told, pl.Series(numbers, dtype=pl.UInt8), default=UNTOLD, return_dtype=pl.UInt8
    )


def flags(values: pl.Series) -> pl.Series:
    """TCP flags as a number, from 18, "18", "0x12", "SA" or ".A..S."; NOT_TOLD for anything else.

    >>> flags(pl.Series(["2", "0x12", ".A..S.", None])).to_list()
    [2, 18, 18, -1]
    """
    if values.dtype.is_integer():
        return values.cast(pl.Int16, strict=False).fill_null(NOT_TOLD)
    if values.dtype.is_float():
        return flags(values.cast(pl.Int64, strict=False))
    told = values.cast(pl.String).unique().drop_nulls()
    numbers = [_number(one) for one in told]
    return values.cast(pl.String).replace_strict(
        told, pl.Series(numbers, dtype=pl.Int16), default=NOT_TOLD, return_dtype=pl.Int16
    )


def _number(text: str) -> int:
    word = text.strip()
    if word.isdecimal() and len(word) < 6:
        return int(word) & 0xFF
    if word[:2].lower() == "0x" and len(word) < 7:
        try:
            return int(word, 16) & 0xFF
        except ValueError:
            return NOT_TOLD
    return _letters(word.upper())


def _letters(word: str) -> int:
    """As nfdump, argus and tcpdump write them; a dot stands for none."""
    if not word or set(word) - {*LETTERS, "."}:
        return NOT_TOLD
    return sum({LETTERS[letter] for letter in word if letter != "."})


def kind(proto: str, flag: str, port: str) -> pl.Expr:
    """The place in KINDS of each record, from columns that `protocol` and `flags` made."""
    is_tcp, is_udp, bits = pl.col(proto) == TCP, pl.col(proto) == UDP, pl.col(flag)
    told = is_tcp & (bits != NOT_TOLD)
    syn, ack, rst, data = ((bits & bit) != 0 for bit in (SYN, ACK, RST, PSH | FIN))
    low = pl.col(port).is_between(1, 1023) & (pl.col(port) != QUIC)
    served = low | pl.col(port).is_in(list(SERVICES))
    which = (
        pl.when(told & syn & ~ack).then(_at("syn"))
        .when(told & syn & ~data).then(_at("synack"))
        .when(told & rst & ~data).then(_at("rst"))
        .when(told & ~ack).then(_at("odd"))
        .when(is_tcp | (pl.col(proto) == UNTOLD)).then(_at("tcp"))
        .when(is_udp & served).then(_at("reflected"))
        .when(is_udp).then(_at("udp"))
        .when(pl.col(proto) == ICMP).then(_at("icmp"))
    )  # fmt: skip
    return which.otherwise(_at("other"))


def _at(name: str) -> pl.Expr:
    return pl.lit(KINDS.index(name), pl.UInt8)
