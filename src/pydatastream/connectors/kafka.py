"""Read messages from Kafka."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar, Literal, Self

import polars as pl
from pydantic import Field, PrivateAttr, field_validator, model_validator

from pydatastream.core.batch import Offset
from pydatastream.core.errors import ConfigError, RetryLater, SourceGap
from pydatastream.core.share import Share
from pydatastream.core.source import Read, Reader
from pydatastream.core.times import Duration, micros
from pydatastream.parts.kafka.admin import KafkaAdmin, Place, allowed
from pydatastream.parts.kafka.cluster import KafkaCluster
from pydatastream.parts.kafka.feed import KafkaFeed
from pydatastream.parts.kafka.member import KafkaMember
from pydatastream.parts.kafka.reading import KafkaReader, Rows, Settled
from pydatastream.parts.kafka.rows import Beside, Tombstones
from pydatastream.parts.kafka.sampling import SAMPLED, sampled
from pydatastream.parts.kafka.session import KafkaSession
from pydatastream.parts.messaging.messages import MessageSource

Start = Literal["earliest", "latest", "committed"]
_log = logging.getLogger("pydatastream")


class KafkaSource(KafkaCluster, MessageSource):
    """Read messages from one topic of Kafka, or several.

    Each partition of a topic is a partition, named "topic/0". One that is added later is found
    within two seconds, and read from its beginning.

    Delivery: replayable. An offset is that of the next message, with the id of the topic; it is
    kept in the checkpoint. Messages that are gone before they were read, because the topic keeps
    too little or was made anew, stop the run. The topic must keep messages for longer than the
    pipeline may stand still. `group` is told how far all sinks are, which is advice for people who
    watch it, and read only where `start: committed` asks for it. With `balance: true` it is more:
    the process joins the group, and Kafka divides the partitions among all that did, so the same
    file is started as often as wanted. What stops hands its partitions to the others at once, what
    dies after `session_timeout`. The group keeps how far all are, and there is no checkpoint:
    exactly once with one kafka output on the same brokers, whose transactions hold it, at least
    once with any other. Steps that remember rows are refused; for those each process names its own
    `partitions:`. Where not all may do everything, it needs READ on the group and WRITE on
    transactional ids `pds-*`.
    """

    replayable: ClassVar[bool] = True
    primary: ClassVar[str | None] = "topic"
    example: ClassVar[str] = "{type: kafka, brokers: 'localhost:9092', topic: sensors, time: ts}"

    topic: str | list[str]
    """The topic, or a list of topics."""
    group: str | None = Field(None, min_length=1)
    """A consumer group that is told how far we are, for tools that watch the lag."""
    balance: bool = False
    """Share the partitions with all processes that read by this `group`; Kafka divides them."""
    session_timeout: Duration = "10s"
    """With `balance`: who is silent for so long has its partitions given to the others."""
    start: str | dict[int | str, int] = "earliest"
    """Where to begin without a checkpoint: earliest, latest, committed (what the group was told),
    a time in ISO-8601, or offsets by partition: {0: 1500, sensors/1: 1470}."""
    stop: Literal["latest"] | None = None
    """latest: end where the partitions end when the run begins; else the stream has no end."""
    only: list[int] | None = Field(None, alias="partitions", min_length=1)
    """Read these partitions and no others: [0, 1]."""
    key: str | None = None
    """A column that takes the key of each message."""
    headers: dict[str, str] = Field(default_factory=dict)
    """Columns that take headers of each message: {trace-id: trace}."""
    timestamp: str | None = None
    """A column that takes the time of each message, as its producer or the broker has set it."""
    offset: str | None = None
    """A column that takes the offset of each message in its partition."""
    tombstones: Tombstones = "skip"
    """What a message without a value is; delete: a row of nulls whose column `deleted` is true."""
    isolation: Literal["read_committed", "read_uncommitted"] = "read_committed"
    """Whether to read messages of transactions that are still open, or were given up."""
    accept_gap: bool = False
    """Where messages are gone before they were read, go on with the next there is, and log it."""

    _session: KafkaSession = PrivateAttr(default_factory=KafkaSession)

    @field_validator("start")
    @classmethod
    def _is_start(cls, start: str | dict[int | str, int]) -> str | dict[int | str, int]:
        if isinstance(start, str) and start not in Start.__args__:  # type: ignore[attr-defined]
            datetime.fromisoformat(start)
        return start

    @model_validator(mode="after")
    def _has_names(self) -> Self:
        if not (self.topic and all(self._topics())):
            raise ValueError("`topic:` needs the name of a topic")
        if self.start == "committed" and self.group is None:
            raise ValueError("`start: committed` needs the `group:` that has committed")
        if self.balance and self.group is None:
            raise ValueError("`balance: true` needs the `group:` that shares the partitions")
        uncommitted = self.isolation != "read_committed"
        alone = {"partitions": self.only, "stop": self.stop, "isolation": uncommitted}
        for option, given in alone.items():
            if self.balance and given:
                raise ValueError(f"`balance: true` does not go together with `{option}:`")
        return self

    def __copy__(self) -> Self:
        """A copy, perhaps with other options, has not connected to anything."""
        copied = super().__copy__()
        copied._session = KafkaSession()  # noqa: SLF001 - of its own class
        return copied

    @property
    def bounded(self) -> bool:
        """Whether the stream has an end."""
        return self.stop is not None

    @property
    def shared(self) -> bool:
        """Whether Kafka divides the partitions among the processes of the group."""
        return self.balance

    def share(self, let_go: Callable[[], None]) -> Share:
        """Join the group."""
        self.partitions()
        session = micros(self.session_timeout) // 1000
        return KafkaMember(self, self.group or "", self._topics(), session, let_go)

    def beside(self) -> pl.Schema:
        """The key, headers, time and offset, as far as columns are named for them."""
        return self._beside().schema()

    def partitions(self) -> Sequence[str]:
        """The partitions that there are; those of an endless stream may be a second old.

        So nobody waits but for the first answer: a later question is answered at the next look.
        """
        session, admin = self._session, self._admin()
        session.asked = session.asked or admin.ask(self._topics())
        if self.bounded or not session.first or all(one.done() for one in session.asked.values()):
            session.places = self._answered(admin)
        elif session.away is not None:
            raise session.away
        session.first = session.first or frozenset(session.places)
        if self.bounded:
            session.ends = self._ends(session.places)
        return [f"{topic}/{number}" for topic, number in session.places]

    def _answered(self, admin: KafkaAdmin) -> list[Place]:
        """The answer to what was asked; while there is none, the error is told at every look."""
        session = self._session
        asked, session.asked, session.away = session.asked or {}, None, None
        try:
            return self._there(admin.told(asked))
        except RetryLater as error:
            session.away = error
            raise

    def gauges(self) -> dict[str, float]:
        """Messages ever added, and for a group those it has not yet read."""
        places = self._places()
        ends, lows = self._ends(places), self._admin().ends(places, "earliest")
        told = lows | (KafkaAdmin(self).told_to(self.group) if self.group else {})
        lag = {"lag": float(sum(ends[one] - told[one] for one in places))} if self.group else {}
        return {"added": float(sum(ends.values())), **lag}

    def check(self) -> None:
        """Connect, and see that the topics are there and may be read."""
        self._places()

    def sample(self) -> Sequence[bytes]:
        """The newest messages of each partition (I/O)."""
        places = self._places()
        lows, highs = self._admin().ends(places, "earliest"), self._ends(places)
        share = SAMPLED // len(places) + 1
        starts = {place: max(lows[place], highs[place] - share) for place in places}
        starts = {one: at for one, at in starts.items() if at < highs[one]}
        return sampled(self._new_feed(), starts, highs) if starts else []

    def open(self, partition: str, job: Read) -> Reader:
        """Start reading one partition."""
        topic, _, number = partition.rpartition("/")
        place = (topic, int(number))
        rows = Rows(self._beside(), self.inbox(job.schema), job, self._id(topic))
        if job.until is not None and job.resume is None:
            return Settled(rows.none_up_to(job.until["offset"]))
        start = self._resumed(place, job.resume, rows) if job.resume else self._first(place)
        feed = self._new_feed() if job.until else self._shared()
        end = job.until["offset"] if job.until else self._session.ends.get(place)
        return KafkaReader(feed, place, rows, (start, end), self._after_gap, fresh=not job.resume)

    def _beside(self) -> Beside:
        return Beside(self.key, self.headers, self.timestamp, self.offset, self.tombstones)

    def _admin(self) -> KafkaAdmin:
        self._session.admin = self._session.admin or KafkaAdmin(self)
        return self._session.admin

    def _new_feed(self) -> KafkaFeed:
        return KafkaFeed(self, self.group, self.isolation)

    def _shared(self) -> KafkaFeed:
        feed = self._session.feed
        if feed is None or feed.closed:
            feed = self._session.feed = self._new_feed()
        return feed

    def _topics(self) -> list[str]:
        return [self.topic] if isinstance(self.topic, str) else self.topic

    def _places(self) -> list[Place]:
        return self._there(self._admin().topics(self._topics()))

    def _there(self, topics: Mapping[str, Any]) -> list[Place]:
        there = [(name, one.id) for name, topic in topics.items() for one in topic.partitions]
        for name, topic in topics.items():
            allowed(topic, "READ", f"{self.place}, topic {name}")
        places = [place for place in there if self.only is None or place[1] in self.only]
        if len(places) < len(topics) * len(self.only or [0]):
            found = ", ".join(f"{topic}/{number}" for topic, number in there)
            raise ConfigError(f"{self.place}: not all of partitions {self.only} are in {found}")
        return places

    def _id(self, topic: str) -> str:
        return str(self._admin().topics([topic])[topic].topic_id)

    def _ends(self, places: Sequence[Place]) -> dict[Place, int]:
        return self._admin().ends(places, committed=self.isolation == "read_committed")

    def _first(self, place: Place) -> int:
        """The offset to begin at where nothing was read before."""
        name, start = f"{place[0]}/{place[1]}", self.start
        by_group = self.balance or start == "committed"
        if by_group and (told := self._shared().committed(place)) is not None:
            return self._within(place, told)
        if isinstance(start, dict):
            start = {str(key): offset for key, offset in start.items()}
            given = start.get(name, start.get(str(place[1])))
            return self._within(place, given) if given is not None else self._low(place)
        new = start == "latest" and place not in self._session.first
        if new or start in ("earliest", "committed"):
            return self._low(place)
        if start == "latest":
            return self._ends([place])[place]
        since = self._admin().since(place, datetime.fromisoformat(start))
        return self._ends([place])[place] if since is None else since

    def _low(self, place: Place) -> int:
        return self._admin().ends([place], "earliest")[place]

    def _resumed(self, place: Place, resume: Offset, rows: Rows) -> int:
        """The offset to go on at, if the messages from there on are still there."""
        if resume["topic_id"] != rows.topic_id:
            what = f"{self.place}: topic {place[0]} was made anew since it was read up to here"
            return self._gone(place, what)
        return self._within(place, resume["offset"])

    def _within(self, place: Place, offset: int) -> int:
        low, high = self._low(place), self._admin().ends([place], committed=False)[place]
        return offset if low <= offset <= high else self._after_gap(place, offset)

    def _after_gap(self, place: Place, offset: int) -> int:
        """Where to go on after messages that are gone; `SourceGap` unless that is accepted."""
        low, high = self._low(place), self._admin().ends([place], committed=False)[place]
        about = f"{self.place}, {place[0]}/{place[1]}"
        if offset < low:
            what = f"{about}: offsets {offset} to {low - 1} are gone; the first there is: {low}"
        else:
            what = f"{about}: offset {offset} is beyond the end {high}: was the topic made anew?"
        return self._gone(place, what)

    def _gone(self, place: Place, what: str) -> int:
        if not self.accept_gap:
            hint = "`accept_gap: true` goes on without them; a new checkpoint begins at `start:`"
            raise SourceGap(what, hint=hint)
        _log.warning("%s (accept_gap)", what)
        return self._low(place)
