"""Captures made byte by byte, and what is read of them."""

import struct
from datetime import UTC, datetime
from ipaddress import ip_address

import polars as pl
import pytest

from pydatastream.core.errors import ConfigError
from pydatastream.formats.pcap import PcapFormat
from pydatastream.pipeline import Pipeline

AT = 1_709_280_000
SYN, ACK = 2, 16


def header(order="<", nano=False, link=1):
    magic = 0xA1B23C4D if nano else 0xA1B2C3D4
    return struct.pack(f"{order}IHHiIII", magic, 2, 4, 0, 0, 65535, link)


def record(data, second=0.0, order="<", nano=False, wire=None):
    whole, part = divmod(round((AT + second) * 1e6), 10**6)
    sizes = len(data), wire or len(data)
    return struct.pack(f"{order}IIII", whole, part * (1000 if nano else 1), *sizes) + data


def ethernet(payload, kind=0x0800, tags=()):
    tag = b"".join(struct.pack(">HH", 0x8100, tag) for tag in tags)
    return b"\x01" * 12 + tag + struct.pack(">H", kind) + payload


def ipv4(payload, protocol=6, source="198.51.100.7", dest="192.0.2.10", fragment=0, options=b""):
    size = 20 + len(options)
    head = struct.pack(
        ">BBHHHBBH", 0x40 | size // 4, 0, size + len(payload), 1, fragment, 64, protocol, 0
    )
    return head + ip_address(source).packed + ip_address(dest).packed + options + payload


def ipv6(payload, following=6, source="2001:db8::7", dest="2001:db8::10"):
    head = struct.pack(">IHBB", 6 << 28, len(payload), following, 64)
    return head + ip_address(source).packed + ip_address(dest).packed + payload


def tcp(sport=40000, dport=443, flags=SYN):
    return struct.pack(">HHIIBBHHH", sport, dport, 1, 0, 5 << 4, flags, 1000, 0, 0)


def udp(sport=123, dport=5000, data=b"x" * 20):
    return struct.pack(">HHHH", sport, dport, 8 + len(data), 0) + data


def read(*records, head=None):
    form = PcapFormat()
    return form.decoder(form.infer(b""), head or header()).decode(b"".join(records))


def one(data, **options):
    found = read(record(data), **options).rows
    return found.row(0, named=True)


def test_a_packet_of_tcp():
    rows = read(record(ethernet(ipv4(tcp())), 1.25, wire=1500)).rows
    assert rows.row(0, named=True) == {
        "timestamp": datetime.fromtimestamp(AT + 1.25, UTC), "source_ip": "198.51.100.7",
        "dest_ip": "192.0.2.10", "protocol": "tcp", "source_port": 40000, "dest_port": 443,
        "packets": 1, "bytes": 1500, "tcp_flags": SYN,
    }  # fmt: skip


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("nano", [False, True])
def test_either_order_of_bytes_and_either_clock(order, nano):
    data = record(ethernet(ipv4(udp(), 17)), 2.5, order, nano)
    row = read(data, head=header(order, nano)).rows.row(0, named=True)
    assert row["timestamp"] == datetime.fromtimestamp(AT + 2.5, UTC)
    assert (row["protocol"], row["source_port"], row["tcp_flags"]) == ("udp", 123, None)


def test_ipv6_with_extension_headers():
    hop = struct.pack(">BB6x", 60, 0)
    options = struct.pack(">BB14x", 6, 1)
    row = one(ethernet(ipv6(hop + options + tcp(flags=SYN | ACK), 0), 0x86DD))
    assert (row["source_ip"], row["dest_ip"]) == ("2001:db8::7", "2001:db8::10")
    assert (row["protocol"], row["dest_port"], row["tcp_flags"]) == ("tcp", 443, SYN | ACK)


@pytest.mark.parametrize("tags", [(5,), (5, 6)])
def test_tags_of_vlans_are_passed_over(tags):
    assert one(ethernet(ipv4(tcp()), tags=tags))["dest_port"] == 443


def test_options_of_ip_are_passed_over():
    assert one(ethernet(ipv4(tcp(), options=b"\1" * 8)))["dest_port"] == 443


@pytest.mark.parametrize("link", [101, 113, 276])
def test_other_links(link):
    before = {101: b"", 113: b"\0" * 14 + b"\x08\0", 276: b"\x08\0" + b"\0" * 18}[link]
    assert one(before + ipv4(tcp()), head=header(link=link))["source_ip"] == "198.51.100.7"


def test_a_later_fragment_has_no_ports():
    row = one(ethernet(ipv4(b"z" * 40, 17, fragment=185)))
    assert (row["protocol"], row["source_port"]) == ("udp", None)
    later = struct.pack(">BBHI", 17, 0, 185 << 3, 7)
    assert one(ethernet(ipv6(later + b"z" * 40, 44), 0x86DD))["source_port"] is None


def test_other_protocols_have_their_number():
    assert one(ethernet(ipv4(b"", 47)))["protocol"] == "47"
    assert one(ethernet(ipv4(b"\x08\0", 1)))["protocol"] == "icmp"
    assert one(ethernet(ipv6(b"\x80\0", 58), 0x86DD))["protocol"] == "icmp"


def test_what_is_not_ip_or_cut_short_is_passed_over():
    whole = ethernet(ipv4(tcp()))
    found = read(record(ethernet(b"arp", 0x0806)), record(whole[:30]), record(b""), record(whole))
    assert found.rows.height == 1
    assert found.dead.is_empty()
    short = read(record(whole[:36])).rows.row(0, named=True)
    assert (short["source_ip"], short["source_port"], short["tcp_flags"]) == (
        "198.51.100.7",
        None,
        None,
    )


def test_the_last_packet_may_be_torn():
    whole = record(ethernet(ipv4(tcp())))
    found = read(whole, whole[:-3])
    assert found.rows.height == 1
    assert found.dead.height == 1
    decoder = PcapFormat().decoder(PcapFormat().infer(b""), header())
    assert decoder.cut(whole + whole[:-3]) == len(whole)
    assert decoder.cut(whole[:10]) == 0


@pytest.mark.parametrize(
    "start", [b"\x0a\x0d\x0d\x0a" + b"\0" * 20, b"GIF89a" * 5, header(link=9), b"\xd4"]
)
def test_what_is_no_pcap_is_refused(start):
    with pytest.raises(ConfigError):
        PcapFormat().infer(start)


def test_a_capture_of_an_attack_raises_an_alarm(tmp_path):
    path = tmp_path / "dump.pcap"
    with path.open("wb") as file:
        file.write(header())
        for second in range(60):
            for n in range(10):
                client = f"198.51.100.{(second + n) % 90}"
                file.write(record(ethernet(ipv4(tcp(flags=24), source=client)), second + n / 10))
            for n in range(500 if second >= 55 else 0):
                client = f"10.{second}.{n // 250}.{n % 250}"
                file.write(record(ethernet(ipv4(udp(), 17, client)), second + 0.99))
    pipeline = (
        Pipeline.read("file", path=str(path), time="timestamp").flow_features().attack_score()
    )
    found = pipeline.mitigation_hints(input="attack_score.alarms").collect()
    assert found["state"].to_list() == ["raised", "ended"]
    assert found["type"][0] == "udp_amplification_ntp"
    assert "udp sport 123" in found["nftables"][0]


def test_many_packets_are_read_at_once():
    whole = record(ethernet(ipv4(tcp()))) * 50_000
    rows = read(whole).rows
    assert rows.height == 50_000
    assert rows["dest_ip"].n_unique() == 1
    assert rows.select(pl.all().null_count()).row(0) == (0,) * 9
