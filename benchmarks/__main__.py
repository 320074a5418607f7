"""`make bench`: every contest, or with BENCH="windows keys" those that are named."""

from __future__ import annotations

import importlib
import sys
import traceback

from benchmarks.measured import forget, keep

CONTESTS = {
    "windows": "windows.main",
    "keys": "windows.many_keys",
    "latency": "latency.main",
    "kafka": "kafka.main",
    "redis": "redis.main",
    "zeromq": "zeromq.main",
    "databases": "databases.main",
    "ddos": "ddos.main",
    "apps": "apps.main",
    "cdr": "cdr.main",
}


def held(name: str) -> bool:
    """Hold one contest; whether it came to its end."""
    module, _, function = CONTESTS[name].partition(".")
    try:
        getattr(importlib.import_module(f"benchmarks.{module}"), function)()
    except (Exception, SystemExit):  # noqa: BLE001 - the other contests go on
        traceback.print_exc()
        forget()
        return False
    keep(name)
    return True


if __name__ == "__main__":
    names = sys.argv[1:] or list(CONTESTS)
    if unknown := [name for name in names if name not in CONTESTS]:
        sys.exit(f"no contest is called {unknown[0]!r}; there are: {', '.join(CONTESTS)}")
    failed = [name for name in names if not held(name)]
    sys.exit(f"failed: {', '.join(failed)}" if failed else 0)
