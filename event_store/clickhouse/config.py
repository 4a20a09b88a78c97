"""Where a ClickHouse is that events are shipped to, and how."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import httpx
from pydantic import AfterValidator, Field, PositiveFloat, PositiveInt, StringConstraints, model_validator

from plumbing.config import Section


def _endpoint(url: str) -> str:
    if not url:
        return url
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise ValueError(f"not a URL: {error}") from None
    if parsed.scheme not in ("http", "https") or not parsed.host or parsed.query or parsed.fragment:
        raise ValueError("not a URL like https://clickhouse:8443")
    if parsed.userinfo:
        raise ValueError("a user and a password are no part of it: they have settings of their own")
    return url


Endpoint = Annotated[str, AfterValidator(_endpoint), Field(title="URL")]
Word = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,99}$")]
"""A name of theirs: one that needs no quotes."""


class ClickHouseSettings(Section):
    """Shipping to one ClickHouse: which, as whom, into which table, and how much at once."""

    url: Endpoint = ""
    """Where it answers over HTTP or HTTPS, like `https://clickhouse:8443`; empty means that nothing is shipped."""

    username: str = ""
    """The user there."""

    password_file: Path | None = None
    """File of that user's password (mode 0600)."""

    tls_ca: Path | None = None
    """PEM file of those who may sign its certificate; without it, those whom this machine trusts."""

    tls_cert: Path | None = None
    """PEM file of the certificate that is shown to it, if any."""

    tls_key: Path | None = None
    """PEM file of its private key."""

    database: Word = "default"
    """The database; it must be there."""

    table: Word = "events"
    """The table that is queried; it is made if need be, and so are its columns."""

    cluster: Word | None = None
    """The cluster over which it is spread: replicated tables called `<table>_local`, and a distributed one over them.
    Without it, one table on one node."""

    quorum: bool = False
    """Whether the majority of a shard's replicas must have the events before they count as shipped."""

    retention_days: int = Field(default=0, ge=0, le=36_500)
    """How long ClickHouse keeps an event, by its time; 0 means for ever. Counts when the table is made."""

    insert_rows: int = Field(default=200_000, ge=1, le=1_000_000)
    """Events that are inserted at once, if there are so many."""

    insert_bytes: int = Field(default=256 << 20, ge=1, le=1 << 30)
    """What they may take in memory, about: fewer are inserted at once if they are long."""

    wait_s: PositiveFloat = 60.0
    """How long fewer than `insert_rows` events wait for more."""

    timeout_s: PositiveFloat = 60.0
    """How long one request may take."""

    retry_s: PositiveFloat = 60.0
    """How long a request that fails is tried again before that counts as trouble; then it is tried later."""

    max_columns: PositiveInt = Field(default=500, le=5000)
    """Tags and parsed fields that have a column of their own there; the others are in the map `attrs`."""

    @model_validator(mode="after")
    def _names_a_user(self) -> ClickHouseSettings:
        if self.password_file is not None and not self.username:
            raise ValueError("password_file needs username")
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ValueError("tls_cert and tls_key are given together or not at all")
        if (self.tls_cert is not None) and self.tls_ca is None:
            raise ValueError("tls_cert needs tls_ca")
        return self
