"""Sinks of databases, each against its own client doing the same by hand, in one process."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import polars as pl

from benchmarks.contest import OUT
from benchmarks.measured import note
from services.mongodb import MongoDB
from services.postgres import Postgres
from services.server import folder

ROWS, DOCUMENTS = 1_000_000, 40_000
ROUNDS = 2

PIPELINE = """\
name: bench-{name}
source: {{type: file, path: {path}, schema: {{id: int, device: string, value: float, at: int}}}}
output: {{{output}}}
checkpoint: {{path: {kept}, interval: 1s}}
"""


def readings(rows: int) -> Path:
    """Rows as a Parquet file: reading it costs next to nothing."""
    path = (OUT / f"database-{rows}.parquet").absolute()
    if not path.exists():
        number = pl.int_range(rows, eager=True)
        pl.DataFrame(
            {
                "id": number,
                "device": "d" + (number % 1000).cast(pl.String),
                "value": number * 0.25,
                "at": number * 1000 + 1_700_000_000_000,
            }
        ).write_parquet(path)
    return path


def ours(name: str, rows: int, output: str) -> float:
    """Rows per second of a whole run with a checkpoint, without the start of the process."""
    kept = (OUT / f"checkpoint-{name}").absolute()
    subprocess.run(["rm", "-rf", kept], check=True)
    file = OUT / f"{name}.yaml"
    file.write_text(PIPELINE.format(name=name, path=readings(rows), output=output, kept=kept))
    command = [sys.executable, "-m", "pydatastream", "run", "--json", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)
    told = json.loads(done.stdout.strip().splitlines()[-1])
    return rows / float(told["seconds"])


def rate(rows: int, act: Callable[[pl.DataFrame], None]) -> float:
    """Rows per second of something done by hand."""
    frame = pl.read_parquet(readings(rows))
    began = time.perf_counter()
    act(frame)
    return rows / (time.perf_counter() - began)


def compare(
    name: str, rows: int, us: Callable[[], float], raw: Callable[[], float], client: str
) -> None:
    """Medians of both, run in turn."""
    pairs = [(us(), raw()) for _ in range(ROUNDS)]
    mine, theirs = (statistics.median(one) for one in zip(*pairs, strict=True))
    job = f"{rows:,} rows of four columns into {name}"
    note(job, "PyDataStream, exactly once", f"{mine:,.0f} rows/s", 1.0)
    note(job, client, f"{theirs:,.0f} rows/s", mine / theirs)


def sqlite() -> None:
    """SQLite against executemany in one transaction."""
    import sqlite3

    path = (OUT / "bench.db").absolute()
    output = f"type: sql, url: 'sqlite:///{path}', table: t, create: true"

    def us() -> float:
        path.unlink(missing_ok=True)
        return ours("sqlite", ROWS, output)

    def by_hand(frame: pl.DataFrame) -> None:
        path.unlink(missing_ok=True)
        db = sqlite3.connect(path)
        db.execute("create table t (id integer, device text, value real, at integer)")
        with db:
            db.executemany("insert into t values (?, ?, ?, ?)", frame.rows())
        db.close()

    compare("SQLite", ROWS, us, lambda: rate(ROWS, by_hand), "executemany")


def postgres() -> None:
    """PostgreSQL against COPY of rows, one by one, as psycopg's manual shows it."""
    import psycopg

    with folder() as place, Postgres(place) as server:
        url = server.environment()["POSTGRES_URL"]
        output = f"type: sql, url: '{url}', table: t, create: true"

        def us() -> float:
            server.psql("drop table if exists t; drop table if exists pds_markers")
            return ours("postgres", ROWS, output)

        def by_hand(frame: pl.DataFrame) -> None:
            server.psql("drop table if exists t")
            with psycopg.connect(url) as db, db.cursor() as cursor:
                db.execute("create table t (id bigint, device text, value float8, at bigint)")
                with cursor.copy("copy t from stdin") as copy:
                    for row in frame.iter_rows():
                        copy.write_row(row)

        compare("PostgreSQL", ROWS, us, lambda: rate(ROWS, by_hand), "copy.write_row")


def mongodb() -> None:
    """MongoDB against insert_many in one transaction with the same write concern."""
    import pymongo

    with folder() as place, MongoDB(place) as server:
        uri = server.environment()["MONGODB_URI"]
        client: pymongo.MongoClient[dict[str, object]] = pymongo.MongoClient(
            uri, w="majority", journal=True
        )
        output = f"type: mongodb, uri: '{uri}', database: bench, collection: t"

        def us() -> float:
            client.drop_database("bench")
            return ours("mongodb", DOCUMENTS, output)

        def by_hand(frame: pl.DataFrame) -> None:
            name = f"t{time.monotonic_ns()}"  # a new one: dropping takes long
            client.hand.create_collection(name)
            with client.start_session() as session, session.start_transaction():
                client.hand[name].insert_many(frame.to_dicts(), session=session)

        compare("MongoDB", DOCUMENTS, us, lambda: rate(DOCUMENTS, by_hand), "insert_many")


def main() -> None:
    """All three."""
    OUT.mkdir(exist_ok=True)
    for one in (sqlite, postgres, mongodb):
        one()


if __name__ == "__main__":
    main()
