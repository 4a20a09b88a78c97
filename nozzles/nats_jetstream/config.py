"""Where the stream of a NATS nozzle is, and how messages get there."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from nozzles.messages import Format
from nozzles.tls_pair import check_pair
from plumbing.config import PeerAddress, Section


class Config(Section):
    """Where the stream is and how messages get there."""

    servers: tuple[PeerAddress, ...] = Field(min_length=1)
    """The NATS servers, as host:port: one of them is connected to."""

    stream: str = Field(default="", pattern=r"^[A-Za-z0-9_-]*$")
    """The stream that must take the messages; empty leaves it to the server which stream listens to the subjects."""

    subject_prefix: str = Field(default="standpipe", pattern=r"^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$")
    """What subjects begin with: `<prefix>.<kind>.<source_id>`, where any character of a source_id but letters, digits,
    `_` and `-` is `_`, and what is beyond 200 characters is cut off."""

    format: Format = "json"
    """What a message holds: the JSON of an envelope, or a serialised `loggregator.v2.Envelope`."""

    create_stream: bool = False
    """Whether a stream that is missing is created, with `<prefix>.>` as its subjects; one that exists stays."""

    duplicate_window_s: PositiveFloat = 120.0
    """Of a created stream: for how long it knows the id of a message again."""

    max_stream_bytes: PositiveInt = 1024 * 1024 * 1024
    """Of a created stream: how much it keeps before the oldest messages go."""

    max_age_s: float = Field(default=0.0, ge=0)
    """Of a created stream: how long it keeps a message; 0 keeps it until there is no room."""

    replicas: int = Field(default=1, ge=1, le=5)
    """Of a created stream: on how many servers it is kept."""

    ack_timeout_s: PositiveFloat = 30.0
    """How long connecting, and then the acknowledgement of one batch, may take before it is tried again."""

    tls_ca: Path | None = None
    """PEM file of those who may sign the servers' certificates; with it the connection is TLS."""

    tls_cert: Path | None = None
    """PEM file of the certificate that the servers are shown, if they ask for one."""

    tls_key: Path | None = None
    """PEM file of its private key."""

    credentials_file: Path | None = None
    """File with the JWT and the key of a user, as `nsc` writes it (mode 0600)."""

    token_file: Path | None = None
    """File with the token that the servers ask for (mode 0600)."""

    user: str = ""
    """The name that the servers ask for."""

    password_file: Path | None = None
    """File with the password of `user` (mode 0600)."""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.create_stream and not self.stream:
            raise ValueError("create_stream needs the name of the stream")
        if bool(self.user) != bool(self.password_file):
            raise ValueError("user and password_file are given together or not at all")
        if sum(map(bool, (self.credentials_file, self.token_file, self.user))) > 1:
            raise ValueError("credentials_file, token_file and user exclude each other")
        check_pair(self)
        return self
