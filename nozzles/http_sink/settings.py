"""The settings that every sink spoken to over HTTP has."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import httpx
from pydantic import AfterValidator, Field, PositiveFloat, StringConstraints, model_validator

from plumbing.config import Section


def _http_url(url: str) -> str:
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise ValueError(f"not a URL: {error}") from None
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise ValueError("not a URL like https://host:port/path")
    return url


HttpUrl = Annotated[str, AfterValidator(_http_url), Field(title="URL")]
HeaderName = Annotated[str, StringConstraints(pattern=r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")]
HeaderValue = Annotated[str, StringConstraints(pattern=r"^([!-~]([ -~]*[!-~])?)?$")]


class HttpSettings(Section):
    """Where a sink is and how it is spoken to."""

    url: HttpUrl
    """Where to post; a user and password in it are sent as Basic authentication, and never shown."""

    timeout_s: PositiveFloat = 30.0
    """How long one request may take, from dialling to the end of the answer."""

    tls_ca: Path | None = None
    """PEM file of those who may sign the sink's certificate; without it, those whom this machine trusts."""

    tls_cert: Path | None = None
    """PEM file of the certificate that is shown to the sink, if any."""

    tls_key: Path | None = None
    """PEM file of its private key."""

    headers: dict[HeaderName, HeaderValue] = Field(default={}, max_length=64)
    """More headers for each request."""

    max_body_bytes: int = Field(default=1_000_000, ge=1024, le=100 << 20)
    """The largest body, before compression; a single envelope that is larger goes alone."""

    compression: Literal["none", "gzip", "zstd"] = "none"
    """How bodies are compressed."""

    @model_validator(mode="after")
    def _has_the_whole_pair(self) -> HttpSettings:
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ValueError("tls_cert and tls_key are given together or not at all")
        return self
