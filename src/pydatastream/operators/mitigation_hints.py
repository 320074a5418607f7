"""What may be done against an attack, as text."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import polars as pl

from pydatastream.core.errors import SchemaError
from pydatastream.core.operator import Flow, RowOperator
from pydatastream.core.types import need
from pydatastream.parts.traffic.hints import flowspec, ipset, nftables

HINTS = ("flowspec", "nftables", "ipset")
TOLD = ("victim", "attack", "sources", "port", "alarm")


class MitigationHints(RowOperator):
    """Add to each alarm what a person may do against it: text, which nothing executes.

    `flowspec` is a BGP FlowSpec rule, `nftables` a command, `ipset` the top sources as
    `ipset restore` reads them. A victim or a source that is no IP address gets none; types that
    look like ordinary clients are slowed down, not shut out. Where sources are spoofed, as in
    most floods of SYN, UDP and ICMP, the list of them is of little use.
    """

    primary: ClassVar[str | None] = "victim"
    example: ClassVar[str] = (
        "- mitigation_hints: {victim: device_id, attack: status, sources: tags, port: n, "
        "alarm: status}"
    )

    victim: str = "victim"
    """The column of who is attacked."""
    attack: str = "type"
    """The column of the type of attack."""
    sources: str = "top_sources"
    """The column with the list of top sources."""
    port: str = "top_port"
    """The column of the source port."""
    alarm: str = "alarm"
    """The column of the alarm's name, of which the set's name is made."""

    def flow(self, *inputs: Flow) -> Flow:
        schema = inputs[0].schema
        need(schema, *self._columns())
        if schema[self.sources] != pl.List(pl.String):
            raise SchemaError(f"{self.sources!r} is {schema[self.sources]}, not a list of text")
        for name in HINTS:
            if name in schema:
                raise SchemaError(f"there is a column {name!r} already", hint="rename it before")
        return inputs[0].keeping(pl.Schema({**schema, **dict.fromkeys(HINTS, pl.String())}))

    def reads(self, needed: frozenset[str] | None) -> frozenset[str] | None:
        return None if needed is None else needed.difference(HINTS).union(self._columns())

    def query(self, flow: Flow) -> Callable[[pl.LazyFrame], pl.LazyFrame]:  # noqa: ARG002
        made = pl.Struct(dict.fromkeys(HINTS, pl.String))
        asked = pl.struct(
            pl.col(name).alias(known) for name, known in zip(self._columns(), TOLD, strict=True)
        )
        hints = asked.map_batches(_hints, return_dtype=made, is_elementwise=True)
        return lambda rows: rows.with_columns(hints.alias("__hints")).unnest("__hints")

    def _columns(self) -> tuple[str, ...]:
        return self.victim, self.attack, self.sources, self.port, self.alarm


def _hints(alarms: pl.Series) -> pl.Series:
    made = pl.Struct(dict.fromkeys(HINTS, pl.String))
    return pl.Series([_hint(one) for one in alarms.to_list()], dtype=made)


def _hint(alarm: Mapping[str, Any]) -> dict[str, str | None]:
    who = alarm["victim"], alarm["attack"], alarm["port"]
    made = (flowspec(*who), nftables(*who), ipset(alarm["alarm"], alarm["sources"]))
    return dict(zip(HINTS, made, strict=True))
