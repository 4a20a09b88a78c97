"""Where a metron reads by itself: the lines of files and of stdin, and the gauges of its host."""

from metron.sources.checkpoints import Checkpoints
from metron.sources.config import FilesConfig, FileSource, HostMetrics, StdinSource
from metron.sources.counts import SourceCounts
from metron.sources.files import tail_files
from metron.sources.host_metrics import send_host_metrics
from metron.sources.outlet import Outlet
from metron.sources.run import run_sources
from metron.sources.stdin import read_stdin

__all__ = [
    "Checkpoints",
    "FileSource",
    "FilesConfig",
    "HostMetrics",
    "Outlet",
    "SourceCounts",
    "StdinSource",
    "read_stdin",
    "run_sources",
    "send_host_metrics",
    "tail_files",
]
