"""Every setting of the REST interface: the section `rest` of a log cache."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, PositiveFloat, PositiveInt

from plumbing.config import ListenAddress, Section


class RestSettings(Section):
    """Reads, metadata and PromQL over HTTPS, for clients that show a token."""

    enabled: bool = True
    """Whether it is served."""

    listen: ListenAddress = "127.0.0.1:8083"
    """Where, over TLS."""

    promql: bool = True
    """Whether PromQL is answered; if not, its paths answer 501."""

    heartbeat_s: Annotated[float, Field(gt=0, le=30)] = 10.0
    """Time without data after which a stream carries a heartbeat."""

    stream_timeout_s: PositiveFloat = 840.0
    """How long a stream goes on before it ends, for its client to come back with `Last-Event-ID`."""

    slow_reader_s: PositiveFloat = 60.0
    """How long a client may take nothing of what it is sent before it is cut off."""

    max_streams: PositiveInt = 100
    """Streams open at once; one more is answered 503."""

    max_unsent_bytes: PositiveInt = 256 << 20
    """JSON held for clients that take their time, all together; beyond it a request is answered 429, a stream ends."""

    max_connections: PositiveInt = 500
    """Connections open at once; one more is closed."""
