"""What is looked up rather than drawn: phone numbers, addresses, web sites; Faker makes them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any

import polars as pl

from pydatastream.core.errors import ConfigError

PHONES, ADDRESSES, SITES = 10_000, 2_000, 500
"""How many there are of each; making a site takes Faker a tenth of a millisecond."""


@dataclass(frozen=True, slots=True)
class Pools:
    """Distinct values, as text."""

    phones: pl.Series
    addresses: pl.Series
    sites: pl.Series

    def digest(self) -> str:
        """Names the values: another Faker, or another seed, has others."""
        texts = [*self.phones, *self.addresses, *self.sites]
        return hashlib.sha256("\n".join(texts).encode()).hexdigest()[:16]


@cache
def pools(seed: int) -> Pools:
    """The pools of a seed."""
    fake = faker(seed)
    return Pools(
        _distinct(fake.msisdn, PHONES),
        _distinct(fake.ipv4_public, ADDRESSES),
        _distinct(fake.url, SITES),
    )


def faker(seed: int) -> Any:
    """A Faker of its own, or `ConfigError` that names what to install."""
    try:
        fake = import_module("faker").Faker("en_US")
    except ImportError:
        hint = "pip install 'pydatastreamprocessor[cdr]'"
        raise ConfigError("call records need Faker, which is not installed", hint=hint) from None
    fake.seed_instance(seed)
    return fake


def _distinct(make: Callable[[], str], count: int) -> pl.Series:
    found: dict[str, None] = {}
    while len(found) < count:
        found[make()] = None
    return pl.Series(list(found), dtype=pl.String)
