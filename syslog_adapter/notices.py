"""What an adapter tells the owner of an app, in the app's own log stream (loggregator.md 5.1, 5.2). Pure."""

from __future__ import annotations

from envelope.pb.loggregator_v2_pb2 import Envelope, EnvelopeBatch, Log
from plumbing.diode import Parcel

SOURCE_TYPE = "LGR"


def notice(source_id: str, text: str, now_ns: int) -> Parcel:
    """Make a line on the error stream of an app."""
    envelope = Envelope(
        timestamp=now_ns,
        source_id=source_id,
        instance_id="0",
        tags={"source_type": SOURCE_TYPE},
        log=Log(payload=text.encode(), type=Log.ERR),
    )
    return Parcel(EnvelopeBatch(batch=[envelope]).SerializeToString(), 1)


def lost_text(lost: int, source_id: str, url: str) -> str:
    """Say that a drain missed messages; `url` is redacted."""
    return f"{lost} messages lost for application {source_id} in user provided syslog drain with url {url}"


def unreachable_text(url: str) -> str:
    """Say that a drain cannot be reached; `url` is redacted."""
    return f"Failed to connect to {url}"


def spoolless_text(url: str) -> str:
    """Say that a drain asks for a spool in vain; `url` is redacted."""
    return f"No spool for syslog drain with url {url}: this installation has none, and what waits is in memory"
