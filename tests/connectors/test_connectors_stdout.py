import os
import subprocess
import sys
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import ClassVar

import polars as pl
import pytest
from number_format import NumbersFormat

from pydatastream.connectors.stdout import StdoutSink
from pydatastream.core.errors import ConfigError, SinkClosed
from pydatastream.core.format import FileFormat
from pydatastream.core.sink import Write

SCHEMA = pl.Schema({"id": pl.Int64})


def job(*, bounded: bool) -> Write:
    return Write(SCHEMA, "p", "o", bounded=bounded)


def ids(*numbers: int) -> pl.DataFrame:
    return pl.DataFrame({"id": numbers}, schema=SCHEMA)


def test_rows_are_out_at_once_and_the_end_comes_with_the_run(
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:
    writer = StdoutSink(format=NumbersFormat()).open(job(bounded=True))
    writer.begin(0)
    writer.write(ids(1, 2))
    assert capfdbinary.readouterr().out == b"<\n1\n2\n"
    writer.write(ids(3))
    writer.publish(0)
    writer.close()
    writer.close()
    assert capfdbinary.readouterr().out == b"3\n>\n"
    assert writer.published() is None


def test_a_run_without_rows_is_a_stream_without_records(
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:
    writer = StdoutSink(format=NumbersFormat()).open(job(bounded=True))
    writer.begin(0)
    writer.publish(0)
    assert capfdbinary.readouterr().out == b"<\n>\n"


def test_a_bounded_run_that_broke_has_no_end(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    writer = StdoutSink(format=NumbersFormat()).open(job(bounded=True))
    writer.begin(0)
    writer.write(ids(1))
    writer.close()
    assert capfdbinary.readouterr().out == b"<\n1\n"


def test_an_endless_run_starts_once_and_ends_when_closed(
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:
    writer = StdoutSink(format=NumbersFormat()).open(job(bounded=False))
    for epoch in (1, 2):
        writer.begin(epoch)
        writer.write(ids(epoch))
        writer.publish(epoch)
    writer.close()
    writer.close()
    assert capfdbinary.readouterr().out == b"<\n1\n2\n>\n"


def test_it_keeps_the_order_with_what_a_program_prints(
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:
    writer = StdoutSink(format=NumbersFormat()).open(job(bounded=False))
    print("before", end=" ")
    writer.write(ids(1))
    print("after")
    assert capfdbinary.readouterr().out == b"before <\n1\nafter\n"


def test_a_standard_output_of_text_alone_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    notebook = StringIO()
    monkeypatch.setattr(sys, "stdout", notebook)
    writer = StdoutSink(format=NumbersFormat()).open(job(bounded=False))
    writer.write(ids(1))
    assert notebook.getvalue() == "<\n1\n"


class HeapFormat(FileFormat):
    extension: ClassVar[str] = "heap"


@pytest.mark.parametrize("chosen", [HeapFormat(), None])
def test_a_format_that_is_no_stream_is_refused(chosen: HeapFormat | None) -> None:
    with pytest.raises(ConfigError, match="needs a format of records"):
        StdoutSink(format=chosen).open(job(bounded=True))
    with pytest.raises(ConfigError, match="needs a format of records"):
        StdoutSink(format=chosen).accepts(SCHEMA)


def test_rows_are_json_where_nothing_is_said() -> None:
    assert StdoutSink().format_hint() == "json"


def talk() -> None:
    writer = StdoutSink(format=NumbersFormat()).open(job(bounded=False))
    try:
        for start in range(0, 60_000, 30_000):
            writer.write(ids(*range(start, start + 30_000)))
    except SinkClosed:
        writer.close()
        sys.exit(7)


@pytest.fixture(params=["", "1"])
def child(request: pytest.FixtureRequest) -> Iterator[subprocess.Popen[bytes]]:
    """A process that talks, with a standard output that is buffered and one that is not."""
    env = os.environ | {"PYTHONUNBUFFERED": request.param}
    run = [sys.executable, str(Path(__file__))]
    with subprocess.Popen(run, stdout=-1, stderr=-1, env=env) as process:
        yield process


def test_all_of_a_large_write_arrives(child: subprocess.Popen[bytes]) -> None:
    out, err = child.communicate()
    assert err == b""
    assert out.split() == [b"<", *(b"%d" % one for one in range(60_000))]


def test_a_reader_that_leaves_ends_the_run_quietly(child: subprocess.Popen[bytes]) -> None:
    assert child.stdout is not None
    assert child.stderr is not None
    assert child.stdout.readline() == b"<\n"
    child.stdout.close()
    assert child.stderr.read() == b""
    assert child.wait() == 7


if __name__ == "__main__":
    talk()
