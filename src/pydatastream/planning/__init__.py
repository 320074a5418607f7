"""From a declaration to a checked plan: wiring, types, columns that are read, guarantees."""

from pydatastream.planning.checking import plan
from pydatastream.planning.guarantees import Guarantee, guarantee
from pydatastream.planning.patience import plan_in_time
from pydatastream.planning.running import settings
from pydatastream.planning.wiring import wire

__all__ = ["Guarantee", "guarantee", "plan", "plan_in_time", "settings", "wire"]
