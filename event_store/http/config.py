"""Every setting of the HTTP API: the section `http` of an event store."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, PositiveFloat, PositiveInt

from plumbing.config import Section


class HttpSettings(Section):
    """The API and the page over HTTPS, for clients that show a token."""

    enabled: bool = True
    """Whether it is served."""

    heartbeat_s: Annotated[float, Field(gt=0, le=30)] = 10.0
    """Time without an event after which a live tail carries a heartbeat."""

    token_check_s: PositiveFloat = 60.0
    """How often it is asked anew whether a live tail may still be read with its token."""

    slow_reader_s: PositiveFloat = 60.0
    """How long a client may take nothing of what it is sent before it is cut off."""

    max_tails: PositiveInt = 50
    """Live tails open at once; one more is answered 429."""

    tail_events: PositiveInt = 10_000
    """Events held for one slow tail before its oldest are dropped."""

    tail_bytes: PositiveInt = 8 << 20
    """Bytes of them, as JSON; a single event that is larger is held alone."""

    queue_s: PositiveFloat = 5.0
    """How long a query may wait for its turn, when `query.concurrent` others run; then it is answered 429."""

    max_answer_bytes: PositiveInt = 64 << 20
    """Bytes of the rows of one answer; one that has more is refused, 413."""

    max_unsent_bytes: PositiveInt = 256 << 20
    """Bytes of answers held for clients that take their time, all together; beyond it a request is answered 429."""

    max_connections: PositiveInt = 500
    """Connections open at once; one more is closed."""
