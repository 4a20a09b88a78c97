"""An event store: keeps everything the firehose carried, in columns on disk, to be searched."""

import os

# Arrow reads it when it is loaded. Each flush needs the memory of the one before, some seconds ago: given back to the
# system at once, as is the default, it has to be cleared again each time (measured: an eighth of all CPU).
os.environ.setdefault("MIMALLOC_PURGE_DELAY", "30000")

from event_store.config import Config
from event_store.service import serve

__all__ = ["Config", "serve"]
