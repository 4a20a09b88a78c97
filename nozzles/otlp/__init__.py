"""Write logs, metrics and spans to whatever takes OTLP, over gRPC or HTTP.

At least once: a request whose answer was lost is sent again. What is of no signal, or of one that is switched off, is
skipped.
"""

from nozzles.otlp.config import Config
from nozzles.otlp.service import open_nozzle
from nozzles.sdk import NozzleKind

__all__ = ["Config", "kind", "open_nozzle"]

kind = NozzleKind(Config, open_nozzle, "at-least-once")
