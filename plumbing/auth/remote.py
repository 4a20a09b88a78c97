"""The authority of a Cloud Foundry: its UAA knows scopes, its Cloud Controller who may read which source."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from functools import partial
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from plumbing.auth.asking import Asker
from plumbing.auth.capi import LogAccess
from plumbing.auth.check_token import CheckToken, Scopes
from plumbing.auth.config import AuthSettings
from plumbing.auth.decisions import GRANTED, Access, AuthorityCounts, Decision, Readable
from plumbing.auth.grants import ADMIN, FIREHOSE, INVALID, MAX_TOKEN_BYTES, NOT_PROVIDED
from plumbing.auth.keyring import Rules
from plumbing.auth.listings import Listings
from plumbing.auth.token_keys import TokenKeys
from plumbing.setting_sources import ConfigError
from plumbing.tls import client_context

_TOKEN = re.compile(rf"[\x21-\x7e]{{1,{MAX_TOKEN_BYTES}}}")


class ScopeSource(Protocol):
    """Whoever knows the scopes of a token."""

    async def scopes(self, token: str) -> Scopes | Decision:
        """Return the scopes of a good token, of others the decision."""
        ...


class SourceAccess(Protocol):
    """Whoever knows which sources a token may read."""

    async def source(self, token: str, source_id: str, *, services: bool = False) -> Decision:
        """Decide about an app, or with `services` about a service instance too."""
        ...


class Lists(Protocol):
    """Whoever lists what a token shows."""

    async def readable(self, token: str) -> Readable:
        """List apps and service instances."""
        ...

    async def named(self, token: str, names: Collection[str]) -> Mapping[str, frozenset[str]] | Decision:
        """Return the source ids of the apps with these names."""
        ...


class RemoteAuthority:
    """Decides by what others say. A token that could be none is denied without asking them."""

    def __init__(
        self, uaa: ScopeSource, capi: SourceAccess, lists: Lists, counts: AuthorityCounts, askers: tuple[Asker, ...]
    ) -> None:
        self.counts = counts
        self._uaa = uaa
        self._capi = capi
        self._lists = lists
        self._askers = askers

    async def firehose(self, token: str | None) -> Decision:
        """Decide about everything: the scope `doppler.firehose`."""
        return await self._scoped(token, frozenset({FIREHOSE}))

    async def admin(self, token: str | None) -> Decision:
        """Decide about any source: `doppler.firehose` or `logs.admin`."""
        return await self._scoped(token, frozenset({FIREHOSE, ADMIN}))

    async def source(self, token: str | None, source_id: str, *, services: bool = False) -> Decision:
        """Decide about one app, or with `services` about a service instance too: the Cloud Controller's word alone."""
        if not token or not _TOKEN.fullmatch(token):
            return _refusal(token)
        return await self._capi.source(token, source_id, services=services)

    async def readable(self, token: str | None) -> Readable:
        """List the sources that may be read; those of an administrator, whom the UAA knows, are all there are."""
        if not token or not _TOKEN.fullmatch(token):
            return Readable(_refusal(token))
        scopes = await self._uaa.scopes(token)
        if isinstance(scopes, Decision):
            return Readable(scopes)
        return Readable(GRANTED, None) if scopes & {FIREHOSE, ADMIN} else await self._lists.readable(token)

    async def named(self, token: str | None, names: Collection[str]) -> Mapping[str, frozenset[str]] | Decision:
        """Return the source ids of the apps with these names, as the Cloud Controller shows them to this token."""
        if not token or not _TOKEN.fullmatch(token):
            return _refusal(token)
        return await self._lists.named(token, names)

    async def close(self) -> None:
        """Close what is open to the UAA and to the Cloud Controller."""
        for asker in self._askers:
            await asker.close()

    async def _scoped(self, token: str | None, enough: Scopes) -> Decision:
        if not token or not _TOKEN.fullmatch(token):
            return _refusal(token)
        scopes = await self._uaa.scopes(token)
        if isinstance(scopes, Decision):
            return scopes
        return GRANTED if scopes & enough else Decision(Access.DENIED, INVALID)


def _refusal(token: str | None) -> Decision:
    return Decision(Access.DENIED, INVALID if token else NOT_PROVIDED)


def make_remote(settings: AuthSettings) -> RemoteAuthority:
    """Make the authority of mode `uaa`; raise `ConfigError` or `TlsError` naming what is missing or of no use."""
    _demand(settings)
    counts = AuthorityCounts("uaa", "capi")
    assert settings.uaa_ca is not None
    assert settings.capi_ca is not None
    new = partial(Asker, timeout_s=settings.timeout_s, max_connections=settings.max_connections)
    uaa = new("uaa", counts["uaa"], tls=client_context(settings.uaa_ca))
    capi = new("capi", counts["capi"], tls=client_context(settings.capi_ca, settings.capi_cert, settings.capi_key))
    internal = settings.capi_url and _sound_url("capi_url", settings.capi_url)
    external = settings.capi_external_url and _sound_url("capi_external_url", settings.capi_external_url)
    access = LogAccess(capi, internal, external, cache_s=settings.cache_s, max_cached=settings.max_cached)
    lists = Listings(capi, external, cache_s=settings.cache_s, max_cached=settings.max_cached)
    return RemoteAuthority(_scope_source(settings, uaa), access, lists, counts, (uaa, capi))


def _scope_source(settings: AuthSettings, asker: Asker) -> ScopeSource:
    url = _sound_url("uaa_url", settings.uaa_url)
    secret_file = settings.uaa_client_secret_file
    credentials = (settings.uaa_client_id, _secret(secret_file)) if settings.uaa_client_id and secret_file else None
    if settings.uaa_verify == "check_token":
        assert credentials is not None
        return CheckToken(asker, url, credentials, cache_s=settings.cache_s, max_cached=settings.max_cached)
    rules = Rules(issuer=settings.uaa_issuer, audience=settings.uaa_audience)
    return TokenKeys(
        asker, url, credentials, rules=rules, symmetric=settings.uaa_symmetric_keys, keep_s=settings.cache_s
    )


def _demand(settings: AuthSettings) -> None:
    """See to it that everything is set that this mode cannot do without."""
    needed = ["uaa_url", "uaa_ca", "capi_ca"]
    if settings.capi_url or not settings.capi_external_url:
        needed[2:] = ["capi_url", "capi_ca", "capi_cert", "capi_key"]
    if settings.uaa_verify == "check_token" or settings.uaa_client_id or settings.uaa_client_secret_file:
        needed[2:2] = ["uaa_client_id", "uaa_client_secret_file"]
    missing = [f"auth.{name}" for name in needed if not getattr(settings, name)]
    if missing:
        raise ConfigError(f"auth.mode uaa needs {', '.join(missing)}")


def _sound_url(name: str, url: str) -> str:
    """Return an address to which paths can be added. Tokens travel to it, so it is one of HTTPS."""
    try:
        parts = urlsplit(url)
        sound = parts.scheme == "https" and parts.hostname and (parts.port or 443) and url.isascii()
    except ValueError:
        sound = False
    if not sound or parts.query or parts.fragment or "@" in parts.netloc or re.search(r"[\s\x00-\x1f?#]", url):
        raise ConfigError(f"auth.{name}: {url!r} is not https://host[:port]")
    return url.rstrip("/")


def _secret(path: Path) -> str:
    try:
        secret = path.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"auth.uaa_client_secret_file: {path}: {getattr(error, 'strerror', error)}") from error
    if not secret:
        raise ConfigError(f"auth.uaa_client_secret_file: {path}: empty")
    return secret
