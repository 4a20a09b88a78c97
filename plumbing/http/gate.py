"""Who may come in: the rules that the doors share; each says in its own words that somebody may not."""

from __future__ import annotations

from collections.abc import Callable

from plumbing.auth import Access, Authority
from plumbing.http.refusal import Refusal


class Gate:
    """Asks the authority, and lets through what may be read; raises its `Refusal` for the rest.

    A token of which nobody can say whether it is an administrator's opens nothing.
    """

    def __init__(self, authority: Authority, refusal: Callable[[], Refusal]) -> None:
        """Take who decides, and what those hear who may not."""
        self._authority = authority
        self._refusal = refusal

    async def is_admin(self, token: str | None) -> bool:
        """Tell whether a token opens everything."""
        access = (await self._authority.admin(token)).access
        if access is Access.UNKNOWN:
            raise self._refusal()
        return access is Access.GRANTED

    async def may_read(self, token: str | None, source_id: str) -> bool:
        """Tell whether an app or a service instance is somebody's who is no administrator."""
        decision = await self._authority.source(token, source_id, services=True)
        return decision.access is Access.GRANTED

    async def source(self, token: str | None, source_id: str) -> None:
        """Let a read of one source through: an administrator's, or that of somebody whose source it is."""
        if not await self.is_admin(token) and not await self.may_read(token, source_id):
            raise self._refusal()

    async def sources(self, token: str | None) -> frozenset[str] | None:
        """Return the sources of whoever asks for all there are; None if it is an administrator."""
        readable = await self._authority.readable(token)
        if readable.decision.access is not Access.GRANTED:
            raise self._refusal()
        return readable.sources
