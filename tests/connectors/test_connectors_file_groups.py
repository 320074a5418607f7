"""Files of groups of rows: exact ranges within and across groups, damage, replacement."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from pydatastream.connectors.file import FileSource
from pydatastream.core.batch import Batch
from pydatastream.core.errors import RowError, SourceGap
from pydatastream.core.format import FileFormat
from pydatastream.core.source import Read

SCHEMA = pl.Schema({"n": pl.Int64})


class GroupsFormat(FileFormat):
    """A line is a group of numbers; a bad one is damage."""

    extension = "groups"

    def infer_file(self, path: Path) -> pl.Schema:
        return SCHEMA

    def groups(self, path: Path, schema: pl.Schema, first: int) -> Iterator[pl.DataFrame]:
        for line in path.read_text().split("\n")[first:]:
            if line == "damage":
                raise RowError("checksum differs")
            yield pl.DataFrame({"n": [int(word) for word in line.split()]}, schema=schema)


def batches(path: Path, **job: object) -> list[Batch]:
    src = FileSource(path=str(path), format=GroupsFormat())
    return [one for one in src.open(path.name, Read(SCHEMA, **job)) if one is not None]


def numbers(found: list[Batch]) -> list[int]:
    return [n for batch in found for n in batch.rows["n"]]


@pytest.mark.parametrize("rows", [1, 2, 3, 100])
def test_any_range_is_read_again_exactly(tmp_path: Path, rows: int) -> None:
    path = tmp_path / "f.groups"
    path.write_text("0 1 2 3 4\n\n5\n6 7 8\n")
    found = batches(path, rows=rows)
    assert numbers(found) == list(range(9))
    assert all(batch.rows.height <= rows for batch in found)
    bounds = [None, *(batch.offset for batch in found)]
    for first in range(len(found)):
        for last in range(first, len(found)):
            again = batches(path, resume=bounds[first], until=bounds[last + 1])
            assert numbers(again) == numbers(found[first : last + 1])
            assert dict(again[-1].offset) == dict(found[last].offset)
        assert numbers(batches(path, resume=bounds[first])) == numbers(found[first:])


def test_damage_is_one_dead_letter_and_what_came_before_stays(tmp_path: Path) -> None:
    path = tmp_path / "f.groups"
    path.write_text("0 1\n2\ndamage\n3")
    found = batches(path)
    assert numbers(found) == [0, 1, 2]
    assert found[-1].dead["error"].to_list() == [f"{path}: checksum differs"]
    assert batches(path, resume=found[-1].offset) == []
    assert numbers(batches(path, until=found[-2].offset)) == [0, 1, 2]
    again = batches(path, resume=found[-2].offset, until=found[-1].offset)
    assert dict(again[-1].offset) == dict(found[-1].offset)


def test_a_replaced_file_stops_the_run(tmp_path: Path) -> None:
    path = tmp_path / "f.groups"
    path.write_text("0 1\n2")
    offset = batches(path)[0].offset
    path.write_text("5 1\n2")
    with pytest.raises(SourceGap, match="replaced"):
        batches(path, resume=offset)
    path.unlink()
    with pytest.raises(SourceGap, match="no longer"):
        batches(path, resume=offset)


def test_a_followed_file_is_read_when_it_is_settled(tmp_path: Path) -> None:
    path = tmp_path / "f.groups"
    path.write_text("0 1")
    src = FileSource(path=str(tmp_path), format=GroupsFormat(), follow=True)
    assert src.infer() == SCHEMA
    reader = iter(src.open(path.name, Read(SCHEMA)))
    assert next(reader) is None
    past = time.time() - 5
    os.utime(path, (past, past))
    batch = next(reader)
    assert batch is not None
    assert batch.rows["n"].to_list() == [0, 1]
    assert list(reader) == []
