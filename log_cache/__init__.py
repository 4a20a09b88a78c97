"""A log cache: holds the last minutes of every source in memory and answers reads, metadata and PromQL."""

from log_cache.config import Config
from log_cache.service import serve

__all__ = ["Config", "serve"]
