"""Ask the Cloud Controller who may read what an app or a service instance sends."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from functools import partial

from plumbing.auth.asking import Asker, Unanswered
from plumbing.auth.check_token import digest
from plumbing.auth.decisions import GRANTED, Access, Decision
from plumbing.auth.grants import INVALID
from plumbing.auth.remembered import Answer, Remembered

GUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_ACCESS = {200: Access.GRANTED, 401: Access.DENIED, 403: Access.HIDDEN, 404: Access.HIDDEN}
_FIRST = (Access.GRANTED, Access.UNKNOWN, Access.DENIED, Access.HIDDEN)
"""Which of two answers counts: a yes, else a doubt, else the one that says more."""


class LogAccess:
    """Decides about sources by what the Cloud Controller says, and remembers it by token and source.

    Apps are asked about at its internal address, which knows of logs; without one, at the public address. Service
    instances are known at the public address alone. Either address may be missing, not both.
    """

    def __init__(
        self,
        asker: Asker,
        url: str,
        external_url: str,
        *,
        cache_s: float,
        max_cached: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._asker = asker
        self._url = url
        self._external_url = external_url
        self._cache_s = cache_s
        self._remembered: Remembered[tuple[bytes, str, bool], Decision] = Remembered(max_cached, clock=clock)

    async def source(self, token: str, source_id: str, *, services: bool = False) -> Decision:
        """Decide about an app, or with `services` about a service instance too. What is no GUID is nobody's."""
        if not GUID.fullmatch(source_id):
            return Decision(Access.DENIED, INVALID)
        services = services and bool(self._external_url)
        key = digest(token), source_id, services
        decision, cached = await self._remembered.get(key, partial(self._ask, token, source_id, services))
        self._asker.tally.cached += cached
        return decision

    async def _ask(self, token: str, guid: str, services: bool) -> Answer[Decision]:
        at_app = f"{self._url}/internal/v4/log_access" if self._url else f"{self._external_url}/v3/apps"
        decision = await self._one(token, f"{at_app}/{guid}")
        if services and decision is not GRANTED:
            other = await self._one(token, f"{self._external_url}/v3/service_instances/{guid}")
            decision = min(decision, other, key=lambda each: _FIRST.index(each.access))
        return Answer(decision, self._cache_s if decision is GRANTED else None)

    async def _one(self, token: str, url: str) -> Decision:
        try:
            return await self._asker.ask("GET", url, _read, headers={"Authorization": f"bearer {token}"})
        except Unanswered as error:
            return Decision(Access.UNKNOWN, str(error))


def _read(status: int, _: bytes) -> Decision:
    access = _ACCESS.get(status)
    if access is None:
        raise Unanswered(f"an answer with the status {status}")
    if access is Access.GRANTED:
        return GRANTED
    return Decision(access, INVALID if access is Access.DENIED else f"the Cloud Controller says {status}")
