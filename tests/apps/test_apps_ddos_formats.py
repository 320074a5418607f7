"""Traffic as others write it, through the pipelines of the example."""

import json
import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from pydatastream.apps.ddos.generate import readable
from pydatastream.parts.traffic.day import traffic
from pydatastream.parts.traffic.kinds import LETTERS

EXAMPLE = Path(__file__).parents[2] / "examples" / "ddos"


@pytest.fixture(scope="module")
def rows():
    return traffic(2, rate=10, types=("syn_flood", "udp_amplification_dns"))


def alarms(name, folder, **environment):
    command = [sys.executable, "-m", "pydatastream", "run", str(EXAMPLE / name)]
    ran = subprocess.run(
        command, cwd=folder, env={**os.environ, **environment}, capture_output=True, text=True,
        check=False, timeout=60,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    found = pl.read_ndjson(sorted(folder.glob("alarms/part-*")))
    return found.filter(pl.col("state") == "ended")["type"].to_list()


def test_zeek(rows, tmp_path):
    history = {2: "S", 27: "ShADadFf", 24: "Dd", 26: "ShADad", 31: "ShADadr"}
    with (tmp_path / "conn.log").open("w") as file:
        for row in rows.iter_rows(named=True):
            told = {
                "ts": row["timestamp"], "id.orig_h": row["source_ip"], "id.resp_h": row["dest_ip"],
                "id.orig_p": row["source_port"], "id.resp_p": row["dest_port"],
                "proto": row["protocol"], "orig_pkts": row["packets"], "orig_bytes": row["bytes"],
                "history": history.get(row["tcp_flags"]),
            }  # fmt: skip
            file.write(json.dumps(told) + "\n")
    assert alarms("zeek.yaml", tmp_path) == ["syn_flood", "udp_amplification_dns"]


def test_netflow(rows, tmp_path):
    letters = "".join(reversed(LETTERS))
    text = {
        flags: "".join(one if flags & LETTERS[one] else "." for one in letters)
        for flags in range(64)
    }
    flags = pl.col("tcp_flags").replace_strict(text, default="........", return_dtype=pl.String)
    nfdump = readable(rows).select(
        ts=pl.col("timestamp").str.slice(0, 19).str.replace("T", " "), sa="source_ip", da="dest_ip",
        sp="source_port", dp="dest_port", pr=pl.col("protocol").str.to_uppercase(), flg=flags,
        ipkt="packets", ibyt="bytes",
    )  # fmt: skip
    nfdump.write_csv(tmp_path / "flows.csv")
    assert alarms("netflow.yaml", tmp_path) == ["syn_flood", "udp_amplification_dns"]
