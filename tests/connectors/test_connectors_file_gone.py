"""A file that is removed between two runs: it must have been read to its end."""

from __future__ import annotations

import gzip
from pathlib import Path

import polars as pl
import pytest

from pydatastream import Pipeline
from pydatastream.connectors.file import FileSource
from pydatastream.core import faults
from pydatastream.core.errors import SourceGap
from pydatastream.core.source import Read
from pydatastream.formats.csv import CsvFormat
from pydatastream.formats.json import JsonFormat
from pydatastream.formats.parquet import ParquetFormat
from pydatastream.parts.files.tail import Tail

ROWS = 6


def pipeline(folder: Path) -> Pipeline:
    return (
        Pipeline("gone")
        .read("file", f"{folder}/in/*.jsonl", schema={"n": "int"}, format="json")
        .write("file", f"{folder}/out/", format="json")
        .checkpoint(f"{folder}/checkpoint", "0s")
        .batch(rows=ROWS // 2)
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    for name in "ab":
        lines = "".join(f'{{"n": {n}}}\n' for n in range(ROWS))
        (tmp_path / "in" / f"{name}.jsonl").write_text(lines)
    return tmp_path


def test_one_that_was_read_in_part_is_missed(folder: Path) -> None:
    faults.arm("epoch.committed:raise:2")
    try:
        with pytest.raises(OSError, match="fault"):
            pipeline(folder).run()
    finally:
        faults.arm(None)
    (folder / "in" / "a.jsonl").unlink()
    with pytest.raises(SourceGap, match=r"a\.jsonl is no longer there, and not all of its rows"):
        pipeline(folder).run()


def test_one_that_was_read_to_its_end_is_not(folder: Path) -> None:
    pipeline(folder).run()
    (folder / "in" / "a.jsonl").unlink()
    assert pipeline(folder).run().rows_in == 0


def test_a_file_that_has_its_name_still_is_found_without_a_look_at_all_others(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline(folder).run()
    monkeypatch.setattr(Tail, "_rotated", lambda _: pytest.fail("the folder is looked through"))
    assert pipeline(folder).run().rows_in == 0


LINES = b'{"n": 1}\n{"n": 2}\n'


@pytest.mark.parametrize("size", [len(LINES), 1, 9, 1 << 20])
@pytest.mark.parametrize("packed", [False, True])
def test_the_last_offset_says_that_it_is_the_end(tmp_path: Path, packed: bool, size: int) -> None:
    (tmp_path / "f").write_bytes(gzip.compress(LINES) if packed else LINES)
    source = FileSource(path=f"{tmp_path}/f", format=JsonFormat(), max_record=len(LINES))
    job = Read(source.infer(), rows=1, bytes=size)
    offsets = [batch.offset for batch in source.open("f", job) if batch]
    with pytest.raises(SourceGap):
        source.check_gone({"f": offsets[0]})
    source.check_gone({"f": offsets[-1]})


def test_what_follows_a_header_only_is_the_end(tmp_path: Path) -> None:
    (tmp_path / "f.csv").write_text("n\n1")
    source = FileSource(path=f"{tmp_path}/f.csv", format=CsvFormat())
    offsets = [one.offset for one in source.open("f.csv", Read(source.infer())) if one]
    source.check_gone({"f.csv": offsets[-1]})


def test_groups_tell_their_end(tmp_path: Path) -> None:
    source = FileSource(path=f"{tmp_path}/f.parquet", format=ParquetFormat())
    frame = pl.DataFrame({"n": list(range(ROWS))})
    frame.write_parquet(tmp_path / "f.parquet", row_group_size=2)
    offsets = [one.offset for one in source.open("f.parquet", Read(frame.schema)) if one]
    with pytest.raises(SourceGap):
        source.check_gone({"f.parquet": offsets[0]})
    source.check_gone({"f.parquet": offsets[-1]})
