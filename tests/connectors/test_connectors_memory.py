"""Rows in memory: given, read by number, kept by epoch."""

import polars as pl
import pytest

from pydatastream.connectors.memory import MemorySink, MemorySource
from pydatastream.core.errors import SchemaError, SourceGap
from pydatastream.core.sink import Write
from pydatastream.core.source import Read

ROWS = [{"a": 1, "b": "x"}, {"a": 2}, {"b": "z", "c": 1.5}]
JOB = Write(schema=pl.Schema({"n": pl.Int64}), pipeline="p", sink="out", durable=True)


def read(src: MemorySource, partition: str = "memory", **job: object) -> list[pl.DataFrame]:
    reader = src.open(partition, Read(src.declared(), **job))
    return [batch.rows for batch in reader if batch is not None]


def test_mappings_need_not_have_the_same_keys() -> None:
    src = MemorySource(rows=ROWS)
    assert src.declared() == pl.Schema({"a": pl.Int64, "b": pl.String, "c": pl.Float64})
    assert pl.concat(read(src)).to_dicts() == [
        {"a": 1, "b": "x", "c": None},
        {"a": 2, "b": None, "c": None},
        {"a": None, "b": "z", "c": 1.5},
    ]


def test_rows_can_be_written_back() -> None:
    src = MemorySource.model_validate({"rows": ROWS, "time": "a"})
    again = MemorySource.model_validate(src.options())
    assert again.rows["memory"].equals(src.rows["memory"])
    assert MemorySource(rows=pl.DataFrame({"n": range(5000)})).options() == {"rows": "5000 rows"}


def test_several_partitions_and_a_declared_schema() -> None:
    parts = {"left": pl.DataFrame({"n": [1, 2]}), "right": [{"n": 3, "m": 1}]}
    src = MemorySource.model_validate({"rows": parts, "schema": {"n": "float", "m": "int"}})
    assert src.partitions() == ["left", "right"]
    assert read(src, "left")[0].to_dicts() == [{"n": 1.0, "m": None}, {"n": 2.0, "m": None}]
    assert MemorySource(rows=parts).declared() == pl.Schema({"n": pl.Int64, "m": pl.Int64})


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="list of mappings"):
        MemorySource(rows="some rows")
    src = MemorySource.model_validate({"rows": [{"n": "x"}], "schema": {"n": "int"}})
    with pytest.raises(SchemaError, match="do not fit"):
        read(src)


def test_every_range_is_read_again_exactly() -> None:
    src = MemorySource(rows=pl.DataFrame({"n": range(10)}))
    reader = src.open("memory", Read(src.declared(), rows=3))
    found = [batch for batch in reader if batch is not None]
    assert [batch.offset["at"] for batch in found] == [3, 6, 9, 10]
    for first in range(4):
        for last in range(first, 4):
            resume = found[first - 1].offset if first else None
            again = read(src, resume=resume, until=found[last].offset, rows=2)
            wanted = pl.concat([batch.rows for batch in found[first : last + 1]])
            assert pl.concat(again).equals(wanted)
    with pytest.raises(SourceGap):
        src.open("memory", Read(src.declared(), resume={"at": 11}))


def test_a_sink_shows_an_epoch_when_it_is_published_and_once() -> None:
    sink = MemorySink()
    writer = sink.open(JOB)
    assert writer.published() is None
    for _ in range(2):
        writer.begin(1)
        writer.write(pl.DataFrame({"n": [1, 2]}))
    assert sink.frame().height == 0
    for _ in range(2):
        writer.publish(1)
    writer.begin(1)
    writer.write(pl.DataFrame({"n": [1, 2]}))
    writer.publish(1)
    writer.close()
    writer.close()
    assert sink.frame()["n"].to_list() == [1, 2]
    again = sink.open(JOB)
    assert again.published() == 1
    again.begin(2)
    again.write(pl.DataFrame({"n": [3]}))
    again.close()
    assert sink.frame()["n"].to_list() == [1, 2]


def test_a_run_of_its_own_replaces_the_last_and_sinks_are_apart() -> None:
    sink, other = MemorySink(key="mine"), MemorySink()
    writer = sink.open(JOB)
    writer.begin(0)
    writer.write(pl.DataFrame({"n": [1]}))
    writer.publish(0)
    assert MemorySink(key="mine").frame()["n"].to_list() == [1]
    assert other.frame().height == 0
    sink.open(Write(JOB.schema, "p", "out"))
    assert sink.frame().height == 0
    assert sink.frame().schema == JOB.schema
    sink.forget()
    assert sink.frame().width == 0
