"""Show counters and gauges to whoever scrapes them, as Prometheus does.

At least once, and twice is as once: only the latest value of a series is shown. What is neither is skipped.
"""

from nozzles.prometheus.config import Config
from nozzles.prometheus.service import open_nozzle
from nozzles.sdk import NozzleKind

__all__ = ["Config", "kind", "open_nozzle"]

kind = NozzleKind(Config, open_nozzle, "at-least-once")
