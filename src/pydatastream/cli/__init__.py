"""The command `pds`: each verb is a module of this folder, loaded when it is asked for."""

from __future__ import annotations

import gc
import sys
from collections.abc import Sequence

from pydatastream.cli.endings import ended
from pydatastream.cli.verbs import Verbs, run_verb, verb_names

SELDOM = (300_000, 20, 20)
"""Objects that are new between two looks for garbage, and so on: modules are none, and looking
for it while they load took a sixth of the start."""


def main() -> None:
    """Run the command line; an error is one message, never a traceback."""
    gc.set_threshold(*SELDOM)
    try:
        _obey(sys.argv[1:])
        sys.stdout.flush()
    except SystemExit:
        raise
    except BaseException as error:  # noqa: BLE001 - a Polars panic is no Exception
        sys.exit(ended(error))
    finally:
        gc.freeze()  # what is left ends with the process: not worth a look


def _obey(arguments: Sequence[str]) -> None:
    verb = arguments[0] if arguments else ""
    if verb in verb_names():
        run_verb(verb, arguments[1:])
    else:
        Verbs().main(list(arguments) or ["--help"], prog_name="pds")
