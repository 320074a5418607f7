"""How the command ends when it could not do what was asked: one message and an exit code."""

from __future__ import annotations

import os
import sys
import tempfile
import time
import traceback
from pathlib import Path

from pydatastream.core.errors import ConfigError, PdsError, SinkClosed

REFUSED, FAILED, INTERRUPTED = 2, 1, 130
"""Exit codes: the pipeline was refused; the run stopped; the user stopped it."""

DEBUG = "PDS_DEBUG"
"""With this variable set, the traceback of a defect is printed."""


def ended(error: BaseException) -> int:
    """Say what went wrong; the exit code."""
    match error:
        case SinkClosed() | BrokenPipeError():
            return _unheard()
        case KeyboardInterrupt():
            return INTERRUPTED
        case ConfigError():
            return _said(str(error), REFUSED)
        case PdsError():
            return _said(str(error), FAILED)
        case OSError(filename=str(place), strerror=str(why)):
            return _said(f"{place}: {why}", FAILED)
        case MemoryError():
            return _said("not enough memory\n  try: smaller batches, --batch-rows 10000", FAILED)
    return _said(_defect(error), FAILED)


def _said(message: str, code: int) -> int:
    print(f"error: {message}", file=sys.stderr)
    return code


def _unheard() -> int:
    """Nobody reads standard output any more: nothing went wrong."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _defect(error: BaseException) -> str:
    trace = "".join(traceback.format_exception(error))
    if os.environ.get(DEBUG):
        print(trace, file=sys.stderr)
        kept = f"the traceback is above ({DEBUG})"
    else:
        kept = f"the traceback is in {_kept(trace)}"
    reason = str(error).strip().partition("\n")[0]
    return (
        f"this is a defect of pds: {type(error).__name__}: {reason}\n"
        f"  {kept}; please report it with the pipeline file"
    )


def _kept(trace: str) -> Path:
    """Write the traceback to a file of this folder, or of a temporary one."""
    name = f"crash-{time.strftime('%Y%m%dT%H%M%S')}-{os.getpid()}.txt"
    asked = " ".join(sys.argv[1:])
    for folder in (Path(".pds"), Path(tempfile.gettempdir())):
        try:
            folder.mkdir(exist_ok=True)
            (folder / name).write_text(f"pds {asked}\n\n{trace}")
        except OSError:
            continue
        return folder / name
    return Path(os.devnull)
