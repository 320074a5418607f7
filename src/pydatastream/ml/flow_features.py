"""What traffic looks like, per window and destination."""

from __future__ import annotations

from typing import ClassVar

import polars as pl
from pydantic import Field

from pydatastream.core.batch import CLOCK, Emission, Refused, Routed
from pydatastream.core.errors import SchemaError
from pydatastream.core.operator import EventTime, Flow, Kernel, Operator
from pydatastream.core.state import State
from pydatastream.core.times import EVENT_TIME, FOREVER, Duration, Micros, micros
from pydatastream.core.types import need
from pydatastream.parts.traffic.columns import END, FEATURES, START
from pydatastream.parts.traffic.features import DEST, WINDOW, features
from pydatastream.parts.traffic.records import FAULT, Columns, records
from pydatastream.parts.traffic.seen import Seen
from pydatastream.parts.windows.windowed import NEVER, Grid

ROWS = "rows"


class FlowFeatures(Operator):
    """Tell what traffic to each destination looks like, window by window.

    Records of packets or flows become one row per window and destination, and one for the whole
    network, whose destination is "*", once the watermark has passed the window's end + lateness:
    flows (records), packets, bytes, distinct sources; packets by kind (syn, synack, rst, odd,
    tcp, reflected, udp, icmp, other); source_entropy in [0, 1]; syn_share, syn_ratio = SYN /
    (SYN + ACK), udp_share, top_port (source port, of UDP and of answers) and its share; new_share,
    sources not seen in the last `memory`; the top sources.

    Only the columns `source` and `dest` must be there; without `packets` each record is one. A
    count that is null, negative or no number counts as 0. Flags are numbers (18, "0x12") or
    letters ("SA", ".A..S."). Destinations that are no IP address are dead letters, unless
    `strict: false`. State: the records of open windows, and sources seen, at most `max_sources`.
    Of a window with more destinations than `max_keys` those with the most packets are told; the
    others are in the row of the whole network, and are counted as forgotten keys.
    """

    ports: ClassVar[tuple[str, ...]] = ("late",)
    aggregates: ClassVar[bool] = True
    primary: ClassVar[str | None] = "size"
    example: ClassVar[str] = (
        "- flow_features: {size: 1s, source: status, dest: device_id, packets: n, strict: false}"
    )

    size: Duration = "1s"
    """Length of a window."""
    lateness: Duration = "0s"
    """How long after its end a window still waits for records; later ones go to `late`."""
    memory: Duration = "10m"
    """A source not seen for so long is new again."""
    max_sources: int = 100_000
    """So many sources are remembered; of more, those seen last."""
    max_keys: int = Field(100_000, gt=0)
    """So many destinations of a window are told; of more, those with the most packets."""
    strict: bool = True
    """Refuse records whose destination is no IP address; false: any text is one."""
    source: str = "source_ip"
    """The column of who sends."""
    dest: str = "dest_ip"
    """The column of who receives."""
    protocol: str = "protocol"
    """The column of the protocol, by name or number."""
    source_port: str = "source_port"
    """The column of the port it comes from."""
    dest_port: str = "dest_port"
    """The column of the port it goes to."""
    packets: str = "packets"
    """The column that counts packets."""
    bytes: str = "bytes"
    """The column that counts bytes."""
    tcp_flags: str = "tcp_flags"
    """The column of TCP flags, OR-ed over the record's packets."""
    label: str = "is_attack"
    """The column that says what the record truly is; it is only counted."""

    def flow(self, *inputs: Flow) -> Flow:
        inputs[0].event_time()
        need(inputs[0].schema, self.source, self.dest)
        for name in (self.source, self.dest):
            if inputs[0].schema[name] != pl.String:
                raise SchemaError(f"{name!r} is {inputs[0].schema[name]}, an address is text")
        return Flow(pl.Schema({self.dest: pl.String(), **FEATURES}), EventTime(END, shift=-1))

    def side_flows(self, *inputs: Flow) -> dict[str, Flow]:
        return {"late": inputs[0]}

    def reads(self, needed: frozenset[str] | None) -> frozenset[str] | None:  # noqa: ARG002
        return frozenset(self.columns())

    def columns(self) -> Columns:
        """The columns that tell of traffic."""
        return Columns(
            self.source, self.dest, self.protocol, self.source_port, self.dest_port,
            self.packets, self.bytes, self.tcp_flags, self.label,
        )  # fmt: skip

    def lateness_allowed(self) -> Micros | None:
        return micros(self.lateness)

    def delay(self) -> Micros:
        return micros(self.lateness)

    def open(self, state: State, *inputs: Flow) -> Kernel:
        return _FlowFeatures(self, state, inputs[0].event_time())


class _FlowFeatures(Kernel):
    def __init__(self, step: FlowFeatures, state: State, time: EventTime) -> None:
        self._step, self._state, self._time = step, state, time
        self._grid = Grid(micros(step.size), micros(step.size))
        self._lateness = micros(step.lateness)
        self._seen = Seen(state, micros(step.memory), step.max_sources)
        self.released = 0

    def held(self) -> int:
        return sum(frame.height for frame in self._state.frames(ROWS))

    def on_batch(self, rows: pl.DataFrame, port: int = 0) -> Emission:  # noqa: ARG002
        window = self._grid.last(self._time.micros())
        made = records(rows, self._step.columns(), window, self._step.strict)
        fault, late = made[FAULT], self._late(rows, made)
        taken = made.drop(FAULT)
        if fault.null_count() < rows.height or late.any():
            taken = taken.filter(fault.is_null() & ~late)
        if taken.height:
            self._state.append(ROWS, taken)
        for why in fault.drop_nulls().unique(maintain_order=True):
            yield Refused(rows.filter((fault == why).fill_null(False)), why)
        if late.any():
            yield Routed("late", rows.filter(late))

    def _late(self, rows: pl.DataFrame, made: pl.DataFrame) -> pl.Series:
        """Rows of windows that were complete before the row came."""
        clock = pl.lit(self._watermark, pl.Int64)
        if CLOCK in rows.columns:
            made = made.with_columns(rows[CLOCK])
            clock = pl.max_horizontal(CLOCK, clock)
        late = pl.col(WINDOW) + self._grid.size + self._lateness <= clock
        return made.select((late & pl.col(FAULT).is_null()).fill_null(False)).to_series()

    @property
    def _watermark(self) -> Micros:
        return int(self._state.values.get("watermark", NEVER))

    def on_watermark(self, watermark: Micros) -> Emission:
        held = self._state.frames(ROWS)
        if watermark >= FOREVER:
            last = max((int(one[WINDOW].max()) for one in held), default=NEVER)  # type: ignore[arg-type]
            watermark = max(self._watermark, last + self._grid.size + self._lateness)
        if watermark > self._watermark:
            self._state.values["watermark"] = watermark
            opened = self._grid.after(watermark - self._lateness)
            yield from self._closed(held, opened)

    def _closed(self, held: list[pl.DataFrame], opened: Micros) -> Emission:
        closed = [one.filter(pl.col(WINDOW) < opened) for one in held]
        if not any(one.height for one in closed):
            return
        rows = pl.concat(closed)
        left = (one if not gone.height else one.filter(pl.col(WINDOW) >= opened)
                for one, gone in zip(held, closed, strict=True))  # fmt: skip
        self._state.put(ROWS, [one for one in left if one.height])
        self.released += rows.height
        found, forgotten = features(rows, self._seen.mark, self._step.max_keys)
        self.forgotten += forgotten
        yield self._told(found)

    def _told(self, found: pl.DataFrame) -> pl.DataFrame:
        start = pl.col(WINDOW)
        edges = (start.cast(EVENT_TIME).alias(START), (start + self._grid.size).cast(EVENT_TIME))
        names = [name for name in FEATURES if name not in (START, END)]
        return found.select(pl.col(DEST).alias(self._step.dest), edges[0], edges[1].alias(END),
                            *names)  # fmt: skip
