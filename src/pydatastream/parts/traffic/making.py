"""Traffic that never was: a network's day, and attacks of every kind, with labels.

Rates and sizes are drawn from long-tailed distributions; nothing is copied from a capture.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

COLUMNS = (
    "timestamp", "source_ip", "dest_ip", "protocol", "source_port", "dest_port", "packets",
    "bytes", "tcp_flags", "is_attack", "attack_type",
)  # fmt: skip
START = 1_709_280_000
"""2024-03-01T08:00:00Z, in seconds since 1970."""
LEAD, GAP = 240, 120
"""Seconds of calm before the first attack, and between two."""

SERVERS = tuple(f"192.0.2.{n}" for n in range(10, 18))
STAFF = tuple(f"192.0.2.{n}" for n in range(100, 140))
RESOLVERS = ("198.51.100.1", "198.51.100.2")
NORMAL = "normal"

Random = np.random.Generator
Ints = npt.NDArray[np.int64]


def addresses(random: Random, count: int, pool: int | None = None) -> npt.NDArray[np.str_]:
    """Addresses of the internet; from a pool of so many, or each another."""
    few = random.integers(0x0B000000, 0x7E000000, pool or count)
    drawn = random.choice(few, count) if pool else few
    parts = [(drawn >> shift & 255).astype(str) for shift in (24, 16, 8, 0)]
    joined = parts[0]
    for part in parts[1:]:
        joined = np.char.add(np.char.add(joined, "."), part)
    return joined


def ports(random: Random, count: int) -> Ints:
    """Ports as clients have them."""
    return random.integers(1024, 65536, count)


def skewed(random: Random, count: int, middle: float, spread: float = 1.0) -> Ints:
    """Whole numbers of at least 1, most of them small."""
    return np.ceil(random.lognormal(np.log(middle), spread, count)).astype(np.int64)


def flows(
    times: npt.NDArray[np.float64], source: object, dest: object, protocol: str, sport: object,
    dport: object, packets: Ints, size: object, flags: object, kind: str = NORMAL,
) -> pl.DataFrame:  # fmt: skip
    """Records; a single value stands for all of them. `size`: bytes per packet."""
    count = len(times)

    def full(value: object) -> npt.NDArray[Any]:
        return np.broadcast_to(np.asarray(value), count)

    return pl.DataFrame(
        {
            "timestamp": np.round(times, 3),
            "source_ip": full(source),
            "dest_ip": full(dest),
            "protocol": full(protocol),
            "source_port": full(sport).astype(np.int64),
            "dest_port": full(dport).astype(np.int64),
            "packets": packets,
            "bytes": (packets * full(size)).astype(np.int64),
            "tcp_flags": pl.Series(full(flags).astype(np.int64)).replace(-1, None),
            "is_attack": np.full(count, int(kind != NORMAL)),
            "attack_type": full(kind),
        }
    )


def moments(random: Random, start: float, seconds: float, rate: object) -> npt.NDArray[np.float64]:
    """Times of events; `rate` a number, or one for every second."""
    each = random.poisson(np.broadcast_to(np.asarray(rate, float), int(np.ceil(seconds))))
    whole = np.repeat(np.arange(len(each)), each) + random.random(int(each.sum()))
    return np.sort(start + whole[whole < seconds])


@dataclass(frozen=True, slots=True)
class Attack:
    """One attack: what it is, on whom, when, and how many records a second."""

    type: str
    victim: str
    start: float
    seconds: float
    rate: float


Maker = Callable[[Random, Attack, npt.NDArray[np.float64]], pl.DataFrame]


def _spoofed(protocol: str, flags: int, size: int, port: int | None = None) -> Maker:
    def make(random: Random, one: Attack, times: npt.NDArray[np.float64]) -> pl.DataFrame:
        count = len(times)
        to = ports(random, count) if port is None else port
        return flows(times, addresses(random, count), one.victim, protocol, ports(random, count),
                     to, np.ones(count, np.int64), size, flags, one.type)  # fmt: skip

    return make


def _reflected(service: int, size: int) -> Maker:
    def make(random: Random, one: Attack, times: npt.NDArray[np.float64]) -> pl.DataFrame:
        count = len(times)
        sources = addresses(random, count, pool=max(50, int(one.rate)))
        packets = skewed(random, count, 2, 0.5)
        return flows(times, sources, one.victim, "udp", service, ports(random, count), packets,
                     size, -1, one.type)  # fmt: skip

    return make


def _answers(random: Random, one: Attack, times: npt.NDArray[np.float64]) -> pl.DataFrame:
    count = len(times)
    sources = addresses(random, count, pool=max(100, int(one.rate)))
    return flows(times, sources, one.victim, "tcp", random.choice([80, 443, 22], count),
                 ports(random, count), np.ones(count, np.int64), 44, 18, one.type)  # fmt: skip


def _requests(random: Random, one: Attack, times: npt.NDArray[np.float64]) -> pl.DataFrame:
    count = len(times)
    sources = addresses(random, count, pool=150)
    return flows(times, sources, one.victim, "tcp", ports(random, count), 443,
                 skewed(random, count, 7, 0.4), 130, 27, one.type)  # fmt: skip


def _slow(random: Random, one: Attack, times: npt.NDArray[np.float64]) -> pl.DataFrame:
    """Connections opened and kept open with a few bytes now and then."""
    count = len(times)
    sources = addresses(random, count, pool=120)
    packets, sizes = np.ones(count, np.int64), random.integers(52, 70, count)
    return flows(times, sources, one.victim, "tcp", ports(random, count), 80, packets, sizes, 24,
                 one.type)  # fmt: skip


ATTACKS: Mapping[str, tuple[Maker, float, float]] = {
    "syn_flood": (_spoofed("tcp", 2, 44, 443), 1500, 20),
    "udp_flood": (_spoofed("udp", -1, 512), 1200, 20),
    "icmp_flood": (_spoofed("icmp", -1, 84, 0), 1000, 20),
    "udp_amplification_dns": (_reflected(53, 1400), 600, 20),
    "udp_amplification_ntp": (_reflected(123, 468), 600, 20),
    "udp_amplification_memcached": (_reflected(11211, 1400), 300, 15),
    "synack_reflection": (_answers, 700, 20),
    "http_flood": (_requests, 1200, 25),
    "low_and_slow": (_slow, 60, 120),
}
"""What makes it, records a second, seconds."""


def attack(random: Random, one: Attack) -> pl.DataFrame:
    """The records of an attack that grows for two seconds and then holds."""
    grown = np.minimum((np.arange(int(np.ceil(one.seconds))) + 1) / 3, 1.0)
    times = moments(random, one.start, one.seconds, one.rate * grown)
    return ATTACKS[one.type][0](random, one, times)


def schedule(random: Random, types: tuple[str, ...], start: float) -> list[Attack]:
    """When which attack comes; of a third to three times its usual strength."""
    found, at = [], start + LEAD
    for name in types:
        _, rate, seconds = ATTACKS[name]
        strength = 1.0 if name == "low_and_slow" else float(np.exp(random.uniform(-1.1, 1.1)))
        victim = str(random.choice(SERVERS))
        found.append(Attack(name, victim, at, seconds, rate * strength))
        at += seconds + GAP + float(random.integers(0, 30))
    return found
