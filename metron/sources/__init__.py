"""Where a metron reads by itself: the lines of files and of stdin, the gauges of its host, UDP datagrams, syslog."""

from metron.sources.checkpoints import Checkpoints
from metron.sources.config import DropsondeDoor, FilesConfig, FileSource, HostMetrics, StatsdDoor, StdinSource
from metron.sources.counts import SourceCounts
from metron.sources.doors import run_doors
from metron.sources.files import tail_files
from metron.sources.host_metrics import send_host_metrics
from metron.sources.outlet import Outlet
from metron.sources.prometheus import Prometheus, scrape_prometheus
from metron.sources.run import run_sources
from metron.sources.stdin import read_stdin
from metron.sources.syslog import SyslogReceiver, receive_syslog

__all__ = [
    "Checkpoints",
    "DropsondeDoor",
    "FileSource",
    "FilesConfig",
    "HostMetrics",
    "Outlet",
    "Prometheus",
    "SourceCounts",
    "StatsdDoor",
    "StdinSource",
    "SyslogReceiver",
    "read_stdin",
    "receive_syslog",
    "run_doors",
    "run_sources",
    "scrape_prometheus",
    "send_host_metrics",
    "tail_files",
]
