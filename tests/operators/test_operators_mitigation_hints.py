"""What may be done against an attack: text that fits, and nothing that could do harm."""

import shlex
import subprocess

import polars as pl
import pytest

from pydatastream.core.errors import SchemaError
from pydatastream.parts.traffic.hints import PROTOCOLS
from pydatastream.pipeline import Pipeline

TYPES = {"alarm": pl.String, "victim": pl.String, "type": pl.String, "top_port": pl.Int64,
         "top_sources": pl.List(pl.String)}  # fmt: skip


def hints(victim, kind, port=None, sources=(), alarm="192.0.2.1/2024-03-01T08:00:00Z"):
    rows = pl.DataFrame([(alarm, victim, kind, port, list(sources))], schema=TYPES, orient="row")
    made = Pipeline.read("memory", rows=rows).mitigation_hints().collect().row(0, named=True)
    return made["flowspec"], made["nftables"], made["ipset"]


def test_an_amplification_is_shut_out_by_its_port():
    rule, line, addresses = hints("192.0.2.1", "udp_amplification_ntp", 123, ["198.51.100.9"])
    assert rule == (
        "flow route { match { destination 192.0.2.1/32; protocol udp; source-port =123; } "
        "then { discard; } }"
    )
    assert line == "nft 'add rule inet filter input ip daddr 192.0.2.1 udp sport 123 counter drop'"
    assert addresses.splitlines()[1].endswith(" 198.51.100.9")


def test_what_looks_like_clients_is_slowed_down():
    rule, line, _ = hints("2001:db8::1", "syn_flood", 443)
    assert "rate-limit" in rule
    assert "2001:db8::1/128" in rule
    assert "source-port" not in rule
    assert "ip6 daddr 2001:db8::1" in line
    assert "limit rate over" in line


@pytest.fixture(autouse=True)
def _own_folder(tmp_path, monkeypatch):
    """Runs beside this one keep their dead letters elsewhere."""
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("kind", ["icmp_flood", "tcp_flood", "ip_protocol_flood", "what", None])
def test_every_type_has_a_rule(kind):
    rule, line, _ = hints("192.0.2.1", kind)
    assert rule.startswith("flow route")
    assert "ip daddr 192.0.2.1" in line


@pytest.mark.parametrize("kind", PROTOCOLS)
def test_a_shell_passes_a_rule_on_as_it_is(kind):
    command, rule = shlex.split(hints("192.0.2.1", kind)[1])
    asked = ["sh", "-c", f'nft() {{ printf %s: $# "$@"; }}; {hints("192.0.2.1", kind)[1]}']
    assert command == "nft"
    assert subprocess.run(asked, capture_output=True, text=True).stdout == f"1:{rule}:"


@pytest.mark.parametrize("victim", ["*", "", None, "1.2.3.4; reboot", "$(reboot)", "a\nb"])
def test_who_is_no_address_gets_no_rule(victim):
    assert hints(victim, "syn_flood")[:2] == (None, None)


def test_no_source_smuggles_a_command_in():
    sources = ["1.2.3.4\nflush", "10.0.0.1", None, "x", "2001:db8::1"]
    _, _, made = hints("192.0.2.1", "udp_flood", None, sources, "a;b\nc$(d)")
    assert made == "create ddos-abcd hash:ip family inet timeout 3600\nadd ddos-abcd 10.0.0.1"


def test_without_sources_there_is_no_set():
    assert hints("192.0.2.1", "udp_flood")[2] is None


def test_the_columns_must_be_there():
    with pytest.raises(SchemaError, match="no column 'type'"):
        Pipeline.read("memory", rows=[{"victim": "a"}]).mitigation_hints().collect()
