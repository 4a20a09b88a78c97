"""Verify tokens here, with keys that the UAA gives out: `GET /token_keys`."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import anyio

from plumbing.auth.asking import Asker, Unanswered
from plumbing.auth.check_token import KNOWN, Scopes
from plumbing.auth.decisions import Access, Decision
from plumbing.auth.grants import INVALID, AccessDenied
from plumbing.auth.keyring import BadSignature, Keyring, Rules, key_id, parse_keyring, verified_scopes

REFRESH_S = 5.0
"""The shortest time between two questions for the keys, whatever tokens strangers show."""


class TokenKeys:
    """Knows a token's scopes from the token, once the UAA has given its keys.

    The keys are asked for again when a token names an unknown one or does not verify, and when they are `keep_s` old.
    While the UAA does not answer, the known ones go on serving.
    """

    def __init__(
        self,
        asker: Asker,
        url: str,
        credentials: tuple[str, str] | None,
        *,
        rules: Rules,
        symmetric: bool = False,
        keep_s: float,
        now: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._asker = asker
        self._url = f"{url}/token_keys"
        self._credentials = credentials
        self._rules = rules
        self._symmetric = symmetric
        self._keep_s = max(keep_s, REFRESH_S)
        self._now = now
        self._clock = clock
        self._keys: Keyring = {}
        self._asked_at = -math.inf
        self._fault = "no answer yet"
        self._refreshing: anyio.Event | None = None

    async def scopes(self, token: str) -> Scopes | Decision:
        """Return the scopes of a good token, of others the decision."""
        try:
            scopes = KNOWN & await self._verified(token)
        except AccessDenied:
            return Decision(Access.DENIED, INVALID)
        except Unanswered as error:
            return Decision(Access.UNKNOWN, str(error))
        self._asker.tally.cached += 1
        return scopes

    async def _verified(self, token: str) -> frozenset[str]:
        kid = key_id(token)
        if self._refreshing is None:
            await self._refresh(self._keep_s)
        if kid not in self._keys:
            await self._refresh(REFRESH_S)
        key = self._keys.get(kid)
        if key is None and self._fault:
            raise Unanswered(self._fault)
        if key is None:
            raise AccessDenied("the token names a key that the UAA does not know")
        try:
            return verified_scopes(token, key, self._rules, self._now())
        except BadSignature:
            await self._refresh(REFRESH_S)
            other = self._keys.get(kid)
            if other is None or other is key:
                raise
            return verified_scopes(token, other, self._rules, self._now())

    async def _refresh(self, oldest_s: float) -> None:
        """Ask for the keys if the last question is `oldest_s` ago; if one is being asked, wait for its answer."""
        while self._refreshing is not None:
            await self._refreshing.wait()
        if self._clock() - self._asked_at < oldest_s:
            return
        self._refreshing = anyio.Event()
        answered = False
        try:
            self._keys = await self._asker.ask("GET", self._url, self._read, credentials=self._credentials)
            self._fault, answered = "", True
        except Unanswered as error:
            self._fault, answered = str(error), True
        finally:
            if answered or self._keys:  # without any key, the next one must not wait for whoever asked and went away
                self._asked_at = self._clock()  # only now: the answer may have taken longer than it counts
            self._refreshing.set()
            self._refreshing = None

    def _read(self, status: int, body: bytes) -> Keyring:
        if status != 200:
            raise Unanswered(f"an answer with the status {status}")
        try:
            return parse_keyring(body, symmetric=self._symmetric)
        except ValueError as error:
            raise Unanswered(str(error)) from error
