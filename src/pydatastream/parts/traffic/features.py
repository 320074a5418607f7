"""Features of traffic per window and destination, and per window of the whole network.

Records are grouped by 64-bit hashes, which is several times as fast as by text. All sums are of
whole numbers, so that the result is the same whatever the order in which threads add.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import polars as pl

from pydatastream.parts.traffic.columns import FEATURES, NETWORK, TOP, WEB_PORTS
from pydatastream.parts.traffic.kinds import ACK, CWR, ECE, KINDS, NOT_TOLD, TCP, UDP

WINDOW, DEST, SOURCE, KIND = "__window", "__dest", "__source", "__kind"
PROTO, FLAGS, SPORT, DPORT = "__proto", "__flags", "__sport", "__dport"
PACKETS, BYTES, ATTACK, NEW, FLOWS = "__packets", "__bytes", "__attack", "__new", "__flows"
GROUP, PAIR, SEEN, PLACE, LOGS = "__group", "__pair", "__seen", "__place", "__logs"
YOUNG = "__young"

FINE = 1 << 16
"""x log x is added up in steps of 1/65,536."""
SPOOFED = [KINDS.index(name) for name in ("synack", "reflected", "udp")]
"""Kinds whose source port tells a service."""
TUNNELS = [KINDS.index(name) for name in ("reflected", "udp", "other")]
"""Kinds of which a single source may send much at once, and mean no harm."""
Frame = pl.LazyFrame


Marking = Callable[[pl.DataFrame], pl.DataFrame]
"""Says of windows and sources, each pair once, whether the source is NEW, and still YOUNG."""


def features(rows: pl.DataFrame, mark: Marking, most: int) -> tuple[pl.DataFrame, int]:
    """The features of whole windows, sorted by window and destination, the network first.

    At most so many destinations of a window are told, and how many were not.
    """
    place = pl.int_range(pl.len(), dtype=pl.UInt32).alias(PLACE)
    group = (pl.col(WINDOW).hash(11) ^ pl.col(DEST).hash(12)).alias(GROUP)
    ready = rows.with_columns(place, group, pl.col(SOURCE).hash(13).alias(SEEN)).lazy()
    parts = _together(_sums(ready), _pairs(ready), _ports(ready))
    whole = [one.lazy().with_columns(pl.col(WINDOW).hash(16).alias(GROUP)) for one in parts]
    network = _together(_sums_again(whole[0]), _pairs(whole[1]), _ports_again(whole[2]))
    marked = mark(network[1].select(WINDOW, SEEN)).with_columns(_key(WINDOW))
    known = tuple(marked.filter(mask)[PAIR].implode() for mask in (NEW, YOUNG))
    told = _largest(parts, most)
    sums, pairs, ports = (
        pl.concat([one.select(dest.columns), dest]) for one, dest in zip(network, told, strict=True)
    )
    return _joined(sums, pairs, ports, known, rows[SOURCE]), parts[0].height - told[0].height


def _together(*parts: Frame) -> list[pl.DataFrame]:
    """Results worked out side by side: of few rows the engine in memory is faster."""
    return pl.collect_all(parts, engine="in-memory")


def _largest(parts: list[pl.DataFrame], most: int) -> list[pl.DataFrame]:
    """Of each window the groups with the most packets, of equals the first by name."""
    sums = parts[0]
    if sums.height <= most or sums[WINDOW].value_counts()["count"].max() <= most:  # type: ignore[operator]
        return parts
    ordered = sums.sort("packets", DEST, descending=[True, False])
    kept = ordered.group_by(WINDOW).head(most).select(GROUP)
    return [one.join(kept, on=GROUP, how="semi") for one in parts]


def _sums(rows: Frame) -> Frame:
    packets, bits = pl.col(PACKETS), pl.col(FLAGS)
    told = (pl.col(PROTO) == TCP) & (bits != NOT_TOLD)
    syn = pl.col(KIND) == KINDS.index("syn")
    masks = {name: pl.col(KIND) == number for number, name in enumerate(KINDS)}
    masks["ecn"] = syn & ((bits & ECE) != 0) & ((bits & CWR) != 0)
    masks["acks"] = told & ((bits & ACK) != 0)
    masks["web"] = (pl.col(PROTO) == TCP) & pl.col(DPORT).is_in(WEB_PORTS)
    masks["udp_all"] = pl.col(PROTO) == UDP
    return rows.group_by(GROUP).agg(
        pl.col(WINDOW, DEST).first(),
        pl.len().cast(pl.Int64).alias("flows"),
        packets.sum().alias("packets"),
        pl.col(BYTES).sum().alias("bytes"),
        pl.col(ATTACK).sum().cast(pl.Int64).alias("labelled"),
        pl.col(KIND).is_in(TUNNELS).sum().cast(pl.Int64).alias("tunnels"),
        *((packets * mask).sum().alias(name) for name, mask in masks.items()),
    )


def _sums_again(sums: Frame) -> Frame:
    network = pl.lit(NETWORK).alias(DEST)
    return sums.group_by(GROUP).agg(pl.col(WINDOW).first(), network, pl.exclude(WINDOW, DEST).sum())


def _key(group: str) -> pl.Expr:
    """A number for a source in a window or group."""
    return (pl.col(group).hash(14) ^ pl.col(SEEN).hash(15)).alias(PAIR)


def _pairs(rows: Frame) -> Frame:
    """Packets of each source in each group."""
    grouped = rows.with_columns(_key(GROUP)).group_by(PAIR)
    first = pl.col(GROUP, WINDOW, SEEN).first()
    return grouped.agg(first, pl.col(PACKETS).sum(), pl.col(PLACE).min()).drop(PAIR)


def _ports(rows: Frame) -> Frame:
    """Records from each source port in each group."""
    told = rows.filter(pl.col(KIND).is_in(SPOOFED) & (pl.col(SPORT) > 0))
    return told.group_by(GROUP, SPORT).agg(
        pl.col(WINDOW).first(), pl.len().cast(pl.Int64).alias(FLOWS)
    )


def _ports_again(ports: Frame) -> Frame:
    return ports.group_by(GROUP, SPORT).agg(pl.col(WINDOW).first(), pl.col(FLOWS).sum())


def _joined(
    sums: pl.DataFrame,
    pairs: pl.DataFrame,
    ports: pl.DataFrame,
    known: Sequence[pl.Series],
    names: pl.Series,
) -> pl.DataFrame:
    """One row per group with all its features, in order: only what is narrow is joined."""
    new, young = (_key(WINDOW).is_in(one) for one in known)
    spread = _spread(pairs.lazy().with_columns(new.alias(NEW), young.alias(YOUNG)), names)
    parts = _together(spread, _top_port(ports.lazy()))
    wide = sums[_order(sums)]
    found = [wide, *(_beside(wide.select(GROUP), part) for part in parts)]
    told = [name for name in FEATURES if not name.startswith("window_")]
    together = pl.concat(found, how="horizontal").with_columns(_shares())
    return together.select(WINDOW, DEST, *told)


def _order(sums: pl.DataFrame) -> pl.Series:
    """Places by window and destination, the network first; names are compared once each."""
    names = sums[DEST].unique().sort()
    code = pl.Enum([NETWORK, *names.filter(names != NETWORK)])
    return sums.select(pl.arg_sort_by(WINDOW, pl.col(DEST).cast(code).to_physical())).to_series()


def _beside(keys: pl.DataFrame, part: pl.DataFrame) -> pl.DataFrame:
    """A part in the order of the keys, without them."""
    return keys.join(part, on=GROUP, how="left", maintain_order="left").drop(GROUP)


def _spread(pairs: Frame, names: pl.Series) -> Frame:
    """How many sources there are, how many of them new, the sum of x log x, and the top ones.

    Those have the most packets, those that are young first; of equals the first.
    """
    x = pl.col(PACKETS).cast(pl.Float64)
    logs = pl.when(x > 0).then(x * x.log() * FINE).otherwise(0).round().cast(pl.Int64)
    most = pl.col(PACKETS).clip(0, 2**30).cast(pl.UInt64) + pl.col(YOUNG).cast(pl.UInt64) * 2**31
    most = most * 2**32 + (2**32 - 1 - pl.col(PLACE))
    spread = (
        pairs.select(GROUP, NEW, logs.alias(LOGS), most.alias(PAIR))
        .group_by(GROUP)
        .agg(
            pl.len().cast(pl.Int64).alias("sources"),
            pl.col(LOGS).sum(),
            pl.col(NEW).sum().cast(pl.Int64),
            pl.col(PAIR).sort(descending=True).head(TOP),
        )
    )
    named = (2**32 - 1 - pl.element() % 2**32).map_batches(
        names.gather, return_dtype=pl.String, is_elementwise=True
    )
    top = pl.col(PAIR).list.eval(named).list.drop_nulls()
    return spread.with_columns(top.alias("top_sources")).drop(PAIR)


def _top_port(ports: Frame) -> Frame:
    """The source port with the most records, of equals the least."""
    most = pl.col(FLOWS) * 2**16 + (2**16 - 1 - pl.col(SPORT))
    top = ports.group_by(GROUP).agg(most.max().alias(PAIR))
    port = (2**16 - 1 - pl.col(PAIR) % 2**16).cast(pl.Int32)
    return top.select(GROUP, port.alias("top_port"), (pl.col(PAIR) // 2**16).alias(SPORT))


def _shares() -> list[pl.Expr]:
    packets, sources = pl.col("packets").cast(pl.Float64), pl.col("sources")
    entropy = packets.log() - pl.col(LOGS) / (FINE * packets)
    even = (entropy / sources.cast(pl.Float64).log()).clip(0.0, 1.0)
    return [
        pl.when((sources > 1) & (packets > 0)).then(even).otherwise(0.0).alias("source_entropy"),
        _share(pl.col("syn"), packets).alias("syn_share"),
        _share(pl.col("syn"), pl.col("syn") + pl.col("acks")).alias("syn_ratio"),
        _share(pl.col("udp_all"), packets).alias("udp_share"),
        _share(pl.col(SPORT).fill_null(0), pl.col("flows")).alias("top_port_share"),
        _share(pl.col(NEW), sources).alias("new_share"),
    ]


def _share(part: pl.Expr, whole: pl.Expr) -> pl.Expr:
    return pl.when(whole > 0).then(part / whole).otherwise(0.0).cast(pl.Float64)
