"""The suite of attacks: what it counts, and what we reach on a capture with real attacks."""

import json
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from pydatastream.cli.commands.bench import app
from pydatastream.parts.traffic.day import traffic
from pydatastream.suites import DATA
from pydatastream.suites.ddos import Ddos, Episode, labelled

SHARED = Path(__file__).parents[2] / DATA / "ddos"


def alarm(raised, start, last, type_, victim="1.1.1.1"):
    return {"raised": raised, "start": start, "last": last, "type": type_, "victim": victim}


def measured(episodes, *alarms, hours=2):
    suite = Ddos()
    suite._episodes["x"] = episodes
    rows = {"x": pl.DataFrame({"timestamp": [0.0, hours * 3600.0]})}
    schema = ["raised", "start", "last", "type", "victim"]
    return suite.measure(rows, {"x": pl.DataFrame(list(alarms), schema=schema, orient="row")})


def test_each_figure_is_what_it_says():
    episodes = [
        Episode("syn_flood", 100, 200, 110, "1.1.1.1"),
        Episode("udp_flood", 300, 400, 300, "1.1.1.1"),
        Episode("icmp_flood", 500, 600, 500, "1.1.1.1"),
    ]
    figures = measured(
        episodes,
        alarm(112, 110, 150, "syn_flood"),
        alarm(
            160, 159, 203, "syn_flood"
        ),  # again within the episode: neither found twice nor false
        alarm(304, 303, 310, "dns"),
        alarm(301, 300, 310, "udp_flood", victim="9.9.9.9"),
        alarm(450, 449, 460, "syn_flood"),
    )
    assert figures["episodes found"] == 2
    assert figures["false alarms"] == 2
    assert figures["false alarms per hour"] == 1
    assert figures["median seconds from onset"] == 3
    assert figures["share of types right"] == 0.5


def test_episodes_are_told_by_labels_where_nothing_else_tells():
    rows = traffic(0, rate=5, types=("syn_flood", "udp_flood"))
    one, two = sorted(labelled(rows), key=lambda one: one.start)
    assert (one.type, two.type) == ("syn_flood", "udp_flood")
    assert one.start <= one.onset + 1 <= one.end
    assert one.victim.startswith("192.0.2.")


def test_the_command_saves_alarms_that_can_be_scored_again(tmp_path):
    traffic(1, rate=10, types=("syn_flood",)).write_csv(tmp_path / "mine.csv")
    paths = ["--data", str(tmp_path), "--save", str(tmp_path / "out")]
    options = ["detect", "--suite", "ddos", *paths, "--json"]
    ran = CliRunner().invoke(app, options, catch_exceptions=False)
    told = json.loads(ran.stdout)
    assert told["figures"]["episodes found"] == 1
    saved = pl.read_csv(tmp_path / "out" / "mine.csv")
    assert saved.columns == ["raised", "start", "last", "type", "victim", "peak"]
    assert saved["type"].to_list() == ["syn_flood"]


@pytest.mark.skipif(not SHARED.is_dir(), reason=f"no captures in {SHARED}")
def test_real_attacks_are_found_and_named():
    suite = Ddos()
    inputs = suite.load(SHARED)
    figures = suite.measure(inputs, suite.run(inputs))
    assert figures["episodes found"] == figures["episodes"]
    assert figures["false alarms per hour"] <= 0.5
    assert figures["median seconds from onset"] <= 2
    assert figures["share of types right"] >= 0.8


@pytest.mark.skipif(not SHARED.is_dir(), reason=f"no captures in {SHARED}")
def test_labels_tell_the_same_episodes_as_their_list():
    suite = Ddos()
    for name, rows in suite.load(SHARED).items():
        told = sorted(labelled(rows), key=lambda one: one.start)
        for one, other in zip(suite._episodes[name], told, strict=True):
            assert (one.type, one.onset) == (other.type, other.onset)
