"""An event store: keeps everything the firehose carried, in columns on disk, to be searched."""

from event_store.config import Config
from event_store.service import serve

__all__ = ["Config", "serve"]
