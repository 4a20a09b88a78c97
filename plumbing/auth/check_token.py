"""Ask the UAA about each token: `POST /check_token`, as the original does."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from functools import partial
from typing import Annotated, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from plumbing.auth.asking import Asker, Unanswered
from plumbing.auth.decisions import Access, Decision
from plumbing.auth.grants import ADMIN, FIREHOSE, INVALID
from plumbing.auth.remembered import Answer, Remembered

Scopes: TypeAlias = frozenset[str]
"""Those of a token's scopes that mean something here."""

KNOWN: Scopes = frozenset({FIREHOSE, ADMIN})


class Checked(BaseModel):
    """What the UAA says of a good token; `active` is the word of RFC 7662 for one that is not."""

    model_config = ConfigDict(strict=True, frozen=True, allow_inf_nan=False, hide_input_in_errors=True)

    scope: list[str]
    exp: Annotated[float, Field(le=1e12)] | None = None
    active: bool = True


class CheckToken:
    """Knows a token's scopes from the UAA, and remembers what it said by the digest of the token."""

    def __init__(
        self,
        asker: Asker,
        url: str,
        credentials: tuple[str, str],
        *,
        cache_s: float,
        max_cached: int,
        now: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._asker = asker
        self._url = f"{url}/check_token"
        self._credentials = credentials
        self._cache_s = cache_s
        self._now = now
        self._remembered: Remembered[bytes, Scopes | Decision] = Remembered(max_cached, clock=clock)

    async def scopes(self, token: str) -> Scopes | Decision:
        """Return the scopes of a good token, of others the decision. A yes is good until the token expires, at most."""
        answer, cached = await self._remembered.get(digest(token), partial(self._ask, token))
        self._asker.tally.cached += cached
        return answer

    async def _ask(self, token: str) -> Answer[Scopes | Decision]:
        try:
            checked = await self._asker.ask(
                "POST", self._url, _read, form={"token": token}, credentials=self._credentials
            )
        except Unanswered as error:
            return Answer(Decision(Access.UNKNOWN, str(error)))
        if checked is None:
            return Answer(Decision(Access.DENIED, INVALID))
        left_s = self._cache_s if checked.exp is None else min(self._cache_s, checked.exp - self._now())
        return Answer(KNOWN.intersection(checked.scope), left_s)


def digest(token: str) -> bytes:
    """Return what stands for a token wherever something is held of it."""
    return hashlib.sha256(token.encode()).digest()


def _read(status: int, body: bytes) -> Checked | None:
    """Return what is said of a good token, None of a bad one."""
    if status == 400:
        return None
    if status in (401, 403):
        raise Unanswered(f"our client id and secret are not accepted: {status}")
    if status != 200:
        raise Unanswered(f"an answer with the status {status}")
    try:
        checked = Checked.model_validate_json(body)
    except ValidationError as error:
        raise Unanswered("an answer that is no token's") from error
    return checked if checked.active else None
