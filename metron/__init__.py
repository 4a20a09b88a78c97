"""A metron: the agent beside every source; takes envelopes in, tags them, sends them to the Dopplers."""

from metron.config import Config
from metron.service import serve

__all__ = ["Config", "serve"]
