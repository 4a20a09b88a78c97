"""Every setting of the Prometheus nozzle, with default and meaning."""

from __future__ import annotations

from pathlib import Path

from pydantic import PositiveFloat, PositiveInt, model_validator

from nozzles.prometheus_series import SeriesSettings
from plumbing.config import ListenAddress, Section


class Config(Section):
    """Where series can be scraped, and how many of them are kept."""

    listen: ListenAddress = "127.0.0.1:9103"
    """Where `/metrics` is served; port 0 takes a free one."""

    tls_cert: Path | None = None
    """PEM file of the certificate to serve with."""

    tls_key: Path | None = None
    """PEM file of its private key."""

    tls_client_ca: Path | None = None
    """PEM file of those who must have signed a scraper's certificate; without it, whoever comes is answered."""

    plaintext: bool = False
    """Serve without TLS: whoever is on the network reads along."""

    series: SeriesSettings = SeriesSettings()
    """How names and labels are made."""

    max_series: PositiveInt = 50_000
    """Series kept; for one more, the one that was updated longest ago goes."""

    expire_s: PositiveFloat = 600.0
    """How long a series that nothing is heard of is shown."""

    connections: PositiveInt = 50
    """Scrapers connected at once; one more is closed at once."""

    @model_validator(mode="after")
    def _is_secure_or_says_it_is_not(self) -> Config:
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ValueError("tls_cert and tls_key are given together or not at all")
        if self.plaintext == (self.tls_cert is not None):
            raise ValueError("give tls_cert and tls_key, or plaintext = true, and not both")
        if self.plaintext and self.tls_client_ca:
            raise ValueError("tls_client_ca needs TLS")
        return self
