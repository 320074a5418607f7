"""SFTP against OpenSSH; what arrived is read back by the sftp program."""

from __future__ import annotations

import getpass
import time
from collections import Counter

import paramiko
import polars as pl
import pytest
from remote_runs import (
    FAULTS,
    ROWS,
    ROWS_OF,
    SCHEMA,
    delays,
    each_once,
    finished,
    ids,
    killed_at_times,
    pipeline,
    ran,
    started,
    write_rows,
)

from pydatastream.connectors.sftp import SftpSink, SftpSource
from pydatastream.core.errors import ConfigError, Fenced, RetryLater, SourceGap
from pydatastream.core.sink import Write
from pydatastream.core.source import Read
from pydatastream.formats.csv import CsvFormat
from pydatastream.formats.json import JsonFormat
from pydatastream.formats.parquet import ParquetFormat
from pydatastream.parts.ssh.versions import Versions


@pytest.fixture
def place(sftp_server, request):
    """A folder of its own on the server, by its path there."""
    name = request.node.name.replace("[", "_").replace("]", "").replace(".", "_")
    name = name.replace(":", "_")
    (sftp_server.root / name).mkdir()
    return name


@pytest.fixture
def reach(sftp_server):
    return {
        "host": "127.0.0.1",
        "port": sftp_server.port,
        "user": getpass.getuser(),
        "key_file": str(sftp_server.folder / "user_key"),
        "known_hosts": str(sftp_server.folder / "known_hosts"),
    }


def told(reach, path, **more):
    options = {**reach, "path": path, **more}
    return "{type: sftp, " + ", ".join(f"{key}: {value}" for key, value in options.items()) + "}"


def job(**how):
    given = {"pipeline": "p", "sink": "out", "durable": True, "transactional": True} | how
    return Write(SCHEMA, **given)


def writer(reach, place, form=None, sink=None, **how):
    options = {**reach, "path": place, "format": form or JsonFormat(), **(sink or {})}
    return SftpSink(**options).open(job(**how))


def written(one, epoch, rows=ROWS_OF):
    one.begin(epoch)
    one.write(rows)
    one.publish(epoch)


def texts(server, place, tmp_path):
    """The visible parts, fetched by the sftp program."""
    target = tmp_path / f"fetched-{time.monotonic_ns()}"
    target.mkdir()
    server.sftp(f"get {place}/part-* {target}/")
    return [file.read_text() for file in sorted(target.iterdir())]


def rows_of(source, **how):
    found = []
    for name in source.partitions():
        reader = source.open(name, Read(SCHEMA, **how))
        found += [batch.rows for batch in reader if batch is not None]
        reader.close()
    return pl.concat(found) if found else pl.DataFrame(schema=SCHEMA)


@pytest.mark.parametrize("form", [JsonFormat(), CsvFormat(), ParquetFormat()])
def test_what_is_written_is_read_back(reach, place, form):
    one = writer(reach, place, form)
    written(one, 1)
    written(one, 2, ROWS_OF.reverse())
    one.close()
    one.close()
    source = SftpSource(**reach, path=place, format=form)
    expected = pl.concat([ROWS_OF, ROWS_OF.reverse()])
    assert rows_of(source).equals(expected)
    assert source.infer().names() == ["id", "text"]


def test_compressed_parts_that_roll(reach, place, sftp_server):
    one = writer(reach, place, sink={"compression": "gzip", "roll_rows": 2})
    written(one, 1)
    one.close()
    names = sorted(path.name for path in (sftp_server.root / place).glob("part-*"))
    assert names == [f"part-00000001-{n}.jsonl.gz" for n in range(3)]
    assert rows_of(SftpSource(**reach, path=place, format=JsonFormat())).equals(ROWS_OF)


def test_nothing_shows_before_publish_and_publishing_twice_is_publishing_once(
    reach, place, sftp_server, tmp_path
):
    one = writer(reach, place)
    one.begin(1)
    one.write(ROWS_OF)
    assert "part-" not in sftp_server.sftp(f"ls -1 {place}")
    one.publish(1)
    one.publish(1)
    assert ids(texts(sftp_server, place, tmp_path)) == each_once(5)
    again = writer(reach, place)
    assert again.published() == 1
    again.publish(1)
    assert ids(texts(sftp_server, place, tmp_path)) == each_once(5)
    one.close()
    again.close()


def test_an_epoch_begun_again_starts_afresh(reach, place, sftp_server, tmp_path):
    one = writer(reach, place)
    one.begin(1)
    one.write(ROWS_OF)
    written(one, 1, ROWS_OF.head(2))
    one.close()
    assert ids(texts(sftp_server, place, tmp_path)) == each_once(2)
    assert not list((sftp_server.root / place).glob(".part-*"))


def test_an_instance_that_was_replaced_cannot_publish(reach, place):
    old = writer(reach, place)
    written(old, 1)
    old.begin(2)
    old.write(ROWS_OF)
    new = writer(reach, place)
    with pytest.raises(Fenced, match="another instance"):
        old.publish(2)
    written(new, 2)
    new.close()
    old.close()


STEPS = [(Versions, "_create"), (paramiko.SFTPClient, "rename")]


@pytest.mark.parametrize("step", STEPS, ids=["unwritten", "unnamed"])
@pytest.mark.parametrize("epochs", [0, 2])
def test_nor_can_one_that_halts_in_its_last_step(
    reach, place, tmp_path, sftp_server, monkeypatch, epochs, step
):
    """Just before the marker is written, or has its name, another takes over and goes on."""
    old, begun, others = writer(reach, place), [], []
    written(old, 1)
    old.begin(2)
    old.write(ROWS_OF)

    act = getattr(*step)

    def late(*args):
        if not begun:
            begun.append(True)
            others.append(writer(reach, place))
            for epoch in range(2, 2 + epochs):
                written(others[0], epoch, pl.DataFrame({"id": [100 + epoch], "text": ["x"]}))
        return act(*args)

    monkeypatch.setattr(*step, late)
    with pytest.raises(Fenced, match="another instance"):
        old.publish(2)
    old.close()
    written(others[0], 2 + epochs, pl.DataFrame({"id": [200], "text": ["x"]}))
    others[0].close()
    expected = [*range(5), *range(102, 102 + epochs), 200]
    assert ids(texts(sftp_server, place, tmp_path)) == Counter(expected)
    again = writer(reach, place)
    assert again.published() == 2 + epochs
    again.close()
    (marker,) = (sftp_server.root / place).glob(".pds-*")
    assert marker.suffix[1:].isdigit()


def test_a_place_of_another_run_is_refused(reach, place):
    free = writer(reach, place, durable=False)
    written(free, 1)
    free.close()
    with pytest.raises(ConfigError, match="of another run"):
        writer(reach, place)


def test_without_a_checkpoint_a_run_replaces_the_last_one(reach, place, sftp_server, tmp_path):
    for count in (5, 3):
        one = writer(reach, place, durable=False)
        for epoch in range(1, count + 1):
            written(one, epoch, pl.DataFrame({"id": [epoch - 1], "text": ["x"]}))
        one.close()
    assert ids(texts(sftp_server, place, tmp_path)) == each_once(3)


def test_reading_goes_on_after_an_offset_and_ends_at_one(reach, place, sftp_server):
    write_rows(sftp_server.root / place / "a.jsonl", 100)
    source = SftpSource(**reach, path=f"{place}/*.jsonl", format=JsonFormat())
    read = [one for one in source.open("a.jsonl", Read(SCHEMA, rows=10)) if one]
    assert sum(one.rows.height for one in read) == 100
    middle, end = read[2].offset, read[5].offset
    again = [one for one in source.open("a.jsonl", Read(SCHEMA, middle, end, rows=7)) if one]
    assert dict(again[-1].offset) == dict(end)
    assert pl.concat([one.rows for one in again]).equals(pl.concat([one.rows for one in read[3:6]]))
    assert not list(source.open("a.jsonl", Read(SCHEMA, read[-1].offset)))


@pytest.mark.parametrize("change", ["removed", "replaced"])
def test_a_file_that_is_not_as_it_was_stops(reach, place, sftp_server, change):
    file = sftp_server.root / place / "a.jsonl"
    write_rows(file, 5000)
    source = SftpSource(**reach, path=place, format=JsonFormat(), max_record=2000)
    reader = iter(source.open("a.jsonl", Read(SCHEMA, rows=10, bytes=1000)))
    while (first := next(reader)) is None:
        pass
    assert first.rows.height
    file.unlink()
    if change == "replaced":
        write_rows(file, 10)
    with pytest.raises(SourceGap, match=r"a\.jsonl"):
        list(reader)


def test_a_broken_row_is_a_dead_letter(reach, place, sftp_server):
    (sftp_server.root / place / "a.jsonl").write_bytes(b'{"id": 1}\n{oops\n{"id": 2}\n')
    source = SftpSource(**reach, path=place, format=JsonFormat())
    (batch,) = [one for one in source.open("a.jsonl", Read(SCHEMA)) if one]
    assert batch.rows["id"].to_list() == [1, 2]
    assert batch.dead["payload"].to_list() == ["{oops"]


def test_followed_files_are_read_when_they_are_whole(reach, place, sftp_server):
    folder = sftp_server.root / place
    source = SftpSource(**reach, path=place, format=JsonFormat(), follow=True, every="10ms")
    assert source.partitions() == []
    file = folder / "a.jsonl"
    file.write_text('{"id": 0}\n{"id"')
    time.sleep(0.02)
    assert source.partitions() == ["a.jsonl"]
    reader = iter(source.open("a.jsonl", Read(SCHEMA)))
    for _ in range(50):
        assert next(reader) is None
    file.write_text('{"id": 0}\n{"id": 1}\n')
    batches = [one for one in reader if one is not None]
    assert [one.rows["id"].to_list() for one in batches] == [[0, 1]]


def test_done_files_say_what_is_whole(reach, place, sftp_server):
    folder = sftp_server.root / place
    for name in ("a.jsonl", "b.jsonl"):
        write_rows(folder / name, 3)
    (folder / "b.jsonl.done").touch()
    source = SftpSource(**reach, path=f"{place}/*.jsonl", format=JsonFormat(), ready="done")
    assert source.partitions() == ["b.jsonl"]


def test_links_and_hidden_files_are_left_out(reach, place, sftp_server):
    folder = sftp_server.root / place
    write_rows(folder / "a.jsonl", 3)
    (folder / ".b.jsonl").touch()
    (folder / "_c.jsonl").touch()
    (folder / "d.jsonl").symlink_to("/etc/passwd")
    assert SftpSource(**reach, path=place, format=JsonFormat()).partitions() == ["a.jsonl"]


def other_key(tmp_path, server):
    server.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "other"))
    return tmp_path / "other"


def test_a_wrong_host_key_is_refused(reach, place, sftp_server, tmp_path):
    other = other_key(tmp_path, sftp_server).with_suffix(".pub").read_text()
    known = tmp_path / "known"
    known.write_text(f"[127.0.0.1]:{sftp_server.port} {other}")
    for wrong in ({"known_hosts": str(known)}, {"host_key": other}):
        with pytest.raises(ConfigError, match="another host key"):
            SftpSource(**reach | wrong, path=place).check()


def test_an_unknown_host_key_is_never_added(reach, place, tmp_path):
    known = tmp_path / "known"
    known.touch()
    with pytest.raises(ConfigError, match=r"is not known(.|\n)*ssh-keyscan"):
        SftpSink(**reach | {"known_hosts": str(known)}, path=place).check()
    assert not known.read_text()


def test_a_pinned_host_key_is_enough(reach, place, sftp_server):
    key = (sftp_server.folder / "host_key.pub").read_text()
    SftpSource(**reach | {"known_hosts": None, "host_key": key}, path=place).check()


def test_wrong_logins_say_what_to_check(reach, place, sftp_server, tmp_path):
    other = other_key(tmp_path, sftp_server)
    wrong = [
        ({"key_file": str(other)}, "refuses user .* \\(key_file\\)"),
        ({"key_file": str(tmp_path / "none")}, "no such file"),
        ({"key_file": str(sftp_server.folder / "sshd_config")}, "cannot be read"),
        ({"key_file": None, "password": "secret-canary"}, "refuses user .* \\(password\\)"),
        ({"known_hosts": str(tmp_path / "none")}, "known_hosts: no such file"),
        ({"path": "no/such/folder"}, "no such file or directory"),
    ]
    for options, message in wrong:
        with pytest.raises(ConfigError, match=message) as caught:
            SftpSource(**{**reach, "path": place, **options}).check()
        assert "secret-canary" not in str(caught.value)


def test_a_server_that_is_not_there_is_waited_for(reach, place):
    with pytest.raises(RetryLater, match=r"sftp://127\.0\.0\.1:1 "):
        SftpSink(**reach | {"port": 1}, path=place).check()


def test_killed_at_each_step_nothing_is_lost_or_doubled(reach, place, sftp_server, tmp_path):
    write_rows(tmp_path / "in.jsonl")
    path = pipeline(
        tmp_path, "{type: file, path: in.jsonl, format: json}", told(reach, place, format="json")
    )
    assert [ran(path, fault) for fault in FAULTS] == [-9] * len(FAULTS)
    finished(path)
    assert ids(texts(sftp_server, place, tmp_path)) == each_once()
    assert not list((sftp_server.root / place).glob(".part-*"))


def test_killed_at_random_nothing_is_lost_or_doubled(reach, place, sftp_server, tmp_path, long):
    write_rows(tmp_path / "in.jsonl", ROWS * 2)
    path = pipeline(
        tmp_path,
        "{type: file, path: in.jsonl, format: json}",
        told(reach, place, format="json"),
        rows=100,
    )
    killed_at_times(path, delays(40 if long else 2))
    finished(path)
    assert ids(texts(sftp_server, place, tmp_path)) == each_once(ROWS * 2)


def test_from_sftp_killed_nothing_is_lost_or_doubled(reach, place, sftp_server, tmp_path):
    for n in range(3):
        write_rows(sftp_server.root / place / f"{n}.jsonl", 1000, n * 1000)
    path = pipeline(
        tmp_path, told(reach, place, format="json"), "{type: file, path: out/, format: json}"
    )
    for fault in ("epoch.intended:kill:2", "epoch.published:kill:3"):
        assert ran(path, fault) == -9
    finished(path)
    found = [file.read_text() for file in (tmp_path / "out").glob("part-*")]
    assert ids(found) == each_once()


def test_a_server_that_stops_and_starts_is_waited_for(reach, place, sftp_server, tmp_path):
    write_rows(tmp_path / "in.jsonl", ROWS * 2)
    path = pipeline(
        tmp_path,
        "{type: file, path: in.jsonl, format: json}",
        told(reach, place, format="json"),
        rows=100,
    )
    process = started(path)
    parts = sftp_server.root / place
    deadline = time.monotonic() + 20
    while not list(parts.glob("part-*")) and time.monotonic() < deadline:
        time.sleep(0.01)
    for _ in range(2):
        sftp_server.kill()
        time.sleep(0.2)
        sftp_server.start()
        time.sleep(0.3)
    text, _ = process.communicate(timeout=60)
    assert process.returncode == 0, text
    assert ids(texts(sftp_server, place, tmp_path)) == each_once(ROWS * 2)
