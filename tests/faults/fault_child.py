"""A server that starts runs of `pds` as processes of their own, without the price of imports.

It has most things imported and forks: a run starts in a tenth of a second. Operators are not,
for they start threads, which a fork would lose. Requests and replies
are JSON lines. A run may carry a seeded bug (see fault_bugs.py); the product knows nothing of it.
"""

from __future__ import annotations

import atexit
import json
import os
import signal
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any, NoReturn

import fault_bugs

from pydatastream import cli, segments
from pydatastream.core import faults
from pydatastream.engines.local import spool


def serve() -> None:
    """Answer requests until the other side is gone."""
    for line in sys.stdin:
        request = json.loads(line)
        reply = _waited(**request["wait"]) if "wait" in request else _started(**request["run"])
        print(json.dumps(reply), flush=True)


def _started(**how: Any) -> int:
    pid = os.fork()
    if not pid:
        _run(**how)
    return pid


def _waited(pid: int, seconds: float) -> int | None:
    """The exit code, or minus the signal; None: still running."""
    end = time.monotonic() + seconds
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > end:
            return None
        time.sleep(0.002)


def _run(
    *,
    arguments: list[str],
    folder: str,
    stdin: str,
    fault: str | None,
    bug: str | None,
    small: bool,
    stops: bool,
    halts: bool,
    traced: bool,
) -> NoReturn:
    os.chdir(folder)
    _redirect(0, stdin, os.O_RDONLY)
    _redirect(1, "stdout.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    _redirect(2, "stderr.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    if small:  # every segment and every record gets a file of its own
        segments.INLINE, spool.ROLL = 0, 0
    if bug:
        fault_bugs.plant(bug)
    if stops:
        faults._kill = lambda: os.kill(os.getpid(), signal.SIGTERM)
    if halts:  # this very thread: told to the process, another one may hear of it first
        faults._kill = lambda: signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)
    faults.arm(fault)
    if traced:
        faults._armed = Trace()  # type: ignore[assignment]
    sys.argv = ["pds", *arguments]
    _leave()


def _leave() -> NoReturn:
    code: Any = 1
    try:
        cli.main()
        code = 0
    except SystemExit as ending:
        code = ending.code if isinstance(ending.code, int) else int(ending.code is not None)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        atexit._run_exitfuncs()
        os._exit(code)


class Trace:
    """In place of a fault: counts how often each point is passed, in points.json."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        atexit.register(lambda: Path("points.json").write_text(json.dumps(self.counts)))

    def passed(self, point: str) -> None:
        self.counts[point] += 1


def _redirect(number: int, path: str, flags: int) -> None:
    descriptor = os.open(path, flags, 0o644)
    os.dup2(descriptor, number)
    os.close(descriptor)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    serve()
