"""kill -9 of pipelines into databases that refuse some rows: nothing lost, nothing twice.

What a database refuses must be a dead letter, once. MongoDB is a server of one node that speaks
its protocol; what an election does to a transaction is not tested.
"""

from __future__ import annotations

import json
import random
import sqlite3
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fault_runs import Case, Children, Killer, Rows, Totals, read

from services.postgres import tool

COUNT = 600
VALUES = [{"id": n, "k": f"d{n % 7}", "v": n * 0.25} for n in range(COUNT)]
REFUSED = 97
"""Each so many-th row breaks the table's constraint."""

TABLE = f"(id bigint not null, k varchar(20), v double precision, check (id % {REFUSED} <> 1))"
MARKERS = (
    "create table pds_markers (pipeline varchar(200) not null, output varchar(200) not null, "
    "epoch bigint not null, owner varchar(64) not null, primary key (pipeline, output))"
)
PIPELINE = """
name: moved
source: {source}
processor:
  - filter: v >= 10
output: {output}
on_error: {{policy: dead_letter, output: {{type: file, path: dead/, format: json}}}}
checkpoint: {{path: checkpoint, interval: 0s}}
batch: {{rows: 100}}
"""
FILE_IN = "{type: file, path: in.jsonl, format: json}"
POINTS = ("written", "marked", "committed")


class Database:
    """Where the rows go; each folder has a database of its own."""

    kind = "sql"

    def made(self, folder: Path) -> str:
        """Make the place; returns the output."""
        raise NotImplementedError

    def rows(self, folder: Path) -> Iterator[dict[str, Any]]:
        """What stands there, by the database's own tool."""
        raise NotImplementedError


class Sqlite(Database):
    def made(self, folder: Path) -> str:
        db = sqlite3.connect(folder / "out.db")
        db.execute(f"create table t {TABLE}")
        db.execute(MARKERS)
        db.close()
        return f"{{type: sql, url: 'sqlite:///{folder}/out.db', table: t}}"

    def rows(self, folder: Path) -> Iterator[dict[str, Any]]:
        db = sqlite3.connect(folder / "out.db")
        found = db.execute("select id, k, v from t").fetchall()
        db.close()
        return (dict(zip(("id", "k", "v"), row, strict=True)) for row in found)


@dataclass
class Postgresql(Database):
    server: Any

    def made(self, folder: Path) -> str:
        name = f"d{uuid.uuid4().hex[:8]}"
        (folder / "database").write_text(name)
        self.server.psql(f"create database {name}")
        self.psql(name, f"create table t {TABLE}; {MARKERS}")
        url = f"postgresql://postgres@{self.server.address}/{name}"
        return f"{{type: sql, url: '{url}', table: t, timeout: 2s}}"

    def rows(self, folder: Path) -> Iterator[dict[str, Any]]:
        name = (folder / "database").read_text()
        told = self.psql(name, "select coalesce(json_agg(row_to_json(t)), '[]') from t")
        return iter(json.loads(told))

    def psql(self, name: str, sql: str) -> str:
        where = ["-h", "127.0.0.1", "-p", str(self.server.port), "-U", "postgres", "-d", name]
        return self.server.run(tool("psql"), *where, "-XAtq", "-v", "ON_ERROR_STOP=1", "-c", sql)


@dataclass
class Mongo(Database):
    server: Any
    kind = "mongodb"

    def made(self, folder: Path) -> str:
        name = f"d{uuid.uuid4().hex[:8]}"
        (folder / "database").write_text(name)
        uri = self.server.environment()["MONGODB_URI"]
        return f"{{type: mongodb, uri: '{uri}', database: {name}, collection: t, timeout: 10s}}"

    def rows(self, folder: Path) -> Iterator[dict[str, Any]]:
        name = (folder / "database").read_text()
        told = self.server.python(
            f"import json; print(json.dumps(list(client.{name}.t.find({{}}, {{'_id': 0}}))))"
        )
        return iter(json.loads(told))


@dataclass(frozen=True)
class Moved(Case):
    """Rows of a file that go into a database."""

    database: Database | None = None

    def prepare(self, folder: Path) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        output = self.database.made(folder)
        (folder / "pipeline.yaml").write_text(PIPELINE.format(source=FILE_IN, output=output))
        (folder / "in.jsonl").write_text("".join(json.dumps(one) + "\n" for one in VALUES))
        return folder

    def found(self, folder: Path) -> Rows:
        dead = (json.loads(one["payload"]) for one in read(folder / "dead"))
        return counted(self.database.rows(folder)) + counted(dead)


def counted(rows: Iterator[dict[str, Any]]) -> Rows:
    return Counter(tuple(sorted(row.items())) for row in rows)


EXPECTED = counted(one for one in VALUES if one["v"] >= 10)


@pytest.fixture(params=["sqlite", "postgres", "mongodb"])
def database(request: pytest.FixtureRequest) -> Database:
    if request.param == "sqlite":
        return Sqlite()
    server = request.getfixturevalue(f"{request.param}_server")
    return Postgresql(server) if request.param == "postgres" else Mongo(server)


def killer_of(database: Database, children: Children, shm: Path) -> Killer:
    return Killer(children, Moved("moved", "", lambda folder: None, (), database=database), shm)


def test_killed_at_every_step(
    database: Database, children: Children, shm: Path, tally: Totals, long: bool
) -> None:
    killer = killer_of(database, children, shm)
    assert killer.whole() == EXPECTED
    dice = random.Random(11)
    for point in [*(f"{database.kind}.{one}" for one in POINTS), "epoch.published_one"]:
        for _ in range(10 if long else 1):
            before = killer.totals.kills
            killer.at_points(EXPECTED, [f"{point}:kill:{dice.randint(1, 3)}" for _ in range(2)])
            assert killer.totals.kills > before, point
    told(killer, tally)


def test_killed_at_random_times(
    database: Database, children: Children, shm: Path, tally: Totals, long: bool
) -> None:
    killer = killer_of(database, children, shm)
    dice = random.Random(12)
    for _ in range(30 if long else 2):
        killer.at_times(EXPECTED, [dice.uniform(0.05, 1.0) for _ in range(3)])
    told(killer, tally)


def told(killer: Killer, tally: Totals) -> None:
    totals = killer.totals
    tally.add(totals)
    assert (totals.lost, totals.twice) == (0, 0), str(totals)
