"""Send the records of a CSV file to a Redis stream, as if they came from the network now.

The exit code is 0 when all was sent, 2 for a file or an option that is wrong, 3 when Redis could
not be reached, 130 after Ctrl-C.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from pydatastream.apps.ddos.records import chunks, entries, when
from pydatastream.connectors.redis_sink import RedisSink
from pydatastream.core.errors import ConfigError, PdsError, RetryLater
from pydatastream.core.sink import Write, Writer
from pydatastream.core.times import Micros

STREAM = "network_traffic"
CSV = Path("../dataset/network_traffic.csv")
EVERY = 100
"""Progress is told after so many records."""
TRIES, FIRST_WAIT = 6, 0.5
"""Redis is asked so often, with a wait that doubles: for a quarter of a minute in all."""
DONE, WRONG, UNREACHABLE, INTERRUPTED = 0, 2, 3, 130
PLACES = ("network_traffic.csv", "dataset/network_traffic.csv", "data/network_traffic.csv")
MAKE = "python -m pydatastream.apps.ddos.generate"

log = logging.getLogger("stream_producer")


class Unreachable(Exception):
    """Redis did not answer, however often it was asked."""


@dataclass(slots=True)
class Sender:
    """Sends rows, and begins again where Redis went away; `wait` sleeps for some seconds.

    A piece that Redis had taken, but not answered for, is sent again.
    """

    sink: RedisSink
    tries: int = TRIES
    wait: Callable[[float], None] = time.sleep
    _writer: Writer | None = field(default=None, init=False)

    def check(self) -> None:
        """Test the connection."""
        self._insist(self.sink.check)

    def send(self, rows: pl.DataFrame) -> None:
        """Send rows; they have arrived when this returns."""
        self._insist(lambda: self._once(rows))

    def close(self) -> None:
        """Hang up."""
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()

    def _once(self, rows: pl.DataFrame) -> None:
        if self._writer is None:
            self._writer = self.sink.open(Write(rows.schema, "stream_producer", STREAM))
        self._writer.write(rows)
        self._writer.publish(0)

    def _insist(self, what: Callable[[], None]) -> None:
        for attempt in range(1, self.tries + 1):
            try:
                return what()
            except RetryLater as error:
                self.close()
                log.warning("%s (attempt %d of %d)", error.what, attempt, self.tries)
            if attempt < self.tries:
                self.wait(FIRST_WAIT * 2 ** (attempt - 1))
        raise Unreachable(self.sink.address)


@dataclass(slots=True)
class Tally:
    """What was sent so far, and since when."""

    sent: int = 0
    bad: int = 0
    start: float = field(default_factory=time.monotonic)

    def add(self, count: int) -> None:
        """Count records, and tell of each hundred."""
        before, self.sent = self.sent, self.sent + count
        if self.sent // EVERY > before // EVERY:
            log.info("Sent %d records", self.sent // EVERY * EVERY)

    def summary(self) -> None:
        """Say what was done."""
        seconds = time.monotonic() - self.start
        log.info("Streaming completed")
        log.info("Total records sent: %d", self.sent)
        if self.bad:
            log.info("Bad records passed over: %d", self.bad)
        log.info("Total time: %.2f seconds", seconds)
        log.info("Average rate: %.2f records/second", self.sent / max(seconds, 1e-9))


def main(arguments: Sequence[str] | None = None) -> int:
    """Send what the command line asks for; gives the exit code."""
    given = options(os.environ).parse_args(arguments)
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s - %(levelname)s - %(message)s", stream=sys.stdout,
        force=True,
    )  # fmt: skip
    try:
        return _run(given)
    except Unreachable as error:
        knock = f"redis-cli -h {given.redis_host} -p {given.redis_port}"
        encrypted = " --tls" if _wants_tls(os.environ) else ""
        log.error("Cannot reach Redis at %s. Is it running? %s%s PING", error, knock, encrypted)
        return UNREACHABLE
    except PdsError as error:
        log.error("%s", error)
        return WRONG


def _run(given: argparse.Namespace) -> int:
    path = found(given.csv_path)
    sender = Sender(sink_of(given, os.environ), given.retries)
    log.info("Testing the connection to Redis at %s ...", sender.sink.address)
    sender.check()
    log.info("Connected to Redis at %s", sender.sink.address)
    log.info("Streaming %s to %s: %s records, a delay of %g s", path, given.stream,
             "all" if given.records is None else given.records, given.delay)  # fmt: skip
    tally = Tally()
    try:
        stream(path, given.records, given.delay, sender, tally, as_now=given.as_now)
    except KeyboardInterrupt:
        log.warning("Interrupted")
        return INTERRUPTED
    finally:
        sender.close()
        tally.summary()
    return DONE


def stream(
    path: Path,
    records: int | None,
    delay: float,
    sender: Sender,
    tally: Tally,
    *,
    as_now: bool = False,
) -> None:
    """Send so many records of a file, all at once or one by one with a delay."""
    left, shift = records, None
    for batch in chunks(path):
        _complain(batch.dead, tally)
        rows = batch.rows if left is None else batch.rows.head(left)
        shift = _until_now(rows) if as_now and shift is None else shift
        for piece in _pieces(entries(rows, shift=shift or 0), delay):
            sender.send(piece)
            tally.add(piece.height)
            if delay:
                sender.wait(delay)
        left = None if left is None else left - rows.height
        if left == 0:
            return


def _complain(dead: pl.DataFrame, tally: Tally) -> None:
    for letter in dead.iter_rows(named=True):
        tally.bad += 1
        log.warning("Bad record passed over: %s: %s", letter["error"], letter["payload"][:200])


def _until_now(rows: pl.DataFrame) -> Micros | None:
    """From the first record's time until now."""
    first = when(rows).drop_nulls().head(1).to_physical()
    return time.time_ns() // 1000 - int(first[0]) if len(first) else None


def _pieces(rows: pl.DataFrame, delay: float) -> Iterator[pl.DataFrame]:
    return rows.iter_slices(1) if delay else iter([rows] if rows.height else [])


def found(path: Path) -> Path:
    """The file; `ConfigError` that says where else to look if it is not there."""
    if path.is_file():
        return path
    near = [folder / place for folder in (Path(), Path(".."), path.parent) for place in PLACES]
    there = next((str(one) for one in near if one.is_file()), None)
    hint = f"--csv-path {there}" if there else f"name it by --csv-path, or make it: {MAKE} {path}"
    raise ConfigError(f"no CSV file at {path} (looked from {Path.cwd()})", hint=hint)


def sink_of(given: argparse.Namespace, environment: Mapping[str, str]) -> RedisSink:
    """The stream in Redis; user, password and TLS come from the environment."""
    ca = environment.get("REDIS_TLS_CA")
    plain = {
        "host": given.redis_host,
        "port": given.redis_port,
        "stream": given.stream,
        "user": environment.get("REDIS_USERNAME") or None,
        "password": environment.get("REDIS_PASSWORD") or None,
        "tls": {"ca": ca} if ca else _wants_tls(environment),
    }
    return RedisSink.model_validate(plain)


def _wants_tls(environment: Mapping[str, str]) -> bool:
    wanted = environment.get("REDIS_TLS", "").lower() in ("1", "true", "yes", "on")
    return wanted or "REDIS_TLS_CA" in environment


def options(environment: Mapping[str, str]) -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="stream_producer.py",
        description="Send the records of a CSV file to a Redis stream.",
        epilog="From the environment: REDIS_HOST, REDIS_PORT, REDIS_USERNAME, REDIS_PASSWORD, "
        "REDIS_TLS=true, REDIS_TLS_CA (a file).",
    )
    add = parser.add_argument
    add("--records", type=_count, default=100, help="how many records, or `all` (default: 100)")
    add("--delay", type=_seconds, default=0.1, help="seconds after each record (default: 0.1)")
    add("--csv-path", type=Path, default=CSV, help=f"the file (default: {CSV})")
    host = environment.get("REDIS_HOST", "localhost")
    add("--redis-host", default=host, help=f"where Redis is (default: {host})")
    port = environment.get("REDIS_PORT", "6379")  # text, so that it is read as the option is
    add("--redis-port", type=int, default=port, help=f"its port (default: {port})")
    add("--stream", default=STREAM, help=f"the stream's key (default: {STREAM})")
    add("--as-now", action="store_true", help="let the first record be of this moment")
    add("--retries", type=int, default=TRIES, help=f"how often to try Redis (default: {TRIES})")
    return parser


def _count(word: str) -> int | None:
    if word == "all":
        return None
    if not word.isdecimal() or int(word) < 1:
        raise argparse.ArgumentTypeError(f"{word!r} is no number of records: 1 or more, or all")
    return int(word)


def _seconds(word: str) -> float:
    try:
        seconds = float(word)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < 1e6:
        raise argparse.ArgumentTypeError(f"{word!r} is no delay: seconds, 0 or more")
    return seconds


if __name__ == "__main__":
    sys.exit(main())
