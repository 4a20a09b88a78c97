"""Settings of the sources: which files to follow, whether to read stdin, how often to look at the host."""

import os
import socket
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, PositiveFloat, PositiveInt, field_validator

from plumbing.config import ListenAddress

LONGEST_LINE_BYTES = 61_440
"""The longest log line of the platform itself (loggregator.md, limits)."""


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class FileSource(_Section):
    """Files whose lines become log envelopes of one source."""

    paths: list[str] = Field(min_length=1)
    """Globs, looked up again and again: `*`, `?`, `[…]`, `**` for any depth; a leading `~` is the home directory."""

    source_id: str = Field(min_length=1)
    """The source_id of the envelopes."""

    instance_id: str = "0"
    """The instance_id of the envelopes."""

    tags: dict[str, str] = {}
    """Tags of the envelopes; `filename`, the path of the file, is added unless given here."""

    exclude: list[str] = []
    """Patterns of files to leave alone, compared with the name and with the whole path (where `*` matches `/` too)."""

    start: Literal["beginning", "end"] = "end"
    """Where to start in files that are there when this glob is first used. Files that appear later are read from the
    beginning, and files read before go on where they stopped, whatever is said here."""

    err: bool = False
    """Whether the lines are errors (log type ERR) and not output (OUT)."""

    @field_validator("paths")
    @classmethod
    def _absolute(cls, paths: list[str]) -> list[str]:
        if not all(paths):
            raise ValueError("a path is empty")
        return [os.path.abspath(os.path.expanduser(path)) for path in paths]


class FilesConfig(_Section):
    """How files are followed, and which."""

    sources: list[FileSource] = []
    """What to follow; a file that several of them name belongs to the first."""

    poll_s: PositiveFloat = 0.25
    """How often to look for new files and new lines; less often while looking takes more than a tenth of the time."""

    rotate_grace_s: NonNegativeFloat = 10.0
    """How long a file that was renamed or removed is still read after its last growth: writers go on for a moment."""

    partial_flush_s: PositiveFloat = 5.0
    """How long to wait for the end of a line; then what there is of it is sent."""

    max_line_bytes: PositiveInt = LONGEST_LINE_BYTES
    """Longer lines are sent in pieces of this size."""

    max_open_files: PositiveInt = 512
    """Files kept open at a time; further ones are opened in turn when they have grown."""

    chunk_bytes: PositiveInt = 256 * 1024
    """How much is read of one file before the next has its turn."""

    checkpoint_every_s: PositiveFloat = 1.0
    """How often to save how far the files have been read: bounds what is sent twice after a kill."""

    settle_grace_s: NonNegativeFloat = 5.0
    """How long to wait at stop for what was sent to be delivered, so that it is not sent again after the next start."""


class StdinSource(_Section):
    """The lines of this process's standard input as log envelopes."""

    source_id: str = Field(default="stdin", min_length=1)
    """The source_id of the envelopes."""

    instance_id: str = "0"
    """The instance_id of the envelopes."""

    tags: dict[str, str] = {}
    """Tags of the envelopes."""

    err: bool = False
    """Whether the lines are errors (log type ERR) and not output (OUT)."""

    max_line_bytes: PositiveInt = LONGEST_LINE_BYTES
    """Longer lines are sent in pieces of this size."""


class HostMetrics(_Section):
    """Gauges of the machine: processor, memory, disks, network, load, uptime, processes."""

    enabled: bool = False
    """Whether to send host metrics."""

    interval_s: PositiveFloat = 15.0
    """How often to send them."""

    source_id: str = Field(default="host", min_length=1)
    """The source_id of the envelopes."""

    instance_id: str = Field(default_factory=socket.gethostname)
    """The instance_id of the envelopes; the name of the machine unless given."""

    tags: dict[str, str] = {}
    """Tags of the envelopes, beside those that name a mount, a device or an interface."""

    reader_timeout_s: PositiveFloat = 5.0
    """How long one reading may take (a dead network mount blocks for ever) before the others go out without it."""


class DropsondeDoor(_Section):
    """The UDP door for v1 envelopes, one in each datagram."""

    enabled: bool = False
    """Whether to take dropsonde."""

    listen: ListenAddress = "127.0.0.1:3457"
    """Where to take it. There is no certificate on UDP: whoever can reach this address is believed."""

    receive_buffer_bytes: int = Field(default=8 << 20, gt=0, le=1 << 30)
    """Bytes of datagrams that wait in the kernel; it grants what its own limit (`net.core.rmem_max`) allows."""

    max_counters: PositiveInt = 100_000
    """Counters whose running total is remembered; beyond that, the one heard of longest ago begins anew."""


class StatsdDoor(_Section):
    """The UDP door for statsd, one metric in each line of a datagram."""

    enabled: bool = False
    """Whether to take statsd."""

    listen: ListenAddress = "127.0.0.1:8125"
    """Where to take it. There is no certificate on UDP: whoever can reach this address is believed."""

    receive_buffer_bytes: int = Field(default=8 << 20, gt=0, le=1 << 30)
    """Bytes of datagrams that wait in the kernel; it grants what its own limit (`net.core.rmem_max`) allows."""

    counters: Literal["gauge", "counter"] = "gauge"
    """What a statsd counter is sent as: a gauge of its running sum with the unit "counter", as the original does, or
    a counter with delta and total."""

    max_names: PositiveInt = 100_000
    """Gauges, and as many counters, whose value is remembered; beyond that, the one heard of longest ago begins
    anew."""
