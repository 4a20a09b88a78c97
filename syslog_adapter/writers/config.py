"""The settings of what writes to drains."""

from __future__ import annotations

from pathlib import Path

from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt

from plumbing.config import Section


class WriterSettings(Section):
    """How drains are reached."""

    dial_timeout_s: PositiveFloat = 10.0
    """How long a connection, TLS handshake included, may take to come about."""

    verdict_s: PositiveFloat = 0.5
    """How long a drain over TLS may take, after the handshake, to refuse our certificate: before that, or before it
    says something else, it is given no message."""

    write_timeout_s: PositiveFloat = 10.0
    """How long a syslog drain may take not one byte before its connection is given up."""

    keepalive_s: PositiveInt = 10
    """How long a connection is silent before TCP asks whether the drain is still there."""

    https_timeout_s: PositiveFloat = 20.0
    """How long an https drain may take to answer a request, and to take its body."""

    https_connections: PositiveInt = 5
    """The most connections to one https drain, and so the requests under way."""

    batch_max_bytes: PositiveInt = 512 * 1024
    """The most bytes of messages in one POST to an https-batch drain; a longer message goes alone."""

    batch_linger_s: NonNegativeFloat = 1.0
    """How long the first of them waits for others, if there are not so many."""

    trusted_ca_file: Path | None = None
    """PEM file of authorities that may sign the certificate of any drain, besides those the system trusts."""

    skip_cert_verify: bool = False
    """Whether drains are believed to be who they say; never set this outside a test."""

    metadata: bool = True
    """Whether messages show the tags of an envelope where the drain's URL does not say."""
