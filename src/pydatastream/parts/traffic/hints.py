"""What a person may do against an attack, as text: nothing here is ever executed.

Only addresses that parse as such get into the text, so that no record can smuggle a command in.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address

Address = IPv4Address | IPv6Address

UDP, TCP, ICMP = "udp", "tcp", "icmp"
PROTOCOLS = {
    "syn_flood": TCP, "syn_flood_ecn": TCP, "synack_reflection": TCP, "rst_flood": TCP,
    "tcp_flag_flood": TCP, "tcp_flood": TCP,
    "ack_flood": TCP, "http_flood": TCP, "low_and_slow": TCP,
    "udp_flood": UDP, "icmp_flood": ICMP,
}  # fmt: skip
FLOWSPEC_FLAGS = {
    "syn_flood": " tcp-flags [ =syn ];", "syn_flood_ecn": " tcp-flags [ =syn ];",
    "synack_reflection": " tcp-flags [ =syn+ack ];", "rst_flood": " tcp-flags [ rst ];",
}  # fmt: skip
NFT_FLAGS = {
    "syn_flood": " tcp flags & (syn | ack) == syn",
    "syn_flood_ecn": " tcp flags & (syn | ack | ecn | cwr) == syn | ecn | cwr",
    "synack_reflection": " ct state != established tcp flags & (syn | ack) == syn | ack",
    "rst_flood": " ct state invalid tcp flags & rst == rst",
    "tcp_flag_flood": " ct state invalid",
    "ack_flood": " ct state invalid",
}
LIMITED = ("syn_flood", "icmp_flood", "http_flood", "low_and_slow", "tcp_flood")
"""Types that ordinary clients look like: they are slowed down, not shut out."""
REFLECTED = "udp_amplification_"


def address(text: str | None) -> Address | None:
    """The address, or None if it is none."""
    try:
        return ip_address(text or "")
    except ValueError:
        return None


def flowspec(victim: str | None, kind: str | None, port: int | None) -> str | None:
    """A BGP FlowSpec rule as ExaBGP reads it.

    References: RFC 8955, sections 4 and 7.

    >>> flowspec("192.0.2.10", "udp_amplification_snmp", 161)
    'flow route { match { destination 192.0.2.10/32; protocol udp; source-port =161; } then { discard; } }'
    """  # noqa: E501 - one line is what it is
    host = address(victim)
    if host is None:
        return None
    protocol, source = _protocol(kind), _source_port(kind, port)
    match = f"destination {host}/{host.max_prefixlen};"
    match += f" protocol {protocol};" if protocol else ""
    match += f" source-port ={source};" if source else ""
    match += FLOWSPEC_FLAGS.get(kind or "", "")
    then = "rate-limit 1000000" if kind in LIMITED else "discard"
    return f"flow route {{ match {{ {match} }} then {{ {then}; }} }}"


def nftables(victim: str | None, kind: str | None, port: int | None) -> str | None:
    """An nftables command, quoted so that a shell passes it on as it is.

    >>> nftables("192.0.2.10", "udp_amplification_snmp", 161)
    "nft 'add rule inet filter input ip daddr 192.0.2.10 udp sport 161 counter drop'"
    """
    host = address(victim)
    if host is None:
        return None
    family, protocol = "ip" if host.version == 4 else "ip6", _protocol(kind)
    source, flags = _source_port(kind, port), NFT_FLAGS.get(kind or "", "")
    if protocol == ICMP:
        match = " meta l4proto { icmp, icmpv6 }"
    elif source:
        match = f" udp sport {source}"
    else:
        match = flags or (f" meta l4proto {protocol}" if protocol else "")
    limit = " limit rate over 100/second" if kind in LIMITED else ""
    return f"nft 'add rule inet filter input {family} daddr {host}{match}{limit} counter drop'"


def ipset(alarm: str | None, sources: Sequence[str | None] | None) -> str | None:
    """The top sources as `ipset restore` reads them; where sources are spoofed, of little use."""
    hosts = [host for one in sources or () if (host := address(one)) is not None]
    if not hosts:
        return None
    version = hosts[0].version
    family = "inet" if version == 4 else "inet6"
    word = "".join(letter for letter in alarm or "" if letter.isalnum())[-22:]
    name = f"ddos-{word}".rstrip("-")
    lines = [f"create {name} hash:ip family {family} timeout 3600"]
    return "\n".join(lines + [f"add {name} {host}" for host in hosts if host.version == version])


def _protocol(kind: str | None) -> str | None:
    return UDP if (kind or "").startswith(REFLECTED) else PROTOCOLS.get(kind or "")


def _source_port(kind: str | None, port: int | None) -> int | None:
    is_one = (kind or "").startswith(REFLECTED) and not (kind or "").endswith("mixed")
    return port if is_one and port is not None and 0 < port < 65536 else None
