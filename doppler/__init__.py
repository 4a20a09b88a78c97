"""A doppler: takes batches in from agents and holds them, bounded, for everyone who subscribed."""

from doppler.config import Config
from doppler.service import serve

__all__ = ["Config", "serve"]
