"""A copy of a store in another folder, which is a store itself."""

from event_store.backup.backup import BackedUp, back_up
from event_store.backup.target import BackupRefused

__all__ = ["BackedUp", "BackupRefused", "back_up"]
