"""The authorities that ask nobody: the tokens of this installation, and the open door."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping

from plumbing.auth.decisions import GRANTED, Access, AuthorityCounts, Decision, Readable
from plumbing.auth.grants import INVALID, NOT_PROVIDED, AccessDenied, Grant, Verifier


class LocalAuthority:
    """Decides by what a token of this installation says. A source that it does not name is denied."""

    def __init__(self, verifier: Verifier, *, now: Callable[[], float] = time.time) -> None:
        self.counts = AuthorityCounts("local")
        self._verifier = verifier
        self._now = now

    async def firehose(self, token: str | None) -> Decision:
        """Decide about everything: the scope `doppler.firehose`."""
        return self._decide(token, Grant.may_read_firehose)

    async def admin(self, token: str | None) -> Decision:
        """Decide about any source: `doppler.firehose` or `logs.admin`."""
        return self._decide(token, Grant.may_read_any_source)

    async def source(self, token: str | None, source_id: str, *, services: bool = False) -> Decision:  # noqa: ARG002
        """Decide about one source. A service instance is one like any other."""
        return self._decide(token, lambda grant: grant.may_read_source(source_id))

    async def readable(self, token: str | None) -> Readable:
        """List the sources that the token names."""
        grant = self._grant(token)
        if isinstance(grant, Decision):
            return Readable(grant)
        return Readable(GRANTED, None if grant.may_read_any_source() else grant.sources)

    async def named(self, token: str | None, names: Collection[str]) -> Mapping[str, frozenset[str]] | Decision:  # noqa: ARG002
        """Return nothing: no source has another name here."""
        return {}

    async def close(self) -> None:
        """Hold nothing, and let nothing go."""

    def _decide(self, token: str | None, allows: Callable[[Grant], bool]) -> Decision:
        grant = self._grant(token)
        if isinstance(grant, Decision):
            return grant
        return GRANTED if allows(grant) else Decision(Access.DENIED, INVALID)

    def _grant(self, token: str | None) -> Grant | Decision:
        """Return what a good token grants, of others the decision."""
        if not token:
            return Decision(Access.DENIED, NOT_PROVIDED)
        self.counts["local"].asked += 1
        try:
            return self._verifier.verify(token, self._now())
        except AccessDenied:
            return Decision(Access.DENIED, INVALID)


class OpenAuthority:
    """Grants everything to everyone."""

    def __init__(self) -> None:
        self.counts = AuthorityCounts("open")

    async def firehose(self, token: str | None) -> Decision:  # noqa: ARG002
        """Grant it."""
        return self._grant()

    async def admin(self, token: str | None) -> Decision:  # noqa: ARG002
        """Grant it."""
        return self._grant()

    async def source(self, token: str | None, source_id: str, *, services: bool = False) -> Decision:  # noqa: ARG002
        """Grant it."""
        return self._grant()

    async def readable(self, token: str | None) -> Readable:  # noqa: ARG002
        """Grant all there are."""
        return Readable(self._grant(), None)

    async def named(self, token: str | None, names: Collection[str]) -> Mapping[str, frozenset[str]] | Decision:  # noqa: ARG002
        """Return nothing: no source has another name here."""
        return {}

    async def close(self) -> None:
        """Hold nothing, and let nothing go."""

    def _grant(self) -> Decision:
        self.counts["open"].asked += 1
        return GRANTED
