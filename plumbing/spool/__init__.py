"""A queue of batches on disk: what was put outlives the process, in order, and every envelope is counted."""

from plumbing.spool.errors import SpoolBusy, SpoolUnwritable
from plumbing.spool.frames import MAX_FRAME_BYTES, Frame, Kept
from plumbing.spool.spool import Spool, Sync

__all__ = ["MAX_FRAME_BYTES", "Frame", "Kept", "Spool", "SpoolBusy", "SpoolUnwritable", "Sync"]
