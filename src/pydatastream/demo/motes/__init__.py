"""Two wireless sensors, a reading every five seconds; near one of them, water boils.

It writes the windows to out/, and the pipeline to pds-demo.yaml, yours to change.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl
from rich.console import Console
from rich.text import Text

from pydatastream.cli.tables import printed
from pydatastream.config.loading import loads
from pydatastream.engines import local
from pydatastream.pipeline import Pipeline

FOLDER = Path(__file__).parent
COPY = Path("pds-demo.yaml")

CREDIT = (
    "data: Suthaharan et al. (2010), Labelled data collection for anomaly detection in wireless "
    "sensor networks, ISSNIP; CC BY 4.0\n"
)
COLUMNS = (
    "mote_id", "window_start", "readings", "mean_temperature", "max_temperature",
    "mean_humidity", "max_humidity",
)  # fmt: skip
HOTTEST = "max_temperature"
ROWS = 3
"""So many windows are shown at the start, at the end and of the hottest."""

HINTS = """\
  filter: temperature > 27        another condition: humidity > 60, label = 1
  size: 10m                       another window: 1m, 1h
  max_humidity: max(humidity)     another aggregate: median(humidity), last(label)
"""
"""Lines of the pipeline that are worth changing."""


def text() -> str:
    """The pipeline file, with the data where they are installed."""
    return (FOLDER / "pipeline.yaml").read_text("utf-8").replace("${DEMO}", str(FOLDER))


def run(out: Console) -> None:
    """Make windows of the readings, and show the first, the last and the hottest."""
    out.print(Text(CREDIT, style="dim"), soft_wrap=True)
    pipeline = Pipeline(declaration=loads(text(), "motes.yaml"))
    report = local.run(pipeline.plan(), local.Settings(**pipeline.settings()))
    _windows(pl.read_ndjson(sorted(Path("out").glob("part-*"))))
    _summary(out, report)
    _next(out)


def _windows(windows: pl.DataFrame) -> None:
    shown = windows.select(_shown(name, dtype) for name, dtype in windows.schema.items())
    shown = shown.select(COLUMNS)
    hottest = windows.with_row_index("row").top_k(ROWS, by=HOTTEST)["row"]
    right = [name for name in COLUMNS if windows.schema[name].is_numeric()]
    more = ["..."] + [""] * (len(COLUMNS) - 1)
    ends = [*shown.head(ROWS).rows(), tuple(more), *shown.tail(ROWS).rows()]
    printed(COLUMNS, ends, f"{windows.height} windows in out/", right)
    printed(COLUMNS, shown[hottest].rows(), "\nthe hottest windows", right)


def _shown(name: str, dtype: pl.DataType) -> pl.Expr:
    column = pl.col(name)
    if dtype.is_float():
        return column.round(2)
    return column.str.head(16).str.replace("T", " ") if name.startswith("window_") else column


def _summary(out: Console, report: local.RunReport) -> None:
    told = (
        f"{report.rows_in:,} rows in, {report.filtered:,} filtered, {report.late:,} late, "
        f"{report.dead:,} dead letters, {report.rows_out:,} windows out; "
        f"{report.seconds:.2f} s, {report.rate():,.0f} rows/s"
    )
    out.print(Text(f"\n{told}"), soft_wrap=True)


def _next(out: Console) -> None:
    if COPY.exists():
        out.print(Text(f"\n{COPY} is here already and was left alone."))
    else:
        COPY.write_text(text(), "utf-8")
        out.print(Text(f"\nThe pipeline is in {COPY}: change a line, then run it."))
    out.print(Text(HINTS), soft_wrap=True)
    out.print(Text(f"  pds run {COPY}     pds test {COPY}     pds new my-own"))
