"""Compressed files: any cut, damage, bombs, and streams that grow."""

import gzip
import os
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
import zstandard

from pydatastream.connectors.file import FileSource
from pydatastream.core.batch import Batch
from pydatastream.core.errors import ConfigError
from pydatastream.core.format import Decoded, StreamFormat
from pydatastream.core.source import Read

SCHEMA = pl.Schema({"line": pl.String})
LINES = [f"line {n} of some text" for n in range(5000)]
TEXT = "".join(f"{line}\n" for line in LINES).encode()


class PlainFormat(StreamFormat):
    extension = "plain"
    separator = b"\n"

    def infer(self, sample: bytes) -> pl.Schema:
        assert sample.startswith(b"line 0")
        return SCHEMA

    def decoder(self, schema: pl.Schema, header: bytes = b"") -> "Decode":
        return Decode()


class Decode:
    def cut(self, buffer: bytes) -> int:
        return buffer.rfind(b"\n") + 1

    def decode(self, records: bytes) -> Decoded:
        return Decoded(pl.DataFrame({"line": records.decode().splitlines()}, schema=SCHEMA))


def source(path: Path, **options: object) -> FileSource:
    return FileSource.model_validate({"path": str(path), "format": PlainFormat(), **options})


def batches(src: FileSource, **job: object) -> list[Batch]:
    found = src.open(src.partitions()[0], Read(SCHEMA, **job))
    return [batch for batch in found if batch is not None]


def lines(found: list[Batch]) -> list[str]:
    return [line for batch in found for line in batch.rows["line"]]


PACK: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress,
    "zst": zstandard.ZstdCompressor(write_checksum=True).compress,
}


@pytest.fixture(params=list(PACK))
def ending(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_any_range_of_a_compressed_file_is_read_exactly(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"f.plain.{ending}"
    path.write_bytes(PACK[ending](TEXT[:40_000]) + PACK[ending](TEXT[40_000:]))
    src = source(path)
    assert src.infer() == SCHEMA
    assert lines(batches(src)) == LINES
    found = batches(src, rows=900, bytes=7000)
    assert lines(found) == LINES
    for number, batch in enumerate(found):
        again = batches(
            src, resume=found[number - 1].offset if number else None, until=batch.offset
        )
        assert lines(again) == batch.rows["line"].to_list()
        assert dict(again[-1].offset) == dict(batch.offset)
        assert lines(batches(src, resume=batch.offset)) == lines(found[number + 1 :])


def test_compression_is_seen_in_the_bytes_not_in_the_name(tmp_path: Path, ending: str) -> None:
    path = tmp_path / "f.plain"
    path.write_bytes(PACK[ending](TEXT))
    assert lines(batches(source(path))) == LINES
    (tmp_path / "g.gz").write_bytes(TEXT)
    assert lines(batches(source(tmp_path / "g.gz"))) == LINES


def test_zero_padding_after_a_stream_is_no_damage(tmp_path: Path) -> None:
    path = tmp_path / "f.gz"
    path.write_bytes(gzip.compress(TEXT) + b"\0" * 512)
    found = batches(source(path))
    assert lines(found) == LINES
    assert not any(batch.dead.height for batch in found)


@pytest.mark.parametrize("harm", ["cut", "flipped", "junk after"])
def test_a_damaged_file_gives_its_good_rows_and_one_dead_letter(
    tmp_path: Path, ending: str, harm: str
) -> None:
    noise = "".join(f"{n} {os.urandom(40).hex()}\n" for n in range(5000)).encode()
    packed = bytearray(PACK[ending](noise))
    if harm == "cut":
        del packed[len(packed) * 3 // 4 :]
    elif harm == "flipped":
        packed[len(packed) // 2 : len(packed) // 2 + 8] = b"\xff" * 8
    else:
        packed += b"this is no compressed stream"
    path = tmp_path / f"f.{ending}"
    path.write_bytes(packed)
    src = source(path)
    found = batches(src)
    whole = noise.decode().splitlines()
    good = lines(found)
    assert sum(batch.dead.height for batch in found) == 1
    assert str(path) in found[-1].dead["error"].item()
    if harm != "flipped":
        assert good == whole[: len(good)]
        assert len(good) > (1500 if harm == "cut" else 4999)  # zstd: in blocks of 128 KiB
    assert found[-1].offset["broken"] is True
    assert batches(src, resume=found[-1].offset) == []
    again = batches(src, until=found[-1].offset)
    assert lines(again) == good
    assert dict(again[-1].offset) == dict(found[-1].offset)
    if len(found) > 1:
        assert lines(batches(src, until=found[-2].offset)) == good


@pytest.mark.parametrize("name", ["gz", "zst"])
def test_a_bomb_is_quarantined_before_it_swells(tmp_path: Path, name: str) -> None:
    path = tmp_path / f"bomb.{name}"
    piece = b"\n" * (1 << 20)
    if name == "gz":
        pack = zlib.compressobj(9, zlib.DEFLATED, 31)
        packed = b"".join(pack.compress(piece) for _ in range(256)) + pack.flush()
    else:
        packed = zstandard.ZstdCompressor().compress(b"\0" * (256 << 20))
    path.write_bytes(packed)
    seen: list[int] = []

    class Counting(Decode):
        def decode(self, records: bytes) -> Decoded:
            seen.append(len(records))
            return Decoded(pl.DataFrame(schema=SCHEMA))

    class CountingFormat(PlainFormat):
        def decoder(self, schema: pl.Schema, header: bytes = b"") -> Decode:
            return Counting()

    found = batches(source(path, format=CountingFormat()))
    assert sum(seen) <= 64 << 20
    assert "swells" in found[-1].dead["error"].to_list()[-1]


def test_a_compressed_file_that_grows_by_streams_is_followed(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"f.{ending}"
    packed = PACK[ending](TEXT)
    path.write_bytes(packed[:100])
    src = source(path, follow=True)
    reader = src.open(path.name, Read(SCHEMA))
    found = iter(reader)

    def take(count: int, polls: int = 200) -> list[str]:
        some: list[str] = []
        for _ in range(polls):
            batch = next(found)
            some += batch.rows["line"].to_list() if batch else []
            if len(some) >= count:
                break
        return some

    early = take(1, polls=5)
    with path.open("ab") as out:
        out.write(packed[100:])
    assert early + take(len(LINES) - len(early)) == LINES
    with path.open("ab") as out:
        out.write(PACK[ending](b"more\n"))
    assert take(1) == ["more"]
    reader.close()


def test_without_a_zstd_library_the_error_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "f.zst"
    path.write_bytes(PACK["zst"](TEXT))
    monkeypatch.setitem(sys.modules, "zstandard", None)
    monkeypatch.setitem(sys.modules, "compression.zstd", None)
    with pytest.raises(ConfigError, match=r"pydatastreamprocessor\[zstd\]"):
        batches(source(path))
