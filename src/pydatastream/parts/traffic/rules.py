"""What an attack is called, from what there was more of than usual."""

from __future__ import annotations

from collections.abc import Mapping

from pydatastream.parts.traffic.kinds import SERVICES

MOST = 0.5
"""A part that is more than so much of the whole names it."""
NAMES = {
    "syn": "syn_flood", "synack": "synack_reflection", "rst": "rst_flood", "odd": "tcp_flag_flood",
    "udp": "udp_flood", "icmp": "icmp_flood", "other": "ip_protocol_flood",
}  # fmt: skip
IDLE_PACKETS = 4
"""Connections with fewer packets in a window are held open for nothing."""
FLOOD, FLOOD_FLOWS = 100.0, 200.0
"""From so many times the usual connections on, or so many more in a window, it is a flood."""


def attack_type(
    excess: Mapping[str, float],
    ports: Mapping[int, float],
    *,
    ecn: float = 0.0,
    web: float = 0.0,
    flows: float = 0.0,
    packets_per_flow: float = 0.0,
    times_usual: float = 1.0,
) -> str:
    """The type, from packets above the usual by kind, and records by source port.

    `flows`: above the usual, in a window; `packets_per_flow`: of these; `times_usual`: all flows
    by the usual.

    >>> attack_type({"syn": 900.0, "tcp": 20.0}, {})
    'syn_flood'
    >>> attack_type({"reflected": 400.0}, {161: 390.0, 53: 10.0})
    'udp_amplification_snmp'
    >>> attack_type({"tcp": 900.0}, {}, web=900.0, flows=900.0, packets_per_flow=1.0)
    'ack_flood'
    """
    kind = max(excess, key=lambda name: (excess[name], name))
    if kind == "tcp":
        if packets_per_flow < IDLE_PACKETS:
            is_flood = times_usual >= FLOOD or flows >= FLOOD_FLOWS
            return "ack_flood" if is_flood else "low_and_slow"
        return "http_flood" if web > MOST * excess[kind] else "tcp_flood"
    if kind == "reflected":
        return f"udp_amplification_{_service(ports)}"
    if kind == "syn" and ecn > MOST * excess["syn"]:
        return "syn_flood_ecn"
    return NAMES[kind]


def _service(ports: Mapping[int, float]) -> str:
    """The service that answers most; mixed if there are many."""
    known = {port: count for port, count in ports.items() if port in SERVICES or port < 1024}
    if not known:
        return "mixed"
    names: dict[str, float] = {}
    for port, count in known.items():
        name = SERVICES.get(port, f"port_{port}")
        names[name] = names.get(name, 0.0) + count
    best = max(names, key=lambda name: (names[name], name))
    return best if names[best] > MOST * sum(names.values()) else "mixed"
