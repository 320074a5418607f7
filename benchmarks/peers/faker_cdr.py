"""Call records the plain way: a call of Faker for every field, a row of the csv module for each."""

from __future__ import annotations

import csv
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from faker import Faker

START = datetime(2024, 1, 1, tzinfo=UTC)
DATA_TYPES = ("video", "audio", "image", "text", "application")


def main(folder: Path, records: int, lines: int = 1000) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    fake = Faker("en_US")
    fake.seed_instance(0)
    for first in range(0, records, lines):
        moments = [START + timedelta(seconds=n / 5) for n in range(first, first + lines)]
        for kind, record in (("cdr_data", data), ("cdr_voice", voice)):
            name = f"{kind}_{moments[0]:%Y%m%d_%H%M%S}.csv"
            with (folder / name).open("w", newline="") as file:
                csv.writer(file).writerows(record(fake, moment) for moment in moments)


def data(fake: Faker, moment: datetime) -> tuple[object, ...]:
    return (
        fake.msisdn(),
        fake.random_int(1, 2000),
        fake.random_int(100_000, 1_000_000),
        fake.random_int(100_000, 1_000_000),
        fake.random_element(DATA_TYPES),
        fake.ipv4_public(),
        fake.url(),
        moment.isoformat(),
    )


def voice(fake: Faker, moment: datetime) -> tuple[object, ...]:
    return (
        fake.msisdn(),
        fake.random_int(1, 2000),
        fake.random_element(("voice", "video")),
        fake.msisdn(),
        fake.random_int(1, 1800),
        moment.isoformat(),
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
