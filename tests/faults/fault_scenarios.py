"""Kills that need more than a file to start with: input that comes once, or goes on coming."""

from __future__ import annotations

import io
import json
import os
import random
import signal
import sqlite3
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import polars as pl
from fault_cases import FOLLOW, STDIN, lines, rows
from fault_runs import Children, Killer, Totals, WrongExitError, read

HEAD = struct.Struct("<IIQII")
"""Of a record in the spool: length, checksum, number, where rows and where dead letters end."""


def told_twice(killer: Killer, faults: Sequence[str]) -> None:
    """Kill between the outputs: both must hold the same rows, each once, with the same time."""
    place = killer.place()
    for fault in [*faults, None]:
        killer.run(place, fault=fault)
    one, other = (
        Counter((row["id"], row["processing_time"]) for row in read(place / name))
        for name in killer.case.outputs
    )
    killer.totals.compare(one, other)
    lines_in = (place / "in.jsonl").read_text().splitlines()
    wanted = Counter(number for one in lines_in if (number := json.loads(one)["id"]) % 3)
    killer.totals.compare(wanted, Counter(number for number, _ in one.elements()))


def fed(children: Children, folder: Path, faults: Sequence[str], bug: str | None = None) -> Totals:
    """Each run gets rows of its own on standard input, and is killed; the last one ends.

    Of each run's rows a first part must come out, and all that were handed over, each once.
    """
    killer = Killer(children, STDIN, folder, bug, small=True)
    place = killer.place()
    feeds = []
    for number, fault in enumerate([*faults, None]):
        given = rows(400, seed=number)
        for row in given:
            row["id"] += 1000 * number
        feeds.append([row["id"] for row in given])
        (place / f"feed-{number}").write_bytes(lines(given))
        killer.run(place, fault=fault, stdin=f"feed-{number}", options=["--batch-rows", 40])
        handed = _published(place) | spooled(place / "checkpoint" / "spool")
        feeds[-1] = feeds[-1][: sum(one in handed for one in feeds[-1])]
    found = Counter(row["id"] for row in read(place / "out"))
    killer.totals.compare(Counter(one for feed in feeds for one in feed), found)
    return killer.totals


def _published(place: Path) -> set[int]:
    return {row["id"] for row in read(place / "out")}


def spooled(folder: Path) -> set[int]:
    """The ids in the whole records of a spool, read by what its docs say of it."""
    found: set[int] = set()
    for log in folder.rglob("*.log"):
        data = log.read_bytes()
        at = 0
        while at + HEAD.size <= len(data):
            length, _, _, split, _ = HEAD.unpack_from(data, at)
            body = data[at + HEAD.size : at + HEAD.size + length]
            if len(body) < length:
                break
            found |= set(pl.read_ipc(io.BytesIO(body[:split]))["id"].to_list())
            at += HEAD.size + length
    return found


def followed(children: Children, folder: Path, kills: int, seed: int) -> Totals:
    """A writer appends while the run is killed and started again; at the end all must be there."""
    dice = random.Random(seed)
    killer = Killer(children, FOLLOW, folder, dice=dice)
    place = killer.place()
    given = rows(600, seed)
    given.append({"id": 10**6, "ts": given[-1]["ts"] + 3_600_000, "k": "end", "v": 0.0})
    writer = threading.Thread(target=_appended, args=(place / "in.jsonl", given, dice.random()))
    writer.start()
    for _ in range(kills):
        pid = children.start(place)
        time.sleep(dice.uniform(0.15, 0.6))
        os.kill(pid, signal.SIGKILL)
        children.wait(pid)
        killer.totals.kills += 1
    writer.join()
    truth = _truth(given)
    killer.totals.compare(truth, _settled(killer, place, truth))
    return killer.totals


def _appended(path: Path, given: list[dict[str, object]], seed: float) -> None:
    """Append rows in pieces that end anywhere, also within a row."""
    dice, data = random.Random(seed), lines(given)
    while data:
        size = dice.randint(1, 900)
        with path.open("ab") as file:
            file.write(data[:size])
        data = data[size:]
        time.sleep(0.01)


def _settled(killer: Killer, place: Path, truth: Counter[object]) -> Counter[object]:
    """Let a run go on until all has come out, or does not come; then stop it gracefully."""
    pid = killer.children.start(place, bug=killer.bug)
    end = time.monotonic() + 20
    while (found := _told(place)) != truth and time.monotonic() < end:
        time.sleep(0.05)
    os.kill(pid, signal.SIGTERM)
    if killer.children.wait(pid) not in (0, -signal.SIGTERM):  # it may not have begun yet
        raise WrongExitError((place / "stderr.txt").read_text()[-2000:])
    return _told(place) if found == truth else found


def _told(place: Path) -> Counter[object]:
    """The ids of rows, and how many rows are in windows or late."""
    found: Counter[object] = Counter(row["id"] for row in read(place / "rows"))
    found["windowed"] = sum(row["n"] for row in read(place / "out"))
    found["windowed"] += sum(1 for _ in read(place / "late"))
    return found


def _truth(given: list[dict[str, object]]) -> Counter[object]:
    kept = [row["id"] for row in given if float(str(row["v"])) > 10]
    return Counter({**dict.fromkeys(kept, 1), "windowed": len(kept)})


def refused_twice(children: Children, folder: Path, bug: str | None = None) -> bool:
    """Whether a second run on the checkpoint of one that lives, or is only halted, is refused."""
    killer = Killer(children, FOLLOW, folder, bug)
    place = killer.place()
    (place / "in.jsonl").write_bytes(lines(rows(50)))
    first = children.start(place, bug=bug)
    try:
        _wait_for(lambda: any(read(place / "rows")))
        return _refused(children, place, bug) and _refused_while_halted(children, place, bug, first)
    finally:
        os.kill(first, signal.SIGKILL)
        children.wait(first)


def _refused_while_halted(children: Children, place: Path, bug: str | None, first: int) -> bool:
    os.kill(first, signal.SIGSTOP)
    return _refused(children, place, bug)


def _refused(children: Children, place: Path, bug: str | None) -> bool:
    """Whether one more run ends with the right message, without having begun."""
    before, second = _generation(place), children.start(place, bug=bug)
    end = time.monotonic() + 20
    while (code := children.wait(second, 0.1)) is None and time.monotonic() < end:
        if _generation(place) != before:
            break
    if code is None:
        os.kill(second, signal.SIGKILL)
        children.wait(second)
    return code == 1 and "another run is using this checkpoint" in _errors(place)


def _generation(place: Path) -> object:
    """How many runs the checkpoint has seen begin."""
    with closing(sqlite3.connect(place / "checkpoint" / "checkpoint.db", timeout=20)) as db:
        return db.execute("SELECT value FROM meta WHERE key = 'generation'").fetchone()


def _errors(place: Path) -> str:
    return (place / "stderr.txt").read_text()


def _wait_for(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not true():
        if time.monotonic() > end:
            raise WrongExitError("it does not come")
        time.sleep(0.02)
