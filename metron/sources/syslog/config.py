"""Settings of the syslog receiver: where it listens, whom it believes, and how much it takes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import Field, PositiveFloat, PositiveInt, field_validator, model_validator

from plumbing.config import ListenAddress, Section
from plumbing.tls import TlsFiles


class SyslogReceiver(Section):
    """Where syslog is taken, RFC 5424 and RFC 3164 and what is near them; nowhere unless an address is given."""

    tls_listen: ListenAddress | None = None
    """Where to take it over TLS (RFC 5425); RFC 5425 has port 6514."""

    tcp_listen: ListenAddress | None = None
    """Where to take it over TCP in the clear: whoever can reach this address is believed."""

    udp_listen: ListenAddress | None = None
    """Where to take it over UDP, one message in each datagram: whoever can reach this address is believed."""

    require_client_cert: bool = True
    """Whether a client over TLS must show a certificate."""

    tls_client_ca: Path | None = None
    """PEM file of the authority whose clients are let in over TLS; `tls_ca` of the agent unless given."""

    tls_cert: Path | None = None
    """PEM file of the certificate shown over TLS; that of the agent unless given."""

    tls_key: Path | None = None
    """PEM file of the key of that certificate."""

    default_source_id: str = Field(default="syslog", min_length=1)
    """The source_id of messages that name no application."""

    source_id_prefix: str = ""
    """Put before the source_id of messages that no drain of Loggregator or of ours wrote."""

    timezone: str = ""
    """The time zone of timestamps that name none, like `Europe/Berlin`; that of this machine unless given."""

    max_message_bytes: Annotated[int, Field(ge=480, le=1 << 20)] = 66_560
    """Longer messages are cut off there, and counted."""

    max_params: Annotated[int, Field(ge=0, le=10_000)] = 1000
    """Parameters of structured data that become tags; those beyond are left out, and counted."""

    max_param_bytes: PositiveInt = 4096
    """Longer parameters are left out, and counted; those of a drain may be as long as the message."""

    max_connections: PositiveInt = 500
    """Connections open at once, over TCP and TLS together; one more is closed."""

    idle_timeout_s: PositiveFloat = 900.0
    """How long a connection may go without a whole message before it is closed."""

    receive_buffer_bytes: int = Field(default=8 << 20, gt=0, le=1 << 30)
    """Bytes of datagrams that wait in the kernel; it grants what its own limit (`net.core.rmem_max`) allows."""

    @field_validator("timezone")
    @classmethod
    def _known(cls, name: str) -> str:
        if name:
            try:
                ZoneInfo(name)
            except (OSError, ValueError, LookupError):
                raise ValueError(f"{name[:40]!r} is no time zone that this machine knows") from None
        return name

    @model_validator(mode="after")
    def _pair(self) -> SyslogReceiver:
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ValueError("tls_cert and tls_key are given together or not at all")
        return self

    def tls_files(self, agent: TlsFiles) -> TlsFiles:
        """Return what is shown and trusted over TLS: the agent's own files where no others are given."""
        return TlsFiles(
            ca=self.tls_client_ca or agent.ca, cert=self.tls_cert or agent.cert, key=self.tls_key or agent.key
        )
