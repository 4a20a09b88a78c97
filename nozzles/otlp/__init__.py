"""Write logs, metrics and spans to whatever takes OTLP, over gRPC or HTTP."""

from nozzles.otlp.config import Config
from nozzles.otlp.service import open_nozzle
from nozzles.sdk import NozzleKind

__all__ = ["Config", "kind", "open_nozzle"]

kind = NozzleKind(Config, open_nozzle, "at-least-once")
