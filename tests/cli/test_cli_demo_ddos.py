"""`pds demo ddos`, as a person sees it."""

import polars as pl
from typer.testing import CliRunner

from pydatastream.cli.commands.demo import command
from pydatastream.cli.verbs import group
from pydatastream.demo import ddos
from pydatastream.parts.traffic.day import traffic


def test_attacks_are_shown_beside_what_was_truly_done(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    few = traffic(rate=8, types=("syn_flood", "udp_amplification_dns"))
    monkeypatch.setattr(ddos, "traffic", lambda **_: few)
    shown = demo()
    assert "2 attacks found" in shown
    lines = [line.split() for line in shown.splitlines() if line.startswith("192.0.2.")]
    assert [(line[1], line[-1]) for line in lines] == [
        ("syn_flood", "syn_flood"), ("udp_amplification_dns", "udp_amplification_dns")
    ]  # fmt: skip
    assert "a Redis server" in shown
    assert {"network_traffic.csv", "pds-ddos.yaml", "alarms"} <= {
        p.name for p in tmp_path.iterdir()
    }
    assert pl.read_ndjson(sorted(tmp_path.glob("alarms/part-*"))).height == 4


def test_a_file_that_is_there_is_used_and_left_alone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    own = "timestamp,source_ip,dest_ip,protocol,source_port,dest_port,packets,bytes,"
    own += "tcp_flags,is_attack\n"
    own += "2024-03-01T08:00:00Z,198.51.100.1,192.0.2.1,tcp,40000,443,3,180,24,0\n"
    (tmp_path / "network_traffic.csv").write_text(own)
    (tmp_path / "pds-ddos.yaml").write_text("mine")
    assert "0 attacks found" in demo()
    assert (tmp_path / "network_traffic.csv").read_text() == own
    assert (tmp_path / "pds-ddos.yaml").read_text() == "mine"


def demo():
    app = group()
    app.command()(command)
    ran = CliRunner().invoke(app, ["ddos"], catch_exceptions=False)
    assert ran.exit_code == 0
    return ran.stdout
