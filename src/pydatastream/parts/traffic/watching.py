"""Traffic watched window by window: scores, baselines and alarms of all destinations."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from pydatastream.core.operator import EventTime
from pydatastream.core.state import State
from pydatastream.core.times import Micros
from pydatastream.parts.traffic import alarms
from pydatastream.parts.traffic.baseline import (
    ENTROPY,
    SERIES,
    Baselines,
    Floats,
    Ints,
    Usual,
    Windows,
    pace,
)
from pydatastream.parts.traffic.columns import COUNTS, END, NETWORK, SHARES, START
from pydatastream.parts.traffic.judging import HALF, HEIGHT, SLACK, Verdict, judge
from pydatastream.parts.traffic.kinds import KINDS

ADDED = pl.Schema(
    {"score": pl.Float64(), "why": pl.String(), "usual": pl.Float64(), "attack": pl.String()}
)
"""What is told of each window."""
USUAL_SIZE: Micros = 10**6
SUSPECTED = 10.0
"""A CUSUM as high as this teaches nothing any more."""
GOES_ON = 0.6
"""An open alarm goes on at this part of the threshold."""
OPEN = "open"
CODE, TIME = "__code", "__time"


@dataclass(frozen=True, slots=True)
class Settings:
    """When there is an alarm; times in microseconds."""

    threshold: float
    least: float
    hold: Micros
    warmup: int
    memory: Micros
    relearn: Micros
    most: int


class Watch:
    """Goes through windows in the order of their time."""

    def __init__(self, settings: Settings, by: str, time: EventTime, state: State) -> None:
        self._set, self._by, self._time, self._state = settings, by, time, state
        self._base = Baselines(state, settings.most)
        self._open: dict[str, alarms.Memory] = state.values.setdefault(OPEN, {})
        self._said: list[tuple[Any, ...]] = []
        self._usual_now: set[str] = set()

    def see(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The windows, sorted by time, with what is told of them."""
        table = Table(rows, self._by, self._time)
        for step in table.steps():
            self._end_before(table.moment(step))
            self._step(table, step)
            if self._base.drop_silent([*self._open, NETWORK]):
                table.forget_slots()
        self._base.save()
        return table.told(rows)

    def said(self, until: Micros) -> pl.DataFrame:
        """The rows of alarms so far; those calm at `until` have ended."""
        self._end_before(until)
        said, self._said = self._said, []
        return alarms.frame(said)

    def _step(self, table: Table, step: Ints) -> None:
        """All windows of one moment, each destination once."""
        end, slots, seen = table.moment(step) + 1, table.slots(step, self._base), table.seen(step)
        usual = self._base.usual(slots, self._set.warmup, self._base.slots.get(NETWORK))
        verdict = judge(seen, usual, self._set.threshold, self._set.least)
        odd = self._mark(slots, verdict, end, table.size)
        watched = np.flatnonzero(odd | self._among(slots, self._open))
        for n in sorted(watched, key=lambda n: table.key(int(step[n])) == NETWORK):
            window = self._window(table, int(step[n]), verdict, int(n), usual)
            self._alarm(window, int(slots[n]), table.size)
        self._quiet_network()
        table.tell(step, verdict, usual.packets())
        for n in np.flatnonzero(self._among(slots, self._open)):
            table.attack[step[n]] = self._open[table.key(int(step[n]))]["type"]
        self._learn(slots, seen.logs(), verdict, table.size)
        self._base.numbers["last"][slots] = end
        self._base.touch(slots)

    def _window(
        self, table: Table, row: int, verdict: Verdict, n: int, usual: Usual
    ) -> dict[str, Any]:
        """A window as alarms take it; one that only adds to a slow ramp scores the threshold."""
        score, is_slow = float(verdict.score[n]), bool(verdict.creeping[n] > SLACK)
        slow = is_slow and score < self._set.threshold
        found = table.window(row)
        found |= {"score": max(score, self._set.threshold * slow), "slow": slow}
        normal = dict(zip(SERIES, usual.count()[n].tolist(), strict=False))
        found |= {"usual": normal["flows"], "above": found["flows"] - normal["flows"]}
        found |= {"connected": found["tcp"] - normal["tcp"]}
        return found | {"excess": dict(zip(KINDS, verdict.blame[n].tolist(), strict=True))}

    def _mark(self, slots: Ints, verdict: Verdict, end: Micros, size: Micros) -> Any:
        """Which windows may raise an alarm, by themselves or by the CUSUM."""
        base = self._base
        strikes, since = base.numbers["strikes"], base.numbers["since"]
        is_high = verdict.score >= self._set.threshold
        strikes[slots] = np.where(is_high, strikes[slots] + 1, 0)
        ramp = np.maximum(base.ramp[slots] + verdict.creeping - SLACK, 0.0)
        begins = (base.ramp[slots] == 0.0) & (ramp > 0.0)
        since[slots] = np.where(begins, end - size, since[slots])
        base.ramp[slots] = ramp
        return (is_high & (strikes[slots] >= verdict.patience)) | (ramp >= HEIGHT)

    def _alarm(self, window: dict[str, Any], slot: int, size: Micros) -> None:
        """Take a window that is odd, or of a destination with an open alarm."""
        key, strikes = window["key"], int(self._base.numbers["strikes"][slot])
        if key in self._open:
            self._go_on(window)
        elif key != NETWORK or not (self._open or self._usual_now):
            since = int(self._base.numbers["since"][slot])
            start = since if window["slow"] else window["end"] - size * strikes
            self._open[key] = alarms.opened(key, window, start)
            self._base.ramp[slot] = 0.0
            self._say(key, "raised", window["end"])

    def _quiet_network(self) -> None:
        """While one destination has an alarm, the network is odd for no reason of its own."""
        slot = self._base.slots.get(NETWORK)
        if self._open and slot is not None:
            self._base.ramp[slot] = self._base.numbers["strikes"][slot] = 0

    def _go_on(self, window: Mapping[str, Any]) -> None:
        key = window["key"]
        memory = self._open[key]
        if window["score"] >= GOES_ON * self._set.threshold:
            alarms.more(memory, window)
            found = alarms.type_of(memory)
            if found != memory["type"]:
                memory["type"] = found
                self._say(key, "changed", window["end"])
        if window["end"] - memory["raised"] >= self._set.relearn:
            self._end(key, window["end"])
            self._usual_now.update({key, NETWORK})

    def _learn(self, slots: Ints, values: Floats, verdict: Verdict, size: Micros) -> None:
        """What is under attack teaches nothing; nor does the network then."""
        base = self._base
        calm = (base.ramp[slots] < SUSPECTED) & (verdict.score < self._set.threshold)
        if self._open:
            calm &= ~self._among(slots, [*self._open, NETWORK])
        wary = verdict.score >= HALF * self._set.threshold
        base.learn(slots[calm], values[calm], wary[calm], pace(self._set.memory, size))
        if self._usual_now:
            changed = self._among(slots, self._usual_now)
            base.adopt(slots[changed], values[changed])
            self._usual_now.clear()

    def _among(self, slots: Ints, keys: Iterable[str]) -> npt.NDArray[np.bool_]:
        """Which slots are those of some destinations."""
        known = [self._base.slots[key] for key in keys if key in self._base.slots]
        among = np.zeros(len(self._base.ramp), np.bool_)
        among[known] = True
        return among[slots]

    def _end_before(self, moment: Micros) -> None:
        due = {key: one["last"] + self._set.hold for key, one in self._open.items()}
        for key in sorted((key for key, at in due.items() if at <= moment), key=due.__getitem__):
            self._end(key, due[key])

    def _end(self, key: str, at: Micros) -> None:
        self._say(key, "ended", at)
        del self._open[key]
        slot = self._base.slots.get(key)
        if slot is not None:
            self._base.ramp[slot] = 0.0
            self._base.touch(np.array([slot]))

    def _say(self, key: str, state: str, at: Micros) -> None:
        self._said.append(alarms.row(self._open[key], state, at))


class Table:
    """Windows as arrays, and what is told of them."""

    def __init__(self, rows: pl.DataFrame, by: str, time: EventTime) -> None:
        names = rows[by].unique()
        self._names: list[str] = names.to_list()
        found = rows.select(
            pl.col(by).cast(pl.Enum(names)).to_physical().alias(CODE),
            time.micros().alias(TIME),
            *(_column(rows, name).alias(name) for name in (*COUNTS, *SHARES)),
        )
        self._codes = found[CODE].to_numpy()
        self.forget_slots()
        self.times = found[TIME].to_numpy()
        self.values = {name: found[name].to_numpy() for name in (*COUNTS, *SHARES)}
        known = [name for name in SERIES if name in self.values]
        self.counts = np.stack([self.values[name] for name in known[:ENTROPY]], axis=1)
        self.entropy = np.clip(self.values["source_entropy"], 0.0, 1.0)
        self.size = _size(rows)
        self._rows = rows
        height = rows.height
        self._score, self._usual = np.zeros((2, height))
        self._why = np.full(height, -1)
        self.attack: list[str | None] = [None] * height

    def steps(self) -> Iterator[Ints]:
        """Rows of one moment, a destination no more than once; of several, one after the other."""
        edges = np.flatnonzero(np.diff(self.times)) + 1
        for part in np.split(np.arange(len(self.times)), edges):
            while len(part):
                _, first = np.unique(self._codes[part], return_index=True)
                now = part[np.sort(first)] if len(first) < len(part) else part
                yield now
                part = np.setdiff1d(part, now) if len(now) < len(part) else now[:0]

    def key(self, row: int) -> str:
        """The destination of a row."""
        return self._names[int(self._codes[row])]

    def slots(self, step: Ints, base: Baselines) -> Ints:
        """The slots of a step's destinations; those that have none yet get one."""
        codes = self._codes[step]
        new = codes[self._slots[codes] < 0]
        if len(new):
            self._slots[new] = base.of([self._names[code] for code in new])
        found: Ints = self._slots[codes]
        return found

    def forget_slots(self) -> None:
        """They have been given out anew."""
        self._slots = np.full(len(self._names), -1)

    def moment(self, step: Ints) -> Micros:
        """Event time of a step."""
        return int(self.times[step[0]])

    def seen(self, step: Ints) -> Windows:
        """The windows of a step."""
        tunnels = self.values["tunnels"][step]
        return Windows(self.counts[step], self.entropy[step], self.values["bytes"][step], tunnels)

    def window(self, row: int) -> dict[str, Any]:
        """One window, as alarms take it."""
        found: dict[str, Any] = {name: float(self.values[name][row]) for name in SHARES}
        counts = ("packets", "bytes", "flows", "sources", "tcp", "ecn", "web")
        found |= {name: int(self.values[name][row]) for name in counts}
        for name in ("top_port", "top_sources"):
            value = self._rows[name][row] if name in self._rows.columns else None
            found[name] = value.to_list() if isinstance(value, pl.Series) else value
        told = {"key": self.key(row), "end": int(self.times[row]) + 1}
        return found | told | {"rate": found["packets"] * 1e6 / self.size}

    def tell(self, step: Ints, verdict: Verdict, usual: Floats) -> None:
        """Keep what was found of a step."""
        self._score[step], self._why[step], self._usual[step] = verdict.score, verdict.why, usual

    def told(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The rows with what was found."""
        words = np.array([*KINDS, None], dtype=object)[np.where(self._score > 0, self._why, -1)]
        return rows.with_columns(
            pl.Series("score", self._score),
            pl.Series("why", words.tolist(), dtype=pl.String),
            pl.Series("usual", self._usual),
            pl.Series("attack", self.attack, dtype=pl.String),
        )


def _column(rows: pl.DataFrame, name: str) -> pl.Expr:
    """A count; what is null, negative or no number is 0."""
    if name not in rows.columns:
        return pl.lit(0.0)
    clean = pl.col(name).cast(pl.Float64, strict=False).fill_nan(None).clip(0.0, 2.0**52)
    return clean.fill_null(0.0)


def _size(rows: pl.DataFrame) -> Micros:
    """Length of a window, as the first one has it."""
    if START not in rows.columns or END not in rows.columns or not rows.height:
        return USUAL_SIZE
    (size,) = rows.select((pl.col(END) - pl.col(START)).dt.total_microseconds().first()).row(0)
    return max(int(size or USUAL_SIZE), 1)
