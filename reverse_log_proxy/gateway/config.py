"""Every setting of the SSE gateway: the section `gateway` of a reverse log proxy."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, PositiveFloat, PositiveInt

from plumbing.config import ListenAddress, Section


class GatewaySettings(Section):
    """Server-sent events, for clients that show a token."""

    enabled: bool = False
    """Whether it is served."""

    listen: ListenAddress = "127.0.0.1:8088"
    """Where, over TLS."""

    heartbeat_s: PositiveFloat = 15.0
    """Time without data after which a stream carries a heartbeat."""

    stream_timeout_s: PositiveFloat = 840.0
    """How long a stream goes on before it is closed, for its client to open the next one."""

    slow_reader_s: PositiveFloat = 60.0
    """How long a client may take nothing of what it is sent before it is cut off."""

    resume_linger_s: Annotated[float, Field(ge=0)] = 30.0
    """How long a session waits for its client to come back with `Last-Event-ID`."""

    resume_bytes: Annotated[int, Field(ge=0)] = 8 << 20
    """Batches that one session keeps after they were sent, in case its client did not get them."""

    max_streams: PositiveInt = 200
    """Sessions there may be, open or waiting for their client; those that wait longest make room for new ones."""

    max_connections: PositiveInt = 500
    """Connections open at once; one more is closed."""
