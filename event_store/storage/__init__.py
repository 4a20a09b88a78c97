"""Events on disk: a log that is written first, segments made of it, and those who write and read them."""

from event_store.storage.config import KeepRule, StorageSettings
from event_store.storage.errors import (
    SegmentDamaged,
    StoreBusy,
    StoreClosed,
    StoreDamaged,
    StoreFull,
    StoreLocked,
    StoreMissing,
)
from event_store.storage.manifest import Gone, Segment
from event_store.storage.quarantine import Damage
from event_store.storage.reader import Reader
from event_store.storage.snapshot import Snapshot, StoreStats
from event_store.storage.store import Store

__all__ = ["Damage", "Gone", "KeepRule", "Reader", "Segment", "SegmentDamaged", "Snapshot", "StorageSettings", "Store"]
__all__ += ["StoreBusy", "StoreClosed", "StoreDamaged", "StoreFull", "StoreLocked", "StoreMissing", "StoreStats"]
