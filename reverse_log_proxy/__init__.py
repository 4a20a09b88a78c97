"""A reverse log proxy: gives every Doppler's envelopes to v2 subscribers, over gRPC and as server-sent events."""

from reverse_log_proxy.config import Config
from reverse_log_proxy.service import serve

__all__ = ["Config", "serve"]
