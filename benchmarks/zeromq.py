"""ZeroMQ to files: how many messages a second, from a process that sends as fast as it can."""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.contest import OUT
from benchmarks.measured import note
from services.server import free_port

PEER = [sys.executable, str(Path(__file__).parent / "peers" / "zeromq_raw.py")]
KEEP = """\
name: keep
source: {{type: zeromq, address: 'tcp://127.0.0.1:{port}', socket: pull,
         topic: 'sensor:temperature',
         schema: {{device_id: string, ts: int, temperature: float, status: string}}}}
output: {{type: file, path: {out}/, format: json}}
{more}
"""
SAFE = "checkpoint: {{path: {kept}, interval: 1s}}"


def main(rows: int = 1_000_000, rounds: int = 2) -> None:
    """JSON messages to JSON lines, with and without checkpoint, against a loop of pyzmq."""
    for frames in (1, 2):
        rates: dict[str, list[float]] = {}
        for _ in range(rounds):
            for name, more in (("no checkpoint", ""), ("exactly once", SAFE), ("pyzmq loop", None)):
                rates.setdefault(name, []).append(rate(rows, frames, more))
        first = statistics.median(rates["no checkpoint"])
        for name, seen in rates.items():
            median = statistics.median(seen)
            where = "topic before payload" if frames == 1 else "topic in a frame"
            job = f"{rows:,} JSON messages from ZeroMQ to a file, {where}"
            note(job, name, f"{median / 1e6:.3f} M rows/s", first / median)


def rate(rows: int, frames: int, more: str | None) -> float:
    """Rows per second, from the first message sent to the last row seen in the files."""
    port, place = free_port(), OUT / "zeromq"
    shutil.rmtree(place, ignore_errors=True)
    out = place / "out"
    out.mkdir(parents=True)
    if more is None:
        command = [*PEER, "receive", str(port), str(rows), str(out / "part-0")]
    else:
        kept = more.format(kept=place / "kept")
        (place / "p.yaml").write_text(KEEP.format(port=port, out=out, more=kept))
        command = [sys.executable, "-m", "pydatastream", "run", "-q", str(place / "p.yaml")]
    reader = subprocess.Popen(command)
    sender = subprocess.Popen([*PEER, "send", str(port), str(rows), str(frames)], stdout=-1)
    try:
        assert sender.stdout
        began = float(sender.stdout.readline())
        seen = 0
        parts: dict[str, int] = {}
        while seen < rows:
            time.sleep(0.05)
            new = [one for one in out.glob("part-*") if one.name not in parts or more is None]
            parts |= {one.name: one.read_bytes().count(b"\n") for one in new}
            seen = sum(parts.values())
        return rows / (time.time() - began)
    finally:
        reader.terminate()
        reader.wait(20)
        sender.wait(20)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
