"""Every setting of who decides about access: the section `auth` of a component with a door."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, PositiveFloat, PositiveInt

from plumbing.config import Section


class AuthSettings(Section):
    """Who decides who may read what."""

    mode: Literal["local", "uaa", "open"] = "local"
    """Who decides: the tokens of this installation, a UAA and a Cloud Controller, or nobody (everyone may read all)."""

    tokens_dir: Path = Path("tokens")
    """Where the public key of the tokens and the list of revoked ones are (mode local)."""

    uaa_url: str = ""
    """The UAA, as `https://host[:port]` (mode uaa)."""

    uaa_ca: Path | None = None
    """PEM file of those who may sign the UAA's certificate."""

    uaa_client_id: str = ""
    """Who we are to the UAA: a client with the authority `uaa.resource`."""

    uaa_client_secret_file: Path | None = None
    """File with the secret of that client; a line break at its end does not belong to it."""

    uaa_verify: Literal["check_token", "keys"] = "check_token"
    """How tokens are verified: the UAA is asked about each, or they are verified here with the UAA's keys. Then nobody
    is asked, and a token that is revoked there counts until it expires."""

    uaa_issuer: str = ""
    """With `keys`: the issuer that a token must name; empty means any."""

    uaa_audience: str = ""
    """With `keys`: an audience that a token must be meant for; empty means any."""

    uaa_symmetric_keys: bool = False
    """With `keys`: whether tokens signed with a shared secret (HS256) are taken too."""

    capi_url: str = ""
    """The Cloud Controller's internal address, as `https://host[:port]`: who may read an app's logs (mode uaa). Empty
    means that the public address is asked who may see the app."""

    capi_external_url: str = ""
    """Its public address, to ask about service instances and names of apps, and for lists of both; empty means that
    nobody is asked about those."""

    capi_ca: Path | None = None
    """PEM file of those who may sign the Cloud Controller's certificates, at either address."""

    capi_cert: Path | None = None
    """PEM file of the certificate that is shown to the Cloud Controller; its internal address needs one."""

    capi_key: Path | None = None
    """PEM file of its private key."""

    cache_s: Annotated[float, Field(ge=0)] = 60.0
    """How long a yes of the UAA or the Cloud Controller is good for; a token that is revoked there counts that long."""

    timeout_s: PositiveFloat = 10.0
    """How long either may take to answer one question, connecting included."""

    max_cached: PositiveInt = 10_000
    """Answers held of each; beyond that the one that was not needed for longest goes."""

    max_connections: PositiveInt = 16
    """Connections to each, open at once; further questions wait, `timeout_s` at most."""
