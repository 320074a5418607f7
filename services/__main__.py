"""Start servers for a person, and stop them: `python -m services [name ...] | stop`."""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import signal
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from services import SERVERS
from services.install import Missing
from services.server import Server, folder, wait_until

HERE = Path(".services")
PID = HERE / "pid"
ENV = HERE / "env"


def main(arguments: Sequence[str]) -> int:
    """Start the servers named, or all; 1 if one cannot be had."""
    names = [server.name for server in SERVERS]
    parser = argparse.ArgumentParser(prog="services", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*names, "stop", []], metavar="name")
    wanted = parser.parse_args(arguments).names
    if wanted == ["stop"]:
        return stop()
    return serve([server for server in SERVERS if not wanted or server.name in wanted])


def serve(servers: Sequence[type[Server]]) -> int:
    """Run servers until Ctrl-C, SIGTERM or `stop`."""
    stop()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    HERE.mkdir(exist_ok=True)
    PID.write_text(str(os.getpid()))
    try:
        with folder() as place, ExitStack() as running:
            show([running.enter_context(announced(one(place / one.name))) for one in servers])
            signal.pause()
    except KeyboardInterrupt:
        pass
    except Missing as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        shutil.rmtree(HERE, ignore_errors=True)
    return 0


def announced(server: Server) -> Server:
    """The server, after a line that says it is coming."""
    print(f"starting {server.name} ...", flush=True)
    return server


def show(servers: Sequence[Server]) -> None:
    """Print addresses and the lines to export; keep the lines in a file too."""
    lines = [
        f"export {key}={shlex.quote(value)}"
        for server in servers
        for key, value in server.environment().items()
    ]
    ENV.write_text("".join(f"{line}\n" for line in lines))
    for server in servers:
        caveat = f"  (cannot prove {server.cannot_prove})" if server.cannot_prove else ""
        print(f"{server.name:12} {server.address}{caveat}")
    print("\n" + "\n".join(lines))
    print(f"\nIn another shell: . {ENV}   Stop with Ctrl-C or `make services-stop`.", flush=True)


def stop() -> int:
    """Stop the servers that were started from this folder, if any."""
    pid = running()
    if pid is not None:
        os.kill(pid, signal.SIGTERM)
        wait_until(lambda: running() is None, 60)
    return 0


def running() -> int | None:
    """The process that serves from this folder; the file alone proves nothing."""
    if not PID.is_file():
        return None
    pid = int(PID.read_text())
    command = Path(f"/proc/{pid}/cmdline")
    is_ours = command.exists() and b"services" in command.read_bytes().split(b"\0")
    return pid if is_ours and pid != os.getpid() else None


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
