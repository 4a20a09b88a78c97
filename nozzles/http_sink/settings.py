"""The settings that every sink spoken to over HTTP has: where it is, and who we are to it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, ClassVar, Literal, NamedTuple

import httpx
from pydantic import AfterValidator, Field, PositiveFloat, StringConstraints, model_validator

from nozzles.tls_pair import check_pair
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


class SecretHeader(NamedTuple):
    """A header that says who we are: what is in the file that a setting names, behind a word of its own."""

    name: str
    word: str = ""


AUTHORIZATION = "Authorization"


class HttpSettings(Section):
    """Where a sink is, how it is spoken to, and who we are to it."""

    secret_headers: ClassVar[Mapping[str, SecretHeader]] = {"token_file": SecretHeader(AUTHORIZATION, "Bearer")}
    """Of each setting that names the file of a secret, the header that it goes in. A kind may have others."""

    url: HttpUrl
    """Where to post; a user and password in it are sent as Basic authentication, and never shown."""

    username: str = ""
    """User of Basic authentication, in the place of one in the URL."""

    password_file: Path | None = None
    """File of that user's password (mode 0600)."""

    token_file: Path | None = None
    """File of a bearer token (mode 0600)."""

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
        check_pair(self, needs_ca=False)
        return self

    @model_validator(mode="after")
    def _authenticates_once(self) -> HttpSettings:
        if bool(self.username) != (self.password_file is not None):
            raise ValueError("username and password_file are given together or not at all")
        rivals = ["username", *(name for name, header in self.secret_headers.items() if header.name == AUTHORIZATION)]
        given = [name for name in rivals if getattr(self, name)]
        if len(given) > 1:
            raise ValueError(f"{' and '.join(given)} exclude each other")
        return self
