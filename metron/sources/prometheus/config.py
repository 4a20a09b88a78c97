"""Settings of the scraper: which targets, how often, and how much of each."""

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, PositiveFloat, PositiveInt, field_validator

from metron.sources.prometheus.durations import seconds_of
from plumbing.config import Section

SHORTEST_INTERVAL_S = 0.1
"""No target is scraped more often than this."""

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e]*")


def _unicode(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("is no valid Unicode") from None
    return text


_Text = Annotated[str, AfterValidator(_unicode)]


class ScrapeTarget(Section):
    """One endpoint to scrape. The original's YAML files have the same keys (all but `host`)."""

    port: int = Field(ge=1, le=65535)
    """The port of the target."""

    host: str = Field(default="127.0.0.1", pattern=r"^[^\s/@?#]+$")
    """The host of the target; a target named by a file is always on this machine."""

    source_id: _Text = ""
    """The source_id of the envelopes; a sample's label `source_id` wins."""

    instance_id: _Text = ""
    """The instance_id of the envelopes."""

    scheme: Literal["http", "https"] = "http"
    """Whether the target speaks TLS."""

    server_name: str = ""
    """The name that the certificate of an https target must carry; needed for each of them."""

    path: str = "/metrics"
    """Where the metrics are, with a query if there is one."""

    headers: dict[str, str] = Field(default={}, max_length=100)
    """Headers of the request."""

    labels: dict[_Text, _Text] = Field(default={}, max_length=100)
    """Tags of every envelope; a sample's own label of the same name wins."""

    ca_path: Path | None = None
    """PEM file of the authority that an https target's certificate must come from."""

    client_cert_path: Path | None = None
    """PEM file of the certificate to show to the target."""

    client_key_path: Path | None = None
    """PEM file of the key of that certificate."""

    scrape_interval: str = ""
    """How often to scrape, like `15s` or `1m30s`, 0.1 s at least; zero or less: never."""

    @field_validator("headers")
    @classmethod
    def _sendable(cls, headers: dict[str, str]) -> dict[str, str]:
        for name, value in headers.items():
            if not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
                raise ValueError(f"{name[:40]!r} cannot be sent as a header")
        return headers

    @field_validator("scrape_interval")
    @classmethod
    def _readable(cls, interval: str) -> str:
        if interval and 0 < seconds_of(interval) < SHORTEST_INTERVAL_S:
            raise ValueError(f"{interval!r} is under {SHORTEST_INTERVAL_S:g} s")
        return interval


class Prometheus(Section):
    """Endpoints in Prometheus' text format whose samples become gauges and counters."""

    config_globs: list[str] = []
    """Globs of YAML files that name a target each, as those of the original's scraper."""

    targets: list[ScrapeTarget] = []
    """Targets named here."""

    default_source_id: _Text = Field(default="prometheus", min_length=1)
    """The source_id of targets that name none."""

    default_interval_s: float = 15.0
    """How often to scrape targets that do not say it, 0.1 at least; zero or less: never."""

    look_again_s: PositiveFloat = 15.0
    """How often to look for new, changed and vanished files."""

    timeout_s: PositiveFloat = 10.0
    """How long a target may take to answer, and how long what it answered may take to read."""

    max_bytes: PositiveInt = 16 << 20
    """The longest answer of a target; a longer one is a failed scrape. The envelopes made of it may take four times
    that."""

    max_samples: PositiveInt = 100_000
    """The most samples a target may answer; more are a failed scrape."""

    max_targets: PositiveInt = 100
    """The most targets; further ones, in the order of their paths, are not scraped."""

    ca_path: Path | None = None
    """PEM file of the authority of https targets that name none."""

    client_cert_path: Path | None = None
    """PEM file of the certificate shown to https targets that name none."""

    client_key_path: Path | None = None
    """PEM file of the key of that certificate."""

    @field_validator("default_interval_s")
    @classmethod
    def _not_too_short(cls, interval_s: float) -> float:
        if 0 < interval_s < SHORTEST_INTERVAL_S:
            raise ValueError(f"is under {SHORTEST_INTERVAL_S:g} s")
        return interval_s

    def interval_s(self, target: ScrapeTarget) -> float:
        """Say how often to scrape a target; zero or less: never."""
        return seconds_of(target.scrape_interval) if target.scrape_interval else self.default_interval_s
