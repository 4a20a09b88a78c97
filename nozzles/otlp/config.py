"""Every setting of the OTLP nozzle, with default and meaning."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from nozzles.http_sink import HttpSettings
from nozzles.tls_pair import check_pair
from plumbing.config import PeerAddress, Section


class GrpcSettings(Section):
    """Where a collector takes OTLP over gRPC, and how it is known."""

    address: PeerAddress
    """Its `host:port`; 4317 is usual."""

    server_name: str = ""
    """The name in its certificate; empty means the host of the address."""

    tls_ca: Path | None = None
    """PEM file of those who may sign its certificate; without it, those that gRPC trusts."""

    tls_cert: Path | None = None
    """PEM file of the certificate that is shown to it, if any."""

    tls_key: Path | None = None
    """PEM file of its private key."""

    plaintext: bool = False
    """Speak without TLS: whoever is on the network reads along."""

    timeout_s: PositiveFloat = 30.0
    """How long one request may take, from dialling to the answer."""

    max_request_bytes: Annotated[int, Field(ge=1024, le=64 << 20)] = 1_000_000
    """The largest request; a single envelope that is larger goes alone. Collectors take 4 MiB."""

    @model_validator(mode="after")
    def _fits_together(self) -> GrpcSettings:
        check_pair(self)
        if self.plaintext and (self.tls_ca or self.server_name):
            raise ValueError("plaintext goes with none of the settings of TLS")
        return self


class HttpCollector(HttpSettings):
    """Where a collector takes OTLP over HTTP; `/v1/logs`, `/v1/metrics` and `/v1/traces` follow its URL."""

    compression: Literal["none", "gzip"] = "gzip"
    """How bodies are compressed."""


class Config(Section):
    """Where a collector is, and which signals it is sent."""

    grpc: GrpcSettings | None = None
    """A collector over gRPC; this or `http`."""

    http: HttpCollector | None = None
    """A collector over HTTP; this or `grpc`."""

    logs: bool = True
    """Whether logs and events are sent."""

    metrics: bool = True
    """Whether counters and gauges are sent."""

    traces: bool = True
    """Whether timers of traced requests are sent, as spans."""

    items_per_request: PositiveInt = 1000
    """Log records, metrics or spans in one request; an envelope of more has a request to itself."""

    @model_validator(mode="after")
    def _has_one_collector(self) -> Config:
        if (self.grpc is None) == (self.http is None):
            raise ValueError("give the settings of grpc or of http, and not of both")
        return self
