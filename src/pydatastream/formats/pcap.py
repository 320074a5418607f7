"""Captured packets, as tcpdump writes them."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import polars as pl

from pydatastream.core.errors import ConfigError, SchemaError, nearest
from pydatastream.core.format import MAX_RECORD, Decoded, Decoder, Encoder, StreamFormat
from pydatastream.core.times import EVENT_TIME
from pydatastream.parts.decoding.sifting import examine, set_aside
from pydatastream.parts.traffic.packets import COLUMNS, ETHERNET, NETWORK_AT, packets

HEADER, RECORD = 24, 16
ORDERS = {
    b"\xd4\xc3\xb2\xa1": ("<", 1), b"\xa1\xb2\xc3\xd4": (">", 1),
    b"\x4d\x3c\xb2\xa1": ("<", 1000), b"\xa1\xb2\x3c\x4d": (">", 1000),
}  # fmt: skip
"""By the first bytes: the order of bytes, and parts of a microsecond that times count."""
NEXT_GENERATION = b"\x0a\x0d\x0d\x0a"
USUAL = b"\xd4\xc3\xb2\xa1" + struct.pack("<HHiIII", 2, 4, 0, 0, 65535, ETHERNET)


class PcapFormat(StreamFormat):
    """Read captured packets as `tcpdump -w` writes them, a row for each that is IP.

    Gives timestamp, source_ip, dest_ip, protocol (tcp, udp, icmp, or its number), source_port,
    dest_port, packets (1), bytes (as they were on the wire) and tcp_flags, which is what
    `flow_features` takes. Ethernet with VLAN tags, Linux cooked and raw IP; later fragments
    have no ports. Packets that are not IP are passed over, as are those cut before the end of
    the IP header. It does not write, and does not read pcapng: `editcap -F pcap in out`.

    References: Harris, Richardson, PCAP Capture File Format, draft-ietf-opsawg-pcap.
    """

    extension: ClassVar[str] = "pcap"
    resync: ClassVar[bytes | None] = None
    example: ClassVar[str] = "{type: pcap}"

    def header_size(self, start: bytes) -> int:
        """The file's header."""
        return min(HEADER, len(start))

    def infer(self, sample: bytes) -> pl.Schema:
        """The columns are always the same; `ConfigError` if it is no pcap."""
        if sample:
            Layout(sample[:HEADER])
        return COLUMNS

    def decoder(self, schema: pl.Schema, header: bytes = b"") -> Decoder:
        """A decoder; without a header packets are Ethernet, with times in microseconds."""
        for name, dtype in schema.items():
            if COLUMNS.get(name) != dtype:
                raise SchemaError(
                    f"pcap has no {name!r} of type {dtype}", hint=nearest(name, COLUMNS)
                )
        return PcapDecoder(schema, Layout(header or USUAL))

    def encoder(self, schema: pl.Schema) -> Encoder:  # noqa: ARG002 - whatever it is
        """There is none."""
        raise SchemaError("pcap is only read", hint="format: parquet")


class Layout:
    """What the header of a file says of its records."""

    def __init__(self, header: bytes) -> None:
        magic = header[:4]
        if magic == NEXT_GENERATION:
            raise ConfigError("this is pcapng, not pcap", hint="editcap -F pcap in out")
        if magic not in ORDERS or len(header) < HEADER:
            raise ConfigError("it does not begin as a pcap file does", hint="is it a capture?")
        self.order, self.fine = ORDERS[magic]
        self.record = struct.Struct(f"{self.order}IIII")
        self.link = struct.unpack(f"{self.order}I", header[20:24])[0] & 0xFFFF
        if self.link not in NETWORK_AT:
            raise ConfigError(f"link type {self.link} is not read", hint="Ethernet, or raw IP")


class PcapDecoder:
    """Finds the records one after the other, then reads all their headers at once."""

    def __init__(self, schema: pl.Schema, layout: Layout) -> None:
        self._schema, self._layout = schema, layout

    def cut(self, buffer: bytes) -> int:
        starts, ends = self._spans(buffer)
        del starts
        return ends[-1] if ends else 0

    def decode(self, records: bytes) -> Decoded:
        starts, ends = self._spans(records)
        end = ends[-1] if ends else 0
        rows = self._rows(records, starts, ends)
        if end == len(records):
            return Decoded(rows)
        torn = [
            (records[end:], f"no packet begins here, {len(records) - end} bytes before the end")
        ]
        return Decoded(rows, set_aside(torn))

    def decode_messages(self, messages: Sequence[bytes]) -> Decoded:
        return examine(messages, lambda some: self.decode(b"".join(some)), self._fault)

    def _fault(self, message: bytes) -> str | None:
        starts, ends = self._spans(message)
        if ends != [len(message)]:
            return "the message is not one packet with its header"
        return None if self._rows(message, starts, ends).height else "the packet is not IP"

    def _spans(self, buffer: bytes) -> tuple[list[int], list[int]]:
        """Where the data of each whole packet begin, and end."""
        starts, ends, at, size = list[int](), list[int](), 0, len(buffer)
        unpack = self._layout.record.unpack_from
        while at + RECORD <= size:
            length = unpack(buffer, at)[2]
            if length > MAX_RECORD or at + RECORD + length > size:
                break
            starts.append(at + RECORD)
            at += RECORD + length
            ends.append(at)
        return starts, ends

    def _rows(self, buffer: bytes, starts: list[int], ends: list[int]) -> pl.DataFrame:
        begin, end = np.array(starts, np.int64), np.array(ends, np.int64)
        columns, is_ip = packets(buffer, begin, end, self._layout.link)
        heads = np.frombuffer(buffer or b"\0", np.uint8)[begin[:, None] + np.arange(-RECORD, 0)]
        numbers = np.ascontiguousarray(heads).view(f"{self._layout.order}u4").astype(np.int64)
        micros = numbers[:, 0] * 1_000_000 + numbers[:, 1] // self._layout.fine
        whole = columns.with_columns(
            pl.Series("timestamp", micros).cast(EVENT_TIME), pl.Series("bytes", numbers[:, 3])
        )
        return whole.filter(pl.Series(is_ip)).select(self._schema.names())
