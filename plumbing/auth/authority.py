"""Whoever decides about access, behind one interface: doors ask it, and settings say who it is."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Protocol

import structlog

from plumbing.auth.config import AuthSettings
from plumbing.auth.decisions import Access, AuthorityCounts, Decision, Readable
from plumbing.auth.local import LocalAuthority, OpenAuthority
from plumbing.auth.token_verifier import TokenVerifier

__all__ = ["Access", "AuthSettings", "Authority", "AuthorityCounts", "Decision", "Readable", "make_authority"]

log = structlog.get_logger(__name__)


class Authority(Protocol):
    """Decides who may read what. One event loop may use it, trio's or asyncio's; nothing runs behind it."""

    @property
    def counts(self) -> AuthorityCounts:
        """Return how questions were answered; may be read from any thread."""

    async def firehose(self, token: str | None) -> Decision:
        """Decide about everything: the scope `doppler.firehose`; `logs.admin` is not enough."""
        ...

    async def admin(self, token: str | None) -> Decision:
        """Decide about any source: the scope `doppler.firehose` or `logs.admin`."""
        ...

    async def source(self, token: str | None, source_id: str, *, services: bool = False) -> Decision:
        """Decide about one app; with `services` a service instance will do too."""
        ...

    async def readable(self, token: str | None) -> Readable:
        """List the sources that may be read, apps and service instances; an administrator's are all there are."""
        ...

    async def named(self, token: str | None, names: Collection[str]) -> Mapping[str, frozenset[str]] | Decision:
        """Return the source ids of the apps with these names, as far as the token shows them; or why nobody can say.

        Names of no app are left out. To be shown an app is no right to read it.
        """
        ...

    async def close(self) -> None:
        """Let go of what is open to others."""
        ...


def make_authority(settings: AuthSettings) -> Authority:
    """Make the authority that the settings ask for; connects to nobody yet.

    Raises `TokensError`, `TlsError` or `ConfigError` naming a file or a setting that is missing or of no use.
    """
    if settings.mode == "open":
        log.warning("access_control_off", meaning="whoever reaches this component may read everything")
        return OpenAuthority()
    if settings.mode == "uaa":
        from plumbing.auth.remote import make_remote  # late: only who asks others needs an HTTP client

        return make_remote(settings)
    return LocalAuthority(TokenVerifier(settings.tokens_dir))
