"""A syslog adapter: delivers the logs and metrics of apps to the drains that are bound to them."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from syslog_adapter.config import Config
    from syslog_adapter.service import serve

__all__ = ["Config", "serve"]


def __getattr__(name: str) -> Any:
    """Import them when they are asked for: what makes or tests one drain needs neither."""
    if name == "Config":
        from syslog_adapter.config import Config

        return Config
    if name == "serve":
        from syslog_adapter.service import serve

        return serve
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
