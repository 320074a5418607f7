"""The local engine: one process, three overlapping stages, epochs.

Beside whole runs there are their ends, for loops of Python: `Pull` reads a source, and `Outlet`
writes to a sink.
"""

from pydatastream.engines.local.outlets import Outlet
from pydatastream.engines.local.pulling import Pull, Pulled
from pydatastream.engines.local.report import RunReport
from pydatastream.engines.local.run import Run, run
from pydatastream.engines.local.settings import Settings

__all__ = ["Outlet", "Pull", "Pulled", "Run", "RunReport", "Settings", "run"]
