import os
import pty
import re
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pydatastream.connectors.console import ConsoleSink, cells
from pydatastream.core.sink import Write

HOSTILE = "\x1b[2J\x1b[31m[bold]x[/bold] :smile:\nforged line"


def printed(frames: list[pl.DataFrame], capfd: pytest.CaptureFixture[str], **options: int) -> str:
    writer = ConsoleSink(**options).open(Write(frames[0].schema, "p", "o"))
    writer.begin(0)
    for frame in frames:
        writer.write(frame)
    writer.publish(0)
    writer.close()
    assert writer.published() is None
    return capfd.readouterr().out


def test_plain_lines_are_aligned_and_complete(capfd: pytest.CaptureFixture[str]) -> None:
    first = pl.DataFrame({"id": ["a", "bb"], "value": [1.0, 22.123456], "on": [True, None]})
    later = pl.DataFrame({"id": ["c" * 6], "value": [-3.0], "on": [False]})
    assert printed([first, first.clear(), later], capfd).splitlines() == [
        "id    value  on",
        "a       1.0  true",
        "bb  22.1235  null",
        "cccccc     -3.0  false",
    ]


def test_every_row_is_printed_off_a_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    rows = pl.DataFrame({"n": range(1000)})
    assert len(printed([rows], capfd, rows=2).splitlines()) == 1001


def test_hostile_text_is_one_harmless_line(capfd: pytest.CaptureFixture[str]) -> None:
    rows = pl.DataFrame({HOSTILE: [HOSTILE]})
    header, line = printed([rows], capfd, width=80).splitlines()
    assert header == line == r"\x1b[2J\x1b[31m[bold]x[/bold] :smile:\nforged line"


NOON = datetime(2024, 1, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "dtype", "shown"),
    [
        (NOON, pl.Datetime("us", "Europe/Rome"), "2024-01-01T12:00:00Z"),
        (NOON.replace(tzinfo=None, microsecond=5), pl.Datetime("us"), "2024-01-01T12:00:00.000005"),
        (date(2024, 1, 1), pl.Date, "2024-01-01"),
        (timedelta(seconds=90), pl.Duration("us"), "PT1M30S"),
        (b"\xff\x00", pl.Binary, "ff00"),
        (["a", "\x1b"], pl.List(pl.String), r'["a","\u001b"]'),
        ([b"\xff"], pl.List(pl.Binary), r"[b'\xff']"),
        ({"a": 1, "b": None}, pl.Struct({"a": pl.Int64, "b": pl.Int64}), '{"a":1,"b":null}'),
        (None, pl.List(pl.Int64), "null"),
        (None, pl.Null, "null"),
        (float("nan"), pl.Float64, "NaN"),
        (float("-inf"), pl.Float64, "-inf"),
        (1e-9, pl.Float64, "1e-9"),
        (1700000000.123456, pl.Float64, "1700000000.1235"),
        (2**63 - 1, pl.Int64, str(2**63 - 1)),
        ("", pl.String, ""),
        ("漢字", pl.String, "漢字"),
        ("x" * 50, pl.String, "x" * 39 + "…"),
        ("x" * 40, pl.String, "x" * 40),
    ],
)
def test_a_value_of_each_type_can_be_read(value: Any, dtype: Any, shown: str) -> None:
    rows = pl.DataFrame({"v": pl.Series([value], dtype=dtype)})
    assert cells(rows, 40).item().lower() == shown.lower()


@example("\u202eevil\u2066")
@example("\x9b31m")
@given(st.text())
def test_a_cell_is_always_printable_and_never_too_wide(words: str) -> None:
    shown = cells(pl.DataFrame({"v": [words]}), 12).item()
    assert len(shown) <= 12
    assert not re.search(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069]", shown)


def test_rich_is_loaded_by_a_terminal_alone() -> None:
    code = "import pydatastream.connectors.console, sys; print('rich' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "False\n"


def show() -> None:
    rows = pl.DataFrame({"n": range(100), "[red]": [HOSTILE] * 100})
    writer = ConsoleSink(rows=3, width=60).open(Write(rows.schema, "p", "o"))
    writer.begin(0)
    writer.write(rows.head(40))
    writer.write(rows.slice(40))
    writer.publish(0)
    writer.close()
    writer.close()


def on_terminal() -> str:
    leader, follower = pty.openpty()
    env = os.environ | {"TERM": "xterm", "COLUMNS": "90", "LINES": "30"}
    with subprocess.Popen([sys.executable, __file__], stdout=follower, env=env) as child:
        os.close(follower)
        text = b""
        while chunk := _read(leader):
            text += chunk
    os.close(leader)
    assert child.returncode == 0
    return text.decode()


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65536)
    except OSError:  # Linux says EIO when the other side is closed
        return b""


def test_a_terminal_shows_a_table_of_the_latest_rows() -> None:
    text = on_terminal()
    last = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text.rpartition("┏")[2])
    assert re.findall(r"│ +(\d+) │", last) == ["97", "98", "99"]
    assert "100 rows" in last
    assert "[red]" in last
    assert last.count(r"\x1b[2J\x1b[31m[bold]x[/bold] :smile:\nforged line") == 3
    assert "\x1b[31m" not in text


def test_a_reader_that_leaves_is_told_to_the_engine() -> None:
    code = (
        "import polars as pl, sys\n"
        "from pydatastream.connectors.console import ConsoleSink\n"
        "from pydatastream.core.errors import SinkClosed\n"
        "from pydatastream.core.sink import Write\n"
        "rows = pl.DataFrame({'n': range(1000)})\n"
        "writer = ConsoleSink().open(Write(rows.schema, 'p', 'o'))\n"
        "try:\n"
        "    while True: writer.write(rows)\n"
        "except SinkClosed: sys.exit(7)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=-1, stderr=-1) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        child.stdout.read(10)
        child.stdout.close()
        assert child.stderr.read() == b""
    assert child.returncode == 7


if __name__ == "__main__":
    show()
