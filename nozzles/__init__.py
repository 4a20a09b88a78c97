"""Nozzles: each reads the firehose and writes it elsewhere; this is what one is written with."""

from nozzles.sdk import Batch, NozzleKind, SinkDenied, SinkRefused, SinkUnavailable, Write
from plumbing.config import Section

__all__ = ["Batch", "NozzleKind", "Section", "SinkDenied", "SinkRefused", "SinkUnavailable", "Write"]
