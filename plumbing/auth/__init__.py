"""Decide who may read what: find the token in a request, and ask whoever knows what it grants."""

from plumbing.auth.authority import Authority, make_authority
from plumbing.auth.config import AuthSettings
from plumbing.auth.decisions import Access, AuthorityCounts, Decision, Readable
from plumbing.auth.grants import (
    ADMIN,
    FIREHOSE,
    INVALID,
    MAX_TOKEN_BYTES,
    NOT_PROVIDED,
    SOURCE_READ,
    AccessDenied,
    Claims,
    Grant,
    TokensError,
    Verifier,
)
from plumbing.auth.presented import presented_token
from plumbing.auth.token_verifier import (
    ALGORITHM,
    PUBLIC_KEY_FILE,
    REVOKED_FILE,
    TokenVerifier,
    parse_revoked,
    read_file,
)

__all__ = [
    "ADMIN",
    "ALGORITHM",
    "FIREHOSE",
    "INVALID",
    "MAX_TOKEN_BYTES",
    "NOT_PROVIDED",
    "PUBLIC_KEY_FILE",
    "REVOKED_FILE",
    "SOURCE_READ",
    "Access",
    "AccessDenied",
    "AuthSettings",
    "Authority",
    "AuthorityCounts",
    "Claims",
    "Decision",
    "Grant",
    "Readable",
    "TokenVerifier",
    "TokensError",
    "Verifier",
    "make_authority",
    "parse_revoked",
    "presented_token",
    "read_file",
]
