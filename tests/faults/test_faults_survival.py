"""A row that kills the process becomes a dead letter after some restarts; its neighbours live."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from fault_cases import REST, SOURCE, lines, rows
from fault_runs import Children, read

from pydatastream.engines.local.survival import DEADLY, TRIES

WAYS = {
    "exit": "os._exit(3)",
    "kill": "os.kill(os.getpid(), 9)",
    "segfault": "ctypes.string_at(0)",
}
COUNT, BATCH, FIRST = 60, 8, 37
"""Rows, rows of a batch, and the first deadly one."""

MOST = (FIRST // BATCH) * (TRIES + 1) + TRIES + 2
"""Deaths: so many before each batch gets done, where a machine is slow, then those without any
progress, and a cautious one."""
STEPS = """
import ctypes
import os

import polars as pl


def fragile(rows: pl.DataFrame) -> pl.DataFrame:
    if rows["id"].is_in({deadly}).any():
        {way}
    return rows
"""


def prepared(place: Path, way: str, deadly: list[int], interval: str = "0s") -> Path:
    place.mkdir(parents=True)
    (place / "my_steps.py").write_text(STEPS.format(deadly=deadly, way=WAYS[way]))
    (place / "in.jsonl").write_bytes(lines(rows(COUNT)))
    (place / "pipeline.yaml").write_text(f"""
name: fragile
functions: [my_steps.py]
source: {SOURCE}
processor:
  - map: fragile
  - filter: id >= 0
output: {{type: file, path: out/, format: json}}
{REST.replace("0s", interval).replace("rows: 100", f"rows: {BATCH}")}""")
    return place


def supervised(children: Children, place: Path) -> int:
    """Start it again whenever it dies, as systemd would; how often it died."""
    for deaths in range(4 * MOST):  # the most that four deadly rows cost
        code = children.wait(children.start(place), 300)
        if code == 0:
            return deaths
        assert code in (3, -9, -11), (place / "stderr.txt").read_text()[-3000:]
    raise AssertionError((place / "stderr.txt").read_text()[-3000:])


def buried(place: Path) -> dict[int, str]:
    return {json.loads(row["payload"])["id"]: row["error"] for row in read(place / "dead")}


@pytest.mark.parametrize(
    "way", ["segfault", *(pytest.param(one, marks=pytest.mark.slow) for one in ("exit", "kill"))]
)
def test_the_deadly_row_is_found(way: str, children: Children, shm: Path) -> None:
    place = prepared(shm / way, way, [FIRST])
    assert 1 <= supervised(children, place) <= MOST
    assert buried(place) == {FIRST: DEADLY}
    assert Counter(row["id"] for row in read(place / "out")) == Counter(set(range(COUNT)) - {FIRST})


@pytest.mark.slow
@pytest.mark.parametrize("interval", ["0s", "1s"])
def test_several_deadly_rows_are_found(interval: str, children: Children, shm: Path) -> None:
    place = prepared(shm / "several", "kill", [5, 6, 33, 59], interval)
    supervised(children, place)
    assert set(buried(place)) == {5, 6, 33, 59}
    assert len(list(read(place / "out"))) == COUNT - 4


def test_a_clean_start_after_deaths_from_outside_kills_no_row(
    children: Children, shm: Path
) -> None:
    """Killed five times at the same step by someone else: no row is to blame."""
    place = prepared(shm / "outside", "kill", [])
    for _ in range(TRIES + 2):
        pid = children.start(place, fault="checkpoint.before_commit:kill:1")
        assert children.wait(pid) == -9
    assert supervised(children, place) == 0
    assert buried(place) == {}
    assert Counter(row["id"] for row in read(place / "out")) == Counter(range(COUNT))


def test_where_no_child_can_try_rows_none_is_blamed(children: Children, shm: Path) -> None:
    """A pipeline whose plan needs more than the file says: it stops, and says so."""
    place = prepared(shm / "blind", "kill", [FIRST])
    with (place / "my_steps.py").open("a") as file:
        file.write("\nif os.environ.get('PDS_PROBE'):\n    raise ValueError('not here')\n")
    codes = [children.wait(children.start(place)) for _ in range(MOST + 2)]
    assert codes[-1] == 1
    assert "no child can try rows" in (place / "stderr.txt").read_text()
    assert buried(place) == {}
