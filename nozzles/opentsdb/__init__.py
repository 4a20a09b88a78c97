"""Write counters, gauges and timers to OpenTSDB, over telnet or HTTP.

At least once: the same point twice is one, for OpenTSDB keeps one value for each series and time. Logs and events have
no points and are skipped.
"""

from nozzles.opentsdb.config import Config
from nozzles.opentsdb.service import open_nozzle
from nozzles.sdk import NozzleKind

__all__ = ["Config", "kind", "open_nozzle"]

kind = NozzleKind(Config, open_nozzle, "at-least-once")
