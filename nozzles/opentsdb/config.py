"""Every setting of the OpenTSDB nozzle, with default and meaning."""

from typing import Annotated, Literal

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from nozzles.http_sink import HttpSettings
from plumbing.config import PeerAddress, Section

MOST_TAGS = 8
"""What OpenTSDB takes of one point, as it is installed."""


class Config(Section):
    """Where an OpenTSDB listens, and what its points look like."""

    transport: Literal["telnet", "http"] = "telnet"
    """How points are sent: lines over TCP to `address`, or JSON to `/api/put` of the server at `http`."""

    address: PeerAddress | None = None
    """Where lines are sent, when `transport` is telnet."""

    http: HttpSettings | None = None
    """Where requests are sent, when `transport` is http."""

    prefix: str = "opentsdb.nozzle"
    """What each metric's name begins with; the tag `origin` and its own name follow, with dots between."""

    tags: Annotated[tuple[str, ...], Field(min_length=1, max_length=MOST_TAGS)] = (
        "deployment",
        "job",
        "index",
        "ip",
        "source_id",
        "instance_id",
    )
    """What tells one series from another: at most eight tags, or the envelope's own source_id and instance_id."""

    timers: bool = False
    """Whether a timer is a point too: how long it took, in milliseconds, at the time it stopped."""

    milliseconds: bool = False
    """Whether times are sent in milliseconds; in seconds, the last of a second's points is the one that stays."""

    confirm: bool = True
    """Over telnet, ask `version` after each batch and wait for the answer: all that came before it has been read.

    Without it, what was on its way when a connection broke is lost, and errors are counted with a later batch.
    """

    timeout_s: PositiveFloat = 10.0
    """How long a connection over telnet, and a batch with its confirmation, may take."""

    points_per_request: PositiveInt = 50
    """Points in one request over HTTP; an envelope of more has a request to itself."""

    @model_validator(mode="after")
    def _has_a_peer(self) -> "Config":
        if self.transport == "telnet" and self.address is None:
            raise ValueError("transport telnet needs an address")
        if self.transport == "http" and self.http is None:
            raise ValueError("transport http needs the settings of http")
        return self
