"""Attacks are found, and named; nothing that comes in makes the detection blind or loud."""

import math
from datetime import timedelta

import numpy as np
import polars as pl
import pytest
from traffic_runs import VICTIM, calm, flood, flow, found, in_pieces, records

from pydatastream.parts.traffic.day import traffic
from pydatastream.suites.ddos import Ddos, labelled

LONG = 120
"""Seconds of calm before what is tried."""


def sorted_(rows):
    return records(*rows).sort("timestamp")


def attacked(*extra, second=LONG):
    return sorted_([*calm(LONG + 30), *flood(second), *extra])


def alarms(rows, **options):
    return found(rows, **options)["alarms"]


def test_an_alarm_says_who_since_when_and_why():
    raised, ended = alarms(attacked()).to_dicts()
    assert (raised["state"], ended["state"]) == ("raised", "ended")
    assert raised["alarm"] == ended["alarm"]
    assert ended["victim"] == VICTIM
    assert ended["type"] == "syn_flood"
    assert raised["raised"] - ended["start"] == timedelta(seconds=1)
    assert ended["last"] - ended["start"] == timedelta(seconds=5)
    assert ended["at"] - ended["last"] == timedelta(seconds=15)
    assert ended["peak"] > 400
    assert ended["score"] > 5
    assert all(one.startswith("10.") for one in ended["top_sources"])
    assert "syn" in ended["evidence"]


def test_windows_say_what_is_usual_and_when_there_is_an_attack():
    windows = found(attacked())["windows"].filter(pl.col("dest_ip") == VICTIM)
    under = windows.filter(pl.col("attack") == "syn_flood")
    assert under.height >= 5
    assert under["why"][0] == "syn"
    assert under["score"].min() < 5 < under["score"].max()  # it is open until all is calm
    before = windows[60:LONG]
    assert before["score"].max() < 2
    assert before["usual"].to_numpy() == pytest.approx(before["packets"].to_numpy(), rel=0.2)


def test_calm_traffic_raises_no_alarm():
    assert not alarms(records(*calm(300))).height


def test_an_attack_teaches_nothing():
    """The second is found as the first was, though the first was long."""
    rows = sorted_([*calm(400), *flood(100, seconds=60), *flood(300, seconds=3)])
    states = alarms(rows).filter(pl.col("state") == "raised")
    assert states.height == 2
    assert states["score"][1] == pytest.approx(states["score"][0], rel=0.1)


def test_what_stays_becomes_usual():
    rows = sorted_([*calm(400), *flood(100, seconds=300, each=100)])
    said = alarms(rows, relearn="60s")
    assert said["state"].to_list() == ["raised", "ended"]
    assert said["at"][1] - said["raised"][1] <= timedelta(seconds=61)


def test_a_slow_ramp_is_found():
    ramp = [
        flow(LONG + s + n / 100, source=f"10.0.{s}.{n}", tcp_flags=2)
        for s in range(60)
        for n in range(2 + s // 3)
    ]
    rows = sorted_([*calm(LONG + 70, each=40), *ramp])
    first = alarms(rows)
    assert first["victim"].to_list()[:1] == [VICTIM]
    assert first["type"][0] == "syn_flood"


def test_an_attack_on_many_is_told_of_the_network():
    spread = [
        flow(
            LONG + s + n / 1000,
            source=f"10.{s}.{n % 200}.{n // 200}",
            dest=f"203.0.113.{n % 250}",
            tcp_flags=2,
        )
        for s in range(5)
        for n in range(1000)
    ]
    said = alarms(sorted_([*calm(LONG + 30), *spread]))
    assert said["victim"].unique().to_list() == ["*"]
    assert said["type"][0] == "syn_flood"


def test_a_download_is_no_attack():
    udp = {"protocol": "udp", "source_port": 443, "tcp_flags": None}
    rows = [flow(LONG + s, "203.0.113.9", packets=900, bytes=10**6) for s in range(10)]
    rows += [flow(LONG + s, "203.0.113.8", packets=700, **udp) for s in range(10)]
    assert not alarms(sorted_([*calm(LONG + 30), *rows])).height


@pytest.mark.parametrize("seed", [11, 12])
def test_every_kind_of_attack_is_found_and_named_and_nothing_else(seed):
    rows = traffic(seed, rate=30)
    suite = Ddos()
    suite._episodes["day"] = list(labelled(rows))
    figures = suite.measure({"day": rows}, suite.run({"day": rows}))
    assert figures["episodes found"] == figures["episodes"] == 9
    assert figures["false alarms"] == 0
    assert figures["median seconds from onset"] <= 2
    assert figures["share of types right"] >= 8 / 9


@pytest.mark.parametrize(
    ("others", "expected"),
    [
        ({"tcp_flags": 16}, "ack_flood"),
        ({"tcp_flags": 194}, "syn_flood_ecn"),
        ({"tcp_flags": 4}, "rst_flood"),
        ({"tcp_flags": 41}, "tcp_flag_flood"),
        ({"protocol": "gre", "tcp_flags": None}, "ip_protocol_flood"),
        ({"protocol": "udp", "tcp_flags": None, "source_port": 1900}, "udp_amplification_ssdp"),
        ({"protocol": "udp", "tcp_flags": None, "source_port": 500}, "udp_amplification_isakmp"),
        ({"protocol": "udp", "tcp_flags": None, "source_port": 999}, "udp_amplification_port_999"),
    ],
)
def test_a_flood_is_called_by_what_it_is_made_of(others, expected):
    rows = [
        flow(LONG + s + n / 400, f"10.{s}.{n // 250}.{n % 250}", **others)
        for s in range(5)
        for n in range(400)
    ]
    assert alarms(sorted_([*calm(LONG + 30), *rows]))["type"].to_list()[-1:] == [expected]


def test_cuts_and_restarts_change_nothing():
    rows = traffic(4, rate=10, types=("syn_flood", "udp_amplification_ntp"))
    rows = rows.with_columns(pl.from_epoch((pl.col("timestamp") * 1e6).cast(pl.Int64), "us"))
    rows = rows.with_columns(pl.col("timestamp").dt.replace_time_zone("UTC"))
    chance = np.random.default_rng(0)
    whole = in_pieces(rows, [])
    assert whole["alarms"].height >= 4
    for pieces in (3, 40):
        sizes = chance.multinomial(rows.height, [1 / pieces] * pieces).tolist()
        again = in_pieces(rows, sizes)
        assert again["windows"].equals(whole["windows"])
        assert again["alarms"].equals(whole["alarms"])


def test_too_many_destinations_are_forgotten_the_longest_silent_first():
    strangers = [
        flow(s + n / 50, dest=f"203.0.{s % 200}.{n}") for s in range(LONG) for n in range(30)
    ]
    rows = sorted_([*calm(LONG + 30), *flood(LONG), *strangers])
    said = alarms(rows, max_keys=100)
    assert said["victim"].unique().to_list() == [VICTIM]


# What may come in


BAD = {
    "nan": {"packets": math.nan, "bytes": math.nan},
    "infinite": {"packets": math.inf, "bytes": -math.inf},
    "negative": {"packets": -7.0, "bytes": -1.0},
    "null": {"packets": None, "bytes": None, "protocol": None, "source_port": None,
             "tcp_flags": None, "source_ip": None},
    "huge": {"packets": 1e300, "bytes": 1e300},
    "ports": {"source_port": 10**9, "dest_port": -1},
}  # fmt: skip


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_a_bad_value_hides_no_attack_and_is_none(bad):
    floats = {"packets": pl.Float64, "bytes": pl.Float64}
    rows = [*calm(LONG + 30), *flood(LONG)]
    poison = [flow(s + 0.5, **{"dest": "203.0.113.77", **_keyed(bad)}) for s in range(LONG)]
    ran = found(records(*rows, *poison, **floats).sort("timestamp"))
    assert set(ran["alarms"]["victim"]) == {VICTIM}
    numbers = ran["windows"].select(pl.col(pl.Float64)).to_numpy()
    assert np.isfinite(numbers).all()


def _keyed(bad):
    return {("source" if name == "source_ip" else name): value for name, value in bad.items()}


@pytest.mark.parametrize("bad", ["not an address", "", "1.2.3", "300.x.1.1", "; drop table", None])
def test_a_destination_that_is_none_is_a_dead_letter(bad):
    ran = found(attacked(flow(50, dest=bad), flow(LONG + 1, dest=bad)))
    assert ran["dead"].height == 2
    assert "dest_ip" in ran["dead"]["error"][0]
    assert ran["alarms"]["victim"].unique().to_list() == [VICTIM]


def test_ipv6_is_an_address():
    rows = [*calm(LONG + 30), *flood(LONG)]
    for row in rows:
        row["dest_ip"] = "2001:db8::10"
        row["source_ip"] = f"2001:db8:1::{row['source_ip'].replace('.', ':')}"
    ended = alarms(sorted_(rows))[-1]
    assert ended["victim"][0] == "2001:db8::10"
    assert ended["top_sources"][0][0].startswith("2001:db8:1::10:")


def test_a_clock_that_goes_back_makes_late_records_and_no_alarm():
    rows = records(*calm(LONG), *[flow(10 + n / 100) for n in range(100)], *calm(LONG + 5)[-40:])
    ran = found(rows)
    assert ran["late"].height + ran["windows"].filter(dest_ip=VICTIM)["flows"].sum() == rows.height
    assert not ran["alarms"].height


def test_constant_traffic_and_one_destination_and_silence_between():
    """An hour without a record, and a deviation that was always 0."""
    rows = [flow(second, packets=10) for second in (*range(200), *range(3800, 4000))]
    ran = found(records(*rows))
    assert ran["windows"].height == 800
    assert not ran["alarms"].height
    assert np.isfinite(ran["windows"]["score"].to_numpy()).all()


def test_labels_are_not_needed_nor_looked_at():
    rows = attacked()
    bare = alarms(rows.drop("is_attack"))
    assert bare.equals(alarms(rows))
    assert bare.equals(alarms(rows.with_columns(is_attack=pl.lit(1))))


def test_no_rows_at_all():
    ran = found(records())
    assert not ran["alarms"].height
    assert not ran["windows"].height


@pytest.mark.parametrize("keys", [100_000, pytest.param(1_000_000, marks=pytest.mark.slow)])
def test_very_many_destinations(keys):
    many = pl.DataFrame({"n": range(keys)}).select(
        timestamp=pl.lit(1_709_280_000.0) + pl.col("n") / keys * 40,
        source_ip=pl.format("10.{}.{}.1", pl.col("n") // 256 % 256, pl.col("n") % 256),
        dest_ip=pl.format("{}.{}.{}.9", 11 + pl.col("n") // 65536, pl.col("n") // 256 % 256,
                          pl.col("n") % 256),
        packets=pl.lit(1),
    )  # fmt: skip
    ran = found(many, max_keys=10_000)
    assert ran["windows"].filter(pl.col("dest_ip") != "*").height == keys
    assert not ran["alarms"].height
