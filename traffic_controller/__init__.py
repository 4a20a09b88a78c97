"""A traffic controller: collates all Dopplers into WebSocket streams of v1 envelopes."""

from traffic_controller.config import Config
from traffic_controller.service import serve

__all__ = ["Config", "serve"]
