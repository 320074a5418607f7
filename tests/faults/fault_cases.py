"""Pipelines over seeded rows: what comes in is known, so a lost row cannot hide."""

from __future__ import annotations

import base64
import json
import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from fault_runs import Case

ROWS, BATCH = 900, 100
START = 1_700_000_000_000
"""Milliseconds: where event time begins."""

SOURCE = (
    "{type: file, path: in.jsonl, format: json, time: ts, time_unit: ms, "
    "schema: {id: int, ts: int, k: string, v: float}}"
)
CHECKPOINT = "checkpoint: {path: checkpoint, interval: 0s}"
REST = f"""
on_error: {{policy: dead_letter, output: {{type: file, path: dead/, format: json}}}}
{CHECKPOINT}
batch: {{rows: {BATCH}}}
"""


def rows(count: int = ROWS, seed: int = 7, *, orderly: bool = False) -> list[dict[str, Any]]:
    """Rows 50 ms apart; a third of them up to 4 s behind, unless they are to be orderly.

    Values are multiples of 1/4: their sums are exact in any order.
    """
    dice = random.Random(seed)
    return [
        {
            "id": number,
            "ts": START + number * 50 - (0 if orderly else _delay(dice)),
            "k": f"d{dice.randrange(5)}",
            "v": dice.randrange(400) / 4,
        }
        for number in range(count)
    ]


def _delay(dice: random.Random) -> int:
    return dice.randrange(4000) if dice.random() < 0.3 else 0


def lines(given: list[dict[str, Any]], *, corrupt: int = 0) -> bytes:
    """Rows as JSON lines; every so many are corrupt."""
    texts = [json.dumps(row).encode() for row in given]
    if corrupt:
        texts[5::corrupt] = [text[:-9] + b"\xff" for text in texts[5::corrupt]]
    return b"\n".join(texts) + b"\n"


def corrupted(place: Path) -> None:
    """Rows out of order, some corrupt."""
    (place / "in.jsonl").write_bytes(lines(rows(), corrupt=31))


def tardy(place: Path) -> None:
    """Of ten rows nine are late: where a clock was forgotten, the next row tells."""
    given = rows(orderly=True)
    behind = [row | {"ts": row["ts"] - 10_000 * (row["id"] % 10 > 0)} for row in given]
    (place / "in.jsonl").write_bytes(lines(behind))


def orderly(place: Path) -> None:
    """Two files of rows in order, with a few that come twice."""
    for name, seed in (("in", 1), ("more", 2)):
        given = rows(seed=seed, orderly=True)
        again = [row for row in given for _ in range(1 + (row["id"] % 11 == 0))]
        (place / f"{name}.jsonl").write_bytes(lines(again))


def scattered(place: Path) -> None:
    """Rows in order, some in one file, the others in many, a few in each."""
    (place / "many").mkdir(exist_ok=True)
    (place / "more.jsonl").write_bytes(lines(rows(orderly=True)))
    given = rows(seed=2, orderly=True)
    for at in range(0, ROWS, 45):
        (place / "many" / f"{at:04}.jsonl").write_bytes(lines(given[at : at + 45]))


def truth_of_windows(given: list[dict[str, Any]]) -> Counter[tuple[Any, ...]]:
    """What WINDOWS gives, told row by row in plain Python."""
    found: Counter[tuple[Any, ...]] = Counter()
    windows: dict[tuple[int, str], list[float]] = {}
    clock = -(10**18)
    for number, row in enumerate(given):
        if number % 31 == 5:
            payload = base64.b64encode(json.dumps(row).encode()[:-9] + b"\xff").decode()
            letter = {"payload": payload, "encoding": "base64", "step": "source"}
            found[("dead", *letter.items())] += 1
            continue
        start = row["ts"] // 2000 * 2000
        if row["v"] > 10 and start + 2000 + 500 <= clock:
            found[("late", *(row | {"ts": _iso(row["ts"])}).items())] += 1
        elif row["v"] > 10:
            windows.setdefault((start, row["k"]), []).append(row["v"])
        clock = max(clock, row["ts"])
    for (start, key), values in windows.items():
        edges = {"k": key, "window_start": _iso(start), "window_end": _iso(start + 2000)}
        mean = round(sum(values) / len(values), 9)
        sums = {"n": len(values), "total": sum(values), "mean": mean, "hi": max(values)}
        found[("out", *edges.items(), *sums.items())] += 1
    return found


def _iso(milliseconds: int) -> str:
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


WINDOWS = Case(
    "windows",
    f"""
name: windows
source: {SOURCE}
processor:
  - filter: v > 10
  - tumbling: {{size: 2s, by: [k], lateness: 500ms,
               aggregate: {{n: count(*), total: sum(v), mean: avg(v), hi: max(v)}}}}
output: {{type: file, path: out/, format: json}}
late: {{type: file, path: late/, format: json}}
{REST}""",
    corrupted,
    ("out", "late", "dead"),
)

TARDY = Case("tardy", WINDOWS.pipeline.replace("windows", "tardy"), tardy, WINDOWS.outputs)

PARQUET = Case(
    "parquet",
    f"""
name: parquet
source: {SOURCE}
processor:
  - hopping: {{size: 3s, every: 1s, by: [k], aggregate: {{n: count(*), mean: avg(v)}}}}
output: {{type: file, path: out/, format: parquet}}
late: {{type: file, path: late/, format: parquet}}
{REST}""",
    corrupted,
    ("out", "late", "dead"),
)

TWO = Case(
    "two",
    f"""
name: two
sources:
  one: {SOURCE}
  other: {SOURCE.replace("in.jsonl", "more.jsonl")}
processor:
  - name: both
    union: {{}}
    inputs: [one, other]
  - name: minutes
    tumbling: {{size: 2s, by: [k], aggregate: {{n: count(*), total: sum(v)}}}}
  - name: hot
    filter: v > 50
    input: one
outputs:
  hot_rows: {{type: file, path: hot/, format: json, input: hot}}
  windows: {{type: file, path: out/, format: parquet, input: minutes}}
{REST}""",
    orderly,
    ("hot", "out", "dead"),
)

MANY = Case(
    "many",
    f"""
name: many
sources:
  many: {SOURCE.replace("in.jsonl", '"many/*.jsonl"')}
  more: {SOURCE.replace("in.jsonl", "more.jsonl")}
processor:
  - union: {{}}
    inputs: [many, more]
  - name: windows
    tumbling: {{size: 2s, by: [k], aggregate: {{n: count(*), total: sum(v)}}}}
outputs:
  sums: {{type: file, path: out/, format: json, input: windows}}
  tardy: {{type: file, path: late/, format: json, input: windows.late}}
{REST}""",
    scattered,
    ("out", "late", "dead"),
)
"""Files that end one after the other, while another one goes on."""

SESSION = Case(
    "session",
    f"""
name: session
source: {SOURCE}
processor:
  - session: {{gap: 400ms, by: [k], lateness: 1s, aggregate: {{n: count(*), total: sum(v)}}}}
output: {{type: file, path: out/, format: json}}
late: {{type: file, path: late/, format: json}}
{REST}""",
    corrupted,
    ("out", "late", "dead"),
)

ROLLING = Case(
    "rolling",
    f"""
name: rolling
source: {SOURCE}
processor:
  - rolling: {{within: 2s, by: [k], lateness: 1s, aggregate: {{smooth: avg(v), n2: count(*)}}}}
  - rolling: {{rows: 4, by: [k], aggregate: {{total: sum(v)}}}}
outputs:
  rows: {{type: file, path: out/, format: json, input: rolling_2}}
  tardy: {{type: file, path: late/, format: json, input: rolling.late}}
{REST}""",
    corrupted,
    ("out", "late", "dead"),
)

STEPS = Case(
    "steps",
    f"""
name: steps
source: {SOURCE}
processor:
  - name: once
    dedupe: {{by: [id], within: 10m}}
  - name: some
    limit: 700
  - name: sevens
    count: {{size: 7, by: [k], aggregate: {{n: count(*), total: sum(v)}}}}
outputs:
  rows: {{type: file, path: rows/, format: json, input: some}}
  groups: {{type: file, path: out/, format: json, input: sevens}}
{REST}""",
    orderly,
    ("rows", "out", "dead"),
)

REPLACED = Case(
    "replaced",
    f"""
name: replaced
source: {SOURCE}
processor:
  - tumbling: {{size: 2s, by: [k], aggregate: {{n: count(*), total: sum(v)}}}}
output: {{type: file, path: out/, format: json}}
on_error: skip
""",
    corrupted,
    ("out",),
)

CLOCK = Case(
    "clock",
    f"""
name: clock
source: {{type: file, path: in.jsonl, format: json, time: processing, schema: {{id: int}}}}
processor:
  - filter: id % 3 != 0
outputs:
  one: {{type: file, path: one/, format: json}}
  other: {{type: file, path: other/, format: json}}
{REST}""",
    orderly,
    ("one", "other"),
)
"""Rows stamped with the wall clock: both outputs must tell the same time."""

STDIN = Case(
    "stdin",
    f"""
name: stdin
source: {{type: stdin, format: json, time: ts, time_unit: ms,
          schema: {{id: int, ts: int, k: string, v: float}}}}
processor:
  - filter: v >= 0
output: {{type: file, path: out/, format: json}}
{REST}""",
    lambda place: None,
    ("out",),
)
"""Rows that come once: what is in the spool when the process dies must come out."""

FOLLOW = Case(
    "follow",
    f"""
name: follow
source: {SOURCE.replace("format: json", "format: json, follow: true")}
processor:
  - name: hot
    filter: v > 10
  - name: windows
    tumbling: {{size: 2s, by: [k], aggregate: {{n: count(*), total: sum(v)}}}}
outputs:
  rows: {{type: file, path: rows/, format: json, input: hot}}
  sums: {{type: file, path: out/, format: json, input: windows}}
  tardy: {{type: file, path: late/, format: json, input: windows.late}}
{REST.replace("0s", "20ms")}""",
    lambda place: (place / "in.jsonl").write_bytes(b""),
    ("rows", "out", "late", "dead"),
)
"""A file that grows while the run is killed."""

CASES = (WINDOWS, PARQUET, TWO, MANY, SESSION, ROLLING, STEPS, REPLACED)
