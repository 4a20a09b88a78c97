"""A syslog adapter: delivers the logs and metrics of apps to the drains that are bound to them."""

from syslog_adapter.config import Config
from syslog_adapter.service import serve

__all__ = ["Config", "serve"]
