"""Where the receiver of a Fluent Forward nozzle is, and how events get there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Self

from pydantic import Field, PositiveFloat, field_validator, model_validator

from nozzles.tls_pair import check_pair
from plumbing.config import PeerAddress, Section


class Config(Section):
    """Where the receiver is and how events get there."""

    address: PeerAddress
    """Fluentd, Fluent Bit or any other receiver of the Forward protocol, as host:port (usually port 24224)."""

    tag: str = Field(default="standpipe.<kind>.<source_id>", min_length=1, max_length=200)
    """The tag of an event; `<kind>` and `<source_id>` stand for the envelope's, and any character of a source_id but
    letters, digits, `_` and `-` becomes `_`."""

    compress: bool = False
    """Whether events are sent gzipped (CompressedPackedForward)."""

    max_message_bytes: int = Field(default=1024 * 1024, gt=0, le=64 << 20)
    """How many bytes of events, before gzip, go in one message; one event that is larger goes alone."""

    ack_timeout_s: PositiveFloat = 30.0
    """How long connecting, and then all acknowledgements of one batch, may take before it is tried again."""

    hostname: str = Field(default="standpipe", min_length=1, max_length=255)
    """What the receiver is told that we are called; it must not be the name it has itself."""

    shared_key_file: Path | None = None
    """File with the key that both sides know (mode 0600); with it the receiver has to begin with a handshake."""

    user: str = ""
    """The name that the receiver asks for, within the handshake."""

    password_file: Path | None = None
    """File with the password of `user` (mode 0600)."""

    tls_ca: Path | None = None
    """PEM file of those who may sign the receiver's certificate; with it the connection is TLS."""

    tls_cert: Path | None = None
    """PEM file of the certificate that the receiver is shown, if it asks for one."""

    tls_key: Path | None = None
    """PEM file of its private key."""

    @field_validator("tag")
    @classmethod
    def _known_places(cls, tag: str) -> str:
        if unknown := re.findall(r"<(?!kind>|source_id>)[^>]*>?", tag):
            raise ValueError(f"{unknown[0]} of the tag stands for nothing: there are <kind> and <source_id>")
        return tag

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if bool(self.user) != bool(self.password_file):
            raise ValueError("user and password_file are given together or not at all")
        if self.user and not self.shared_key_file:
            raise ValueError("user needs shared_key_file: names are asked for within the handshake")
        check_pair(self)
        return self
