"""Features of traffic, against what plain Python counts."""

import math
from collections import Counter, defaultdict

import numpy as np
import polars as pl
import pytest
from traffic_runs import START, VICTIM, calm, flow, found, records

from pydatastream.core.errors import SchemaError
from pydatastream.parts.traffic.day import traffic
from pydatastream.parts.traffic.kinds import flags, kind
from pydatastream.pipeline import Pipeline


def windows(rows, **options):
    return found(rows, features=options)["windows"]


def told(rows, dest, second=0):
    start = pl.from_epoch(pl.lit(START + second), "s").dt.replace_time_zone("UTC")
    found = windows(rows).filter(pl.col("dest_ip") == dest, pl.col("window_start") == start)
    return found.row(0, named=True)


def entropy(counts):
    total = sum(counts)
    bits = -sum(n / total * math.log(n / total) for n in counts)
    return bits / math.log(len(counts)) if len(counts) > 1 else 0.0


def test_counts_are_those_of_plain_python():
    rows = traffic(3, rate=25, types=("syn_flood", "udp_amplification_dns"))
    groups = defaultdict(list)
    for row in rows.to_dicts():
        second = math.floor(row["timestamp"])
        for dest in (row["dest_ip"], "*"):
            groups[dest, second].append(row)
    made = windows(rows).with_columns(second=pl.col("window_start").dt.epoch("s"))
    assert made.height == len(groups)
    for one in made.to_dicts():
        group = groups[one["dest_ip"], one["second"]]
        packets = Counter()
        for row in group:
            packets[row["source_ip"]] += row["packets"]
        assert one["flows"] == len(group)
        assert one["packets"] == sum(packets.values())
        assert one["bytes"] == sum(row["bytes"] for row in group)
        assert one["sources"] == len(packets)
        assert one["labelled"] == sum(row["is_attack"] for row in group)
        assert one["syn"] == sum(row["packets"] for row in group if row["tcp_flags"] == 2)
        assert one["source_entropy"] == pytest.approx(entropy(packets.values()), abs=1e-4)
        assert set(one["top_sources"]) <= packets.keys()
        assert len(one["top_sources"]) == min(len(packets), 10)


def test_shares_and_ports():
    rows = records(
        flow(0, "198.51.100.1", tcp_flags=2, packets=30),
        flow(0.1, "198.51.100.1", tcp_flags=16, packets=10),
        flow(0.2, "198.51.100.2", protocol="udp", source_port=53, tcp_flags=None, packets=60),
        flow(0.3, "198.51.100.2", protocol="udp", source_port=53, tcp_flags=None, packets=0),
    )
    one = told(rows, VICTIM)
    assert (one["syn_share"], one["syn_ratio"], one["udp_share"]) == (0.3, 0.75, 0.6)
    assert (one["top_port"], one["top_port_share"]) == (53, 0.5)
    assert (one["reflected"], one["tcp"], one["syn"]) == (60, 10, 30)
    assert one["top_sources"] == ["198.51.100.2", "198.51.100.1"]


def test_a_source_is_new_until_it_was_seen_and_again_when_it_was_long_away():
    seconds = (0, 1, 2, 700)
    rows = records(*(flow(second, "198.51.100.1") for second in seconds))
    shares = windows(rows).filter(pl.col("dest_ip") == VICTIM)["new_share"].to_list()
    assert shares == [1.0, 0.0, 0.0, 1.0]


def test_of_too_many_sources_the_last_are_remembered_however_windows_come():
    rows = [flow(s, f"198.51.{s}.{n}") for s in range(20) for n in range(20)]
    rows += [flow(20 + n / 100, f"198.51.19.{n}") for n in range(20)] + [flow(20.9, "198.51.0.1")]
    made = windows(records(*rows), max_sources=50).filter(pl.col("dest_ip") == VICTIM)
    assert made["new_share"].to_list() == [*[1.0] * 20, 1 / 21]


def scan(second, count):
    """One record to each of many destinations, after some to a few that are at work."""
    work = [flow(second, dest=f"192.0.2.{n}", packets=10 + n) for n in range(4)]
    return work + [flow(second + 0.5, dest=f"10.0.{n // 250}.{n % 250}") for n in range(count)]


def test_of_too_many_destinations_those_with_the_most_packets_are_told():
    rows = records(*scan(0, 500), *scan(1, 2))
    every, few = windows(rows), windows(rows, max_keys=6)
    assert every.height == 504 + 1 + 6 + 1
    network = pl.col("dest_ip") == "*"
    assert few.filter(network).equals(every.filter(network))
    told = every.filter(~network).group_by("window_start", maintain_order=True).agg(
        pl.col("dest_ip").sort_by(-pl.col("packets"), "dest_ip").head(6).sort())  # fmt: skip
    assert few.equals(every.join(few, on=["window_start", "dest_ip"], how="semi"))
    assert few.filter(~network)["dest_ip"].to_list() == told.explode("dest_ip")["dest_ip"].to_list()


def test_a_bound_that_is_not_reached_changes_nothing_and_one_that_is_is_counted():
    rows = records(*scan(0, 300))
    assert windows(rows, max_keys=304).equals(windows(rows))
    read = Pipeline.read("memory", rows, time="timestamp", max_skew="off")
    run = read.flow_features("1s", max_keys=10).write("null").run()
    assert run.forgotten == 294


@pytest.mark.parametrize(
    ("proto", "flag", "port", "expected"),
    [
        ("tcp", "2", 5, "syn"), ("TCP", "S", 5, "syn"), ("6", "0xc2", 5, "syn"),
        ("tcp", "18", 80, "synack"), ("tcp", ".A..S.", 80, "synack"), ("tcp", "27", 80, "tcp"),
        ("tcp", "4", 80, "rst"), ("tcp", "RA", 80, "rst"), ("tcp", "0", 1, "odd"),
        ("tcp", "41", 1, "odd"), ("tcp", None, 1, "tcp"), ("tcp", "nonsense", 1, "tcp"),
        ("udp", None, 123, "reflected"), ("17", None, 11211, "reflected"),
        ("udp", None, 443, "udp"),
        ("udp", None, 50000, "udp"), ("icmp", None, None, "icmp"), ("58", None, None, "icmp"),
        ("gre", None, None, "other"), (None, None, None, "tcp"),
    ],
)  # fmt: skip
def test_every_record_is_of_a_kind(proto, flag, port, expected):
    row = flow(0, protocol=proto, tcp_flags=flag, source_port=port)
    one = told(records(row, tcp_flags=pl.String), VICTIM)
    assert one[expected] == 1


def test_flags_are_read_as_numbers_or_letters():
    given = pl.Series(["2", "0x12", "SA", ".A..S.", "A,S", "", "300000", "0xzz", None])
    assert flags(given).to_list() == [2, 18, 18, 18, -1, -1, -1, -1, -1]
    assert flags(pl.Series([2.0, float("nan"), None])).to_list() == [2, -1, -1]
    assert kind("p", "f", "s").meta.root_names()


def test_without_counts_a_record_is_a_packet():
    rows = records(*calm(3)).select("timestamp", "source_ip", "dest_ip")
    one = told(rows, VICTIM)
    assert (one["flows"], one["packets"], one["bytes"], one["tcp"]) == (8, 8, 0, 8)


def test_columns_may_have_other_names():
    rows = records(*calm(3)).rename({"source_ip": "sa", "dest_ip": "da", "packets": "ipkt"})
    names = {"source": "sa", "dest": "da", "packets": "ipkt"}
    made = Pipeline.read("memory", rows=rows, time="timestamp").flow_features(**names).collect()
    assert made.columns[0] == "da"
    assert made["packets"][0] == sum(5 + n for n in range(8))


def test_an_address_is_text():
    rows = records(*calm(2)).with_columns(dest_ip=pl.lit(7))
    with pytest.raises(SchemaError, match="an address is text"):
        Pipeline.read("memory", rows=rows, time="timestamp").flow_features().collect()


def test_no_sum_depends_on_the_order_of_threads():
    rows = traffic(5, rate=30, types=("udp_flood",))
    first = windows(rows)
    shuffled = rows.sample(fraction=1, shuffle=True, seed=1).sort(pl.col("timestamp").floor())
    sums = [name for name, of in first.schema.items() if of in (pl.Int64, pl.Float64)]
    again = windows(shuffled)
    assert first.select(sums).equals(again.select(sums))
    assert np.isfinite(first.select(pl.col(pl.Float64)).to_numpy()).all()
