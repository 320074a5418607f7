"""Show rows to a person."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, ClassVar, Literal

import polars as pl
from pydantic import Field

from pydatastream.core.sink import Delivery, Sink, Write, Writer
from pydatastream.parts.streams.standard_output import put

if TYPE_CHECKING:
    from rich.live import Live
    from rich.table import Table
    from rich.text import Text

_UNPRINTABLE = (
    *range(0x20),  # control characters, ESC among them
    *range(0x7F, 0xA0),
    *range(0x200B, 0x2010),  # invisible, and marks of direction
    *range(0x2028, 0x202F),
    *range(0x2060, 0x2070),
    0xFEFF,
)
ESCAPES = {chr(code): repr(chr(code))[1:-1] for code in _UNPRINTABLE}
"""What stands for characters that could move the cursor or hide text."""


class ConsoleSink(Sink):
    """Show rows to a person: a live table of the latest, or plain lines.

    On a terminal a table shows the latest rows. Elsewhere (a pipe, a log) every row is one line,
    in aligned columns. Control characters are escaped and long cells cut; numbers have at most
    four decimals, times are ISO-8601 in UTC. To hand rows to a program, use `stdout`.

    Delivery: at least once. Rows are shown as they come: an epoch that is replayed after a crash
    shows its rows again. The live table is a view, not a record: it passes over rows that come
    faster than it is drawn.
    """

    delivery: ClassVar[Delivery] = Delivery.AT_LEAST_ONCE
    primary: ClassVar[str | None] = "rows"
    example: ClassVar[str] = "{type: console, rows: 20}"

    rows: int = Field(20, gt=0)
    """How many rows the live table shows."""
    width: int = Field(40, ge=8)
    """The most characters of a cell; a longer one is cut."""

    def open(self, job: Write) -> Writer:
        """Start showing."""
        if not sys.stdout.isatty():
            return PlainLines(job.schema, self.width)
        from rich import get_console
        from rich.live import Live
        from rich.table import Table
        from rich.text import Text

        table = LatestRows(self, job.schema, Table, Text)
        # The one console of the process, so that several live displays share the screen.
        view = Live(get_renderable=table.drawn, console=get_console(), redirect_stdout=False)
        return LiveTable(table, view)


class LatestRows:
    """The last rows seen, and how they look."""

    def __init__(
        self, sink: ConsoleSink, schema: pl.Schema, table: type[Table], text: type[Text]
    ) -> None:
        self._sink, self._schema, self._table, self._text = sink, schema, table, text
        self._seen, self._rows = 0, pl.DataFrame(schema=schema)

    def add(self, rows: pl.DataFrame) -> None:
        """Take rows in."""
        self._seen += rows.height
        most = self._sink.rows
        self._rows = pl.concat([self._rows, rows.tail(most)]).tail(most)

    def drawn(self) -> Table:
        """The table as it is now; nothing in a cell or a name is taken for markup."""
        table = self._table(caption=f"{self._seen:,} rows", caption_justify="left")
        for name, dtype in self._schema.items():
            side: Literal["left", "right"] = "right" if dtype.is_numeric() else "left"
            table.add_column(self._text(_escaped_name(name, self._sink.width)), justify=side)
        for row in cells(self._rows, self._sink.width).iter_rows():
            table.add_row(*map(self._text, row))
        return table


class LiveTable:
    """Draws the table a few times a second, from the first row until it is closed."""

    def __init__(self, table: LatestRows, view: Live) -> None:
        self._table, self._view = table, view

    def begin(self, epoch: int) -> None:
        """Nothing to prepare: what was seen cannot be taken back."""

    def write(self, rows: pl.DataFrame) -> None:
        self._table.add(rows)
        self._view.start()

    def publish(self, epoch: int) -> None:
        """What is shown is shown."""

    def published(self) -> int | None:
        return None

    def close(self) -> None:
        self._view.stop()


class PlainLines:
    """Prints a line per row; columns grow wider when they must, and never narrower."""

    def __init__(self, schema: pl.Schema, width: int) -> None:
        self._width = width
        self._names = [_escaped_name(name, width) for name in schema.names()]
        self._numeric = [dtype.is_numeric() for dtype in schema.dtypes()]
        self._widths = [len(name) for name in self._names]
        self._started = False

    def begin(self, epoch: int) -> None:
        """Nothing to prepare: a printed line cannot be taken back."""

    def write(self, rows: pl.DataFrame) -> None:
        if rows.is_empty():
            return
        shown = cells(rows, self._width)
        longest = shown.select(pl.all().str.len_chars().max()).row(0)
        self._widths = [max(pair) for pair in zip(self._widths, longest, strict=True)]
        if not self._started:
            names = pl.DataFrame([self._names], schema=shown.schema, orient="row")
            shown, self._started = pl.concat([names, shown]), True
        put("".join(f"{line}\n" for line in self._lines(shown)).encode())

    def _lines(self, shown: pl.DataFrame) -> list[str]:
        sides = zip(shown.columns, self._widths, self._numeric, strict=True)
        padded = [
            pl.col(name).str.pad_start(most) if numeric else pl.col(name).str.pad_end(most)
            for name, most, numeric in sides
        ]
        line = pl.concat_str(padded, separator="  ").str.strip_chars_end(" ")
        return shown.select(line.alias("line"))["line"].to_list()

    def publish(self, epoch: int) -> None:
        """What is printed is printed."""

    def published(self) -> int | None:
        return None

    def close(self) -> None:
        """Standard output stays open."""


def cells(rows: pl.DataFrame, width: int) -> pl.DataFrame:
    """Rows as text that is safe to print, each cell at most `width` characters."""
    return rows.select(_cell(column, width) for column in rows)


def _cell(values: pl.Series, width: int) -> pl.Series:
    cut = _text(values).fill_null("null").str.slice(0, width + 1)
    safe = cut.str.replace_many(ESCAPES)
    frame = safe.alias("safe").to_frame()
    short = pl.col("safe").str.slice(0, width - 1) + "…"
    fits = pl.col("safe").str.len_chars() <= width
    return frame.select(pl.when(fits).then("safe").otherwise(short).alias(values.name))[values.name]


def _escaped_name(name: str, width: int) -> str:
    return str(_cell(pl.Series([name]), width).item())


def _text(values: pl.Series) -> pl.Series:
    dtype = values.dtype
    # Polars has no JSON for bytes within lists and structs, and panics.
    if dtype == pl.Object or (dtype.is_nested() and "Binary" in repr(dtype)):
        words = [value if value is None else repr(value) for value in values.to_list()]
        return pl.Series(values.name, words, pl.String)
    if isinstance(dtype, pl.Datetime):
        zone = "Z" if dtype.time_zone else ""
        moment = values.dt.convert_time_zone("UTC") if zone else values
        return moment.dt.strftime(f"%Y-%m-%dT%H:%M:%S%.f{zone}")
    if isinstance(dtype, pl.Duration):
        return values.dt.to_string("iso")
    if isinstance(dtype, pl.Binary):
        return values.bin.encode("hex")
    if dtype.is_nested():
        framed = values.alias("").to_frame().select(pl.struct("").struct.json_encode())
        return framed.to_series().str.strip_prefix('{"":').str.strip_suffix("}")
    if dtype.is_float():
        return _rounded(values).cast(pl.String)
    return values.cast(pl.String)


def _rounded(values: pl.Series) -> pl.Series:
    small = values.abs() < 0.001
    return values.zip_with(small, values.round(4))
