"""A binding: an app's wish to have its logs sent somewhere (loggregator.md 5.1)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """What one drain is made of. Two that are equal are one drain."""

    url: str
    """Where to, and how: `syslog_adapter.drain_url.parse_drain_url` reads it. It may hold credentials: never log it,
    show `drain_url.redacted(url)`."""

    source_id: str = ""
    """Whose envelopes; empty for an aggregate drain, which gets everybody's."""

    hostname: str = ""
    """HOST of the messages, unless an envelope's tags say more."""

    cert: str = ""
    """PEM text of the certificate to show, with `key`."""

    key: str = ""
    ca: str = ""
    """PEM text of the authority that may sign the drain's certificate, besides those configured."""

    @property
    def is_aggregate(self) -> bool:
        """Whether it is for everybody's envelopes."""
        return not self.source_id
