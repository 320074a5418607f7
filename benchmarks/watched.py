"""Run a command and say how long it took and the most memory it had: `watched.py FILE COMMAND...`.

A process counts as as large as the one that started it was: this one is small, and imports little.
"""

import os
import subprocess
import sys
import time

began = time.perf_counter()
process = subprocess.Popen(sys.argv[2:])
_, status, usage = os.wait4(process.pid, 0)
with open(sys.argv[1], "w") as told:  # noqa: PTH123 - pathlib costs 10 ms to import
    told.write(f"{time.perf_counter() - began} {usage.ru_maxrss / 1024}")
sys.exit(os.waitstatus_to_exitcode(status))
