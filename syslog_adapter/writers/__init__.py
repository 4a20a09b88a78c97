"""The ways to a drain: what opens one, and what it is written with."""

from syslog_adapter.writers.config import WriterSettings
from syslog_adapter.writers.opening import open_writer
from syslog_adapter.writers.writer import DrainUnavailable, Writer, Written

__all__ = ["DrainUnavailable", "Writer", "WriterSettings", "Written", "open_writer"]
