"""The traffic of a network in peace: servers and their clients, staff who browse, and the rest."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

from pydatastream.parts.traffic.making import (
    RESOLVERS,
    SERVERS,
    STAFF,
    Random,
    addresses,
    flows,
    moments,
    ports,
    skewed,
)

Times = npt.NDArray[np.float64]
DAY = 86_400


def daily(start: float, seconds: float) -> npt.NDArray[np.float64]:
    """How busy each second is: least at four in the morning, most at four in the afternoon."""
    hours = (start + np.arange(int(np.ceil(seconds)))) % DAY / 3600
    return 1.0 - 0.6 * np.cos((hours - 4) / 24 * 2 * np.pi)


def everyday(random: Random, start: float, seconds: float, rate: float) -> list[pl.DataFrame]:
    """Records of `seconds` of calm; about `rate` a second at noon."""
    busy = daily(start, seconds) * rate
    return [
        *_web(random, moments(random, start, seconds, 0.4 * busy)),
        *_names(random, moments(random, start, seconds, 0.15 * busy)),
        _pings(random, moments(random, start, seconds, 0.05 * busy)),
        _scans(random, moments(random, start, seconds, 0.02 * busy)),
        _clocks(random, moments(random, start, seconds, 0.2)),
        *_pages(random, start, seconds, 0.002 * rate),
        *_transfers(random, start, seconds),
    ]


def _web(random: Random, times: Times) -> list[pl.DataFrame]:
    """Clients ask our servers, and are answered."""
    count = len(times)
    clients, servers = addresses(random, count, pool=400), random.choice(SERVERS, count)
    back, to = ports(random, count), random.choice([80, 443, 443, 443], count)
    asked = skewed(random, count, 6, 0.7)
    answered = skewed(random, count, 9, 1.1)
    flags = random.choice([27, 27, 24, 26, 31], count)
    return [
        flows(times, clients, servers, "tcp", back, to, asked, 120, flags),
        flows(times + 0.02, servers, clients, "tcp", to, back, answered, 1100, 27),
    ]


def _names(random: Random, times: Times) -> list[pl.DataFrame]:
    """Names are looked up."""
    count = len(times)
    who, resolvers = random.choice([*SERVERS, *STAFF], count), random.choice(RESOLVERS, count)
    back, one = ports(random, count), np.ones(count, np.int64)
    return [
        flows(times, who, resolvers, "udp", back, 53, one, 70, -1),
        flows(times + 0.01, resolvers, who, "udp", 53, back, one, 160, -1),
    ]


def _pings(random: Random, times: Times) -> pl.DataFrame:
    count = len(times)
    who, one = addresses(random, count, pool=20), np.ones(count, np.int64)
    return flows(times, who, random.choice(SERVERS, count), "icmp", 8, 0, one, 84, -1)


def _scans(random: Random, times: Times) -> pl.DataFrame:
    """Someone always tries a door."""
    count = len(times)
    doors, one = random.choice([22, 23, 445, 3389, 8080], count), np.ones(count, np.int64)
    return flows(times, addresses(random, count), random.choice(SERVERS, count), "tcp",
                 ports(random, count), doors, one, 44, 2)  # fmt: skip


def _clocks(random: Random, times: Times) -> pl.DataFrame:
    count, one = len(times), np.ones(len(times), np.int64)
    who = addresses(random, count, pool=4)
    return flows(times, who, random.choice(SERVERS, count), "udp", 123, 123, one, 76, -1)


def _pages(random: Random, start: float, seconds: float, rate: float) -> list[pl.DataFrame]:
    """Staff open pages: each brings many answers within two seconds."""
    found = []
    for at in moments(random, start, seconds, rate):
        count = int(random.integers(8, 60))
        times = at + random.random(count) * 2
        sites = addresses(random, count, pool=int(random.integers(4, 25)))
        found.append(
            flows(
                times,
                sites,
                str(random.choice(STAFF)),
                "tcp",
                443,
                ports(random, count),
                skewed(random, count, 8, 1.2),
                1200,
                26,
            )
        )
    return found


def _transfers(random: Random, start: float, seconds: float) -> list[pl.DataFrame]:
    """Downloads, calls and backups: one source, and very many packets."""
    found = []
    for at in moments(random, start, seconds, 1 / 60):
        times = at + np.arange(int(random.integers(5, 40)), dtype=float)
        count, is_tcp = len(times), random.random() < 0.7
        packets = skewed(random, count, float(random.choice([50, 300, 1500])), 0.2)
        found.append(
            flows(
                times,
                str(addresses(random, 1)[0]),
                str(random.choice([*STAFF, *SERVERS])),
                "tcp" if is_tcp else "udp",
                443,
                int(ports(random, 1)[0]),
                packets,
                1200,
                24 if is_tcp else -1,
            )
        )
    return found
