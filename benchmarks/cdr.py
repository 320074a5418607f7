"""Call records: to files, against a Faker call for each field; and to files and topics."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from benchmarks.contest import OUT, Contender, contest
from services.kafka import Kafka
from services.server import folder

PDS = f"{sys.executable} -m pydatastream cdr"
PEER = f"{sys.executable} {Path(__file__).parent / 'peers' / 'faker_cdr.py'}"
RATE, LINES = 5, 1000
PLAIN = 10_000
"""Records of each kind that the plain way has to make."""


def main(records: int = 864_000) -> None:
    """So many records of each kind, as whole processes; two kinds make twice as many rows."""
    place = (OUT / "cdr").absolute()
    shutil.rmtree(place, ignore_errors=True)
    try:
        generated(place, records)
        with folder() as at, Kafka(at) as server:
            sent(place, records, server.address)
    finally:
        shutil.rmtree(place, ignore_errors=True)


def generated(place: Path, records: int) -> None:
    """To files of 1,000 lines."""
    plain = f"exec {PEER} {place}/plain-$$ {PLAIN}"
    contest(
        f"{2 * records:,} call records to CSV files of {LINES:,} lines",
        [
            made("PyDataStream", place, records, "--no-kafka"),
            Contender("a Faker call per field", ["sh", "-c", plain], 2 * PLAIN),
        ],
    )


def sent(place: Path, records: int, brokers: str) -> None:
    """To files and topics, exactly once; each run has a seed and so a name of its own."""
    contest(
        f"{2 * records:,} call records to CSV files and to two topics of Kafka, exactly once",
        [made("PyDataStream", place, records, f"--brokers {brokers}")],
    )


def made(name: str, place: Path, records: int, to: str) -> Contender:
    """A run from the start in a folder of its own."""
    numbers = f"--total-seconds {records // RATE} --lines-per-second {RATE} --line-count {LINES}"
    job = f"exec {PDS} {numbers} --no-sftp {to} --seed $$ --output {place}/run-$$"
    return Contender(name, ["sh", "-c", job], 2 * records)


if __name__ == "__main__":
    main()
