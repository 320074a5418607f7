"""Part files that are called by what is in their first row, here and on a server."""

from __future__ import annotations

import getpass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from pydantic import ValidationError

from pydatastream.connectors.file_sink import FileSink
from pydatastream.connectors.sftp import SftpSink
from pydatastream.core import durable
from pydatastream.core.errors import ConfigError, SchemaError, StopError
from pydatastream.core.sink import Sink, Write
from pydatastream.core.times import EVENT_TIME
from pydatastream.formats.csv import CsvFormat

SCHEMA = pl.Schema({"ts": EVENT_TIME, "place": pl.String})
START = datetime(2026, 1, 1, tzinfo=UTC)
PATTERN = "calls_{ts:%Y%m%d_%H%M%S}"


def rows(start: int, stop: int, place: str = "attic") -> pl.DataFrame:
    times = [START + timedelta(seconds=n) for n in range(start, stop)]
    return pl.DataFrame({"ts": times, "place": place}, schema=SCHEMA)


def job(sink="out", *, durable=True):
    return Write(SCHEMA, "p", sink, durable, not durable, transactional=durable)


def local(place: Path, names: str = PATTERN, **more) -> FileSink:
    return FileSink(path=f"{place}/", format=CsvFormat(), names=names, **more)


@pytest.fixture(params=["file", "sftp"])
def made(request, tmp_path):
    """Makes sinks of one directory, and the directory itself."""
    if request.param == "file":
        return tmp_path, lambda names=PATTERN, **more: local(tmp_path, names, **more)
    server = request.getfixturevalue("sftp_server")
    name = request.node.name.replace("[", "_").replace("]", "")
    reach = {
        "host": "127.0.0.1",
        "port": server.port,
        "user": getpass.getuser(),
        "key_file": str(server.folder / "user_key"),
        "known_hosts": str(server.folder / "known_hosts"),
        "path": f"names-{name}",
        "format": CsvFormat(),
    }
    return server.root / f"names-{name}", lambda names=PATTERN, **more: SftpSink(
        **reach, names=names, **more
    )


def add(writer, epoch, frame):
    writer.begin(epoch)
    writer.write(frame)
    writer.publish(epoch)


def seen(place: Path) -> list[str]:
    return sorted(path.name for path in place.iterdir() if not path.name.startswith("."))


def hidden(place: Path) -> list[str]:
    return sorted(path.name for path in place.glob(".*") if not path.name.startswith(".pds-"))


def test_parts_are_called_by_their_first_row(made):
    place, sink = made
    writer = sink(roll_rows=2).open(job())
    add(writer, 1, rows(0, 4))
    add(writer, 2, rows(4, 5))
    writer.close()
    assert seen(place) == [f"calls_20260101_00000{n}.csv" for n in (0, 2, 4)]
    first = (place / "calls_20260101_000000.csv").read_text().splitlines()
    assert first == ["ts,place"] + [f"2026-01-01T00:00:0{n}.000000Z,attic" for n in (0, 1)]


def test_a_name_that_is_taken_stops_and_replaces_nothing(made):
    place, sink = made
    writer = sink().open(job())
    add(writer, 1, rows(0, 2))
    content = (place / "calls_20260101_000000.csv").read_text()
    for again in (writer, sink().open(job())):
        again.begin(2)
        with pytest.raises(StopError, match="a part called calls_20260101_000000.csv already"):
            again.write(rows(0, 1, "other"))
        again.close()
    assert (place / "calls_20260101_000000.csv").read_text() == content
    twice = sink(roll_rows=1).open(job())
    twice.begin(2)
    with pytest.raises(StopError, match="already"):
        twice.write(pl.concat([rows(7, 8), rows(7, 8)]))
    twice.close()
    assert seen(place) == ["calls_20260101_000000.csv"]


def test_what_an_attempt_left_goes_and_others_stay(made):
    place, sink = made
    writer = sink().open(job())
    add(writer, 1, rows(0, 1))
    writer.close()
    ending = "tmp" if isinstance(sink(), FileSink) else "part"
    (place / f".calls_20260101_000009.csv.c0ffee.{ending}").touch()
    (place / f".other_20260101_000009.csv.c0ffee.{ending}").touch()
    add(sink().open(job()), 2, rows(1, 2))
    assert hidden(place) == [f".other_20260101_000009.csv.c0ffee.{ending}"]
    assert seen(place) == [f"calls_20260101_00000{n}.csv" for n in (0, 1)]


def test_outputs_with_names_of_their_own_share_a_directory(made):
    place, sink = made
    one, other = sink().open(job("one")), sink("texts_{ts:%H%M%S}").open(job("other"))
    one.begin(1)
    one.write(rows(0, 1))
    add(other, 1, rows(0, 1))
    one.publish(1)
    assert seen(place) == ["calls_20260101_000000.csv", "texts_000000.csv"]
    for like in ("calls_{place}", "ca{place}", "calls_late_{place}"):
        with pytest.raises(ConfigError, match="writes here|holds the output"):
            sink(like).open(job("third"))
    one.close()
    other.close()


def test_files_of_another_run_are_refused(made):
    place, sink = made
    place.mkdir(exist_ok=True)
    (place / "calls_20250101_000000.csv").touch()
    with pytest.raises(ConfigError, match="of another run"):
        sink().open(job())


def test_without_a_checkpoint_a_run_replaces_the_last_one(made):
    place, sink = made
    for start in (0, 5):
        writer = sink().open(job(durable=False))
        add(writer, 1, rows(start, start + 1))
        writer.close()
    assert seen(place) == ["calls_20260101_000005.csv"]


@pytest.mark.parametrize("wrong", ["calls", "a/{ts}", "../{ts}", ".{ts}", "{ts}/b"])
def test_a_name_that_cannot_be_is_refused(wrong, tmp_path):
    with pytest.raises(ValidationError, match="a name needs a column, and no slashes"):
        local(tmp_path, wrong)


def test_a_column_that_is_not_there_is_refused(tmp_path):
    sink: Sink = local(tmp_path, "{plaice}")
    with pytest.raises(SchemaError, match="no column 'plaice'(.|\n)*did you mean 'place'"):
        sink.accepts(SCHEMA)


@pytest.mark.parametrize("value", ["../../x", "a/b", "", "x" * 300, "a\0b", "a\nb"])
def test_no_value_leads_out_of_the_directory(value, tmp_path):
    writer = local(tmp_path / "out", "{place}").open(job())
    writer.begin(1)
    with pytest.raises(StopError, match="no file can be called"):
        writer.write(rows(0, 1, value))


def test_a_part_that_cannot_be_synced_beside_the_next_stops_and_shows_nothing(
    tmp_path, monkeypatch
):
    place, settle, tries = tmp_path / "out", durable.settle, []

    def failing(file, path):
        tries.append(path)
        settle(file, path)
        if len(tries) == 3:
            raise StopError("cannot write: the disk is full", where=str(path))

    writer = local(place, roll_rows=1).open(job())
    monkeypatch.setattr(durable, "settle", failing)
    writer.begin(1)
    with pytest.raises(StopError, match="the disk is full"):
        writer.write(rows(0, 40))
        writer.publish(1)
    writer.close()
    assert not seen(place)
    assert not hidden(place)
    monkeypatch.undo()
    add(local(place, roll_rows=1).open(job()), 1, rows(0, 40))
    assert len(seen(place)) == 40
