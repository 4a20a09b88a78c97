"""The words of access: scopes, what a token says and what it grants, and what is said to whoever shows no good one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from pydantic import BaseModel, ConfigDict

MAX_TOKEN_BYTES = 8192

FIREHOSE = "doppler.firehose"
ADMIN = "logs.admin"
SOURCE_READ = "source.read"

NOT_PROVIDED = "authorization not provided"
INVALID = "invalid authorization"
"""What a client is told, in the words of the original; the reason is for our own log."""


class AccessDenied(Exception):
    """The token grants nothing: tell the client `INVALID`, log `reason`, and do not retry."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class TokensError(Exception):
    """The files of the tokens cannot be used: put right what the message names, and start again."""


class Claims(BaseModel):
    """What a token says, as it stands in the JWT."""

    model_config = ConfigDict(strict=True, frozen=True, allow_inf_nan=False, hide_input_in_errors=True)

    iss: Literal["standpipe"]
    aud: Literal["standpipe"]
    jti: str
    iat: int | float
    nbf: int | float | None = None
    exp: int | float | None = None
    scope: list[str]
    sources: list[str]


@dataclass(frozen=True, slots=True)
class Grant:
    """What whoever presented a token may do, until it expires."""

    scopes: frozenset[str]
    sources: frozenset[str]
    token_id: str
    expires_at: float | None

    def may_read_firehose(self) -> bool:
        """Tell whether everything may be read; as with the original, `logs.admin` does not suffice."""
        return FIREHOSE in self.scopes

    def may_read_any_source(self) -> bool:
        """Tell whether each source may be read, one at a time."""
        return FIREHOSE in self.scopes or ADMIN in self.scopes

    def may_read_source(self, source_id: str) -> bool:
        """Tell whether what one source sends may be read."""
        return self.may_read_any_source() or source_id in self.sources


class Verifier(Protocol):
    """Whatever tells a good token from a bad one at once, from what it holds; who must ask others is an `Authority`."""

    def verify(self, token: str, now: float) -> Grant:
        """Return what `token` grants at `now`, in seconds since 1970, or raise `AccessDenied`."""
        ...
