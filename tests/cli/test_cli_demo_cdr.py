"""pds demo cdr."""

import csv
from collections import Counter


def test_the_demo_makes_a_day_and_says_who_talks_most(pds, folder):
    said = pds("demo", "cdr")
    assert said.code == 0, said.err
    assert "345,600 records in" in said.out
    assert "173 files cdr_voice_*.csv" in said.out
    seconds = Counter()
    for path in folder.glob("cdr/cdr_voice_*.csv"):
        for row in csv.DictReader(path.open()):
            if row["start_time"][11:13] == "23":
                seconds[row["msisdn"]] += int(row["call_duration_sec"])
    told = next(line for line in said.out.splitlines() if line.startswith("23:00"))
    assert [int(one) for one in told.split()[4:]] == sorted(seconds.values(), reverse=True)[:3]
    assert pds("demo", "cdr").code == 0
